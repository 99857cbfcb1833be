//! What an upstream sends back: a head we looked at and a body that is still arriving.
//!
//! Decodes no content coding: what we did not ask for we do not take. A body ends cleanly only where
//! HTTP says it is complete; then its connection goes back to the pool. Holds at most one piece of
//! the body, so a slow reader slows the upstream down.
//!
//! Next: `link.rs`.

use crate::upstream::endpoint::InFlight;
use crate::upstream::fault::{Cause, SendError};
use crate::upstream::link::{Due, Link};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A reply whose body is still arriving.
#[derive(Debug)]
pub struct Reply {
    /// The status, as the upstream sent it.
    pub status: StatusCode,
    /// The headers, as the upstream sent them.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

/// The body of a reply. At its clean end the connection becomes reusable; dropped before, it is
/// closed.
#[derive(Debug)]
pub struct ReplyBody {
    incoming: Incoming,
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
    pub(crate) fn new(
        incoming: Incoming,
        link: Box<Link>,
        mut due: Due,
        account: InFlight,
    ) -> Self {
        due.moved();
        let mut body = Self { incoming, flow: Some(Flow { link, due, account }) };
        body.rest_if_complete();
        body
    }

    fn rest_if_complete(&mut self) {
        if self.incoming.is_end_stream() {
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
        loop {
            let Some(Flow { link, due, .. }) = &mut this.flow else { return Poll::Ready(None) };
            let incoming = &mut this.incoming;
            let part =
                ready!(link.poll_part(cx, due, |inner| Pin::new(&mut *incoming).poll_frame(inner)));
            return Poll::Ready(match part {
                Err(phase) => Some(Err(this.fail(SendError::Timeout(phase)))),
                Ok(None) => {
                    this.rest();
                    None
                }
                Ok(Some(Err(error))) => {
                    let error = SendError::within_body(Cause::of(&error));
                    Some(Err(this.fail(error)))
                }
                Ok(Some(Ok(frame))) => {
                    due.moved();
                    // MCP gives trailers no meaning, and they were judged by nobody.
                    if frame.is_trailers() {
                        continue;
                    }
                    this.rest_if_complete();
                    Some(Ok(frame))
                }
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.flow.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Refuses replies whose body would not be what it seems.
pub(crate) fn usable(
    response: http::Response<Incoming>,
) -> Result<(http::response::Parts, Incoming), Cause> {
    let (parts, incoming) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Cause::Switched);
    }
    match coding(&parts.headers) {
        Some(coding) => Err(Cause::Encoded(coding)),
        None => Ok((parts, incoming)),
    }
}

/// A coding that hides the body from us, if there is one.
fn coding(headers: &HeaderMap) -> Option<String> {
    let plain = |name, allowed: &'static str| {
        headers
            .get_all(name)
            .iter()
            .find(|value| !value.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()))
            .map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(64).collect())
    };
    plain(header::CONTENT_ENCODING, "identity")
        .or_else(|| plain(header::TRANSFER_ENCODING, "chunked"))
}
