//! One request to one endpoint, up to the head of its reply.
//!
//! Repeats nothing, with one exception: a pooled connection that turned out closed before a byte of
//! the request left is replaced by a fresh one, once. Follows no redirect. Dropping an [`Exchange`]
//! closes the connection, which is how a call is cancelled.
//!
//! Next: `reply.rs` for what comes back, `fault.rs` for what every failure means, `link.rs` for the
//! connection, `endpoint.rs` for where exchanges begin.

use crate::upstream::endpoint::InFlight;
use crate::upstream::fault::{Cause, Phase, SendError};
use crate::upstream::link::{Answer, Due, Link};
use crate::upstream::reply::{self, Reply, ReplyBody};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// How long an exchange may take, phase by phase. Connecting has its own, of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the request being handed to the connection to the head of the reply.
    pub first_byte: Duration,
    /// Longest silence within the body; `None` for event streams that may be silent.
    pub pause: Option<Duration>,
    /// Everything together; `None` for streams that live as long as their session.
    pub total: Option<Duration>,
}

/// An exchange in progress; resolves when the head of the reply is there.
#[derive(Debug)]
#[must_use = "nothing is sent until it is polled"]
pub struct Exchange {
    stage: Stage,
    head_within: Duration,
    pause: Option<Duration>,
    total_at: Option<Instant>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<Link>, Cause>> + Send>>;

enum Stage {
    /// Waiting for a fresh connection.
    Connect(Connecting, Box<Request<Full<Bytes>>>, InFlight),
    /// Waiting for the head of the reply.
    Head(Box<Link>, Due, InFlight),
    /// Resolved.
    Over,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect(..) => "Connect",
            Self::Head(..) => "Head",
            Self::Over => "Over",
        })
    }
}

impl Exchange {
    /// Begins on a pooled connection if there is one that seems open.
    pub(crate) fn begin(
        account: InFlight,
        request: Request<Full<Bytes>>,
        deadlines: Deadlines,
        pooled: Option<Box<Link>>,
        now: Instant,
    ) -> Self {
        let mut exchange = Self {
            stage: Stage::Over,
            head_within: deadlines.first_byte,
            pause: deadlines.pause,
            total_at: deadlines.total.and_then(|total| now.checked_add(total)),
        };
        exchange.stage = match pooled {
            Some(mut link) => {
                link.send(request);
                Stage::Head(link, exchange.due(now), account)
            }
            None => exchange.connect(Box::new(request), account),
        };
        exchange
    }

    fn connect(&self, request: Box<Request<Full<Bytes>>>, account: InFlight) -> Stage {
        let left = self.total_at.map(|at| at.saturating_duration_since(Instant::now()));
        Stage::Connect(account.endpoint().connect(left), request, account)
    }

    fn due(&self, now: Instant) -> Due {
        Due::head(now + self.head_within, self.pause, self.total_at)
    }

    /// Connecting has ended: sends the request, or says that it was not sent.
    fn connected(&mut self, opened: Result<Box<Link>, Cause>) -> Result<(), SendError> {
        let Stage::Connect(_, request, account) = self.take_stage() else { return Ok(()) };
        // The endpoint was told of a failure while connecting.
        let mut link = opened.map_err(SendError::NotSent)?;
        link.send(*request);
        self.stage = Stage::Head(link, self.due(Instant::now()), account);
        Ok(())
    }

    /// The connection has answered: a reply, a failure, or `None` for one more attempt.
    fn answered(&mut self, answer: Result<Answer, Phase>) -> Option<Result<Reply, SendError>> {
        let Stage::Head(link, due, account) = self.take_stage() else { return None };
        let error = match answer {
            Ok(Ok(response)) => match reply::usable(response) {
                Ok((parts, incoming)) => {
                    account.replied(parts.status);
                    let body = ReplyBody::new(incoming, link, due, account);
                    return Some(Ok(Reply { status: parts.status, headers: parts.headers, body }));
                }
                Err(cause) => SendError::Invalid(cause),
            },
            Ok(Err(mut failure)) => {
                let untouched = failure.take_message().filter(|_| !link.has_written());
                if let Some(request) = untouched
                    && link.is_reused()
                {
                    drop(link);
                    self.stage = self.connect(Box::new(request), account);
                    return None;
                }
                SendError::before_head(Cause::of(&failure.into_error()), link.has_written())
            }
            Err(phase) => SendError::Timeout(phase),
        };
        account.failed(&error);
        Some(Err(error))
    }

    fn take_stage(&mut self) -> Stage {
        std::mem::replace(&mut self.stage, Stage::Over)
    }
}

impl Future for Exchange {
    type Output = Result<Reply, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Connect(connecting, ..) => {
                    let opened = ready!(connecting.as_mut().poll(cx));
                    if let Err(error) = this.connected(opened) {
                        return Poll::Ready(Err(error));
                    }
                }
                Stage::Head(link, due, _) => {
                    let answer = ready!(link.poll_answer(cx, due));
                    if let Some(outcome) = this.answered(answer) {
                        return Poll::Ready(outcome);
                    }
                }
                // Polled after it resolved, against the contract of futures: never wakes.
                Stage::Over => return Poll::Pending,
            }
        }
    }
}
