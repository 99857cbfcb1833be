//! What rules say about items that lists of upstreams have named, so that their calls match no patterns.
//!
//! Only ever grows, up to a bound: nothing is put out again, so no caller can make another's decisions
//! slower. Read without locks. Never asked about what exists: what is not here is matched anew.

use crate::items::Marks;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tollgate_core::bounds::policy::{ITEM_LEARNED_BYTES_MAX, ITEMS_LEARNED_MAX};
use tollgate_core::party::{Item, ItemKind};

/// Half of the places stay empty, so that looking for what is not there ends soon.
const PLACES: usize = (2 * ITEMS_LEARNED_MAX).next_power_of_two();
/// Places looked at for one item; one that finds them all taken is not remembered.
const PROBES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// Made with the first item.
    places: OnceLock<Box<[OnceLock<Box<Known>>]>>,
    count: AtomicUsize,
    hash: RandomState,
}

#[derive(Debug)]
struct Known {
    kind: ItemKind,
    upstream: Box<str>,
    name: Box<str>,
    marks: Marks,
}

impl Known {
    fn is(&self, item: &Item<'_>) -> bool {
        self.kind == item.kind
            && *self.name == *item.name
            && *self.upstream == *item.upstream.as_str()
    }
}

impl Learned {
    pub(crate) fn get(&self, item: &Item<'_>) -> Option<Marks> {
        let places = self.places.get()?;
        for place in self.probes(item) {
            let known = places.get(place)?.get()?;
            if known.is(item) {
                return Some(known.marks);
            }
        }
        None
    }

    pub(crate) fn get_or_learn(&self, item: &Item<'_>, judge: impl FnOnce() -> Marks) -> Marks {
        if let Some(marks) = self.get(item) {
            return marks;
        }
        let marks = judge();
        let bytes = item.name.len();
        if bytes > ITEM_LEARNED_BYTES_MAX || self.count.load(Ordering::Relaxed) >= ITEMS_LEARNED_MAX
        {
            return marks;
        }
        let places = self.places.get_or_init(|| (0..PLACES).map(|_| OnceLock::new()).collect());
        for place in self.probes(item) {
            let Some(place) = places.get(place) else { break };
            let mut is_new = false;
            let known = place.get_or_init(|| {
                is_new = true;
                let (upstream, name) = (item.upstream.as_str().into(), item.name.into());
                Box::new(Known { kind: item.kind, upstream, name, marks })
            });
            if is_new {
                self.count.fetch_add(1, Ordering::Relaxed);
            }
            if is_new || known.is(item) {
                break;
            }
        }
        marks
    }

    fn probes(&self, item: &Item<'_>) -> impl Iterator<Item = usize> + use<> {
        let hash = self.hash.hash_one((item.kind, item.upstream.as_str(), item.name));
        // The low bits choose the first place, so the cut of the others does not matter.
        let first = usize::try_from(hash & (PLACES as u64 - 1)).unwrap_or(0);
        (0..PROBES).map(move |step| (first + step) & (PLACES - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::Learned;
    use crate::bits::Bits;
    use crate::items::Marks;
    use tollgate_core::bounds::policy::ITEMS_LEARNED_MAX;
    use tollgate_core::ids::UpstreamName;
    use tollgate_core::party::{Item, ItemKind};

    fn marks(place: usize) -> Marks {
        let mut allow = Bits::NONE;
        allow.insert(place % 1_000);
        Marks { allow, deny: Bits::NONE }
    }

    #[test]
    fn it_gives_back_what_it_learned_and_stops_at_its_bound() {
        let learned = Learned::default();
        let upstream = UpstreamName::from("files");
        let names: Vec<String> = (0..ITEMS_LEARNED_MAX + 500).map(|n| format!("tool{n}")).collect();
        for (place, name) in names.iter().enumerate() {
            let item = Item { kind: ItemKind::Tool, upstream: &upstream, name };
            assert_eq!(learned.get_or_learn(&item, || marks(place)), marks(place));
        }
        let mut known = 0;
        for (place, name) in names.iter().enumerate() {
            let item = Item { kind: ItemKind::Tool, upstream: &upstream, name };
            if let Some(found) = learned.get(&item) {
                assert_eq!(found, marks(place), "{name}");
                known += 1;
            }
            let other = Item { kind: ItemKind::Prompt, upstream: &upstream, name };
            assert_eq!(learned.get(&other), None);
        }
        assert!((ITEMS_LEARNED_MAX / 2..=ITEMS_LEARNED_MAX).contains(&known), "{known}");
    }
}
