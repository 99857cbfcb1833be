//! Pins in memory.

use crate::pinning::{self, plan};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use tollgate_core::bounds::pins::PINS_LISTED_MAX;
use tollgate_core::stores::{
    Approval, Digest, Pending, PinRecord, PinTexts, Pins, Seen, StoreError,
};

/// Pins that live as long as they are held.
#[derive(Debug, Default)]
pub struct MemoryPins {
    // A plain mutex, held for one method and never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pins: BTreeMap<(String, String), (PinRecord, PinTexts)>,
    changes: u64,
}

impl State {
    fn of(&self, upstream: Option<&str>) -> Vec<PinRecord> {
        let all = self.pins.values().map(|(record, _)| record);
        let is_of = |record: &&PinRecord| upstream.is_none_or(|name| record.upstream == name);
        all.filter(is_of).take(PINS_LISTED_MAX).cloned().collect()
    }

    fn write(&mut self, record: PinRecord, seen: String) {
        let key = (record.upstream.clone(), record.tool.clone());
        let is_approved = record.approved.as_ref().is_some_and(|one| one.digest == record.seen);
        let before = self.pins.remove(&key).and_then(|(_, texts)| texts.approved);
        let approved = before.or_else(|| is_approved.then(|| seen.clone()));
        self.pins.insert(key, (record, PinTexts { approved, seen }));
    }
}

impl Pins for MemoryPins {
    fn all(&self, upstream: Option<String>) -> Pending<'_, Vec<PinRecord>> {
        Box::pin(async move { Ok(self.state.lock().of(upstream.as_deref())) })
    }

    fn texts(&self, upstream: String, tool: String) -> Pending<'_, Option<PinTexts>> {
        Box::pin(async move {
            Ok(self.state.lock().pins.get(&(upstream, tool)).map(|(_, texts)| texts.clone()))
        })
    }

    fn saw(
        &self,
        upstream: String,
        seen: Vec<Seen>,
        how: (bool, u64),
    ) -> Pending<'_, Vec<PinRecord>> {
        Box::pin(async move {
            let mut state = self.state.lock();
            let of = state.pins.values().filter(|(record, _)| record.upstream == upstream);
            let held: Vec<pinning::Held> = of.map(|(record, texts)| held(record, texts)).collect();
            let plan = plan(&upstream, &held, seen, how);
            state.changes += u64::from(!plan.evicted.is_empty() || !plan.written.is_empty());
            for tool in plan.evicted {
                state.pins.remove(&(upstream.clone(), tool));
            }
            for (record, seen) in plan.written {
                state.write(record, seen);
            }
            Ok(state.of(Some(&upstream)))
        })
    }

    fn approve(
        &self,
        upstream: String,
        tools: Vec<(String, Digest)>,
        (by, at): (String, u64),
    ) -> Pending<'_, Vec<String>> {
        Box::pin(async move {
            if tools.len() > PINS_LISTED_MAX {
                return Err(StoreError::Full("pins"));
            }
            let mut state = self.state.lock();
            let mut done = Vec::new();
            for (tool, digest) in tools {
                let key = (upstream.clone(), tool.clone());
                let Some((record, texts)) = state.pins.get_mut(&key) else { continue };
                if record.seen == digest {
                    record.approved = Some(Approval { digest, by: by.clone(), at });
                    texts.approved = Some(texts.seen.clone());
                    done.push(tool);
                }
            }
            state.changes += u64::from(!done.is_empty());
            Ok(done)
        })
    }

    fn forget(&self, upstream: String, tool: Option<String>) -> Pending<'_, usize> {
        Box::pin(async move {
            let mut state = self.state.lock();
            let before = state.pins.len();
            state.pins.retain(|(of, name), _| {
                *of != upstream || tool.as_ref().is_some_and(|tool| tool != name)
            });
            let gone = before - state.pins.len();
            state.changes += u64::from(gone > 0);
            Ok(gone)
        })
    }

    fn version(&self) -> Pending<'_, u64> {
        Box::pin(async move { Ok(self.state.lock().changes) })
    }
}

fn held(record: &PinRecord, texts: &PinTexts) -> pinning::Held {
    let approved = texts.approved.as_ref().map_or(0, String::len);
    let is_same = texts.approved.as_ref() == Some(&texts.seen);
    let seen = if is_same { 0 } else { texts.seen.len() };
    pinning::Held { record: record.clone(), bytes: approved + seen }
}
