//! Scopes: read exactly, compared exactly.

use tollgate_oauth::scope::BadScope::{self, Character, Spacing, TooMany};
use tollgate_oauth::scope::{covers, join, parse};

#[test]
fn scopes_are_sorted_and_each_is_there_once() {
    let scopes = parse("b a tool:x b !#[]~").expect("good scopes");
    assert_eq!(join(&scopes), "!#[]~ a b tool:x");
    assert_eq!(parse(""), Ok(vec![]));
}

#[test]
fn nothing_is_trimmed_and_nothing_but_a_space_separates() {
    let table: &[(&str, BadScope)] = &[
        (" ", Spacing),
        (" a", Spacing),
        ("admin ", Spacing),
        ("a  b", Spacing),
        ("a\tb", Character),
        ("a\nb", Character),
        ("a\u{a0}b", Character),
        ("a\u{2003}b", Character),
        ("a\"b", Character),
        ("a\\b", Character),
        ("a\u{7f}", Character),
        ("a\0", Character),
        ("\u{e9}", Character),
        ("\u{430}dmin", Character),
    ];
    for (bad, why) in table {
        assert_eq!(parse(bad), Err(*why), "{bad:?}");
    }
}

#[test]
fn the_number_of_scopes_is_bounded() {
    let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(parse(&many(512)).map(|scopes| scopes.len()), Ok(512));
    assert_eq!(parse(&many(513)), Err(TooMany));
    assert_eq!(parse(&"a ".repeat(100_000)), Err(TooMany));
}

#[test]
fn a_scope_is_covered_by_itself_or_by_its_beginning_with_a_star() {
    let allowed = ["read", "tool:github__*"].map(String::from);
    for good in ["read", "tool:github__get_issue", "tool:github__", "tool:github__*"] {
        assert!(covers(&allowed, good), "{good}");
    }
    for bad in ["Read", "read2", "rea", "tool:github_", "tool:gitlab__x", "tool:*", "*", ""] {
        assert!(!covers(&allowed, bad), "{bad}");
    }
    assert!(!covers(&[], "read"));
    assert!(covers(&[String::from("*")], "anything"));
    assert!(!covers(&[String::from("a*b")], "axb"));
}
