//! Counters by key: bounded, and parted so that calls rarely wait for one another.
//!
//! Counters that nobody needs any more make room for new ones, a few looked at each time. When all are
//! in use, whoever is new shares one with everybody else who is: slower for them, never unlimited, and
//! no memory taken.

use crate::request::Now;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tollgate_core::bounds::limits::{LIMIT_SHARDS, LIMIT_SWEEP, LIMIT_SWEEP_FULL};

/// What is kept in a table.
pub(crate) trait Counter {
    /// Whether a new one would say the same.
    fn is_idle(&self, now: Now) -> bool;
}

/// Counters by key.
#[derive(Debug)]
pub(crate) struct Table<C> {
    /// Empty where everything counts together.
    shards: Box<[Mutex<Shard<C>>]>,
    /// What everything counts in where it counts together, and newcomers to a full table.
    common: Arc<C>,
    shard_keys_max: usize,
    keys: AtomicUsize,
    crowded: AtomicU64,
}

#[derive(Debug)]
struct Shard<C> {
    index: HashMap<u128, usize, BuildHasherDefault<Fold>>,
    slots: Vec<(u128, Arc<C>)>,
    hand: usize,
}

impl<C> Default for Shard<C> {
    fn default() -> Self {
        Self { index: HashMap::default(), slots: Vec::new(), hand: 0 }
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = low(key) ^ low(key >> 64);
    }
}

const fn low(key: u128) -> u64 {
    (key & u64::MAX as u128) as u64
}

impl<C: Counter> Table<C> {
    /// A table for so many keys, or for one counter of everything.
    pub(crate) fn new(keys_max: Option<usize>, common: C) -> Self {
        let shards = if keys_max.is_some() { LIMIT_SHARDS } else { 0 };
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            common: Arc::new(common),
            shard_keys_max: keys_max.unwrap_or(0).div_ceil(LIMIT_SHARDS),
            keys: AtomicUsize::new(0),
            crowded: AtomicU64::new(0),
        }
    }

    /// The counter of this key; a new one where there is none.
    pub(crate) fn get(&self, key: u128, now: Now, make: impl FnOnce() -> C) -> Arc<C> {
        let shard = usize::try_from((key >> 96) % LIMIT_SHARDS as u128).unwrap_or(0);
        let Some(shard) = self.shards.get(shard) else { return Arc::clone(&self.common) };
        let mut shard = shard.lock();
        if let Some((_, found)) = shard.index.get(&key).and_then(|at| shard.slots.get(*at)) {
            return Arc::clone(found);
        }
        let is_full = shard.slots.len() >= self.shard_keys_max;
        let idle = shard.idle(now, if is_full { LIMIT_SWEEP_FULL } else { LIMIT_SWEEP });
        if idle.is_none() && is_full {
            self.crowded.fetch_add(1, Ordering::Relaxed);
            return Arc::clone(&self.common);
        }
        let made = Arc::new(make());
        if idle.is_none() {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
        shard.place(idle, key, Arc::clone(&made));
        made
    }

    /// Every counter, the common one last.
    pub(crate) fn each(&self, mut look: impl FnMut(&Arc<C>)) {
        for shard in &self.shards {
            shard.lock().slots.iter().for_each(|(_, counter)| look(counter));
        }
        look(&self.common);
    }

    /// How many counters there are besides the common one.
    pub(crate) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// How many calls found the table full.
    pub(crate) fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }
}

impl<C: Counter> Shard<C> {
    /// A place that can be taken over, among the next few.
    fn idle(&mut self, now: Now, looks: usize) -> Option<usize> {
        for _ in 0..looks.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let (_, counter) = self.slots.get(self.hand)?;
            // INVARIANT: who holds a counter got it under this lock, so nobody takes it up meanwhile.
            if Arc::strong_count(counter) == 1 && counter.is_idle(now) {
                return Some(self.hand);
            }
        }
        None
    }

    fn place(&mut self, idle: Option<usize>, key: u128, counter: Arc<C>) {
        let at = idle.unwrap_or(self.slots.len());
        self.index.insert(key, at);
        match self.slots.get_mut(at) {
            Some(slot) => {
                let (old, _) = std::mem::replace(slot, (key, counter));
                self.index.remove(&old);
            }
            None => self.slots.push((key, counter)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Table};
    use crate::request::Now;
    use std::sync::Arc;
    use tollgate_core::bounds::limits::LIMIT_SHARDS;
    use tollgate_core::clock::Millis;

    struct Until(u64);

    impl Counter for Until {
        fn is_idle(&self, now: Now) -> bool {
            self.0 <= now.millis.0
        }
    }

    fn at(millis: u64) -> Now {
        Now { millis: Millis(millis), unix_secs: 0 }
    }

    /// Keys spread over shards as hashes do.
    fn key(number: u128) -> u128 {
        number << 96 | number
    }

    #[test]
    fn whoever_comes_to_a_full_table_shares_one_counter() {
        let table = Table::new(Some(4 * LIMIT_SHARDS), Until(0));
        let own: Vec<_> = (0..4 * LIMIT_SHARDS as u128)
            .map(|number| table.get(key(number), at(0), || Until(100)))
            .collect();
        let first = table.get(key(1_000), at(99), || Until(100));
        let second = table.get(key(2_000), at(99), || Until(100));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!((table.keys(), table.crowded()), (4 * LIMIT_SHARDS, 2));
        assert!(Arc::ptr_eq(&own[7], &table.get(key(7), at(99), || Until(100))));
    }

    #[test]
    fn counters_nobody_needs_make_room_and_those_in_use_stay() {
        let table = Table::new(Some(4 * LIMIT_SHARDS), Until(0));
        let held = table.get(key(0), at(0), || Until(100));
        for number in 1..40 * LIMIT_SHARDS as u128 {
            let now = if number < 4 * LIMIT_SHARDS as u128 { 0 } else { 100 };
            table.get(key(number), at(now), || Until(100));
        }
        assert_eq!(table.crowded(), 0);
        assert!(Arc::ptr_eq(&held, &table.get(key(0), at(100), || Until(100))));
        assert!(table.keys() <= 4 * LIMIT_SHARDS);
    }

    #[test]
    fn where_everything_counts_together_there_is_one_counter() {
        let table = Table::new(None, Until(100));
        let [one, other] = [1, 2].map(|number| table.get(key(number), at(0), || Until(0)));
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!((table.keys(), table.crowded()), (0, 0));
    }
}
