//! Scopes of a credential that name single items: `tool:UPSTREAM__NAME`, `prompt:…`, `resource:…`.
//!
//! They come with the call, so they are read where they stand and nothing is made of them. One that is
//! no pattern of items names nothing.

use tollgate_core::party::{Item, ItemKind};
use tollgate_rules::glob;

/// The kind of item a scope names, and the pattern behind it.
pub(crate) fn read(scope: &str) -> Option<(ItemKind, &str)> {
    let (word, pattern) = scope.split_once(':')?;
    let kind = ItemKind::ALL.into_iter().find(|kind| kind.as_str() == word)?;
    Some((kind, pattern))
}

/// Whether any scope names items.
pub(crate) fn any(scopes: &[Box<str>]) -> bool {
    scopes.iter().any(|scope| read(scope).is_some())
}

/// Whether any scope names this one.
pub(crate) fn name(scopes: &[Box<str>], item: &Item<'_>) -> bool {
    scopes.iter().any(|scope| {
        read(scope).is_some_and(|(kind, pattern)| kind == item.kind && matches(pattern, item))
    })
}

/// As [`tollgate_rules::items::ItemGlob`] reads and matches, without making one.
fn matches(pattern: &str, item: &Item<'_>) -> bool {
    if pattern == "*" {
        return true;
    }
    let Some((upstream, name)) = pattern.split_once("__") else { return false };
    let is_upstream = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'*');
    !upstream.is_empty()
        && !name.is_empty()
        && upstream.bytes().all(is_upstream)
        && glob::matches(upstream, item.upstream.as_str())
        && glob::matches(name, item.name)
}

#[cfg(test)]
mod tests {
    use super::{name, read};
    use tollgate_core::ids::UpstreamName;
    use tollgate_core::party::{Item, ItemKind};
    use tollgate_rules::items::ItemGlob;

    fn names(scope: &str, upstream: &str, tool: &str) -> bool {
        let upstream = UpstreamName::from(upstream);
        name(&[scope.into()], &Item { kind: ItemKind::Tool, upstream: &upstream, name: tool })
    }

    #[test]
    fn a_scope_names_what_its_pattern_stands_for() {
        for pattern in ["*", "github__get_*", "*__get_issue", "git*__*", "github__", "__x", "x", ""]
        {
            let scope = format!("tool:{pattern}");
            let upstream = UpstreamName::from("github");
            let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "get_issue" };
            let expected = ItemGlob::parse(pattern).is_ok_and(|glob| glob.matches(&item));
            assert_eq!(names(&scope, "github", "get_issue"), expected, "{pattern}");
        }
    }

    #[test]
    fn kinds_are_kept_apart_and_other_scopes_name_nothing() {
        assert!(names("tool:github__get_issue", "github", "get_issue"));
        assert!(!names("prompt:github__get_issue", "github", "get_issue"));
        assert!(!names("github__get_issue", "github", "get_issue"));
        assert!(!names("tool:github__get_issue", "evil", "github__get_issue"));
        assert_eq!(read("files:read"), None);
    }
}
