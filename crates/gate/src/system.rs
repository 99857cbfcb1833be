//! The real clock and the real randomness.
//!
//! Wall time is taken once at the start and carried on by the monotonic clock, so that a jump of the
//! machine's clock ends no session and revives none.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tollgate_core::clock::{Clock, Entropy, Millis};

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    start_unix_secs: u64,
}

impl Default for SystemClock {
    fn default() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_unix_secs: unix.as_secs() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn unix_secs(&self) -> u64 {
        self.start_unix_secs + self.start.elapsed().as_secs()
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
