//! How long an upstream that cannot be started is left alone.
//!
//! Counts starts that failed, not processes that died at work: one agent that makes its own process
//! crash must not keep the others from starting theirs. Where everybody shares one, both count.

use std::time::Duration;
use tokio::time::Instant;

/// Failed starts in a row, and what follows from them.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    in_row: u32,
    until: Option<Instant>,
    why: String,
}

impl Backoff {
    /// Notes another failure.
    pub(super) fn fail(&mut self, (first, max): (Duration, Duration), why: &str, now: Instant) {
        let pause = first.saturating_mul(1 << self.in_row.min(20)).min(max);
        self.in_row = self.in_row.saturating_add(1);
        self.until = now.checked_add(pause);
        self.why = why.to_owned();
    }

    /// Forgets what was.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// How long to wait still, and why; `None` where another start may be tried.
    pub(super) fn left(&self, now: Instant) -> Option<(Duration, &str)> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero()).then_some((left, &*self.why))
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn pauses_double_up_to_the_longest_and_a_success_ends_them() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let pauses = (Duration::from_secs(1), Duration::from_secs(5));
        let mut seen = Vec::new();
        for _ in 0..40 {
            backoff.fail(pauses, "why", now);
            seen.push(backoff.left(now).expect("a pause").0.as_secs());
        }
        assert_eq!(&seen[..4], [1, 2, 4, 5]);
        assert_eq!(seen[39], 5);
        assert!(backoff.left(now + Duration::from_secs(5)).is_none());
        backoff.succeed();
        assert!(backoff.left(now).is_none());
    }
}
