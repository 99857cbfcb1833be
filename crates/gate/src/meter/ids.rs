//! Ids of calls in the ledger: random, and drawn some at a time, since a draw of 16 bytes costs as much
//! as one of many.

use parking_lot::Mutex;
use tollgate_core::clock::Entropy;
use tollgate_core::stores::CallId;

/// How many are drawn at once.
const DRAWN: usize = 32;

/// Ids in store.
#[derive(Debug, Default)]
pub(super) struct Ids {
    // A plain mutex: held for a copy of 16 bytes, and once in a while for a draw.
    left: Mutex<Vec<CallId>>,
}

impl Ids {
    /// An id nobody has.
    pub(super) fn next(&self, entropy: &dyn Entropy) -> CallId {
        let mut left = self.left.lock();
        if let Some(id) = left.pop() {
            return id;
        }
        let mut drawn = [0; DRAWN * size_of::<CallId>()];
        entropy.fill(&mut drawn);
        let (ids, _) = drawn.as_chunks();
        left.extend_from_slice(ids);
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
        let given: HashSet<_> = (0..DRAWN * 3).map(|_| ids.next(&SystemEntropy)).collect();
        assert_eq!(given.len(), DRAWN * 3);
        assert!(!given.contains(&[0; 16]));
    }
}
