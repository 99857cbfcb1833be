//! The bodies the gate answers with.

use crate::http_sse::AgentStream;
use crate::leash::Leashed;
use crate::meter::Lasting;
use crate::relay::StreamBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A whole reply, or a stream of events.
#[derive(Debug)]
pub enum GateBody {
    /// At most one piece.
    Full(Option<Bytes>),
    /// Events as they come. Boxed: most replies are not streams, and this type is moved often.
    Stream(Box<StreamBody>),
    /// Pieces of events that a task writes.
    Channel(mpsc::Receiver<Bytes>),
    /// All that is said to an agent on HTTP+SSE.
    HttpSse(Box<AgentStream>),
    /// A stream that lasts, and what it has open.
    Lasting(Box<Lasting>),
    /// One of these, for as long as its caller may have it.
    Leashed(Box<Leashed>),
}

/// The stream was cut because its upstream broke off: the client must not take it for complete.
#[derive(Debug, thiserror::Error)]
#[error("the stream was cut")]
pub struct Cut;

impl Body for GateBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Full(piece) => Poll::Ready(piece.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll_events(context),
            Self::Channel(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
            Self::HttpSse(stream) => stream.poll_events(context).map(|piece| piece.map(Ok)),
            Self::Lasting(stream) => stream.poll_frame(context),
            Self::Leashed(stream) => stream.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(piece) => piece.is_none(),
            Self::Stream(_)
            | Self::Channel(_)
            | Self::HttpSse(_)
            | Self::Lasting(_)
            | Self::Leashed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(None) => SizeHint::with_exact(0),
            Self::Full(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_)
            | Self::Channel(_)
            | Self::HttpSse(_)
            | Self::Lasting(_)
            | Self::Leashed(_) => SizeHint::default(),
        }
    }
}
