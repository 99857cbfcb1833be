//! An exchange with an upstream that may have to outlive its client.
//!
//! In the modern era a client that disconnects has cancelled: dropping the exchange closes the
//! upstream connection at once. In the legacy era it has not: the call goes on, so an exchange whose
//! client vanished is handed to the [`Orphanage`], which reads it to its end, and discards it.
//!
//! SPEC: 2025-11-25 basic/transports, Sending Messages; 2026-07-28 basic/patterns/cancellation.

use crate::upstream::{Exchange, Reply, ReplyBody, ReplyHeaders, SendError};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate_core::bounds::{ORPHANS_MAX, UPSTREAM_TOTAL_SECS};

/// Takes in exchanges whose client vanished. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Orphanage {
    living: Arc<AtomicUsize>,
}

impl Orphanage {
    /// How many exchanges are being read to their end now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.living.load(Ordering::Relaxed)
    }

    /// Watches over an exchange; with `keeps`, it is adopted if it is dropped unfinished.
    #[must_use]
    pub fn ward(&self, exchange: Exchange, keeps: bool) -> Ward {
        Ward { state: State::Asking(exchange), orphanage: keeps.then(|| self.clone()), will: None }
    }

    fn adopt(&self, state: State, will: Option<Will>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.living.fetch_add(1, Ordering::Relaxed) >= ORPHANS_MAX {
            self.living.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let living = self.living.clone();
        let mut ward = Ward { state, orphanage: None, will };
        runtime.spawn(async move {
            let limit = Duration::from_secs(UPSTREAM_TOTAL_SECS);
            // Either way it ends: by itself, or because its time is over.
            let ended = tokio::time::timeout(limit, ward.read_out()).await;
            tracing::debug!(in_time = ended.is_ok(), "read on for a client that vanished");
            living.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

#[derive(Debug)]
enum State {
    Asking(Exchange),
    Answering(ReplyBody),
    Over,
}

/// One exchange, from the request sent to the last byte of the reply.
#[derive(Debug)]
pub struct Ward {
    state: State,
    orphanage: Option<Orphanage>,
    will: Option<Will>,
}

/// What is done with the head of a reply that arrives when its client has gone.
struct Will(Box<dyn FnOnce(&ReplyHeaders) + Send>);

impl std::fmt::Debug for Will {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Will")
    }
}

impl Ward {
    /// Says what to do with the head of a reply that arrives when its client has gone.
    pub fn bequeath(&mut self, will: impl FnOnce(&ReplyHeaders) + Send + 'static) {
        self.will = Some(Will(Box::new(will)));
    }

    /// Waits for the head of the reply.
    ///
    /// # Errors
    /// [`SendError`] as the upstream room reports it.
    pub async fn head(&mut self) -> Result<(StatusCode, ReplyHeaders), SendError> {
        std::future::poll_fn(|context| {
            let State::Asking(exchange) = &mut self.state else {
                // INVARIANT: the only caller asks once, right after the ward was made.
                return Poll::Pending;
            };
            let replied = std::task::ready!(Pin::new(exchange).poll(context));
            Poll::Ready(match replied {
                Ok(Reply { status, headers, body }) => {
                    self.state = State::Answering(body);
                    Ok((status, headers))
                }
                Err(error) => {
                    self.state = State::Over;
                    Err(error)
                }
            })
        })
        .await
    }

    /// Polls for the next piece of the reply's body; `None` at its end.
    pub fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SendError>>> {
        loop {
            let State::Answering(body) = &mut self.state else { return Poll::Ready(None) };
            match std::task::ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    // Trailers are dropped: nothing downstream may mistake them for headers.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    self.state = State::Over;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.state = State::Over;
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Reads the whole body, up to `limit` bytes.
    ///
    /// # Errors
    /// [`Gather`]; the connection is closed then.
    pub async fn gather(&mut self, limit: usize) -> Result<Bytes, Gather> {
        let expected = match &self.state {
            State::Answering(body) => body.size_hint().exact(),
            State::Asking(_) | State::Over => None,
        };
        let expected = expected.and_then(|bytes| usize::try_from(bytes).ok());
        if expected.is_some_and(|bytes| bytes > limit) {
            self.abandon();
            return Err(Gather::TooLarge);
        }
        let mut whole = BytesMut::new();
        let mut first: Option<Bytes> = None;
        while let Some(data) = std::future::poll_fn(|context| self.poll_data(context)).await {
            let data = data.map_err(Gather::Broken)?;
            if first.is_none() && whole.is_empty() {
                first = Some(data);
                continue;
            }
            if let Some(first) = first.take() {
                whole.reserve(expected.unwrap_or(first.len() + data.len()));
                whole.extend_from_slice(&first);
            }
            if whole.len() + data.len() > limit {
                self.abandon();
                return Err(Gather::TooLarge);
            }
            whole.extend_from_slice(&data);
        }
        match first {
            Some(only) if only.len() > limit => Err(Gather::TooLarge),
            Some(only) => Ok(only),
            None => Ok(whole.freeze()),
        }
    }

    /// Gives the exchange up: the connection is closed and nobody adopts it.
    pub fn abandon(&mut self) {
        self.state = State::Over;
    }

    async fn read_out(&mut self) {
        if let State::Asking(_) = self.state {
            let Ok((_, headers)) = self.head().await else { return };
            if let Some(Will(will)) = self.will.take() {
                will(&headers);
            }
        }
        while let Some(Ok(_)) = std::future::poll_fn(|context| self.poll_data(context)).await {}
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        if let Some(orphanage) = self.orphanage.take()
            && !matches!(self.state, State::Over)
        {
            orphanage.adopt(std::mem::replace(&mut self.state, State::Over), self.will.take());
        }
    }
}

/// Why a whole body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Gather {
    /// It is larger than allowed.
    #[error("the reply is too large")]
    TooLarge,
    /// It broke off.
    #[error(transparent)]
    Broken(SendError),
}
