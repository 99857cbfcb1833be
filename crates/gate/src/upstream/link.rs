//! One HTTP/1.1 connection, driven by whoever waits for its reply: no task, no channel.
//!
//! Writes a request and reads its reply in the task of the caller. What is small is written from and
//! read into memory of the thread and copied once, in its real size, so that a connection that waits
//! holds no buffer at all; what is large is read in place. Sends nothing before the last reply was
//! complete.
//!
//! Next: `codec.rs` understands what is read; `exchange.rs` says what a failure means; `pool.rs`
//! keeps idle ones.

use crate::upstream::codec::{Codec, Said};
use crate::upstream::deadline::{Alarm, Due};
use crate::upstream::fault::{Cause, Phase};
use crate::upstream::head::Head;
use crate::upstream::request::{Lead, Outgoing};
use crate::upstream::wire::Wire;
use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tollgate_core::bounds::{KIB, UPSTREAM_BUFFER_BYTES_MAX};

/// A connection idle for less is trusted to be open as far as the runtime knows; after longer the
/// kernel is asked, which costs a system call.
const PEEK_AFTER: Duration = Duration::from_millis(20);
/// A body with more than this still to come is read in place instead of being copied.
const BULK_BYTES: u64 = 32 * 1024;
/// A request body up to this is copied behind its head: one buffer is written faster than two.
const JOINED_BYTES: usize = 4 * KIB;

