//! What an upstream sends back: a head we looked at and a body that is still arriving.
//!
//! Decodes no content coding: what we did not ask for we do not take. A body ends cleanly only where
//! HTTP says it is complete; then its connection goes back to the pool. Holds at most one piece of
//! the body, so a slow reader slows the upstream down.
//!
//! Next: `link.rs`; `head.rs` for the head.

use crate::upstream::deadline::{Alarm, Due};
use crate::upstream::duplex::{Inbox, ServedBody, Waiting};
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
enum Flow {
    /// From a connection.
    Link { link: Box<Link>, due: Due, account: InFlight },
    /// From a line, whose host puts it into this exchange's own queue.
    Inbox(Box<Arriving>),
}

#[derive(Debug)]
struct Arriving {
    inbox: Inbox,
    due: Due,
    alarm: Alarm,
    account: InFlight,
}

impl ReplyBody {
    pub(crate) fn new(link: Box<Link>, mut due: Due, account: InFlight) -> Self {
        due.moved();
        let mut body = Self { last: None, flow: Some(Flow::Link { link, due, account }) };
        body.rest_if_complete();
        body
    }

    /// The body of a reply of a host on a line.
    pub(crate) fn on_line(body: ServedBody, waiting: Waiting) -> Self {
        let Waiting { mut due, alarm, account, .. } = waiting;
        due.moved();
        match body {
            ServedBody::Whole(whole) => {
                Self { last: Some(whole).filter(|whole| !whole.is_empty()), flow: None }
            }
            ServedBody::Events(inbox) => {
                let arriving = Box::new(Arriving { inbox, due, alarm, account });
                Self { last: None, flow: Some(Flow::Inbox(arriving)) }
            }
        }
    }

    /// Gives the connection back as soon as nothing more is to be read from it.
    fn rest_if_complete(&mut self) {
        if let Some(Flow::Link { link, .. }) = &mut self.flow
            && link.is_complete()
        {
            self.last = link.take_piece();
            self.rest();
        }
    }

    fn rest(&mut self) {
        if let Some(Flow::Link { link, account, .. }) = self.flow.take() {
            account.endpoint().keep(link);
        }
    }

    fn fail(&mut self, error: SendError) -> SendError {
        match self.flow.take() {
            Some(Flow::Link { account, .. }) => account.failed(&error),
            Some(Flow::Inbox(arriving)) => arriving.account.failed(&error),
            None => {}
        }
        error
    }
}

impl Arriving {
    /// The next event, or the deadline that passes first.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SendError>>> {
        if let Poll::Ready(event) = self.inbox.poll_event(cx) {
            self.due.moved();
            return Poll::Ready(event);
        }
        match self.alarm.poll(cx, &mut self.due) {
            Some(phase) => Poll::Ready(Some(Err(SendError::Timeout(phase)))),
            None => Poll::Pending,
        }
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
        let (link, due) = match &mut this.flow {
            Some(Flow::Link { link, due, .. }) => (link, due),
            Some(Flow::Inbox(arriving)) => {
                let next = ready!(arriving.poll(cx));
                return Poll::Ready(match next {
                    Some(Ok(event)) => Some(Ok(Frame::data(event))),
                    Some(Err(error)) => Some(Err(this.fail(error))),
                    None => {
                        this.flow = None;
                        None
                    }
                });
            }
            None => return Poll::Ready(None),
        };
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
            Some(Flow::Link { link, .. }) => link.left(),
            Some(Flow::Inbox(_)) => None,
            None => u64::try_from(self.last.as_ref().map_or(0, Bytes::len)).ok(),
        };
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
