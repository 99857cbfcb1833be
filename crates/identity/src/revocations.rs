//! What is not valid any more, known to every call without asking the store.
//!
//! The set is read when the store's version changes, which is looked at a few times a second. While
//! the store cannot be read, the last set holds; after the time a token is believed anyway (and at
//! least [`REVOCATIONS_UNREAD_SECS`]) nobody is let in any more: that is the bound of a revocation
//! in the worst case.

use crate::remembered::Eras;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use tollgate_core::bounds::identity::{REVOCATION_LOOK_MILLIS, REVOCATIONS_UNREAD_SECS};
use tollgate_core::bounds::stores::STORE_MILLIS;
use tollgate_core::clock::{Clock, Millis};
use tollgate_core::principal::{Principal, Proof};
use tollgate_core::stores::{Revocable, Revocation, Revocations, StoreError};

/// The revocations of a store, as they were a moment ago.
#[derive(Debug)]
pub(crate) struct Revoked {
    store: Arc<dyn Revocations>,
    clock: Arc<dyn Clock>,
    set: ArcSwap<Set>,
    /// Counts changes of the set.
    changes: AtomicU64,
    watched: watch::Sender<u64>,
    /// When the store was last read: monotonic milliseconds and one, so that zero means never.
    read: AtomicU64,
    complained: AtomicBool,
    looking: Mutex<Option<u64>>,
    /// Ends whenever anything in the store changes.
    pub(crate) store_eras: Eras,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Set {
    /// Agents apart, since a proof does not carry its agent as a [`Revocable`].
    agents: HashMap<String, u64>,
    others: HashMap<Revocable, u64>,
}

impl Revoked {
    /// Knows nothing until the first look.
    pub(crate) fn new(store: Arc<dyn Revocations>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            set: ArcSwap::default(),
            changes: AtomicU64::new(0),
            watched: watch::Sender::new(0),
            read: AtomicU64::new(0),
            complained: AtomicBool::new(false),
            looking: Mutex::new(None),
            store_eras: Eras::default(),
        }
    }

    /// Whether this watches that store.
    pub(crate) fn watches(&self, store: &Arc<dyn Revocations>) -> bool {
        Arc::ptr_eq(&self.store, store)
    }

    /// Counts changes of the set: what was not revoked stays so until the next one.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Ticks when the set changed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.watched.subscribe()
    }

    /// Whether the principal's credential is void.
    pub(crate) fn covers(&self, principal: &Principal) -> bool {
        principal.proof().is_some_and(|proof| self.set.load().covers(proof))
    }

    /// Whether the principal itself is cut off, not just the credential it came with.
    pub(crate) fn cuts_off(&self, principal: &Principal) -> bool {
        principal.proof().is_some_and(|proof| self.set.load().cuts_off(proof))
    }

    /// Whether too much time has passed to still know what is revoked.
    pub(crate) fn is_blind(&self, believed: Duration) -> bool {
        let longest = believed.max(Duration::from_secs(REVOCATIONS_UNREAD_SECS));
        self.unread_millis().is_none_or(|millis| u128::from(millis) > longest.as_millis())
    }

    fn unread_millis(&self) -> Option<u64> {
        let read = self.read.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.clock.now().since(Millis(read)))
    }

    /// Looks whether the store changed and reads it if so. One at a time; who waited for another's
    /// look does not look again. An error only says that this look failed.
    pub(crate) async fn look(&self) -> Result<(), StoreError> {
        let asked = self.clock.now();
        let mut seen = self.looking.lock().await;
        if self.read.load(Ordering::Acquire) > asked.0.saturating_add(1) {
            return Ok(());
        }
        let looked = timeout(Duration::from_millis(STORE_MILLIS), self.changed_since(*seen)).await;
        let outcome = looked.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(String::from("it did not answer in time")))
        });
        match outcome {
            Ok((version, changed)) => {
                if let Some(revocations) = changed {
                    self.swap(revocations);
                    self.store_eras.end();
                }
                *seen = Some(version);
                self.read.store(self.clock.now().0.saturating_add(1), Ordering::Release);
                if self.complained.swap(false, Ordering::Relaxed) {
                    tracing::info!("revocations can be read again");
                }
                Ok(())
            }
            Err(error) => {
                self.complain(&error);
                Err(error)
            }
        }
    }

    // The version is asked for first: what changes between the two questions is read twice, never
    // missed.
    async fn changed_since(
        &self,
        seen: Option<u64>,
    ) -> Result<(u64, Option<Vec<Revocation>>), StoreError> {
        let version = self.store.version().await?;
        if seen == Some(version) {
            return Ok((version, None));
        }
        Ok((version, Some(self.store.all(self.clock.unix_secs()).await?)))
    }

    fn swap(&self, revocations: Vec<Revocation>) {
        let mut set = Set::default();
        for Revocation { what, before, .. } in revocations {
            let held = match what {
                Revocable::Agent(id) => set.agents.entry(id).or_default(),
                other => set.others.entry(other).or_default(),
            };
            *held = before.max(*held);
        }
        if set == **self.set.load() {
            return;
        }
        self.set.store(Arc::new(set));
        let changes = self.changes.fetch_add(1, Ordering::AcqRel) + 1;
        self.watched.send_replace(changes);
    }

    fn complain(&self, error: &StoreError) {
        let unread = self.unread_millis().unwrap_or(u64::MAX);
        if unread > REVOCATIONS_UNREAD_SECS * 1_000
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "revocations cannot be read; callers will be refused if it stays so");
        }
    }

    /// Looks again and again until nobody knows this set any more.
    pub(crate) fn keep_looking(self: &Arc<Self>) {
        let known = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(Duration::from_millis(REVOCATION_LOOK_MILLIS));
            beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                beat.tick().await;
                let Some(revoked) = known.upgrade() else { return };
                // A failed look is told about by the look itself, and the next one follows.
                let _: Result<(), StoreError> = revoked.look().await;
            }
        });
    }
}

impl Set {
    fn covers(&self, proof: &Proof) -> bool {
        let is_void = |before: Option<&u64>| before.is_some_and(|before| proof.issued <= *before);
        is_void(self.agents.get(&*proof.client))
            || proof.revocable.iter().any(|what| is_void(self.others.get(what)))
    }

    fn cuts_off(&self, proof: &Proof) -> bool {
        let is_void = |before: Option<&u64>| before.is_some_and(|before| proof.issued <= *before);
        let subjects = proof.revocable.iter().filter(|what| matches!(what, Revocable::Subject(..)));
        is_void(self.agents.get(&*proof.client))
            || subjects.map(|what| self.others.get(what)).any(is_void)
    }
}
