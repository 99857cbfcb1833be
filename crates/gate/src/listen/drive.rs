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
use std::time::Duration;
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
            let due = pulse.due(limits, ending_since);
            let at = match due {
                Some((at, _)) => at,
                None if timer.is_armed() && !is_moved => return Poll::Pending,
                // An HTTP/2 stream may end on another thread without waking this task, so even a
                // connection without a deadline is looked at again.
                None => pulse.after(limits.keepalive.max(LOOK_AGAIN)),
            };
            if !timer.has_fired(cx, (at, is_moved), pulse) {
                return Poll::Pending;
            }
            match due.map(|(_, missed)| missed) {
                None => continue,
                Some(Missed::Idle) => end(connection.as_mut()),
                Some(Missed::Body) => pulse.cut(),
                Some(missed @ (Missed::Head | Missed::Write | Missed::Ending)) => {
                    return Poll::Ready(End::Missed(missed));
                }
            }
            ending_since = Some(pulse.now());
        }
    })
    .await
}

/// Least time until a connection without a deadline is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One lazily made, lazily moved timer.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed_for: u64,
}

impl Timer {
    /// Whether the task will be woken.
    fn is_armed(&self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed())
    }

    /// Whether `at` has passed. If not, the task is woken at `at` or before.
    fn has_fired(
        &mut self,
        cx: &mut Context<'_>,
        (at, is_moved): (u64, bool),
        pulse: &Pulse,
    ) -> bool {
        if self.is_armed() && self.armed_for <= at && !is_moved {
            return false;
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

#[cfg(test)]
mod tests {
    use super::{End, Rules, drive};
    use crate::drain::Drain;
    use crate::listen::pulse::{InProgress, Pulse};
    use crate::listen::tests::limits;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    /// A connection that nothing wakes, and that ends when told to.
    struct Silent {
        is_ended: bool,
    }

    impl Future for Silent {
        type Output = hyper::Result<()>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            if self.is_ended { Poll::Ready(Ok(())) } else { Poll::Pending }
        }
    }

    #[tokio::test]
    async fn a_request_that_ends_without_a_wake_leaves_no_immortal_connection() {
        let (pulse, limits, drain) = (Arc::new(Pulse::new()), limits(), Drain::new());
        let in_progress = InProgress::begin(&pulse);
        let mut connection = Silent { is_ended: false };
        let rules = Rules { pulse: &pulse, limits: &limits, drain: &drain };
        let driving = drive(Pin::new(&mut connection), |c| c.get_mut().is_ended = true, rules);
        let ending = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(in_progress);
        };
        let both = async { tokio::join!(driving, ending).0 };
        let end = tokio::time::timeout(Duration::from_secs(20), both).await.expect("an end");
        assert!(matches!(end, End::Closed(Ok(()))), "{end:?}");
    }
}
