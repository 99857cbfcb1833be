//! Calls that wait to be counted: bounded by number and by bytes, and never waited for.
//!
//! Waking a thread costs more than noting a call, so while there is work the counting thread looks by
//! itself every few milliseconds, and only one that is idle is woken.
//!
//! Next: `counting.rs`.

use crate::call::Finished;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tollgate_core::bounds::usage::{COUNTING_BYTES_MAX, COUNTING_CALLS_MAX, COUNTING_TICK_MILLIS};

/// A call, and when it was done (Unix milliseconds).
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) call: Finished,
    pub(crate) at_millis: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    // Held for a push or a swap, by threads that serve calls; never while anything is counted.
    line: Mutex<Line>,
    woken: Condvar,
    /// Calls that are in the line or being counted.
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Noted>,
    is_idle: bool,
    is_ended: bool,
}

impl Queue {
    /// Takes a call in, or gives it back if there is no room or nobody counts any more.
    pub(crate) fn offer(&self, noted: Noted) -> Result<(), Box<Noted>> {
        let bytes = noted.call.held_bytes();
        let mut line = self.line.lock();
        let is_full = self.calls.load(Ordering::Relaxed) >= COUNTING_CALLS_MAX
            || self.bytes.load(Ordering::Relaxed).saturating_add(bytes) > COUNTING_BYTES_MAX;
        if is_full || line.is_ended {
            drop(line);
            return Err(Box::new(noted));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        line.waiting.push_back(noted);
        let is_idle = std::mem::take(&mut line.is_idle);
        drop(line);
        if is_idle {
            self.woken.notify_one();
        }
        Ok(())
    }

    /// Waits for calls and takes all there are into `batch`; false when there will be none any more.
    pub(crate) fn next(&self, batch: &mut VecDeque<Noted>) -> bool {
        let mut line = self.line.lock();
        if line.waiting.is_empty() && !line.is_ended {
            // More come soon, if any: nobody has to wake us for them.
            self.woken.wait_for(&mut line, Duration::from_millis(COUNTING_TICK_MILLIS));
        }
        while line.waiting.is_empty() {
            if line.is_ended {
                return false;
            }
            line.is_idle = true;
            self.woken.wait(&mut line);
        }
        line.is_idle = false;
        std::mem::swap(&mut line.waiting, batch);
        true
    }

    /// A call that was taken has been dealt with.
    pub(crate) fn done(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.calls.fetch_sub(1, Ordering::Release);
    }

    /// How many calls are not dealt with.
    pub(crate) fn len(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }

    /// Lets the counting thread end once it has counted what waits. What is offered later comes back.
    pub(crate) fn end(&self) {
        self.line.lock().is_ended = true;
        self.woken.notify_one();
    }
}
