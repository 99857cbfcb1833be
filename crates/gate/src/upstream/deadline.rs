//! The deadlines of an exchange, and the one timer of a connection that watches over them.
//!
//! The timer is re-armed lazily: it stays armed for an early moment and looks again when it rings,
//! so that a call costs no timer operation unless its deadline comes near. It rings a [`Bell`] that
//! passes on to whoever waits just then.
//!
//! Next: `link.rs`, which owns the timer; `exchange.rs`, which sets the deadlines.

use crate::upstream::fault::Phase;
use futures_util::task::AtomicWaker;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

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

/// The timer of one connection; empty until somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    sleep: Pin<Box<Sleep>>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Wakes whoever waits on the connection now: the timer outlives the calls it watches.
#[derive(Debug, Default)]
struct Bell {
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.task.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.task.wake();
    }
}

impl Alarm {
    /// The deadline that has passed; if none has, the task is woken by the next, perhaps earlier.
    pub(crate) fn poll(&mut self, cx: &Context<'_>, due: &mut Due) -> Option<Phase> {
        let Some((at, phase)) = due.next() else {
            // A stream that may be silent for ever holds no timer either.
            self.armed = None;
            return None;
        };
        let Armed { sleep, bell, waker } = self.armed.get_or_insert_with(|| {
            let bell = Arc::new(Bell::default());
            let waker = Waker::from(Arc::clone(&bell));
            let mut sleep = Box::pin(tokio::time::sleep_until(at));
            rings(&mut sleep, &waker);
            Armed { sleep, bell, waker }
        });
        bell.task.register(cx.waker());
        if !sleep.is_elapsed() && sleep.deadline() <= at {
            // Armed for an earlier moment: it will ring, and we come back.
            return None;
        }
        if sleep.is_elapsed() && sleep.deadline() >= at {
            return Some(phase);
        }
        sleep.as_mut().reset(at);
        rings(sleep, waker).then_some(phase)
    }

    /// Nobody waits any more. Frees the last task's memory, which a kept waker would hold.
    pub(crate) fn rest(&self) {
        if let Some(armed) = &self.armed {
            drop(armed.bell.task.take());
        }
    }
}

fn rings(sleep: &mut Pin<Box<Sleep>>, waker: &Waker) -> bool {
    // Unconstrained: an exhausted budget would leave the waker unregistered.
    let mut sleep = tokio::task::unconstrained(sleep.as_mut());
    Pin::new(&mut sleep).poll(&mut Context::from_waker(waker)).is_ready()
}
