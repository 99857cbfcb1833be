//! Response bodies: one piece, or a stream of server-sent events.
//!
//! A stream holds at most [`QUEUE_MAX`] events; its writers then wait for the reader. A silent
//! stream carries a comment now and then, so that nothing on the way takes it for dead. Events
//! carry no ids: this server offers no resumption.

use crate::bounds::STREAM_KEEPALIVE_SECS;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde_json::Value;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Events that wait for a reader; enough for a burst of progress, little enough to forget about.
const QUEUE_MAX: usize = 16;

/// The body of a response.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Option<Bytes>),
    Events { queue: mpsc::Receiver<Bytes>, beat: Interval },
}

/// The writing end of an event stream. The stream ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Events(mpsc::Sender<Bytes>);

/// The reader of a stream is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// A new event stream.
pub(crate) fn open() -> (Events, Body) {
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let every = Duration::from_secs(STREAM_KEEPALIVE_SECS);
    let mut beat = interval_at(Instant::now() + every, every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    (Events(sender), Body::Events { queue, beat })
}

impl Events {
    /// Sends one message as one event, waiting while the reader is slow.
    pub(crate) async fn send(&self, message: &Value) -> Result<(), Gone> {
        self.0.send(event(message)).await.map_err(|_| Gone)
    }

    /// Sends one message if the reader keeps up; says whether it was taken.
    pub(crate) fn offer(&self, message: &Value) -> bool {
        self.0.try_send(event(message)).is_ok()
    }

    /// Returns when the reader is gone.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }

    /// Whether somebody still reads.
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }
}

// INVARIANT: the JSON text is one line; `Value` escapes every control character in strings.
fn event(message: &Value) -> Bytes {
    Bytes::from(format!("event: message\ndata: {message}\n\n"))
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events { queue, beat } => {
                if let Poll::Ready(next) = queue.poll_recv(context) {
                    beat.reset();
                    return Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))));
                }
                ready!(beat.poll_tick(context));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n")))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Events { .. } => SizeHint::default(),
        }
    }
}
