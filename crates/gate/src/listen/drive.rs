//! Runs one hyper connection to its end: its deadlines, the drain, and the abort.
//!
//! One timer for the whole connection, made at the first need and moved lazily: it is only ever
//! moved forward when it has fired, so a connection in ordinary use touches the timer wheel once in
//! several seconds, however many requests pass. It parses nothing and knows no request.
//!
//! Next: `pulse.rs` for what the deadlines are about, `connection.rs` for who calls this.

use crate::drain::Drain;
use crate::listen::pulse::{Missed, Pulse};
use crate::settings::Limits;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::time::Sleep;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// hyper was done with it.
    Closed(hyper::Result<()>),
    /// It missed a deadline and is to be dropped.
    Missed(Missed),
    /// The drain was forced.
    Forced,
}

/// What a connection is driven by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) pulse: &'a Pulse,
    pub(super) limits: &'a Limits,
    pub(super) drain: &'a Drain,
}

/// Polls `connection` to its end. `end` is hyper's graceful shutdown of it.
pub(super) async fn drive<C>(
    mut connection: Pin<&mut C>,
    end: fn(Pin<&mut C>),
    rules: Rules<'_>,
) -> End
where
    C: Future<Output = hyper::Result<()>>,
{
    let Rules { pulse, limits, drain } = rules;
    let mut forced = pin!(drain.forced());
    let mut timer = Timer::default();
    let mut waker: Option<Waker> = None;
    let mut is_draining = false;
    let mut ending_since = None;
    poll_fn(|cx| {
        let is_moved = waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker()));
        if is_moved {
            waker = Some(cx.waker().clone());
        }
        // Waiting for the drain takes a lock that all connections share, so it is polled only to
        // register, and again once the drain has begun and the next phase can come.
        if is_moved || drain.is_begun() {
            if forced.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Forced);
            }
            if drain.is_begun() && !is_draining {
                is_draining = true;
                end(connection.as_mut());
            }
        }
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Closed(result));
            }
            let Some((at, missed)) = pulse.due(limits, ending_since) else { return Poll::Pending };
            if !timer.has_fired(cx, (at, is_moved), pulse) {
                return Poll::Pending;
            }
            match missed {
                Missed::Idle => end(connection.as_mut()),
                Missed::Body => pulse.cut(),
                Missed::Head | Missed::Write | Missed::Ending => {
                    return Poll::Ready(End::Missed(missed));
                }
            }
            ending_since = Some(pulse.now());
        }
    })
    .await
}

/// One lazily made, lazily moved timer.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed_for: u64,
}

impl Timer {
    /// Whether `at` has passed. If not, the task is woken at `at` or before.
    fn has_fired(
        &mut self,
        cx: &mut Context<'_>,
        (at, is_moved): (u64, bool),
        pulse: &Pulse,
    ) -> bool {
        if let Some(sleep) = &mut self.sleep {
            let is_early_enough = self.armed_for <= at && !sleep.is_elapsed();
            if is_early_enough && !is_moved {
                return false;
            }
        }
        loop {
            if pulse.now() >= at {
                return true;
            }
            let instant = pulse.instant(at);
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    sleep.as_mut().reset(instant);
                    sleep
                }
                None => self.sleep.insert(Box::pin(tokio::time::sleep_until(instant))),
            };
            self.armed_for = at;
            if sleep.as_mut().poll(cx).is_pending() {
                return false;
            }
        }
    }
}
