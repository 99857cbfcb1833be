//! The names of what one upstream has, as far as any list has told: what policy asks before it says
//! that something is not there.
//!
//! A name is known whoever the list was read for. Reading is one look into a set, without a lock and
//! without allocation. Forgets nothing between lists; whoever is not on it is unknown, never let through.

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_core::bounds::policy::{NAMES_SEEN_MAX, REREAD_MILLIS};
use tollgate_core::clock::Millis;
use tollgate_mcp::hub::items::ListKind;

type Names = HashSet<Box<str>>;

/// What one upstream has.
#[derive(Debug, Default)]
pub struct Roster {
    /// All names of each kind; `None` while no list has told any.
    names: [ArcSwapOption<Names>; 4],
    /// Those that lists told which passed by on straight routes.
    // A plain mutex: held while a list that passes by is noted.
    seen: Mutex<[Names; 4]>,
    /// When each list was last read again because somebody asked for what it does not have.
    reread: [AtomicU64; 4],
}

impl Roster {
    /// Whether it has this name; `None` while that is not known of any.
    #[must_use]
    pub fn has(&self, kind: ListKind, name: &str) -> Option<bool> {
        self.names[kind as usize].load().as_ref().map(|names| names.contains(name))
    }

    /// All names of a kind.
    pub(crate) fn names(&self, kind: ListKind) -> Option<Arc<Names>> {
        self.names[kind as usize].load_full()
    }

    /// Takes over what the lists that the gate has read name.
    pub(crate) fn renew(&self, kind: ListKind, mut listed: Names) {
        let seen = self.seen.lock();
        listed.extend(seen[kind as usize].iter().cloned());
        self.names[kind as usize].store(Some(Arc::new(listed)));
    }

    /// Notes the names of a list that passes by.
    pub(crate) fn note_seen(&self, kind: ListKind, passing: Vec<String>) {
        let known = self.names(kind);
        let is_new =
            |name: &String| known.as_ref().is_none_or(|known| !known.contains(name.as_str()));
        if known.is_some() && !passing.iter().any(is_new) {
            return;
        }
        let mut seen = self.seen.lock();
        let slot = &mut seen[kind as usize];
        let room = NAMES_SEEN_MAX.saturating_sub(slot.len());
        slot.extend(passing.into_iter().take(room).map(String::into_boxed_str));
        let current = self.names[kind as usize].load_full();
        // Read under the lock, so that nobody's names are lost.
        let mut all = current.as_deref().cloned().unwrap_or_default();
        all.extend(slot.iter().cloned());
        self.names[kind as usize].store(Some(Arc::new(all)));
    }

    /// Whether the list may be read again for want of a name. Once a while, whoever asks how often.
    pub(crate) fn may_reread(&self, kind: ListKind, now: Millis) -> bool {
        let slot = &self.reread[kind as usize];
        let last = slot.load(Ordering::Relaxed);
        now.0 >= last.saturating_add(REREAD_MILLIS)
            && slot.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Roster;
    use std::collections::HashSet;
    use tollgate_core::bounds::policy::REREAD_MILLIS;
    use tollgate_core::clock::Millis;
    use tollgate_mcp::hub::items::ListKind::{Prompts, Tools};

    #[test]
    fn what_was_read_and_what_passed_by_are_both_known() {
        let roster = Roster::default();
        assert_eq!(roster.has(Tools, "a"), None);
        roster.renew(Tools, HashSet::from(["a".into()]));
        roster.note_seen(Tools, vec!["b".to_owned()]);
        assert_eq!(
            ["a", "b", "c"].map(|name| roster.has(Tools, name)),
            [true, true, false].map(Some)
        );
        roster.renew(Tools, HashSet::from(["c".into()]));
        assert_eq!(
            ["a", "b", "c"].map(|name| roster.has(Tools, name)),
            [false, true, true].map(Some)
        );
        assert_eq!(roster.has(Prompts, "a"), None);
    }

    #[test]
    fn a_list_is_read_again_once_in_a_while_however_often_somebody_asks() {
        let roster = Roster::default();
        let start = Millis(REREAD_MILLIS);
        assert!(roster.may_reread(Tools, start));
        assert!(!roster.may_reread(Tools, Millis(start.0 + REREAD_MILLIS - 1)));
        assert!(roster.may_reread(Prompts, start));
        assert!(roster.may_reread(Tools, Millis(start.0 + REREAD_MILLIS)));
    }
}
