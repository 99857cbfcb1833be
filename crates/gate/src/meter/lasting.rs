//! Streams that live until somebody ends them: what flows in them counts while it flows.

use super::Tab;
use crate::body::{Cut, GateBody};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};
use tollgate_core::stores::Outcome;
use tollgate_mcp::sse;

/// A stream and its tab.
#[derive(Debug)]
pub struct Lasting {
    stream: GateBody,
    tab: Tab,
    outcome: Outcome,
}

impl Lasting {
    pub(super) const fn new(stream: GateBody, tab: Tab) -> Self {
        // Agents leave such streams whenever they like: that is their end.
        Self { stream, tab, outcome: Outcome::Done }
    }

    /// The next piece.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let piece = std::task::ready!(Pin::new(&mut self.stream).poll_frame(context));
        if let Some(Err(_)) = &piece {
            self.outcome = Outcome::Unfinished;
        }
        let settled = match &mut self.stream {
            GateBody::Stream(stream) => stream.settled_elsewhere(),
            _ => 0,
        };
        let data = piece.as_ref().and_then(|piece| piece.as_ref().ok()?.data_ref());
        // The gate's own comments are nothing that anybody said.
        if let Some(data) = data.filter(|data| *data != sse::KEEPALIVE) {
            self.tab.flow(data.len().saturating_sub(settled));
        }
        Poll::Ready(piece)
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.tab.ended(self.outcome);
    }
}
