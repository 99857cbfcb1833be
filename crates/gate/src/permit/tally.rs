//! Counts of decisions, and the lines a policy in shadow writes.
//!
//! A line for each rule, item and agent, once in a while: agents that loop must not fill the log.

use crate::permit::Rulebook;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_core::bounds::policy::{SHADOW_LINES_MAX, SHADOW_QUIET_MILLIS};
use tollgate_core::clock::Millis;
use tollgate_policy::RuleId;

/// How many calls were decided, and how.
#[derive(Debug, Default)]
pub struct Tally {
    allowed: AtomicU64,
    denied: AtomicU64,
    shadowed: AtomicU64,
    hasher: RandomState,
    // A plain mutex: held for one map operation, for what a policy in shadow would refuse.
    said: Mutex<HashMap<u64, Millis>>,
}

/// Counts for `/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermitCounts {
    /// Calls that were allowed.
    pub allowed: u64,
    /// Calls that were refused, or answered as if what they name were not there.
    pub denied: u64,
    /// Calls that a policy in shadow would have refused.
    pub shadowed: u64,
}

/// What would have been refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shadowed<'a> {
    pub(super) rule: Option<RuleId>,
    pub(super) what: &'a str,
    pub(super) agent: &'a str,
}

impl Tally {
    pub(super) fn note_allowed(&self) {
        self.allowed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts and logs what would have been refused.
    pub(super) fn note_shadowed(&self, book: &Rulebook, shadowed: Shadowed<'_>, now: Millis) {
        self.shadowed.fetch_add(1, Ordering::Relaxed);
        let Shadowed { rule, what, agent } = shadowed;
        let rule = rule.map_or("nothing allows it", |rule| book.policy.rule(rule));
        if self.may_say((rule, what, agent), now) {
            let (what, agent) = (what.escape_debug(), agent.escape_debug());
            tracing::info!(rule, %what, %agent, "policy in shadow: would be refused");
        }
    }

    fn may_say(&self, line: (&str, &str, &str), now: Millis) -> bool {
        let key = self.hasher.hash_one(line);
        let mut said = self.said.lock();
        if said.len() >= SHADOW_LINES_MAX && !said.contains_key(&key) {
            said.retain(|_, at| now.since(*at) < SHADOW_QUIET_MILLIS);
            if said.len() >= SHADOW_LINES_MAX {
                return false;
            }
        }
        match said.get(&key) {
            Some(at) if now.since(*at) < SHADOW_QUIET_MILLIS => false,
            _ => {
                said.insert(key, now);
                true
            }
        }
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> PermitCounts {
        PermitCounts {
            allowed: self.allowed.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            shadowed: self.shadowed.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use tollgate_core::bounds::policy::{SHADOW_LINES_MAX, SHADOW_QUIET_MILLIS};
    use tollgate_core::clock::Millis;

    #[test]
    fn each_line_is_said_once_in_a_while_and_lines_are_bounded() {
        let tally = Tally::default();
        let line = ("rule", "github__get", "ci");
        assert!(tally.may_say(line, Millis(1)));
        assert!(!tally.may_say(line, Millis(SHADOW_QUIET_MILLIS)));
        assert!(tally.may_say(("rule", "github__get", "web"), Millis(1)));
        assert!(tally.may_say(line, Millis(1 + SHADOW_QUIET_MILLIS)));
        let said = (0..2 * SHADOW_LINES_MAX)
            .filter(|number| tally.may_say(("r", &number.to_string(), "a"), Millis(2)))
            .count();
        assert!(said < SHADOW_LINES_MAX, "{said}");
    }
}
