//! Tells every connection that the gate is going away, in two phases.
//!
//! First `begin`: nothing new is accepted, idle connections close, calls in flight finish. Then
//! `force`, at the deadline: what is left is aborted. Does not know the deadline itself and holds
//! no connection; whoever listens asks it. Phases only go forward.
//!
//! Next: `listen.rs`, which obeys it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

const BEGUN: u8 = 1;
const FORCED: u8 = 2;

/// A handle on the one drain of this process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    phase: AtomicU8,
    moved: Notify,
}

impl Drain {
    /// A drain that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts draining: no new connections, and each open one ends after its calls in flight.
    pub fn begin(&self) {
        self.advance(BEGUN);
    }

    /// Aborts what is left; implies `begin`.
    pub fn force(&self) {
        self.advance(FORCED);
    }

    /// Whether draining has begun. One atomic load.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.shared.phase.load(Ordering::Acquire) >= BEGUN
    }

    /// Whether what is left is being aborted. One atomic load.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.shared.phase.load(Ordering::Acquire) >= FORCED
    }

    /// Waits until draining has begun.
    pub async fn begun(&self) {
        self.reached(BEGUN).await;
    }

    /// Waits until what is left is to be aborted.
    pub async fn forced(&self) {
        self.reached(FORCED).await;
    }

    fn advance(&self, phase: u8) {
        self.shared.phase.fetch_max(phase, Ordering::AcqRel);
        self.shared.moved.notify_waiters();
    }

    async fn reached(&self, phase: u8) {
        loop {
            // Register before looking: a move between the two would otherwise be missed.
            let moved = self.shared.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.shared.phase.load(Ordering::Acquire) >= phase {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Drain;

    #[tokio::test]
    async fn everyone_waiting_learns_of_each_phase() {
        let drain = Drain::new();
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move {
                drain.begun().await;
                let seen_forced = drain.is_forced();
                drain.forced().await;
                seen_forced
            }
        });
        tokio::task::yield_now().await;
        drain.begin();
        tokio::task::yield_now().await;
        assert!(drain.is_begun() && !drain.is_forced());
        drain.force();
        assert!(!waiting.await.expect("the waiting task ended"));
    }

    #[tokio::test]
    async fn force_implies_begin_and_begin_does_not_take_it_back() {
        let drain = Drain::new();
        drain.force();
        drain.begin();
        drain.begun().await;
        assert!(drain.is_forced());
    }
}
