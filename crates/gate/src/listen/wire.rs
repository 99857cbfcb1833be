//! The stream hyper reads from and writes to: checks framing on the way in, notes progress both ways.
//!
//! It implements tokio's traits and sits below `TokioIo`, since there the bytes just read can be
//! looked at, and withheld, in hyper's own buffer: no copy, no buffer of ours, no unsafe code.
//! On a violation inside a head hyper gets a NUL in place of the offending byte, which it answers
//! with 400 and a close; inside a body the read fails, so the body errors and the call is refused.
//! Either way nothing after it is ever parsed. HTTP/2 passes unlooked at: hyper checks that.
//!
//! Next: `framing.rs` for the checks, `pulse.rs` for what is noted.

use crate::listen::framing::{Framing, Phase};
use crate::listen::pulse::Pulse;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tollgate_core::bounds::{LINGER_BYTES_MAX, LINGER_MILLIS};

/// First bytes of a connection, read to tell HTTP/2 from HTTP/1 and to be read again.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) bytes: [u8; 24],
    pub(super) len: usize,
}

#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    pulse: Arc<Pulse>,
    inbound: Inbound,
    opening: Opening,
    opening_read: usize,
    /// Bytes came since the last time a read had to wait.
    has_moved: bool,
    /// The message inside which a wait was noted; its end must be noted too.
    waited_in: Option<u32>,
    has_ended: bool,
}

#[derive(Debug)]
enum Inbound {
    /// HTTP/1, unambiguous so far.
    Followed(Framing),
    /// HTTP/1 after a violation in a head: hyper has its NUL, and gets the end of a head, without
    /// which it would not look at the NUL, and then no more.
    BrokenHead { has_end: bool },
    /// HTTP/1 after a violation in a body: every read fails.
    BrokenBody,
    /// HTTP/2.
    Unfollowed,
}

impl<S> Wire<S> {
    /// A stream of HTTP/1 requests.
    pub(super) const fn http1(stream: S, pulse: Arc<Pulse>, opening: Opening) -> Self {
        Self::new(stream, pulse, opening, Inbound::Followed(Framing::new()))
    }

    /// A stream of HTTP/2 frames.
    pub(super) const fn http2(stream: S, pulse: Arc<Pulse>, opening: Opening) -> Self {
        Self::new(stream, pulse, opening, Inbound::Unfollowed)
    }

    const fn new(stream: S, pulse: Arc<Pulse>, opening: Opening, inbound: Inbound) -> Self {
        Self {
            stream,
            pulse,
            inbound,
            opening,
            opening_read: 0,
            has_moved: false,
            waited_in: None,
            has_ended: false,
        }
    }

    /// Whether the client may still be sending something that hyper will not read.
    pub(super) fn is_mid_request(&self) -> bool {
        let is_idle = matches!(&self.inbound, Inbound::Followed(f) if f.phase() == Phase::Idle);
        !self.has_ended && !is_idle
    }

    /// Follows what was read after `start`. May shorten the buffer, change one byte, or fail.
    fn follow(&mut self, buf: &mut ReadBuf<'_>, start: usize) -> io::Result<()> {
        let Inbound::Followed(framing) = &mut self.inbound else { return Ok(()) };
        let Err(broken) = framing.follow(&buf.filled()[start..]) else { return Ok(()) };
        tracing::debug!(violation = %broken.violation, "request refused");
        let at = start + broken.at;
        match broken.phase {
            Phase::Idle | Phase::Head => {
                self.inbound = Inbound::BrokenHead { has_end: false };
                buf.filled_mut()[at] = 0;
                buf.set_filled(at + 1);
                Ok(())
            }
            Phase::Body => {
                self.inbound = Inbound::BrokenBody;
                buf.set_filled(at);
                if at == start { Err(malformed_body()) } else { Ok(()) }
            }
        }
    }

    /// Notes that a read has to wait, if the wait is inside a message.
    fn note_wait(&mut self) {
        let Inbound::Followed(framing) = &self.inbound else { return };
        match framing.phase() {
            Phase::Idle => return,
            Phase::Head => self.pulse.head_waits(),
            Phase::Body => {
                self.pulse.head_arrived();
                self.pulse.body_waits(self.has_moved);
            }
        }
        self.waited_in = Some(framing.begun());
        self.has_moved = false;
    }

    /// Notes that bytes came.
    fn note_read(&mut self) {
        self.has_moved = true;
        let Some(waited_in) = self.waited_in else { return };
        match &self.inbound {
            Inbound::Followed(framing) if framing.begun() == waited_in => match framing.phase() {
                Phase::Head => return,
                Phase::Body => return self.pulse.head_arrived(),
                Phase::Idle => {}
            },
            _ => {}
        }
        self.pulse.message_arrived();
        self.waited_in = None;
    }
}

/// Makes hyper parse a head that it took to be incomplete.
const HEAD_END: &[u8] = b"\n\r\n";

fn malformed_body() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed request body")
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// After the reply to a request that was not read to its end: lets the client read the reply.
    ///
    /// Closing with unread bytes in the kernel makes it reset the connection, and a reset may
    /// overtake the reply.
    pub(super) async fn linger(mut self) {
        let reading_over = async {
            // An error means that the client is gone: nothing to wait for.
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let mut scrap = [0; 1024];
            let mut taken = 0;
            while taken < LINGER_BYTES_MAX {
                match self.stream.read(&mut scrap).await {
                    Ok(0) | Err(_) => return,
                    Ok(read) => taken += read,
                }
            }
        };
        let span = Duration::from_millis(LINGER_MILLIS);
        if tokio::time::timeout(span, reading_over).await.is_err() {
            tracing::trace!("client kept sending after the reply");
        }
    }

    /// Answers a head that did not arrive in time. Only while no reply is being written.
    pub(super) async fn refuse_slow_head(mut self) {
        const REPLY: &[u8] =
            b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        // It fits the empty send buffer of any live connection; others are given no time.
        let span = Duration::from_millis(LINGER_MILLIS);
        match tokio::time::timeout(span, self.stream.write_all(REPLY)).await {
            Ok(Ok(())) => self.linger().await,
            Ok(Err(_)) | Err(_) => tracing::trace!("client is gone"),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match &mut this.inbound {
            Inbound::BrokenHead { has_end } => {
                if !*has_end && buf.remaining() >= HEAD_END.len() {
                    *has_end = true;
                    buf.put_slice(HEAD_END);
                }
                return Poll::Ready(Ok(()));
            }
            Inbound::BrokenBody => return Poll::Ready(Err(malformed_body())),
            Inbound::Followed(_) if this.pulse.is_cut() => {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "request body too slow",
                )));
            }
            Inbound::Followed(_) | Inbound::Unfollowed => {}
        }
        let start = buf.filled().len();
        if this.opening_read < this.opening.len {
            let left = &this.opening.bytes[this.opening_read..this.opening.len];
            let taken = left.len().min(buf.remaining());
            buf.put_slice(&left[..taken]);
            this.opening_read += taken;
        }
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        // What the opening gave is handed on first; an error or the end will be met again.
        if buf.filled().len() == start {
            if polled.is_pending() {
                this.note_wait();
            }
            ready!(polled)?;
        }
        if buf.filled().len() == start {
            this.has_ended = true;
            return Poll::Ready(Ok(()));
        }
        let followed = this.follow(buf, start);
        this.note_read();
        Poll::Ready(followed)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn note_write<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Pending => self.pulse.write_waits(),
            Poll::Ready(_) => self.pulse.write_moved(),
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_write(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note_write(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.note_write(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.note_write(polled)
    }
}
