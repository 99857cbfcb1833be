//! One request to one endpoint, up to the head of its reply.
//!
//! Repeats nothing, with one exception: a pooled connection that turned out closed before a byte of
//! the request left is replaced by a fresh one, once. Follows no redirect. Dropping an [`Exchange`]
//! closes the connection, which is how a call is cancelled.
//!
//! Next: `reply.rs` for what comes back, `fault.rs` for what every failure means, `link.rs` for the
//! connection, `endpoint.rs` for where exchanges begin.

use crate::upstream::credential::{CredentialFault, Lending, Lent};
use crate::upstream::deadline::Due;
use crate::upstream::duplex::{Served, Serving, Waiting};
use crate::upstream::endpoint::InFlight;
use crate::upstream::fault::{Cause, Phase, SendError};
use crate::upstream::head::Head;
use crate::upstream::link::Link;
use crate::upstream::reply::{Reply, ReplyBody};
use crate::upstream::request::Outgoing;
use http::StatusCode;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
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
    request: Outgoing,
    head_within: Duration,
    pause: Option<Duration>,
    total_at: Option<Instant>,
    /// The token it carries.
    lent: Option<Arc<Lent>>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<Link>, Cause>> + Send>>;

enum Stage {
    /// Waiting for a token to show.
    Credential(Lending, InFlight),
    /// Waiting for a fresh connection.
    Connect(Connecting, InFlight),
    /// Waiting for the head of the reply.
    Head(Box<Link>, Due, InFlight),
    /// Waiting for a host on a line, which is no connection of ours.
    Host(Box<Waiting>),
    /// Resolved.
    Over,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Credential(..) => "Credential",
            Self::Connect(..) => "Connect",
            Self::Head(..) => "Head",
            Self::Host(..) => "Host",
            Self::Over => "Over",
        })
    }
}

impl Exchange {
    /// Begins with the token the request has to carry, if any.
    pub(crate) fn begin(
        account: InFlight,
        request: Outgoing,
        deadlines: Deadlines,
        now: Instant,
    ) -> Self {
        let mut exchange = Self {
            stage: Stage::Over,
            request,
            head_within: deadlines.first_byte,
            pause: deadlines.pause,
            total_at: deadlines.total.and_then(|total| now.checked_add(total)),
            lent: None,
        };
        let credential = account.endpoint().wiring().credential.as_ref();
        let whom = exchange.request.on_behalf_of.as_ref();
        match credential.map(|credential| credential.lend(whom, now)) {
            None => exchange.stage = exchange.dispatch(account, now),
            Some(Ok(lent)) => exchange.carry(lent, account, now),
            Some(Err(lending)) => exchange.stage = Stage::Credential(lending, account),
        }
        exchange
    }

    /// Goes on with a token.
    fn carry(&mut self, lent: Arc<Lent>, account: InFlight, now: Instant) {
        self.request.headers.authorize(lent.value());
        self.lent = Some(lent);
        self.stage = self.dispatch(account, now);
    }

    /// On a pooled connection if there is one that seems open.
    fn dispatch(&self, account: InFlight, now: Instant) -> Stage {
        match account.endpoint().core().pool.take(now) {
            Some(link) => Stage::Head(link, self.due(now), account),
            None => self.connect(account),
        }
    }

    /// The token is there, or is not to be had: a sign of nothing about the endpoint.
    fn lent(&mut self, lent: Result<Arc<Lent>, CredentialFault>) -> Result<(), SendError> {
        let Stage::Credential(_, account) = self.take_stage() else { return Ok(()) };
        let lent = lent.map_err(|fault| SendError::NotSent(Cause::Credential(fault)))?;
        self.carry(lent, account, Instant::now());
        Ok(())
    }

    /// The upstream does not take the token: nobody is to send it again.
    fn note_refusal(&self, account: &InFlight) {
        let credential = account.endpoint().wiring().credential.as_ref();
        if let (Some(credential), Some(lent)) = (credential, &self.lent) {
            credential.refused(self.request.on_behalf_of.as_ref(), lent);
        }
    }

