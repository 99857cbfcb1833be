//! Idle connections of one endpoint, the last used first.
//!
//! Last in, first out keeps few connections warm and lets the others grow old. Old ones are dropped
//! at checkout, since the peer is about to close them, and by the reaper.
//!
//! Next: `link.rs`.

use crate::upstream::link::Link;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::{UPSTREAM_POOL_IDLE_MAX, UPSTREAM_POOL_IDLE_MILLIS};

const IDLE: Duration = Duration::from_millis(UPSTREAM_POOL_IDLE_MILLIS);

/// See the file's head.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    // A plain mutex: held for a push or a pop, never while a connection is polled or closed.
    // Boxed, since a link is large and moves between here, exchanges and bodies.
    #[expect(clippy::vec_box, reason = "links move between the pool and exchanges as pointers")]
    idle: Mutex<Vec<Box<Link>>>,
}

impl Pool {
    /// Takes a connection that is still open as far as can be known without a round trip.
    pub(crate) fn take(&self, now: Instant) -> Option<Box<Link>> {
        loop {
            let popped = self.idle.lock().pop();
            let mut link = popped?;
            if is_old(&link, now) {
                // All below it are older.
                drop(std::mem::take(&mut *self.idle.lock()));
                return None;
            }
            if link.revive(now) {
                return Some(link);
            }
        }
    }

    /// Keeps a connection after a complete reply, if it can carry another request.
    pub(crate) fn put(&self, mut link: Box<Link>) {
        if !link.rest(Instant::now()) {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < UPSTREAM_POOL_IDLE_MAX {
            idle.push(link);
        }
    }

    /// Closes what has been idle too long.
    pub(crate) fn reap(&self, now: Instant) {
        let old: Vec<_> = {
            let mut idle = self.idle.lock();
            // Pushed in the order of time, so the old ones are in front.
            let count = idle.iter().take_while(|link| is_old(link, now)).count();
            idle.drain(..count).collect()
        };
        drop(old);
    }

    /// How many are idle.
    pub(crate) fn len(&self) -> usize {
        self.idle.lock().len()
    }
}

fn is_old(link: &Link, now: Instant) -> bool {
    link.idle_since().is_none_or(|since| now.saturating_duration_since(since) >= IDLE)
}
