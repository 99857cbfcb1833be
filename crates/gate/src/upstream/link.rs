//! One HTTP/1.1 connection, driven by whoever waits for its reply: no task, no channel.
//!
//! Writes a request and reads its reply in the task of the caller. What is small is written from and
//! read into memory of the thread and copied once, in its real size, so that a connection that waits
//! holds no buffer at all; what is large is read in place. Sends nothing before the last reply was
//! complete.
//!
//! Next: `link/outlet.rs` writes, `link/inlet.rs` reads; `codec.rs` understands what is read; `exchange.rs` says what a failure means; `pool.rs`
//! keeps idle ones.

mod inlet;
mod outlet;

use crate::upstream::codec::Codec;
use crate::upstream::deadline::{Alarm, Due};
use crate::upstream::fault::{Cause, Phase};
use crate::upstream::head::Head;
use crate::upstream::request::{Lead, Outgoing};
use crate::upstream::wire::Wire;
use bytes::{Bytes, BytesMut};
use http::Method;
use inlet::Next;
use outlet::Request;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// A connection idle for less is trusted to be open as far as the runtime knows; after longer the
/// kernel is asked, which costs a system call.
const PEEK_AFTER: Duration = Duration::from_millis(20);

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Link {
    wire: Wire,
    codec: Codec,
    request: Request,
    /// Whether any byte of the request reached the socket.
    wrote: bool,
    /// Read and not yet understood, or not yet asked for.
    inlet: BytesMut,
    /// Data that came along with what was asked for.
    piece: Option<Bytes>,
    /// The last read was a large one.
    bulk: bool,
    alarm: Alarm,
    idle_since: Option<Instant>,
}

impl Link {
    /// Takes an open connection that has not carried anything.
    pub(crate) fn new(wire: Wire) -> Box<Self> {
        Box::new(Self {
            wire,
            codec: Codec::new(false),
            request: Request::Due,
            wrote: false,
            inlet: BytesMut::new(),
            piece: None,
            bulk: false,
            alarm: Alarm::default(),
            idle_since: None,
        })
    }

    /// Sends a request and waits for the head of its reply; to be polled with the same request.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        due: &mut Due,
        (lead, outgoing): (&Lead, &Outgoing),
    ) -> Poll<Result<Result<Head, Cause>, Phase>> {
        if matches!(self.request, Request::Due) {
            self.codec = Codec::new(outgoing.method == Method::HEAD);
            self.begin(cx, lead, outgoing);
        }
        loop {
            match self.poll_next(cx) {
                Poll::Ready(Ok(Next::Head(head))) => return Poll::Ready(Ok(Ok(head))),
                // A reply begins with its head.
                Poll::Ready(Ok(Next::Data(_) | Next::End)) => {}
                Poll::Ready(Err(cause)) => return Poll::Ready(Ok(Err(cause))),
                Poll::Pending => return self.watch(cx, due),
            }
        }
    }

    /// Waits for the next data of the body; `None` at its end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        due: &mut Due,
    ) -> Poll<Result<Result<Option<Bytes>, Cause>, Phase>> {
        match self.poll_next(cx) {
            Poll::Ready(Ok(Next::Data(data))) => Poll::Ready(Ok(Ok(Some(data)))),
            Poll::Ready(Ok(Next::Head(_) | Next::End)) => Poll::Ready(Ok(Ok(None))),
            Poll::Ready(Err(cause)) => Poll::Ready(Ok(Err(cause))),
            Poll::Pending => self.watch(cx, due),
        }
    }

    fn watch<T>(&mut self, cx: &Context<'_>, due: &mut Due) -> Poll<Result<T, Phase>> {
        match self.alarm.poll(cx, due) {
            Some(phase) => Poll::Ready(Err(phase)),
            None => Poll::Pending,
        }
    }

    /// Data that is there already, without waiting or reading.
    pub(crate) fn take_piece(&mut self) -> Option<Bytes> {
        self.piece.take()
    }

    /// Whether the reply is complete, a piece not yet taken aside.
    pub(crate) fn is_complete(&self) -> bool {
        self.codec.is_done()
    }

    /// Bytes of the body still to be taken, where that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        let piece = self.piece.as_ref().map_or(0, Bytes::len);
        Some(self.codec.left()? + u64::try_from(piece).ok()?)
    }

    /// Whether any byte of the request reached the socket.
    pub(crate) fn has_written(&self) -> bool {
        self.wrote
    }

    /// Whether it carried a request before this one.
    pub(crate) fn is_reused(&self) -> bool {
        self.idle_since.is_some()
    }

    /// Since when it has been idle.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.idle_since
    }

    /// Lays it to rest after a complete reply. False if it cannot carry another request.
    pub(crate) fn rest(&mut self, now: Instant) -> bool {
        self.alarm.rest();
        self.idle_since = Some(now);
        let fit = self.codec.keeps_alive()
            && self.codec.is_done()
            && self.piece.is_none()
            && self.inlet.is_empty()
            && matches!(self.request, Request::Sent);
        self.inlet = BytesMut::new();
        self.request = Request::Due;
        self.wrote = false;
        self.bulk = false;
        fit
    }

    /// Looks, before reuse, whether the peer has closed it or spoken out of turn.
    pub(crate) fn revive(&mut self, now: Instant) -> bool {
        let rested = self.idle_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        if rested >= PEEK_AFTER && self.wire.is_closed() {
            return false;
        }
        // Under TLS a read also takes in what is none of ours, such as tickets.
        let mut byte = [0];
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.wire).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}
