//! Patterns of tools, prompts and resources: `UPSTREAM__NAME`, or `*` for all.
//!
//! The name is always the upstream's own, on every route, whatever the route shows it as; the upstream
//! is a part of its own. So no upstream can offer something under a name that another's rules allow.

use crate::glob::{Glob, GlobError};
use std::fmt;
use tollgate_core::party::Item;

/// A pattern of items.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ItemGlob {
    upstream: Glob,
    name: Glob,
}

/// Why a text is no pattern of items.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemGlobError {
    /// One of its parts is no pattern.
    #[error(transparent)]
    Part(#[from] GlobError),
    /// It does not say of which upstream.
    #[error(
        "write `UPSTREAM__{0}`, or `*__{0}` for `{0}` of any upstream: names are `UPSTREAM__NAME` on every \
         route"
    )]
    NoUpstream(String),
    /// What stands before `__` cannot be the name of an upstream.
    #[error(
        "`{0}` before `__` is not the name of an upstream: lower-case letters, digits, `-` and `*`"
    )]
    BadUpstream(String),
}

impl ItemGlob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`ItemGlobError`].
    pub fn parse(text: &str) -> Result<Self, ItemGlobError> {
        if text == "*" {
            let all = Glob::parse("*")?;
            return Ok(Self { upstream: all.clone(), name: all });
        }
        let Some((upstream, name)) = text.split_once("__") else {
            Glob::parse(text)?;
            return Err(ItemGlobError::NoUpstream(text.to_owned()));
        };
        let is_upstream = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'*');
        if !upstream.bytes().all(is_upstream) {
            return Err(ItemGlobError::BadUpstream(upstream.to_owned()));
        }
        Ok(Self { upstream: Glob::parse(upstream)?, name: Glob::parse(name)? })
    }

    /// Whether it stands for this item, whatever its kind.
    #[must_use]
    pub fn matches(&self, item: &Item<'_>) -> bool {
        self.upstream.matches(item.upstream.as_str()) && self.name.matches(item.name)
    }

    /// Which upstreams it is about.
    #[must_use]
    pub const fn upstream(&self) -> &Glob {
        &self.upstream
    }

    /// Which of their names.
    #[must_use]
    pub const fn name(&self) -> &Glob {
        &self.name
    }

    /// Whether it stands for everything.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.upstream.is_all() && self.name.is_all()
    }
}

impl fmt::Display for ItemGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() { f.write_str("*") } else { write!(f, "{}__{}", self.upstream, self.name) }
    }
}

impl fmt::Debug for ItemGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{ItemGlob, ItemGlobError};
    use tollgate_core::ids::UpstreamName;
    use tollgate_core::party::{Item, ItemKind};

    fn matches(pattern: &str, upstream: &str, name: &str) -> bool {
        let upstream = UpstreamName::from(upstream);
        let item = Item { kind: ItemKind::Tool, upstream: &upstream, name };
        ItemGlob::parse(pattern).expect("a pattern").matches(&item)
    }

    #[test]
    fn the_upstream_is_a_part_of_its_own() {
        assert!(matches("github__get_*", "github", "get_issue"));
        assert!(matches("*__get_*", "github", "get_issue"));
        assert!(matches("*", "github", "get_issue"));
        // What an upstream puts into its names never makes it another upstream.
        assert!(!matches("github__*", "evil", "github__get_issue"));
        assert!(!matches("git*__issue", "git", "hub__issue"));
        assert!(matches("*__hub__issue", "git", "hub__issue"));
    }

    #[test]
    fn uris_are_names_too() {
        assert!(matches("files__file:///srv/docs/*", "files", "file:///srv/docs/a/b.txt"));
        assert!(!matches("files__file:///srv/docs/*", "files", "file:///srv/other"));
    }

    #[test]
    fn a_name_without_its_upstream_is_refused_with_the_remedy() {
        let error = ItemGlob::parse("delete_*").expect_err("no upstream");
        assert_eq!(error, ItemGlobError::NoUpstream("delete_*".to_owned()));
        assert!(error.to_string().contains("`*__delete_*`"), "{error}");
        assert!(matches!(ItemGlob::parse("Git__x"), Err(ItemGlobError::BadUpstream(_))));
        assert!(ItemGlob::parse("github__").is_err());
    }
}
