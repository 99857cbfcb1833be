//! The pins of one upstream as its gate knows them, and what its lists come to.
//!
//! Kept with what else is known of the upstream, over reloads. The store is asked only where a list shows
//! what it was not told of. Next: `settle.rs`.

use crate::settings::{PinSettings, Trust};
use arc_swap::{ArcSwap, ArcSwapOption};
use aws_lc_rs::digest;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_core::bounds::LISTS_FRESH_MILLIS;
use tollgate_core::clock::{Clock, Millis};
use tollgate_core::ids::UpstreamName;
use tollgate_core::stores::{Approval, Digest, PinRecord, Pins, Seen, StoreError};
use tollgate_mcp::hub::definition::Definition;
use tollgate_mcp::hub::items::Item;

/// The pins of one upstream.
#[derive(Debug, Default)]
pub struct PinBook {
    /// `None` where nothing is pinned.
    settings: ArcSwapOption<PinSettings>,
    /// As the store has them; `None` while it was not asked.
    known: ArcSwapOption<Known>,
    /// Why the store was of no help last time.
    trouble: ArcSwapOption<String>,
    shown: ArcSwap<Shown>,
    editions: AtomicU64,
    /// When a list was last read; 0 if that has to be done first.
    read_at: AtomicU64,
    /// Names of tools that a list on its way to an agent showed otherwise than the gate has read them.
    // A plain mutex: held for one look into a set that is nearly always empty.
    otherwise: Mutex<HashSet<Box<str>>>,
    /// Held while lists are settled, which is plain computing.
    pub(super) settling: Mutex<()>,
    // Held across calls of the store, by the tasks that read lists.
    asking: tokio::sync::Mutex<()>,
}

/// Pins by the upstream's own name of the tool: what was approved, and what the store was told of.
type Known = HashMap<Box<str>, (Option<Approval>, Digest)>;

/// What all lists that are kept come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// Tools that are offered, with their definitions: agents of different kinds may be shown different
    /// ones.
    pub(super) offered: HashMap<Box<str>, Vec<Digest>>,
    /// Tools that are held back: some list shows them otherwise than they were approved.
    pub(super) held: HashSet<Box<str>>,
    pub(super) counts: PinCounts,
}

/// Counts for `/status`, of tools that are shown now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinCounts {
    /// As they were approved.
    pub approved: usize,
    /// Otherwise than they were approved.
    pub changed: usize,
    /// Never approved.
    pub new: usize,
    /// With text that is written to mislead, whatever else they are.
    pub suspicious: usize,
    /// Not offered.
    pub quarantined: usize,
    /// Offered nevertheless.
    pub flagged: usize,
    /// Names of the first that are not offered.
    pub names: Vec<String>,
    /// Why the store is of no help, if it is not.
    pub trouble: Option<String>,
}

/// A tool of a list, with the digest of its definition; `None` for one that cannot be read strictly.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) item: Item,
    pub(crate) digest: Option<Digest>,
}

impl Listed {
    /// Takes the digest of a tool's definition.
    pub(crate) fn of(item: Item) -> (Self, Option<Seen>) {
        let definition = Definition::of_tool(&item.json).filter(|one| one.name() == item.name);
        let text = definition.map(|definition| definition.canonical());
        let digest = text.as_deref().map(digest_of);
        let seen =
            text.zip(digest).map(|(text, digest)| Seen { tool: item.name.clone(), digest, text });
        (Self { item, digest }, seen)
    }
}

/// SHA-256 over the canonical text of a definition.
fn digest_of(text: &str) -> Digest {
    let mut whole = [0; 32];
    whole.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    Digest(whole)
}

impl PinBook {
    /// How this upstream's tools are pinned, if they are.
    pub(crate) fn settings(&self) -> Option<Arc<PinSettings>> {
        self.settings.load_full()
    }

    /// Whether they are.
    pub(crate) fn is_on(&self) -> bool {
        self.settings.load().is_some()
    }

    /// Puts settings in force; whether they are others than before.
    pub(crate) fn configure(&self, settings: Option<&PinSettings>) -> bool {
        if self.settings.load().as_deref() == settings {
            return false;
        }
        self.settings.store(settings.cloned().map(Arc::new));
        // What was once settled says nothing under other settings.
        self.note_stale();
        self.shown.store(Arc::default());
        true
    }

    /// Compares a list with what the store was told of, and tells it what is new.
    pub(crate) async fn note(
        &self,
        (upstream, settings): (&UpstreamName, &PinSettings),
        (pins, clock): (Option<&Arc<dyn Pins>>, &dyn Clock),
        seen: Vec<Seen>,
    ) {
        let Some(pins) = pins else { return };
        let _asking = self.asking.lock().await;
        let name = upstream.as_str().to_owned();
        let asked = match self.known.load_full() {
            Some(_) => Ok(()),
            None => pins.all(Some(name.clone())).await.map(|all| self.take_over(all)),
        };
        let known = self.known.load_full();
        let is_told = |seen: &Seen| {
            let pin = known.as_ref().and_then(|known| known.get(seen.tool.as_str()));
            pin.is_some_and(|(_, digest)| *digest == seen.digest)
        };
        let told = match asked {
            Ok(()) if seen.iter().all(is_told) => Ok(()),
            Ok(()) => {
                let how = (settings.trust == Trust::FirstUse, clock.unix_secs());
                pins.saw(name, seen, how).await.map(|all| self.take_over(all))
            }
            failed => failed,
        };
        match told {
            Ok(()) => {
                if self.trouble.swap(None).is_some() {
                    tracing::info!(%upstream, "the store of pins answers again");
                }
            }
            Err(error) => self.note_trouble(upstream, &error.to_string()),
        }
    }

