//! What a hub offers is what its members do, as far as it can carry it.

use crate::schema::Schema;
use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_mcp::hub::offer::{Label, Listed, Offer};
use tollgate_mcp::json::Span;
use tollgate_mcp::reply::glance;

const INSTRUCTIONS_MAX: usize = 1_000;

fn read(result: &Value, from: fn(&Bytes, Span, usize) -> Offer) -> Offer {
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
    let message = Bytes::from(message);
    let glance = glance(&message).expect("a message");
    from(&message, glance.result.expect("a result").span, INSTRUCTIONS_MAX)
}

fn legacy(capabilities: Value) -> Offer {
    read(&json!({"capabilities": capabilities}), Offer::from_initialize)
}

fn everything() -> Value {
    json!({
        "tools": {"listChanged": true}, "prompts": {}, "resources": {"subscribe": true, "x": 1},
        "completions": {}, "logging": {}, "tasks": {"list": {}}, "experimental": {"a": {}},
        "extensions": {
            "io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {}, "org.x/y": {},
        },
    })
}

#[test]
fn offer_is_read_from_both_eras() {
    let label = Some(Label { name: "n".to_owned(), version: "1".to_owned() });
    let wanted = Offer {
        tools: Some(Listed { list_changed: true }),
        prompts: Some(Listed { list_changed: false }),
        resources: Some(Listed { list_changed: false }),
        subscribe: true,
        completions: true,
        logging: true,
        tasks: false,
        apps: true,
        instructions: Some("do".to_owned()),
        label,
    };
    let info = json!({"name": "n", "version": "1"});
    let result = json!({"capabilities": everything(), "serverInfo": info, "instructions": "do"});
    assert_eq!(read(&result, Offer::from_initialize), wanted);
    let result = json!({
        "capabilities": everything(), "instructions": "do",
        "_meta": {"io.modelcontextprotocol/serverInfo": info},
    });
    assert_eq!(read(&result, Offer::from_discover), Offer { tasks: true, ..wanted });
}

#[test]
fn what_has_another_type_is_not_offered() {
    for capabilities in [
        json!(null),
        json!([]),
        json!({}),
        json!({"tools": true, "prompts": null, "resources": [], "logging": "yes"}),
        json!({"extensions": ["io.modelcontextprotocol/ui"]}),
    ] {
        assert_eq!(legacy(capabilities), Offer::default());
    }
    let odd = json!({"instructions": 5, "serverInfo": {"name": 5}});
    assert_eq!(read(&odd, Offer::from_initialize), Offer::default());
}

#[test]
fn hub_offers_what_any_member_does() {
    let members = [
        ("a", legacy(json!({"tools": {}, "resources": {}}))),
        (
            "b",
            legacy(json!({"resources": {"subscribe": true, "listChanged": true}, "logging": {}})),
        ),
        ("c", read(&json!({"capabilities": everything()}), Offer::from_discover)),
    ];
    let hub = Offer::merge(members.iter().take(2).map(|(name, one)| (*name, one)), None, 100);
    let wanted = Offer {
        tools: Some(Listed { list_changed: false }),
        resources: Some(Listed { list_changed: true }),
        subscribe: true,
        logging: true,
        ..Offer::default()
    };
    assert_eq!(hub, wanted);
    let hub = Offer::merge(members.iter().map(|(name, one)| (*name, one)), None, 100);
    assert!(hub.prompts.is_some() && hub.completions && hub.tasks && hub.apps);
    assert_eq!(Offer::merge(std::iter::empty(), None, 100), Offer::default());
}

fn saying(text: &str) -> Offer {
    read(&json!({"instructions": text}), Offer::from_initialize)
}

fn merged(said: &[(&str, Offer)], own: Option<&str>, bytes_max: usize) -> Option<String> {
    Offer::merge(said.iter().map(|(name, one)| (*name, one)), own, bytes_max).instructions
}

#[test]
fn instructions_stand_below_the_heading_of_their_upstream() {
    let said = [("a", saying("Use x.\n")), ("b", saying("")), ("c", saying("# Usage\n ## a\nyes"))];
    let wanted = "## a\nUse x.\n\n## c\n### Usage\n#### a\nyes";
    assert_eq!(merged(&said, None, 1_000).as_deref(), Some(wanted));
    assert_eq!(merged(&said, Some("ours"), 1_000).as_deref(), Some("ours"));
    assert_eq!(merged(&said, Some(""), 1_000), None);
    assert_eq!(merged(&[], None, 1_000), None);
}

#[test]
fn instructions_are_cut_with_a_mark_and_hide_nothing() {
    let text = saying(&"ü".repeat(1_000)).instructions.expect("text");
    assert_eq!(text, format!("{}\n[cut by the gateway: 1000 more bytes]", "ü".repeat(500)));
    let text = saying("a\u{e0041}\u{202e}\u{1b}b\tc\nd\u{200d}\u{2028}## x").instructions;
    assert_eq!(text.as_deref(), Some("ab\tc\nd\u{200d}## x"));
    let said = [("a", saying(&"x".repeat(900))), ("b", saying(&"y".repeat(900)))];
    let all = merged(&said, None, 1_000).expect("text");
    assert!(all.len() < 1_050 && all.ends_with("more bytes]"), "{all}");
}

#[test]
fn rendered_results_are_valid_in_every_revision() {
    let all = read(
        &json!({"capabilities": everything(), "instructions": "say \"x\"\n"}),
        Offer::from_discover,
    );
    for offer in [&all, &Offer::default()] {
        for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let result = offer.initialize_result(revision, ("tollgate", "1.0"));
            Schema::of(revision).check("InitializeResult", &result);
        }
        let result = offer.discover_result(&["2026-07-28"], ("tollgate", "1.0"), 60_000);
        Schema::of("2026-07-28").check("DiscoverResult", &result);
    }
}

#[test]
fn rendered_results_say_what_the_hub_carries_and_no_more() {
    let all =
        read(&json!({"capabilities": everything(), "instructions": "i"}), Offer::from_discover);
    let lists = json!({"listChanged": true});
    let mut capabilities = json!({
        "tools": lists, "prompts": lists, "resources": {"subscribe": true, "listChanged": true},
        "completions": {}, "logging": {}, "extensions": {"io.modelcontextprotocol/ui": {}},
    });
    let server = json!({"name": "t\"", "version": "1"});
    let result = all.initialize_result("2025-11-25", ("t\"", "1"));
    let seen: Value = serde_json::from_slice(&result).expect("json");
    let wanted = json!({
        "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": server,
        "instructions": "i",
    });
    assert_eq!(seen, wanted);
    if let Some(extensions) = capabilities.pointer_mut("/extensions") {
        *extensions = json!({
            "io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {},
        });
    }
    let result = all.discover_result(&["v2", "v1"], ("t\"", "1"), 7);
    let seen: Value = serde_json::from_slice(&result).expect("json");
    let wanted = json!({
        "resultType": "complete", "supportedVersions": ["v2", "v1"], "capabilities": capabilities,
        "instructions": "i", "ttlMs": 7, "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": server},
    });
    assert_eq!(seen, wanted);
}

#[test]
fn whatever_stands_where_a_result_should_offers_nothing() {
    for body in ["", "{", "[]", "{\"capabilities\":", "{\"capabilities\":{\"tools\":{", "\"x"] {
        let message = Bytes::copy_from_slice(body.as_bytes());
        let span = Span::new(0, body.len());
        assert_eq!(Offer::from_discover(&message, span, 10), Offer::default(), "{body}");
        assert_eq!(Offer::from_initialize(&message, Span::at(99), 10), Offer::default());
    }
}
