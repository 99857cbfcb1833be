//! What is known of tokens that were seen a moment ago, so that most calls cost a look-up instead
//! of a signature.
//!
//! Keyed by the door and the token's SHA-256: whoever knows a key here still has no token. An entry
//! ends at its time, or with the era it was made in (an issuer's keys changed). Reading allocates
//! nothing. Full shards forget what was remembered first, which also is what ends first.

use aws_lc_rs::digest;
use parking_lot::RwLock;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SHARDS: usize = 64;

/// A token at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    door: u64,
    digest: [u8; 32],
}

impl Key {
    /// The key of what was presented at the door with this serial.
    pub(crate) fn of(door: u64, presented: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, presented).as_ref());
        Self { door, digest: bytes }
    }

    const fn shard(&self) -> usize {
        self.digest[31] as usize % SHARDS
    }
}

impl Hash for Key {
    // Eight bytes of a SHA-256 are enough to spread keys; that nobody can aim them at one bucket is
    // the work of the map's keyed hasher.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut head = [0; 8];
        head.copy_from_slice(&self.digest[..8]);
        state.write_u64(u64::from_ne_bytes(head) ^ self.door);
    }
}

/// A stretch of time in which what was found out stays true: while an issuer's keys are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Eras(Arc<AtomicU64>);

impl Eras {
    /// The era that is now. To be taken before whatever is found out in it.
    pub(crate) fn now(&self) -> Era {
        Era { eras: Arc::clone(&self.0), number: self.0.load(Ordering::Acquire) }
    }

    /// Ends the era: everything that was remembered in it is forgotten.
    pub(crate) fn end(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// How long something stays true.
#[derive(Clone, Debug)]
pub(crate) struct Lasting {
    /// Until then at most, in Unix seconds.
    pub(crate) until: u64,
    /// And only in this era.
    pub(crate) era: Era,
}

impl Lasting {
    fn is_over(&self, now: u64) -> bool {
        now >= self.until || !self.era.lasts()
    }
}

/// One era.
#[derive(Clone, Debug)]
pub(crate) struct Era {
    eras: Arc<AtomicU64>,
    number: u64,
}

impl Era {
    fn lasts(&self) -> bool {
        self.eras.load(Ordering::Acquire) == self.number
    }
}

/// A bounded memory of tokens.
#[derive(Debug)]
pub(crate) struct Memory<V> {
    // Held for one map operation, never across an await; calls with the same token read together.
    shards: Box<[RwLock<Shelf<V>>]>,
    per_shard: usize,
}

#[derive(Debug)]
struct Shelf<V> {
    entries: HashMap<Key, Entry<V>, RandomState>,
    /// Keys in the order they came. A key whose number is not its entry's any more is skipped.
    order: VecDeque<(Key, u64)>,
    number: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    lasting: Lasting,
    number: u64,
}

impl<V> Memory<V> {
    /// A memory of about so many entries.
    pub(crate) fn with_room_for(entries: usize) -> Self {
        let shelf = || {
            RwLock::new(Shelf { entries: HashMap::default(), order: VecDeque::new(), number: 0 })
        };
        Self {
            shards: (0..SHARDS).map(|_| shelf()).collect(),
            per_shard: (entries / SHARDS).max(1),
        }
    }

    /// What `read` makes of the entry, if there is one that is still true at `now` (Unix seconds).
    pub(crate) fn with<R>(
        &self,
        key: &Key,
        now: u64,
        read: impl FnOnce(&V) -> Option<R>,
    ) -> Option<R> {
        let shelf = self.shards[key.shard()].read();
        let entry = shelf.entries.get(key)?;
        if entry.lasting.is_over(now) {
            return None;
        }
        read(&entry.value)
    }

    /// Remembers a value, in place of an earlier one.
    pub(crate) fn keep(&self, key: Key, value: V, lasting: Lasting, now: u64) {
        if lasting.is_over(now) {
            return;
        }
        let mut shelf = self.shards[key.shard()].write();
        shelf.number += 1;
        let number = shelf.number;
        shelf.entries.insert(key, Entry { value, lasting, number });
        shelf.order.push_back((key, number));
        shelf.tidy(self.per_shard, now);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shelf| shelf.read().entries.len()).sum()
    }
}

impl<V> Shelf<V> {
    /// Forgets what has ended, from the oldest on, and more if there is too much.
    fn tidy(&mut self, most: usize, now: u64) {
        // At most a few steps for each thing that is kept: nobody waits long for the lock, and the
        // queue still shrinks faster than it grows.
        for _ in 0..4 {
            let Some((key, number)) = self.order.front() else { return };
            let is_over = match self.entries.get(key) {
                Some(entry) if entry.number == *number => {
                    entry.lasting.is_over(now) || self.entries.len() > most
                }
                _ => {
                    self.order.pop_front();
                    continue;
                }
            };
            if !is_over {
                // What is kept twice within its time leaves a mark each time: the first of them may
                // have to go for the marks' sake.
                if self.order.len() <= most.saturating_mul(2) {
                    return;
                }
            }
            if let Some((key, _)) = self.order.pop_front() {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Era, Eras, Key, Lasting, Memory};

    fn until_100(era: Era) -> Lasting {
        Lasting { until: 100, era }
    }

    fn key(number: u32) -> Key {
        Key::of(1, &number.to_be_bytes())
    }

    #[test]
    fn what_is_remembered_ends_at_its_time() {
        let (memory, eras) = (Memory::with_room_for(64), Eras::default());
        memory.keep(key(1), 7, until_100(eras.now()), 90);
        assert_eq!(memory.with(&key(1), 99, |v| Some(*v)), Some(7));
        assert_eq!(memory.with(&key(1), 100, |v| Some(*v)), None);
    }

    #[test]
    fn what_is_remembered_ends_with_its_era() {
        let (memory, eras) = (Memory::with_room_for(64), Eras::default());
        let before = eras.now();
        memory.keep(key(1), 7, until_100(eras.now()), 90);
        eras.end();
        assert_eq!(memory.with(&key(1), 90, |v| Some(*v)), None);
        memory.keep(key(2), 7, until_100(before), 90);
        assert_eq!(memory.with(&key(2), 90, |v| Some(*v)), None);
    }

    #[test]
    fn the_same_token_at_another_door_is_another_entry() {
        let (memory, eras) = (Memory::with_room_for(64), Eras::default());
        memory.keep(Key::of(1, b"token"), 7, until_100(eras.now()), 90);
        assert_eq!(memory.with(&Key::of(2, b"token"), 90, |v| Some(*v)), None);
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        let (memory, eras) = (Memory::with_room_for(640), Eras::default());
        for number in 0..20_000 {
            memory.keep(key(number), number, until_100(eras.now()), 90);
        }
        assert!(memory.len() <= 640, "{} entries", memory.len());
        assert_eq!(memory.with(&key(19_999), 90, |v| Some(*v)), Some(19_999));
    }

    #[test]
    fn keeping_the_same_again_and_again_takes_no_room() {
        let (memory, eras) = (Memory::with_room_for(64), Eras::default());
        for _ in 0..10_000 {
            memory.keep(key(1), 1, until_100(eras.now()), 90);
        }
        let marks: usize = memory.shards.iter().map(|shelf| shelf.read().order.len()).sum();
        assert!(marks <= 4, "{marks} marks");
        assert_eq!(memory.len(), 1);
    }
}
