//! How a connection writes a request.
//!
//! The head is put together in memory of the thread and written at once, together with the body.
//! Only what the socket does not take is kept. A write that fails is not the end: an upstream that
//! has answered early may have closed its side for reading.
//!
//! Next: `inlet.rs`.

use super::Link;
use crate::upstream::request::{Lead, Outgoing};
use bytes::{Buf, Bytes};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tollgate_core::bounds::{KIB, UPSTREAM_BUFFER_BYTES_MAX};

/// A request body up to this is copied behind its head: one buffer is written faster than two.
const JOINED_BYTES: usize = 4 * KIB;

thread_local! {
    // Taken while in use and put back after. An empty one is as good, only slower.
    static OUTBOX: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How far a request has got.
#[derive(Debug)]
pub(super) enum Request {
    Due,
    Unsent(Box<Unsent>),
    Unflushed,
    Sent,
    /// It could not be written to its end. The upstream may have answered nevertheless.
    Broken,
}

/// What of a request the socket did not take yet.
#[derive(Debug)]
pub(super) struct Unsent {
    head: Bytes,
    body: Bytes,
}

impl Link {
    /// Writes as much of the request as the socket takes.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, lead: &Lead, outgoing: &Outgoing) {
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
    pub(super) fn push(&mut self, cx: &mut Context<'_>) {
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
