//! Time and randomness, handed in so that tests can hold them.
//!
//! Lifetimes are measured on the monotonic clock: a jump of the wall clock must not end every
//! session at once. Wall time appears only in what people read.

use std::sync::atomic::{AtomicU64, Ordering};

/// Monotonic milliseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Monotonic now.
    fn now(&self) -> Millis;
    /// Wall clock, seconds since 1970-01-01 UTC.
    fn unix_secs(&self) -> u64;
}

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// Fills the buffer with unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    millis: AtomicU64,
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        Millis(self.millis.load(Ordering::Relaxed))
    }

    fn unix_secs(&self) -> u64 {
        self.millis.load(Ordering::Relaxed) / 1000
    }
}
