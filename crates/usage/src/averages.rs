//! What to expect of an item: a moving average of the tokens its results had.
//!
//! A fixed table, one word for each place, read and written without locks on the way of a call. Items
//! whose hashes share a place take it from one another: an estimate may be off, memory never grows.
//! Resources of an upstream share one average, since their URIs have no end.
//!
//! Next: `rows.rs`.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_core::bounds::usage::{AVERAGED_ITEMS_MAX, EXPECTED_TOKENS};
use tollgate_core::party::{Item, ItemKind};

/// The table. A place holds a mark of whose it is, and the average in sixteenths.
pub(crate) struct Averages {
    places: Box<[AtomicU64]>,
    state: RandomState,
}

const AVERAGE_BITS: u32 = 44;
const AVERAGE_MASK: u64 = (1 << AVERAGE_BITS) - 1;
const PART: u64 = 16;
/// A new result counts for one in so many.
const WEIGHT: u64 = 8;

impl Averages {
    pub(crate) fn new() -> Self {
        let places = (0..AVERAGED_ITEMS_MAX).map(|_| AtomicU64::new(0)).collect();
        Self { places, state: RandomState::new() }
    }

    /// Tokens to expect back.
    pub(crate) fn expected(&self, item: &Item<'_>) -> u64 {
        let (place, mark) = self.place(item);
        match read(place.load(Ordering::Relaxed), mark) {
            Some(average) => average.div_ceil(PART),
            None => EXPECTED_TOKENS,
        }
    }

    /// Takes in what came back. Of two at once one may be forgotten.
    pub(crate) fn learn(&self, item: &Item<'_>, tokens: u64) {
        let (place, mark) = self.place(item);
        let seen = tokens.min(AVERAGE_MASK / PART) * PART;
        let average = match read(place.load(Ordering::Relaxed), mark) {
            None => seen,
            Some(old) if seen >= old => old + (seen - old).div_ceil(WEIGHT),
            Some(old) => old - (old - seen).div_ceil(WEIGHT),
        };
        place.store(mark | average, Ordering::Relaxed);
    }

    fn place(&self, item: &Item<'_>) -> (&AtomicU64, u64) {
        let name = if item.kind == ItemKind::Resource { "" } else { item.name };
        let hash = self.state.hash_one((item.kind, item.upstream, name));
        // INVARIANT: the remainder is below the number of places.
        let at = usize::try_from(hash).unwrap_or(usize::MAX) % self.places.len();
        // Never zero, so that an empty place is nobody's.
        let mark = (hash | (1 << AVERAGE_BITS)) & !AVERAGE_MASK;
        (&self.places[at], mark)
    }
}

fn read(word: u64, mark: u64) -> Option<u64> {
    (word & !AVERAGE_MASK == mark).then_some(word & AVERAGE_MASK)
}

#[cfg(test)]
mod tests {
    use super::Averages;
    use tollgate_core::bounds::usage::EXPECTED_TOKENS;
    use tollgate_core::ids::UpstreamName;
    use tollgate_core::party::{Item, ItemKind};

    #[test]
    fn an_average_follows_what_it_sees_from_the_first_result_on() {
        let averages = Averages::new();
        let upstream = UpstreamName::from("github");
        let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "search" };
        assert_eq!(averages.expected(&item), EXPECTED_TOKENS);
        averages.learn(&item, 8_000);
        assert_eq!(averages.expected(&item), 8_000);
        averages.learn(&item, 0);
        assert_eq!(averages.expected(&item), 7_000);
        for _ in 0..200 {
            averages.learn(&item, 40);
        }
        assert_eq!(averages.expected(&item), 40);
        averages.learn(&item, u64::MAX);
        assert!(averages.expected(&item) > 1 << 30);
    }

    #[test]
    fn resources_of_an_upstream_share_one_average() {
        let averages = Averages::new();
        let upstream = UpstreamName::from("files");
        let item = |name| Item { kind: ItemKind::Resource, upstream: &upstream, name };
        averages.learn(&item("file:///a"), 77);
        assert_eq!(averages.expected(&item("file:///b")), 77);
    }
}
