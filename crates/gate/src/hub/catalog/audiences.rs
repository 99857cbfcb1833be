//! The catalogs of one upstream: one for each audience, as many as there is room for.
//!
//! Next: `catalog.rs` for one of them.

use super::Catalog;
use crate::hub::audience::Audience;
use crate::pins::Listed;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate_core::bounds::{AUDIENCE_KEPT_SECS, AUDIENCES_MAX, CATALOG_IDLE_SECS, PROCESSES_MAX};
use tollgate_core::clock::Millis;
use tollgate_mcp::hub::items::ListKind;

/// The catalogs of one upstream, one for each audience.
#[derive(Debug, Default)]
pub(crate) struct Catalogs {
    // A plain mutex: held for a look at a handful of entries.
    known: Mutex<Vec<Arc<Catalog>>>,
    /// Whether its tools are pinned.
    is_pinned: Arc<AtomicBool>,
}

impl Catalogs {
    /// The catalog for these agents. Beyond the bound, the one that was unused longest goes; if all
    /// are in use, these agents see what one sees that declares nothing. So agents that each declare
    /// something else do not have the upstream read over and over.
    pub(crate) fn of(&self, audience: &Audience, now: Millis) -> Arc<Catalog> {
        let mut known = self.known.lock();
        if let Some(found) = find(&known, audience, now) {
            return found;
        }
        // Those of single callers are as many as their processes, which have a bound of their own.
        let max = if audience.caller.is_some() { PROCESSES_MAX } else { AUDIENCES_MAX };
        let mut audience = audience.clone();
        if known.len() >= max {
            let used_at = |catalog: &Arc<Catalog>| catalog.used_at.load(Ordering::Relaxed);
            let oldest = known.iter().enumerate().min_by_key(|(_, catalog)| used_at(catalog));
            let oldest = oldest.map(|(at, catalog)| (at, Millis(used_at(catalog))));
            if oldest.is_some_and(|(_, used)| now.since(used) < AUDIENCE_KEPT_SECS * 1_000) {
                audience = audience.silent();
                if let Some(found) = find(&known, &audience, now) {
                    return found;
                }
            }
            if let Some((at, _)) = oldest {
                known.swap_remove(at);
            }
        }
        let catalog = Arc::new(Catalog::new(audience, now, self.is_pinned.clone()));
        known.push(catalog.clone());
        catalog
    }

    /// Tools are pinned from here on, or are no more: they are read again either way.
    pub(crate) fn pin(&self, is_pinned: bool) {
        self.is_pinned.store(is_pinned, Ordering::Release);
        self.note_changed(ListKind::Tools);
    }

    /// The tools of each audience that are pinned, those that are held back too.
    pub(crate) fn listed_tools(&self) -> Vec<Arc<[Listed]>> {
        let lists = self.known.lock().iter().map(|catalog| catalog.stock()).collect::<Vec<_>>();
        lists.iter().filter_map(|stock| stock.list(ListKind::Tools)?.whole()).collect()
    }

    /// Holds these tools back from every audience, and no others; whether any sees another list now.
    pub(crate) fn hold_back(&self, held: &HashSet<Box<str>>) -> bool {
        let known = self.known.lock().clone();
        known.iter().filter(|catalog| catalog.hold_back(held)).count() > 0
    }

    /// The names in the lists of a kind, of all audiences.
    pub(crate) fn names(&self, kind: ListKind) -> HashSet<Box<str>> {
        let stocks: Vec<_> = self.known.lock().iter().map(|catalog| catalog.stock()).collect();
        let lists = stocks.iter().filter_map(|stock| stock.list(kind));
        lists.flat_map(|list| &list.items).map(|item| item.name.as_str().into()).collect()
    }

    /// The upstream said that a list changed: every audience reads it again.
    pub(crate) fn note_changed(&self, kind: ListKind) {
        for catalog in &*self.known.lock() {
            catalog.note_changed(kind);
        }
    }

    /// A list was seen to be another than was read: every audience reads it again.
    pub(crate) fn note_stale(&self, kind: ListKind) {
        for catalog in &*self.known.lock() {
            catalog.note_stale(kind);
        }
    }

    /// Lets go of what nobody has used for long.
    pub(crate) fn sweep(&self, now: Millis) {
        let idle = CATALOG_IDLE_SECS * 1_000;
        self.known
            .lock()
            .retain(|catalog| now.since(Millis(catalog.used_at.load(Ordering::Relaxed))) < idle);
    }

    /// What is wrong with this upstream's lists, for `/status`.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        let known = self.known.lock();
        known.iter().find_map(|catalog| catalog.stock.load().trouble())
    }
}

fn find(known: &[Arc<Catalog>], audience: &Audience, now: Millis) -> Option<Arc<Catalog>> {
    let found = known.iter().find(|catalog| catalog.audience == *audience)?;
    found.used_at.store(now.0, Ordering::Relaxed);
    Some(found.clone())
}

#[cfg(test)]
mod tests {
    use super::Catalogs;
    use crate::hub::audience::Audience;
    use std::sync::Arc;
    use tollgate_core::bounds::{AUDIENCE_KEPT_SECS, AUDIENCES_MAX};
    use tollgate_core::clock::Millis;

    fn audience(number: usize) -> Audience {
        let text =
            format!(r#"{{"params":{{"capabilities":{{"experimental":{{"n":{number}}}}}}}}}"#);
        Audience::of_session(text.as_bytes())
    }

    #[test]
    fn agents_that_each_declare_something_else_share_one_catalog_once_there_is_no_room() {
        let catalogs = Catalogs::default();
        let now = Millis(1);
        let first = catalogs.of(&audience(0), now);
        for number in 1..AUDIENCES_MAX {
            assert!(!Arc::ptr_eq(&first, &catalogs.of(&audience(number), now)));
        }
        let beyond = catalogs.of(&audience(AUDIENCES_MAX), now);
        assert_eq!(beyond.audience, audience(0).silent());
        for number in AUDIENCES_MAX..100 {
            assert!(Arc::ptr_eq(&beyond, &catalogs.of(&audience(number), now)));
        }
        assert_eq!(catalogs.known.lock().len(), AUDIENCES_MAX);
    }

    #[test]
    fn an_audience_that_has_gone_makes_room_for_another() {
        let catalogs = Catalogs::default();
        for number in 0..AUDIENCES_MAX {
            catalogs.of(&audience(number), Millis(0));
        }
        let later = Millis(AUDIENCE_KEPT_SECS * 1_000);
        let new = catalogs.of(&audience(AUDIENCES_MAX), later);
        assert_eq!(new.audience, audience(AUDIENCES_MAX));
        assert_eq!(catalogs.known.lock().len(), AUDIENCES_MAX);
    }
}
