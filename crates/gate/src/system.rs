//! The real clock and the real randomness.
//!
//! What lasts within this process is measured by the monotonic clock, so that a small jump of the
//! machine's clock ends nothing. What others have said the time of, in tokens and in stores, is held
//! against the wall clock as it is now.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tollgate_core::clock::{Clock, Entropy, Millis};

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    // Read each time. Counted on from the start it would be behind that of other processes on the
    // same store by a second, and after the machine slept by as long as it slept: tokens would
    // outlive their `exp`, and new ones not be valid yet.
    fn unix_secs(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

/// The cryptographic library's random generator.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // INVARIANT: the generator fails only when the operating system has no randomness at all;
        // going on with predictable keys would be worse than ending.
        #[expect(clippy::expect_used, reason = "no randomness means no safe way to go on")]
        aws_lc_rs::rand::fill(bytes).expect("the operating system provides randomness");
    }
}
