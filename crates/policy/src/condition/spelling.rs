//! Names that some upstreams take for one another.
//!
//! A decoder that does not mind case (Go's) takes `Branch` for `branch`. A condition that asks about
//! `branch` and finds none would let through what that upstream then reads as one. So such arguments
//! cannot be said anything about, and the condition fails.

use std::collections::{HashMap, HashSet};

/// How a reader that minds neither case nor what cannot be seen would spell a name.
pub(super) fn folded(name: &str) -> String {
    let letters = name.chars().filter(|letter| !letter.is_control() && !letter.is_whitespace());
    // U+017F is an `s` to such readers; U+212A is a `k` in lower case already.
    letters.flat_map(char::to_lowercase).map(|it| if it == '\u{17f}' { 's' } else { it }).collect()
}

/// The names a condition uses, by how they are taken.
#[derive(Debug, Default)]
pub(super) struct Spellings(HashMap<String, HashSet<Box<str>>>);

impl Spellings {
    /// Of these names.
    pub(super) fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut spellings: HashMap<String, HashSet<Box<str>>> = HashMap::new();
        for name in names {
            spellings.entry(folded(name)).or_default().insert(name.into());
        }
        Self(spellings)
    }

    /// Whether any of these names may be taken for one of the condition's that it is not.
    pub(super) fn is_mistaken_in(&self, names: &[Box<str>]) -> bool {
        names
            .iter()
            .any(|name| self.0.get(&folded(name)).is_some_and(|used| !used.contains(name.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::{Spellings, folded};

    #[test]
    fn what_careless_readers_take_for_one_name_is_one() {
        let others = ["Force", "FORCE", "force\0", " force", "\u{17f}orce"];
        for other in &others[..4] {
            assert_eq!(folded(other), "force", "{other:?}");
        }
        assert_eq!(folded("\u{17f}cope"), "scope");
        assert_eq!(folded("to\u{212a}en"), "token");
        assert_ne!(folded("forced"), "force");
    }

    #[test]
    fn only_another_spelling_is_mistaken() {
        let spellings = Spellings::of(["force", "branchName"]);
        let has = |name: &str| spellings.is_mistaken_in(&[name.into()]);
        assert!(has("Force"));
        assert!(has("branchname"));
        assert!(!has("force"));
        assert!(!has("branchName"));
        assert!(!has("other"));
    }
}