thread_local! {
    // Taken while in use and put back after. An empty one is as good, only slower.
    static OUTBOX: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static INBOX: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

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

/// How far a request has got.
#[derive(Debug)]
enum Request {
    Due,
    Unsent(Box<Unsent>),
    Unflushed,
    Sent,
    /// It could not be written to its end. The upstream may have answered nevertheless.
    Broken,
}

/// What of a request the socket did not take yet.
#[derive(Debug)]
struct Unsent {
    head: Bytes,
    body: Bytes,
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

/// Writing.
impl Link {
    /// Writes as much of the request as the socket takes.
    fn begin(&mut self, cx: &mut Context<'_>, lead: &Lead, outgoing: &Outgoing) {
        let mut head = OUTBOX.take();
        head.clear();
        lead.write(outgoing, &mut head);
        let joined = outgoing.body.len() <= JOINED_BYTES;
        if joined {
            head.extend_from_slice(&outgoing.body);
        }
        let body = if joined { &[][..] } else { &outgoing.body[..] };
        let written = match self.poll_write(cx, &head, body) {
            Poll::Ready(Ok(written)) => Some(written),
            Poll::Ready(Err(_)) => None,
            Poll::Pending => Some(0),
        };
        self.request = match written {
            None => Request::Broken,
            Some(all) if all == head.len() + body.len() => self.written(),
            Some(part) => Request::Unsent(Box::new(Unsent {
                head: Bytes::copy_from_slice(&head[part.min(head.len())..]),
                body: if joined {
                    Bytes::new()
                } else {
                    outgoing.body.slice(part.saturating_sub(head.len())..)
                },
            })),
        };
        if head.capacity() <= UPSTREAM_BUFFER_BYTES_MAX {
            OUTBOX.set(head);
        }
    }

    fn written(&self) -> Request {
        if self.wire.holds_back() { Request::Unflushed } else { Request::Sent }
    }

    /// Writes on, as long as the socket takes it. A fault only means that no more is written: a
    /// reply may be there nevertheless, and the read says what became of the connection.
    fn push(&mut self, cx: &mut Context<'_>) {
        loop {
            match std::mem::replace(&mut self.request, Request::Sent) {
                Request::Unsent(mut unsent) => {
                    match self.poll_write(cx, &unsent.head, &unsent.body) {
                        Poll::Ready(Ok(written)) => {
                            let of_head = written.min(unsent.head.len());
                            unsent.head.advance(of_head);
                            unsent.body.advance(written - of_head);
                            let all = unsent.head.is_empty() && unsent.body.is_empty();
                            self.request =
                                if all { self.written() } else { Request::Unsent(unsent) };
                        }
                        Poll::Ready(Err(_)) => self.request = Request::Broken,
                        Poll::Pending => {
                            self.request = Request::Unsent(unsent);
                            return;
                        }
                    }
                }
                Request::Unflushed => {
                    self.request = match Pin::new(&mut self.wire).poll_flush(cx) {
                        Poll::Ready(Ok(())) => Request::Sent,
                        Poll::Ready(Err(_)) => Request::Broken,
                        Poll::Pending => Request::Unflushed,
                    };
                    return;
                }
                rest @ (Request::Due | Request::Sent | Request::Broken) => {
                    self.request = rest;
                    return;
                }
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = Pin::new(&mut self.wire);
        let written = ready!(if body.is_empty() {
            wire.poll_write(cx, head)
        } else {
            wire.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
        });
        Poll::Ready(match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                self.wrote = true;
                Ok(written)
            }
            Err(error) => Err(error),
        })
    }
}

/// A part of a reply.
enum Next {
    Head(Head),
    Data(Bytes),
    End,
}

/// Reading.
impl Link {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Cause>> {
        if !matches!(self.request, Request::Sent) {
            self.push(cx);
        }
        if let Some(piece) = self.piece.take() {
            return Poll::Ready(Ok(Next::Data(piece)));
        }
        loop {
            if (!self.inlet.is_empty() || self.codec.is_done())
                && let Some(next) = self.understand()?
            {
                return Poll::Ready(Ok(next));
            }
            let next = if self.is_bulk() {
                ready!(self.poll_large(cx))?
            } else {
                ready!(self.poll_small(cx))?
            };
            if let Some(next) = next {
                return Poll::Ready(Ok(next));
            }
        }
    }

    /// The next part in what was read before.
    fn understand(&mut self) -> Result<Option<Next>, Cause> {
        let mut used = 0;
        let said = self.codec.step(&self.inlet, &mut used)?;
        let next = match said {
            Said::Data(range) => {
                self.inlet.advance(range.start);
                let all = range.len() == self.inlet.len();
                let data = if all {
                    std::mem::take(&mut self.inlet)
                } else {
                    self.inlet.split_to(range.len())
                };
                let rest = std::mem::take(&mut self.inlet);
                let used = self.note_end(&rest);
                self.inlet = rest;
                self.inlet.advance(used);
                return Ok(Some(Next::Data(data.freeze())));
            }
            Said::Head(head) => Some(Next::Head(head)),
            Said::End => Some(Next::End),
            Said::More => None,
        };
        self.inlet.advance(used);
        if self.inlet.is_empty() {
            self.inlet = BytesMut::new();
        }
        Ok(next)
    }

    fn is_bulk(&self) -> bool {
        self.bulk || self.codec.left().is_some_and(|left| left > BULK_BYTES)
    }

    /// Reads into memory of the thread and copies what is there in its real size.
    fn poll_small(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Next>, Cause>> {
        let mut inbox = INBOX.take();
        inbox.resize(UPSTREAM_BUFFER_BYTES_MAX, 0);
        let mut buffer = ReadBuf::new(&mut inbox);
        let read = Pin::new(&mut self.wire).poll_read(cx, &mut buffer);
        let next = read.map(|read| match read {
            Ok(()) if buffer.filled().is_empty() => self.closed().map(Some),
            Ok(()) => self.take_in(buffer.filled()),
            Err(error) => Err(Cause::of(&error)),
        });
        INBOX.set(inbox);
        next
    }

    /// The first part of what was just read, and the data behind a head if it came along.
    fn take_in(&mut self, read: &[u8]) -> Result<Option<Next>, Cause> {
        self.bulk = read.len() == UPSTREAM_BUFFER_BYTES_MAX;
        if !self.inlet.is_empty() {
            self.inlet.extend_from_slice(read);
            return self.understand();
        }
        let mut used = 0;
        let next = match self.codec.step(read, &mut used)? {
            Said::Data(range) => {
                let data = Bytes::copy_from_slice(&read[range]);
                self.keep(&read[used..]);
                Some(Next::Data(data))
            }
            Said::Head(head) => {
                let (mut ahead, mut more) = (self.codec, used);
                // A fault found here is found again when the body is asked for.
                if let Ok(Said::Data(range)) = ahead.step(&read[used..], &mut more) {
                    self.codec = ahead;
                    self.piece = Some(Bytes::copy_from_slice(&read[used..][range]));
                    used = more;
                }
                self.keep(&read[used..]);
                Some(Next::Head(head))
            }
            said @ (Said::End | Said::More) => {
                self.inlet = BytesMut::from(&read[used..]);
                (said == Said::End).then_some(Next::End)
            }
        };
        Ok(next)
    }

    /// Keeps what is left over, without the end if it is there.
    fn keep(&mut self, rest: &[u8]) {
        let used = self.note_end(rest);
        if used < rest.len() {
            self.inlet = BytesMut::from(&rest[used..]);
        }
    }

    /// Takes note of the end if it comes next: then the connection is free with the last data.
    fn note_end(&mut self, rest: &[u8]) -> usize {
        let (mut ahead, mut used) = (self.codec, 0);
        if ahead.step(rest, &mut used) == Ok(Said::End) {
            self.codec = ahead;
            return used;
        }
        0
    }

    /// Reads in place, into a buffer that is there only while data is.
    fn poll_large(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Next>, Cause>> {
        self.inlet.reserve(UPSTREAM_BUFFER_BYTES_MAX);
        let read = pin!(self.wire.read_buf(&mut self.inlet)).poll(cx);
        match read {
            Poll::Ready(Ok(0)) => Poll::Ready(self.closed().map(Some)),
            Poll::Ready(Ok(read)) => {
                self.bulk = read >= UPSTREAM_BUFFER_BYTES_MAX / 2;
                Poll::Ready(self.understand())
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Cause::of(&error))),
            Poll::Pending => {
                self.bulk = false;
                if self.inlet.is_empty() {
                    self.inlet = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }

    fn closed(&mut self) -> Result<Next, Cause> {
        self.codec.close(&self.inlet).map(|()| Next::End)
    }
}
