//! Patterns of names: `*` stands for any run of characters, also none; everything else for itself.
//!
//! Matching takes no more than one look at each character for each `*`, whatever the pattern, and
//! allocates nothing.

use memchr::memmem;
use std::fmt;

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// A pattern.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    text: Box<str>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It is empty.
    #[error("a pattern must not be empty: `*` is for everything")]
    Empty,
    /// It is too long.
    #[error("a pattern has at most {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// It holds something nobody can see.
    #[error("a pattern must not hold control characters")]
    Control,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`GlobError`].
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(GlobError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(GlobError::Control);
        }
        Ok(Self { text: text.into() })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one name it stands for, if it has no `*`.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        (!self.text.contains('*')).then_some(&*self.text)
    }

    /// Whether it stands for everything.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.text.bytes().all(|byte| byte == b'*')
    }

    /// Whether it stands for this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.text, name)
    }
}

/// Whether the pattern stands for this name; for patterns that are looked at once, as those in scopes of
/// a credential. An empty pattern stands for nothing but the empty name.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return *pattern == *name };
    let Some(mut name) = name.as_bytes().strip_prefix(head.as_bytes()) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    match name.strip_suffix(tail.as_bytes()) {
        Some(shorter) => name = shorter,
        None => return false,
    }
    // The leftmost place for each part leaves most room for those after it.
    middle.split('*').filter(|part| !part.is_empty()).all(|part| {
        match memmem::find(name, part.as_bytes()) {
            Some(at) => {
                name = &name[at + part.len()..];
                true
            }
            None => false,
        }
    })
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Glob, GlobError};
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).expect("a pattern").matches(name)
    }

    /// The definition, without regard to cost.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                naive(rest, name) || name.split_first().is_some_and(|(_, n)| naive(pattern, n))
            }
            (Some((a, rest)), Some((b, name))) => a == b && naive(rest, name),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn it_matches_what_its_definition_matches(pattern in "[ab*]{1,8}", name in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), naive(&chars(&pattern), &chars(&name)));
        }
    }

    #[test]
    fn head_and_tail_do_not_share_characters() {
        assert!(!matches("aba*aba", "ababa"));
        assert!(matches("aba*aba", "abaaba"));
    }

    #[test]
    fn nothing_but_the_star_is_special() {
        assert!(matches("a?[b]{c}\\", "a?[b]{c}\\"));
        assert!(!matches("a?", "ab"));
    }

    #[test]
    fn case_and_look_alikes_count() {
        assert!(!matches("delete*", "Delete"));
        assert!(!matches("delete*", "d\u{435}lete"));
    }

    #[test]
    fn a_hostile_pattern_takes_no_more_than_its_length_times_the_name() {
        let name = "a".repeat(100_000);
        assert!(!matches(&"*a".repeat(500), &format!("{}b", &name[..400])));
        assert!(!matches("*aaaaaaaab*aaaaaaaab*", &name));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!(Glob::parse(""), Err(GlobError::Empty));
        assert_eq!(Glob::parse("a\nb"), Err(GlobError::Control));
        assert_eq!(Glob::parse(&"a".repeat(1025)), Err(GlobError::TooLong));
    }
}
