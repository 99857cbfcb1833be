//! One HTTP/1.1 connection, driven by whoever waits for its reply: no task of its own.
//!
//! Polls the awaited thing, then hyper's connection, and again until neither moves, so that all
//! that has arrived is handed on before the task sleeps. Holds the connection's one timer, which
//! is re-armed lazily: a call costs no timer operation unless its deadline comes near.
//!
//! Next: `exchange.rs` says what is awaited and what its failure means; `pool.rs` keeps idle ones.

use crate::upstream::fault::{Cause, Phase};
use crate::upstream::relay::Relay;
use crate::upstream::wire::Wire;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::ReusableBoxFuture;
use tollgate_core::bounds::{HEAD_BYTES_MAX, UPSTREAM_BUFFER_BYTES_MAX};

/// Fruitless rounds before the task is sent to the back of the queue: the runtime's budget for one
/// poll is then used up, and polling on would spin.
const ROUNDS_MAX: usize = 4;
/// A connection idle for less is trusted to be open as far as the runtime knows; after longer the
/// kernel is asked, which costs a system call.
const PEEK_AFTER: Duration = Duration::from_millis(20);

/// hyper's answer: a reply, or an error with the request if it was not touched.
pub(crate) type Answer = Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>;

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Link {
    pipe: Pipe,
    sender: SendRequest<Full<Bytes>>,
    answer: ReusableBoxFuture<'static, Answer>,
    idle_since: Option<Instant>,
}

impl Link {
    /// Prepares HTTP on an open connection.
    pub(crate) async fn new(wire: Wire, relay: Arc<Relay>) -> Result<Box<Self>, Cause> {
        let shaken = Builder::new()
            .max_buf_size(UPSTREAM_BUFFER_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(wire))
            .await;
        let (sender, connection) = shaken.map_err(|error| Cause::of(&error))?;
        let pipe = Pipe {
            connection: Some(connection),
            waker: Waker::from(Arc::clone(&relay)),
            relay,
            alarm: None,
        };
        let answer = ReusableBoxFuture::new(std::future::pending());
        Ok(Box::new(Self { pipe, sender, answer, idle_since: None }))
    }

    /// Hands over a request; it is written when the answer is polled.
    pub(crate) fn send(&mut self, request: Request<Full<Bytes>>) {
        self.pipe.relay.begin();
        self.answer.set(self.sender.try_send_request(request));
    }

    /// Waits for the answer to the request handed over last.
    pub(crate) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        due: &mut Due,
    ) -> Poll<Result<Answer, Phase>> {
        let Self { pipe, answer, .. } = self;
        pipe.drive(cx, due, |inner| answer.poll(inner))
    }

    /// Waits for `item`, a part of this connection's reply.
    pub(crate) fn poll_part<T>(
        &mut self,
        cx: &mut Context<'_>,
        due: &mut Due,
        item: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Phase>> {
        self.pipe.drive(cx, due, item)
    }

    /// Whether any byte of the request handed over last reached the socket.
    pub(crate) fn has_written(&self) -> bool {
        self.pipe.relay.has_written()
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
        self.idle_since = Some(now);
        let fit = (self.pipe.connection.is_some() && self.sender.is_ready()) || self.is_open();
        self.pipe.relay.detach();
        fit
    }

    /// Looks, before reuse, whether the peer has closed it or spoken out of turn.
    pub(crate) fn revive(&mut self, now: Instant) -> bool {
        if self.idle_since.is_some_and(|since| now.saturating_duration_since(since) >= PEEK_AFTER) {
            self.pipe.relay.ask_peek();
        }
        self.is_open()
    }

    fn is_open(&mut self) -> bool {
        self.pipe.advance() && self.sender.is_ready()
    }
}

#[derive(Debug)]
struct Pipe {
    connection: Option<Connection<TokioIo<Wire>, Full<Bytes>>>,
    relay: Arc<Relay>,
    waker: Waker,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pipe {
    fn drive<T>(
        &mut self,
        cx: &mut Context<'_>,
        due: &mut Due,
        mut item: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Phase>> {
        let Self { connection, relay, waker, alarm } = self;
        let mut inner = Context::from_waker(waker);
        relay.attach(cx.waker());
        for _ in 0..ROUNDS_MAX {
            relay.enter();
            if let Poll::Ready(part) = item(&mut inner) {
                relay.leave();
                return Poll::Ready(Ok(part));
            }
            // What was noted so far came from `item` asking for more; the connection sees that now.
            relay.enter();
            if let Some(open) = connection
                && Pin::new(open).poll(&mut inner).is_ready()
            {
                // Its end, good or bad, is told to whoever awaits the item.
                *connection = None;
                continue;
            }
            if relay.is_woken() {
                continue;
            }
            if let Some((at, phase)) = due.next()
                && rings(alarm, &mut inner, at)
            {
                relay.leave();
                return Poll::Ready(Err(phase));
            }
            if relay.settle() {
                return Poll::Pending;
            }
        }
        relay.leave();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets the connection do what it can at once. False if it has ended.
    fn advance(&mut self) -> bool {
        let Some(open) = &mut self.connection else { return false };
        self.relay.enter();
        let ended = Pin::new(open).poll(&mut Context::from_waker(&self.waker)).is_ready();
        self.relay.leave();
        if ended {
            self.connection = None;
        }
        !ended
    }
}

/// Whether `at` has passed; if not, the task is woken by then, perhaps earlier.
fn rings(alarm: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>, at: Instant) -> bool {
    let sleep = match alarm {
        // Armed for an earlier moment, and our waker is registered: it will ring, and we come back.
        Some(sleep) if !sleep.is_elapsed() && sleep.deadline() <= at => return false,
        Some(sleep) if sleep.is_elapsed() && sleep.deadline() >= at => return true,
        Some(sleep) => {
            sleep.as_mut().reset(at);
            sleep
        }
        None => alarm.insert(Box::pin(tokio::time::sleep_until(at))),
    };
    // Unconstrained: an exhausted budget would leave the waker unregistered, against the above.
    Pin::new(&mut tokio::task::unconstrained(sleep.as_mut())).poll(cx).is_ready()
}

/// The next deadline of an exchange, worked out only when somebody has to wait for it.
#[derive(Debug)]
pub(crate) struct Due {
    pause: Option<Duration>,
    total_at: Option<Instant>,
    next: Option<(Instant, Phase)>,
    moved: bool,
}

impl Due {
    /// Waiting for the head of a reply until `head_at`.
    pub(crate) fn head(
        head_at: Instant,
        pause: Option<Duration>,
        total_at: Option<Instant>,
    ) -> Self {
        let next = earlier((head_at, Phase::FirstByte), total_at);
        Self { pause, total_at, next: Some(next), moved: false }
    }

    /// A part of the reply arrived: the pause counts anew.
    pub(crate) fn moved(&mut self) {
        self.moved = true;
    }

    fn next(&mut self) -> Option<(Instant, Phase)> {
        if self.moved {
            self.moved = false;
            self.next = match self.pause {
                Some(pause) => Some(earlier((Instant::now() + pause, Phase::Pause), self.total_at)),
                None => self.total_at.map(|at| (at, Phase::Total)),
            };
        }
        self.next
    }
}

fn earlier(phase: (Instant, Phase), total_at: Option<Instant>) -> (Instant, Phase) {
    match total_at {
        Some(at) if at < phase.0 => (at, Phase::Total),
        _ => phase,
    }
}
