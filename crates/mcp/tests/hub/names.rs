//! Names, URIs and ids of a hub lead back to their upstream and to nothing else.

use proptest::prelude::*;
use std::collections::HashSet;
use tollgate_mcp::hub::naming::{NAME_MAX, is_plain, is_usable, join, may_be_shortened, split};
use tollgate_mcp::hub::uris::{inward, inward_id, inward_task, outward, outward_id, outward_task};

fn is_offerable(shown: &str) -> bool {
    shown.len() <= NAME_MAX
        && shown.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[test] // anthropics/claude-code 19882: a prefix pushed names beyond 64 and calls failed
fn long_tools_of_two_long_upstreams_are_unique_and_short_and_found_again() {
    let tools = ["a".repeat(63), format!("{}b", "a".repeat(62)), "search".to_owned()];
    let upstreams = ["twenty-letters-long1", "twenty-letters-long2"];
    let mut seen = HashSet::new();
    for upstream in upstreams {
        for tool in &tools {
            let shown = join(upstream, tool);
            assert!(is_offerable(&shown), "{shown}");
            assert!(seen.insert(shown.clone()), "{shown} twice");
            let (leads_to, rest) = split(&shown).expect("a name of ours");
            assert_eq!(leads_to, upstream);
            let found: Vec<&String> =
                tools.iter().filter(|name| join(upstream, name) == shown).collect();
            assert_eq!(found, [tool]);
            assert_eq!(may_be_shortened(rest), tool.len() > 42);
        }
    }
}

#[test]
fn shown_names_never_change() {
    // Agents remember them across releases of the gate.
    assert_eq!(join("github", "search_issues"), "github__search_issues");
    assert_eq!(join("github", "_x__y"), "github___x__y");
    assert_eq!(join("up", "größe/tür"), "up__gr__e_t_r_cb7907d3");
    assert_eq!(
        join("up", &"long".repeat(20)),
        "up__longlonglonglonglonglonglonglonglonglonglonglonglon_b59ef525"
    );
}

#[test]
fn name_that_ends_like_a_mark_is_marked_itself() {
    let shortened = join("up", "a b");
    let (_, rest) = split(&shortened).expect("ours");
    assert!(may_be_shortened(rest));
    assert!(!is_plain("up", rest));
    assert_ne!(join("up", rest), shortened);
    for plain in ["report_20240101", "commit_deadbee", "a_g0000000", "_", "a_A0000000"] {
        assert!(is_plain("up", plain), "{plain}");
    }
}

#[test]
fn what_is_no_name_of_a_hub_is_not_split() {
    for shown in ["", "search", "up_search", "__search", "Up__x", "u p__x", "ü__x"] {
        assert_eq!(split(shown), None, "{shown}");
    }
}

#[test]
fn names_that_show_something_else_than_they_are_are_not_usable() {
    for name in ["", "a\nb", "a\u{202e}b", "a\u{200b}b", "\u{e0041}", "a\u{feff}", "a\u{7f}"] {
        assert!(!is_usable(name), "{name:?}");
    }
    assert!(!is_usable(&"a".repeat(257)));
    for name in ["a", "größe", "a b", "日本", &"a".repeat(256)] {
        assert!(is_usable(name), "{name:?}");
    }
}

#[test]
fn uris_are_shown_with_their_upstream_in_front() {
    for (uri, shown) in [
        ("file:///a:b", "tollgate+up:file:///a:b"),
        ("", "tollgate+up:"),
        ("db://{table}/x{?q*}", "tollgate+up:db://{table}/x{?q*}"),
        ("ui://form/a__b", "ui://up__form/a__b"),
        ("UI://form", "tollgate+up:UI://form"),
    ] {
        assert_eq!(outward("up", uri), shown);
    }
}

#[test]
fn uri_with_anothers_front_stays_with_its_own_upstream() {
    for uri in [outward("victim", "file:///secret"), outward("victim", "ui://form")] {
        let shown = outward("up", &uri);
        let (upstream, original) = inward(&shown).expect("ours");
        assert_eq!((upstream, &*original), ("up", &*uri));
    }
}

#[test]
fn uri_that_no_outward_uri_is_leads_nowhere() {
    for uri in [
        "",
        "file:///a",
        "tollgate+up",
        "tollgate+:a",
        "tollgate+Up:a",
        "TOLLGATE+up:a",
        "tollgate+u_p:a",
        "ui://form",
        "ui://__form",
        "ui://UP__form",
        // Would be a second spelling of `ui://up__form`.
        "tollgate+up:ui://form",
    ] {
        assert_eq!(inward(uri), None, "{uri}");
    }
}

#[test]
fn request_ids_keep_their_type() {
    assert_eq!(outward_id("up", b"5"), r#""up__5""#);
    assert_eq!(outward_id("up", br#""5""#), r#""up__\"5\"""#);
    // An agent may spell the string otherwise than it got it.
    let again = inward_id(br#""\u0075p__\u00225\u0022""#);
    assert_eq!(again, Some(("up".to_owned(), br#""5""#.to_vec())));
}

#[test]
fn id_that_hides_something_leads_nowhere() {
    for token in [
        "",
        "5",
        r#""""#,
        r#""up__""#,
        r#""up__05""#,
        r#""up__-0""#,
        r#""up__1.5""#,
        r#""up__null""#,
        r#""up__1,\"method\":1""#,
        r#""up__\"a\",\"b\"""#,
        r#""up__\"a\nb\"""#,
        r#""up__\"\\q\"""#,
        r#""up__\"\\ud800\"""#,
        r#""Up__1""#,
        r#""up__1"#,
        r#""up__1"x"#,
        r#" "up__1""#,
        "\"up__\u{1}\"",
    ] {
        assert_eq!(inward_id(token.as_bytes()), None, "{token}");
    }
    assert_eq!(inward_id(b"\"up__\"\xff\"\""), None);
}

const UPSTREAM: &str = "[a-z0-9-]{1,32}";

proptest! {
    #[test]
    fn plain_names_are_joined_and_split(upstream in UPSTREAM, name in "[A-Za-z0-9_.-]{1,64}") {
        let shown = join(&upstream, &name);
        prop_assert!(is_offerable(&shown));
        let (leads_to, rest) = split(&shown).expect("ours");
        prop_assert_eq!(leads_to, &upstream);
        prop_assert_eq!(is_plain(&upstream, &name), rest == name && !may_be_shortened(rest));
        prop_assert_eq!(is_plain(&upstream, &name), !may_be_shortened(rest));
    }

    #[test]
    fn any_name_is_shown_fit_and_marked_unless_plain(
        upstream in UPSTREAM,
        name in any::<String>(),
    ) {
        let shown = join(&upstream, &name);
        prop_assert!(is_offerable(&shown), "{}", shown);
        let (leads_to, rest) = split(&shown).expect("ours");
        prop_assert_eq!(leads_to, &upstream);
        prop_assert_eq!(is_plain(&upstream, &name), !may_be_shortened(rest));
    }

    #[test]
    fn different_names_are_shown_differently(
        upstream in UPSTREAM,
        names in prop::collection::hash_set("[ab/ü_]{0,6}|[a-f0-9_]{9}|a{40,80}", 1..40),
    ) {
        let shown: HashSet<String> = names.iter().map(|name| join(&upstream, name)).collect();
        prop_assert_eq!(shown.len(), names.len());
    }

    #[test]
    fn uris_come_back(
        upstream in UPSTREAM,
        scheme in prop::sample::select(vec!["", "ui://", "ui:", "tollgate+x:", "ui://x__"]),
        rest in any::<String>(),
    ) {
        let uri = format!("{scheme}{rest}");
        let shown = outward(&upstream, &uri);
        let (leads_to, original) = inward(&shown).expect("ours");
        prop_assert_eq!((leads_to, &*original), (&*upstream, &*uri));
    }

    #[test]
    fn what_leads_inward_has_one_spelling(
        uri in "(tollgate\\+|ui://)?[a-z_]{0,4}[:_/+]{0,3}(ui://)?\\PC{0,9}",
    ) {
        if let Some((upstream, original)) = inward(&uri) {
            prop_assert_eq!(outward(upstream, &original), uri);
        }
    }

    #[test]
    fn task_ids_come_back(upstream in UPSTREAM, id in any::<String>()) {
        let shown = outward_task(&upstream, &id);
        prop_assert_eq!(inward_task(&shown), Some((&*upstream, &*id)));
    }

    #[test]
    fn request_ids_come_back(upstream in UPSTREAM, number in any::<i64>(), text in any::<String>()) {
        let text = serde_json::to_string(&text).expect("json");
        for token in [number.to_string(), text] {
            let shown = outward_id(&upstream, token.as_bytes());
            let spelled: String = serde_json::from_str(&shown).expect("a json string");
            prop_assert!(!spelled.is_empty());
            let back = inward_id(shown.as_bytes());
            prop_assert_eq!(back, Some((upstream.clone(), token.into_bytes())));
        }
    }

    #[test]
    fn any_token_is_taken_or_not_without_harm(token in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Some((_, original)) = inward_id(&token) {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&original).is_ok());
        }
    }
}
