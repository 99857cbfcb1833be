//! Calls whose stream broke off before the answer, and that their agents may resume.
//!
//! The answer then comes on another stream of the same session, and closes the tab as any answer would.
//! A tab that is parked holds no place among calls; one that nobody comes back for is closed as
//! unfinished.
//!
//! SPEC: 2025-11-25 basic/transports, Resumability and Redelivery.

use super::Tab;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_core::bounds::limits::{PARKED_CALL_MILLIS, PARKED_CALLS_MAX};
use tollgate_core::clock::Millis;
use tollgate_core::ids::SessionKey;

/// All parked tabs. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parked {
    // A plain mutex: held for one map operation, by streams that break off or are resumed.
    tabs: Arc<Mutex<Tabs>>,
}

/// By session and id: the tab, and since when it is parked.
type Tabs = HashMap<(SessionKey, Bytes), (Tab, Millis)>;

/// Those of one session.
#[derive(Clone, Debug)]
pub struct Parking {
    parked: Parked,
    session: SessionKey,
}

impl Parked {
    /// Those of this session.
    pub(crate) fn of(&self, session: SessionKey) -> Parking {
        Parking { parked: self.clone(), session }
    }

    /// Gives up those nobody came back for.
    pub(crate) fn sweep(&self, now: Millis) {
        let is_over = |since: Millis| now.since(since) >= PARKED_CALL_MILLIS;
        let over: Vec<_> = self.tabs.lock().extract_if(|_, (_, since)| is_over(*since)).collect();
        // Closed here, where the lock is free.
        drop(over);
    }
}

impl Parking {
    /// Keeps the tab of the request with this id, a raw token, if there is room.
    pub(crate) fn keep(&self, id: &[u8], tab: &Tab) {
        let Some(now) = tab.pause() else { return };
        let mut tabs = self.parked.tabs.lock();
        if tabs.len() < PARKED_CALLS_MAX {
            tabs.insert((self.session, Bytes::copy_from_slice(id)), (tab.clone(), now));
        }
    }

    /// The tab of the request with this id.
    pub(crate) fn take(&self, id: &[u8]) -> Option<Tab> {
        let key = (self.session, Bytes::copy_from_slice(id));
        self.parked.tabs.lock().remove(&key).map(|(tab, _)| tab)
    }
}
