//! Sessions in the memory of one process.
//!
//! Sixty-four shards, each a mutex around a map: a call locks one of them for a look-up, so cores
//! rarely meet. Counts per caller live beside them, sharded by caller. Bounded by the caps the gate
//! passes in; emptied by sweeps, one shard at a time.
//!
//! Next: `memory/identity.rs`, the stores of identity; `memory/pins.rs`.

mod identity;
mod pins;
mod usage;

pub use identity::MemoryIdentity;
pub use pins::MemoryPins;
pub use usage::MemoryUsage;

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tollgate_core::ids::SessionKey;
use tollgate_core::principal::CallerKey;
use tollgate_core::sessions::{Caps, Full, Session, SessionBook};

const SHARDS: usize = 64;

/// A plain mutex: held for one map operation, never across an await.
type Shard<K, V> = Mutex<HashMap<K, V>>;

/// A [`SessionBook`] in memory.
#[derive(Debug)]
pub struct MemorySessions {
    sessions: Box<[Shard<SessionKey, Arc<Session>>]>,
    callers: Box<[Shard<CallerKey, usize>]>,
    count: AtomicUsize,
    hasher: RandomState,
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self {
            sessions: (0..SHARDS).map(|_| Mutex::default()).collect(),
            callers: (0..SHARDS).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            hasher: RandomState::new(),
        }
    }
}

impl MemorySessions {
    fn shard(&self, key: SessionKey) -> &Shard<SessionKey, Arc<Session>> {
        // Keys are random, so their first byte spreads evenly.
        &self.sessions[usize::from(key.0[0]) % SHARDS]
    }

    fn caller_shard(&self, caller: CallerKey) -> &Shard<CallerKey, usize> {
        let hash = usize::try_from(self.hasher.hash_one(caller) % SHARDS as u64).unwrap_or(0);
        &self.callers[hash]
    }

    /// Counts one session towards the caps, or says which cap stands in the way.
    fn reserve(&self, caller: CallerKey, caps: Caps) -> Result<(), Full> {
        let total = |count| (count < caps.total).then_some(count + 1);
        if self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, total).is_err() {
            return Err(Full::Total);
        }
        let mut callers = self.caller_shard(caller).lock();
        let held = callers.entry(caller).or_insert(0);
        if *held < caps.per_caller {
            *held += 1;
            return Ok(());
        }
        drop(callers);
        self.count.fetch_sub(1, Ordering::Relaxed);
        Err(Full::Caller)
    }

    fn release(&self, caller: CallerKey) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        let mut callers = self.caller_shard(caller).lock();
        if let Some(held) = callers.get_mut(&caller) {
            *held -= 1;
            if *held == 0 {
                callers.remove(&caller);
            }
        }
    }
}

impl SessionBook for MemorySessions {
    fn room(&self, caller: CallerKey, caps: Caps) -> Result<(), Full> {
        if self.count() >= caps.total {
            return Err(Full::Total);
        }
        let held = self.caller_shard(caller).lock().get(&caller).copied().unwrap_or(0);
        if held >= caps.per_caller { Err(Full::Caller) } else { Ok(()) }
    }

    fn open(&self, session: Session, caps: Caps) -> Result<Arc<Session>, Full> {
        if !session.is_leg {
            self.reserve(session.caller, caps)?;
        }
        let session = Arc::new(session);
        self.shard(session.key).lock().insert(session.key, session.clone());
        Ok(session)
    }

    fn find(&self, key: SessionKey) -> Option<Arc<Session>> {
        self.shard(key).lock().get(&key).cloned()
    }

    fn replace(&self, current: &Arc<Session>, next: Session) -> Option<Arc<Session>> {
        let mut shard = self.shard(current.key).lock();
        let slot = shard.get_mut(&current.key)?;
        if !Arc::ptr_eq(slot, current) {
            return None;
        }
        *slot = Arc::new(next);
        Some(slot.clone())
    }

    fn close(&self, key: SessionKey) -> Option<Arc<Session>> {
        let session = self.shard(key).lock().remove(&key)?;
        if !session.is_leg {
            self.release(session.caller);
        }
        Some(session)
    }

    fn sweep(&self, part: usize, is_over: &dyn Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut over = Vec::new();
        {
            let mut shard = self.sessions[part % SHARDS].lock();
            shard.retain(|_, session| {
                let ends = is_over(session);
                if ends {
                    over.push(session.clone());
                }
                !ends
            });
            // A burst of sessions must not leave its map behind for ever.
            if shard.capacity() > 64 && shard.len() * 4 < shard.capacity() {
                shard.shrink_to_fit();
            }
        }
        for session in over.iter().filter(|session| !session.is_leg) {
            self.release(session.caller);
        }
        over
    }

    fn parts(&self) -> usize {
        SHARDS
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
