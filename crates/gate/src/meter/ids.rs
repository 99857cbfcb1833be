//! Ids of calls in the ledger: the time, then chance, so that rows are appended where the last ones are
//! and not all over the ledger's index. Chance is drawn some at a time, since a draw of ten bytes costs
//! as much as one of many.
//!
//! SPEC: RFC 9562 section 5.7 (UUID version 7) without its version bits, which nobody here reads.

use parking_lot::Mutex;
use tollgate_core::clock::Entropy;
use tollgate_core::stores::CallId;

/// How much chance is in an id, in bytes.
const CHANCE: usize = 10;
/// How many are drawn at once.
const DRAWN: usize = 32;

/// Chance in store.
#[derive(Debug, Default)]
pub(super) struct Ids {
    // A plain mutex: held for a copy of ten bytes, and once in a while for a draw.
    left: Mutex<Vec<[u8; CHANCE]>>,
}

impl Ids {
    /// An id nobody has, of a call at this time.
    pub(super) fn next(&self, entropy: &dyn Entropy, unix_secs: u64) -> CallId {
        let millis = unix_secs.saturating_mul(1_000).to_be_bytes();
        let mut id = CallId::default();
        id[..6].copy_from_slice(&millis[2..]);
        id[6..].copy_from_slice(&self.chance(entropy));
        id
    }

    fn chance(&self, entropy: &dyn Entropy) -> [u8; CHANCE] {
        let mut left = self.left.lock();
        if let Some(chance) = left.pop() {
            return chance;
        }
        let mut drawn = [0; DRAWN * CHANCE];
        entropy.fill(&mut drawn);
        let (chances, _) = drawn.as_chunks();
        left.extend_from_slice(chances);
        left.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAWN, Ids};
    use crate::system::SystemEntropy;
    use std::collections::HashSet;

    #[test]
    fn no_id_is_given_twice() {
        let ids = Ids::default();
        let given: HashSet<_> = (0..DRAWN * 3).map(|_| ids.next(&SystemEntropy, 7)).collect();
        assert_eq!(given.len(), DRAWN * 3);
    }

    #[test]
    fn later_calls_come_after_earlier_ones() {
        let ids = Ids::default();
        let at = |secs| ids.next(&SystemEntropy, secs);
        assert!(at(1_700_000_000) < at(1_700_000_001));
        assert!(at(1_700_000_000)[..6] == at(1_700_000_000)[..6]);
    }
}