    /// Begins with a host on a line, which has taken the request.
    pub(crate) fn on_line(
        account: InFlight,
        serving: Serving,
        deadlines: Deadlines,
        now: Instant,
    ) -> Self {
        let total_at = deadlines.total.and_then(|total| now.checked_add(total));
        let due = Due::head(now + deadlines.first_byte, deadlines.pause, total_at);
        let stage = Stage::Host(Waiting::new(serving, due, account));
        let (head_within, pause) = (deadlines.first_byte, deadlines.pause);
        Self { stage, request: Outgoing::empty(), head_within, pause, total_at, lent: None }
    }

    /// A host has answered, or has not in time.
    fn served(
        &mut self,
        answer: Result<Result<Served, SendError>, Phase>,
    ) -> <Self as Future>::Output {
        // INVARIANT: only called by `poll`, in this stage.
        let Stage::Host(waiting) = self.take_stage() else {
            return Err(SendError::Timeout(Phase::Total));
        };
        let served = answer.unwrap_or_else(|phase| Err(SendError::Timeout(phase)));
        match served {
            Ok(Served { status, headers, body }) => {
                waiting.account.replied(status);
                let body = ReplyBody::on_line(body, *waiting);
                Ok(Reply { status, headers, body })
            }
            Err(error) => {
                waiting.account.failed(&error);
                Err(error)
            }
        }
    }

    fn connect(&self, account: InFlight) -> Stage {
        let left = self.total_at.map(|at| at.saturating_duration_since(Instant::now()));
        Stage::Connect(account.endpoint().connect(left), account)
    }

    fn due(&self, now: Instant) -> Due {
        Due::head(now + self.head_within, self.pause, self.total_at)
    }

    /// Connecting has ended: goes on to the request, or says that it was not sent.
    fn connected(&mut self, opened: Result<Box<Link>, Cause>) -> Result<(), SendError> {
        let Stage::Connect(_, account) = self.take_stage() else { return Ok(()) };
        // The endpoint was told of a failure while connecting.
        let link = opened.map_err(SendError::NotSent)?;
        self.stage = Stage::Head(link, self.due(Instant::now()), account);
        Ok(())
    }

    /// The connection has answered: a reply, a failure, or `None` for one more attempt.
    fn answered(
        &mut self,
        answer: Result<Result<Head, Cause>, Phase>,
    ) -> Option<Result<Reply, SendError>> {
        let Stage::Head(link, due, account) = self.take_stage() else { return None };
        let error = match answer {
            Ok(Ok(Head { status, headers, .. })) => {
                account.replied(status);
                if status == StatusCode::UNAUTHORIZED {
                    self.note_refusal(&account);
                }
                let body = ReplyBody::new(link, due, account);
                return Some(Ok(Reply { status, headers, body }));
            }
            Ok(Err(_)) if link.is_reused() && !link.has_written() => {
                drop(link);
                self.stage = self.connect(account);
                return None;
            }
            Ok(Err(cause)) => SendError::before_head(cause, link.has_written()),
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
                Stage::Credential(lending, ..) => {
                    let lent = ready!(lending.as_mut().poll(cx));
                    if let Err(error) = this.lent(lent) {
                        return Poll::Ready(Err(error));
                    }
                }
                Stage::Connect(connecting, ..) => {
                    let opened = ready!(connecting.as_mut().poll(cx));
                    if let Err(error) = this.connected(opened) {
                        return Poll::Ready(Err(error));
                    }
                }
                Stage::Head(link, due, account) => {
                    let request = (&account.endpoint().wiring().lead, &this.request);
                    let answer = ready!(link.poll_head(cx, due, request));
                    if let Some(outcome) = this.answered(answer) {
                        return Poll::Ready(outcome);
                    }
                }
                Stage::Host(waiting) => {
                    let answer = ready!(waiting.poll(cx));
                    return Poll::Ready(this.served(answer));
                }
                // Polled after it resolved, against the contract of futures: never wakes.
                Stage::Over => return Poll::Pending,
            }
        }
    }
}
