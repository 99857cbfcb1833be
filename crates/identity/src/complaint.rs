//! Complaints to the operator, at most one every few seconds: what goes wrong for each call would
//! otherwise fill the log with the same line.

use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds between two complaints about the same.
const PAUSE_SECS: u64 = 10;

/// One thing to complain about.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    /// When the next one may be made, in Unix seconds.
    next: AtomicU64,
}

impl Complaint {
    /// Whether it is time to complain, for one of all who ask.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        let (later, relaxed) = (now.saturating_add(PAUSE_SECS), Ordering::Relaxed);
        now >= next && self.next.compare_exchange(next, later, relaxed, relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Complaint;

    #[test]
    fn the_same_is_complained_about_once_in_a_while() {
        let complaint = Complaint::default();
        let due: Vec<u64> = (100..125).filter(|now| complaint.is_due(*now)).collect();
        assert_eq!(due, [100, 110, 120]);
    }
}
