//! What an upstream sends back: a head we looked at and a body that is still arriving.
//!
//! Decodes no content coding: what we did not ask for we do not take. A body ends cleanly only where
//! HTTP says it is complete; then its connection goes back to the pool. Holds at most one piece of
//! the body, so a slow reader slows the upstream down.
//!
//! Next: `link.rs`; `head.rs` for the head.

use crate::upstream::deadline::Due;
use crate::upstream::endpoint::InFlight;
use crate::upstream::fault::SendError;
use crate::upstream::head::ReplyHeaders;
use crate::upstream::link::Link;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A reply whose body is still arriving.
#[derive(Debug)]
pub struct Reply {
    /// The status, as the upstream sent it.
    pub status: StatusCode,
    /// What the gate reads of the headers.
    pub headers: ReplyHeaders,
    /// The body.
    pub body: ReplyBody,
}

/// The body of a reply. At its clean end the connection becomes reusable; dropped before, it is
/// closed.
#[derive(Debug)]
pub struct ReplyBody {
    /// The last data, which came along with the end.
    last: Option<Bytes>,
    /// `None` once the body has ended, well or badly.
    flow: Option<Flow>,
}

#[derive(Debug)]
struct Flow {
    link: Box<Link>,
    due: Due,
    account: InFlight,
}

impl ReplyBody {
    pub(crate) fn new(link: Box<Link>, mut due: Due, account: InFlight) -> Self {
        due.moved();
        let mut body = Self { last: None, flow: Some(Flow { link, due, account }) };
        body.rest_if_complete();
        body
    }

    /// Gives the connection back as soon as nothing more is to be read from it.
    fn rest_if_complete(&mut self) {
        if let Some(flow) = &mut self.flow
            && flow.link.is_complete()
        {
            self.last = flow.link.take_piece();
            self.rest();
        }
    }

    fn rest(&mut self) {
        if let Some(flow) = self.flow.take() {
            flow.account.endpoint().keep(flow.link);
        }
    }

    fn fail(&mut self, error: SendError) -> SendError {
        if let Some(flow) = self.flow.take() {
            flow.account.failed(&error);
        }
        error
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let this = &mut *self;
        if let Some(last) = this.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let Some(Flow { link, due, .. }) = &mut this.flow else { return Poll::Ready(None) };
        Poll::Ready(match ready!(link.poll_data(cx, due)) {
            Err(phase) => Some(Err(this.fail(SendError::Timeout(phase)))),
            Ok(Err(cause)) => Some(Err(this.fail(SendError::within_body(cause)))),
            Ok(Ok(None)) => {
                this.rest();
                None
            }
            Ok(Ok(Some(data))) => {
                due.moved();
                this.rest_if_complete();
                Some(Ok(Frame::data(data)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.flow.is_none() && self.last.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = match &self.flow {
            Some(flow) => flow.link.left(),
            None => u64::try_from(self.last.as_ref().map_or(0, Bytes::len)).ok(),
        };
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
