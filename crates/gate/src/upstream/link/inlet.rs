//! How a connection reads a reply.
//!
//! Small reads go through memory of the thread and leave only what they brought, large ones go into
//! a buffer of their own from which data is cut without a copy. Nothing is held while nothing is
//! there.
//!
//! Next: `../codec.rs`.

use super::Link;
use super::outlet::Request;
use crate::upstream::codec::Said;
use crate::upstream::fault::Cause;
use crate::upstream::head::Head;
use bytes::{Buf, Bytes, BytesMut};
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tollgate_core::bounds::{KIB, UPSTREAM_BUFFER_BYTES_MAX};

/// Longest read that is copied; with more than this still to come a body is read in place.
const SMALL_BYTES: usize = 16 * KIB;

thread_local! {
    // Taken while in use and put back after. An empty one is as good, only slower.
    static INBOX: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A part of a reply.
pub(super) enum Next {
    Head(Head),
    Data(Bytes),
    End,
}

impl Link {
    /// The next part of the reply. Also writes on what of the request is still to be written.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Cause>> {
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
                used = self.note_end(&rest);
                self.inlet = rest;
                Some(Next::Data(data.freeze()))
            }
            Said::Head(head) => Some(Next::Head(head)),
            Said::End => Some(Next::End),
            Said::More => None,
        };
        self.inlet.advance(used);
        if self.inlet.is_empty() {
            // Also when all that is left is the claim on a buffer whose data was handed on.
            self.inlet = BytesMut::new();
        }
        Ok(next)
    }

    fn is_bulk(&self) -> bool {
        self.bulk || self.codec.left().is_some_and(|left| left > SMALL_BYTES as u64)
    }

    /// Reads into memory of the thread and copies what is there in its real size.
    fn poll_small(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Next>, Cause>> {
        let mut inbox = INBOX.take();
        inbox.resize(SMALL_BYTES, 0);
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
        self.bulk = read.len() == SMALL_BYTES;
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
                self.bulk = read > SMALL_BYTES;
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