    pub(super) fn note_trouble(&self, upstream: &UpstreamName, why: &str) {
        if self.trouble.swap(Some(Arc::new(why.to_owned()))).is_none() {
            tracing::warn!(%upstream, why, "the store of pins cannot be used: only tools that are known to be approved are offered");
        }
    }

    /// Takes over what the store has of this upstream.
    fn take_over(&self, all: Vec<PinRecord>) {
        let known = all.into_iter().map(|pin| (pin.tool.into(), (pin.approved, pin.seen)));
        self.known.store(Some(Arc::new(known.collect())));
    }

    /// What was approved of a tool.
    pub(super) fn approval(&self, tool: &str) -> Option<Approval> {
        self.known.load().as_ref()?.get(tool)?.0.clone()
    }

    /// Reads what the store has now; whether lists must be read again for it: the store is back, or has nothing
    /// any more, though it had something.
    pub(super) async fn refresh(
        &self,
        upstream: &UpstreamName,
        pins: &dyn Pins,
    ) -> Result<bool, StoreError> {
        let _asking = self.asking.lock().await;
        let had_some = self.known.load().as_ref().is_some_and(|known| !known.is_empty());
        let all = pins.all(Some(upstream.as_str().to_owned())).await?;
        let is_forgotten = had_some && all.is_empty();
        self.take_over(all);
        let is_back = self.trouble.swap(None).is_some();
        if is_back {
            tracing::info!(%upstream, "the store of pins answers again");
        }
        Ok(is_forgotten || is_back)
    }

    pub(super) fn shown(&self) -> arc_swap::Guard<Arc<Shown>> {
        self.shown.load()
    }

    /// Puts in force what lists come to.
    pub(super) fn show(&self, shown: Shown) {
        let before = self.shown.swap(Arc::new(shown));
        let now = self.shown.load();
        let is_other = before.offered != now.offered || before.held != now.held;
        if is_other || !self.is_settled() {
            self.editions.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Names that lists on their way showed otherwise, and have not been read again since.
    pub(super) fn otherwise(&self) -> HashSet<Box<str>> {
        self.otherwise.lock().clone()
    }

    /// A list was read again: what others showed on their way is in it, or was never so.
    pub(crate) fn note_read(&self, now: Millis) {
        self.otherwise.lock().clear();
        self.read_at.store(now.0, Ordering::Release);
    }

    /// What is known has to be read again before the next call.
    pub(crate) fn note_stale(&self) {
        self.read_at.store(0, Ordering::Release);
    }

    /// Whether lists were read so lately that a call need not ask for them.
    pub(crate) fn is_fresh(&self, now: Millis) -> bool {
        let read_at = self.read_at.load(Ordering::Acquire);
        read_at > 0 && now.since(Millis(read_at)) < LISTS_FRESH_MILLIS
    }

    /// Whether any list was ever settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.editions() > 0
    }

    /// Whether this tool may be called: it is offered as it was approved, and no list shows it otherwise.
    pub(crate) fn allows(&self, tool: &str) -> bool {
        let shown = self.shown.load();
        shown.offered.contains_key(tool) && !shown.held.contains(tool)
    }

    /// A number that grows whenever other tools are offered, or the same otherwise.
    pub(crate) fn editions(&self) -> u64 {
        self.editions.load(Ordering::Acquire)
    }

    /// Whether a tool on its way to an agent, its whole JSON, is as it is offered. One that is not is held
    /// back from here on, until the list was read again.
    pub(crate) fn passes(&self, tool: &str, json: &[u8]) -> bool {
        let shown = self.shown.load();
        let digest = || {
            let definition = Definition::of_tool(json).filter(|one| one.name() == tool)?;
            Some(digest_of(&definition.canonical()))
        };
        if shown.held.contains(tool) {
            return false;
        }
        let offered = shown.offered.get(tool);
        if offered.is_some_and(|known| digest().is_some_and(|digest| known.contains(&digest))) {
            return true;
        }
        if offered.is_some() {
            drop(shown);
            self.hold_back(tool);
        }
        false
    }

    /// Holds one tool back until lists are read again.
    fn hold_back(&self, tool: &str) {
        let _settling = self.settling.lock();
        self.otherwise.lock().insert(tool.into());
        let mut shown = Shown::clone(&self.shown.load());
        shown.held.insert(tool.into());
        self.show(shown);
    }

    /// Whether this definition is offered already, as far as lists were settled.
    pub(crate) fn offers(&self, tool: &Listed) -> bool {
        let shown = self.shown.load();
        let known = shown.offered.get(tool.item.name.as_str());
        known.is_some_and(|known| tool.digest.is_some_and(|digest| known.contains(&digest)))
            && !shown.held.contains(tool.item.name.as_str())
    }

    /// Counts for `/status`; `None` where nothing is pinned.
    #[must_use]
    pub fn counts(&self) -> Option<PinCounts> {
        self.settings.load().as_ref()?;
        let trouble = self.trouble.load().as_ref().map(|why| String::clone(why));
        Some(PinCounts { trouble, ..self.shown.load().counts.clone() })
    }
}
