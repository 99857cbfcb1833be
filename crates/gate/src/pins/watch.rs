//! Notices what operators approve while the gate runs, and when other upstreams' tools became known.
//!
//! One task for the gate, that looks at one number of the store twice a second. Next: `book.rs`.

use super::settle::settle;
use crate::gate::Gate;
use crate::snapshot::Leg;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tollgate_core::bounds::pins::PINS_LOOK_MILLIS;
use tollgate_core::ids::UpstreamName;
use tollgate_core::stores::Pins;
use tollgate_mcp::hub::items::ListKind;

/// What pins need besides the upstreams.
#[derive(Debug, Default)]
pub(crate) struct Pinboard {
    /// Where they are kept.
    pub(crate) store: Option<Arc<dyn Pins>>,
    /// Names of tools changed since text was last searched for them.
    names_changed: AtomicBool,
}

impl Pinboard {
    pub(crate) fn new(store: Option<Arc<dyn Pins>>) -> Self {
        Self { store, names_changed: AtomicBool::new(false) }
    }

    /// Notes that an upstream has other tools than before: text of the others may be about them.
    pub(crate) fn note_names(&self) {
        self.names_changed.store(true, Ordering::Release);
    }

    /// Settles again whatever names that changed may bear on; whether agents see other lists now.
    pub(crate) fn settle_names(&self, gate: &Gate) -> bool {
        if !self.names_changed.swap(false, Ordering::AcqRel) {
            return false;
        }
        settle_all(gate)
    }

    /// Looks for as long as the gate lives.
    pub(crate) async fn watch(gate: Weak<Gate>, store: Arc<dyn Pins>) {
        let mut seen = None;
        loop {
            tokio::time::sleep(Duration::from_millis(PINS_LOOK_MILLIS)).await;
            let Some(gate) = gate.upgrade() else { return };
            if gate.snapshot().settings.pins.is_empty() {
                continue;
            }
            gate.pins.settle_names(&gate);
            // Asked before the pins: what changes in between is seen once more.
            match store.version().await {
                Ok(version) if seen == Some(version) => {}
                Ok(version) => seen = refresh(&gate, &*store).await.then_some(version),
                Err(error) => {
                    // Once it is back, everything is looked at again.
                    seen = None;
                    for leg in pinned(&gate) {
                        leg.knowledge.pins().note_trouble(leg.upstream.name(), &error.to_string());
                    }
                }
            }
        }
    }
}

/// Reads the pins of all upstreams again, and settles what they bear on; whether all could be read.
async fn refresh(gate: &Gate, store: &dyn Pins) -> bool {
    let mut is_whole = true;
    for leg in pinned(gate) {
        let book = leg.knowledge.pins();
        match book.refresh(leg.upstream.name(), store).await {
            Ok(false) => {}
            // Where everything was forgotten, what the upstream shows is its first list again.
            Ok(true) => leg.knowledge.catalogs().note_changed(ListKind::Tools),
            Err(error) => {
                is_whole = false;
                book.note_trouble(leg.upstream.name(), &error.to_string());
            }
        }
    }
    settle_all(gate);
    is_whole
}

/// Settles every upstream that is pinned; whether agents see other lists now.
fn settle_all(gate: &Gate) -> bool {
    let settled = pinned(gate)
        .into_iter()
        .filter(|leg| settle(gate, (leg.upstream.name(), &leg.knowledge)))
        .count();
    if settled > 0 {
        gate.news.tell();
    }
    settled > 0
}

/// One leg of each upstream that is pinned.
fn pinned(gate: &Gate) -> Vec<Arc<Leg>> {
    let snapshot = gate.snapshot();
    let legs = snapshot.routes.values().flat_map(|route| &route.legs);
    let pinned = legs.filter(|leg| leg.knowledge.pins().is_on());
    let each: HashMap<UpstreamName, Arc<Leg>> =
        pinned.map(|leg| (leg.upstream.name().clone(), leg.clone())).collect();
    each.into_values().collect()
}
