//! The stores of identity in the memory of one process: for tests, and for gates that may forget.
//!
//! Each store is one mutex around its maps, held for one method and never across an await, so every
//! method is atomic. Nothing is written anywhere and nothing is shared with another process.
//!
//! Next: `identity/agents.rs`, `users.rs`, `grants.rs`, `keys.rs`, `revocations.rs`.

mod agents;
mod grants;
mod keys;
mod revocations;
mod users;

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_core::stores::{StoreError, Stores};

/// Makes stores of identity that live as long as they are held.
#[derive(Debug)]
pub struct MemoryIdentity;

impl MemoryIdentity {
    /// New, empty stores.
    #[must_use]
    pub fn stores() -> Stores {
        let changes = Changes::default();
        Stores {
            agents: Arc::new(agents::MemoryAgents(Held::new(&changes))),
            users: Arc::new(users::MemoryUsers(Held::new(&changes))),
            grants: Arc::new(grants::MemoryGrants(Held::new(&changes))),
            keys: Arc::new(keys::MemoryKeys(Held::new(&changes))),
            revocations: Arc::new(revocations::MemoryRevocations(Held::new(&changes), changes)),
        }
    }
}

/// Counts changes of all stores that were made together.
#[derive(Clone, Debug, Default)]
struct Changes(Arc<AtomicU64>);

impl Changes {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The maps of one store.
struct Held<T> {
    state: Mutex<T>,
    changes: Changes,
}

impl<T: Default> Held<T> {
    fn new(changes: &Changes) -> Self {
        Self { state: Mutex::default(), changes: changes.clone() }
    }

    fn read(&self) -> MutexGuard<'_, T> {
        self.state.lock()
    }

    /// For a method that changes something. Counted even if it then finds nothing to change: who
    /// looks again for nothing loses nothing.
    fn write(&self) -> Writing<'_, T> {
        Writing { state: self.state.lock(), changes: &self.changes }
    }
}

/// The maps of one store while they change: counted when they have.
struct Writing<'a, T> {
    state: MutexGuard<'a, T>,
    changes: &'a Changes,
}

impl<T> std::ops::Deref for Writing<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> std::ops::DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state
    }
}

impl<T> Drop for Writing<'_, T> {
    fn drop(&mut self) {
        // Still under the lock: who sees the new count sees the change.
        self.changes.0.fetch_add(1, Ordering::Release);
    }
}

impl<T> std::fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names of people and keys are in there.
        f.write_str("Held(…)")
    }
}

/// Whether one more fits.
fn room(held: usize, max: usize, what: &'static str) -> Result<(), StoreError> {
    if held < max { Ok(()) } else { Err(StoreError::Full(what)) }
}
