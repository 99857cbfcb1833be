//! Pages of upstreams are read item by item, and rendered as pages of a hub.

use crate::schema::Schema;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_mcp::hub::items::{
    Item, ItemBounds, ListFault, ListKind, ListPage, REFUSED_MAX, read_page, render_page, shown,
};
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::glance;

const BOUNDS: ItemBounds = ItemBounds { count_max: 100, item_bytes_max: 10_000, depth_max: 20 };

fn read(result: &str, kind: ListKind) -> Result<ListPage, ListFault> {
    read_within(result, kind, &BOUNDS)
}

fn read_within(result: &str, kind: ListKind, bounds: &ItemBounds) -> Result<ListPage, ListFault> {
    let message = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
    let glance = glance(&message).unwrap_or_else(|fault| panic!("{result}: {fault}"));
    read_page(&message, glance.result.expect("a result").span, kind, bounds)
}

fn page(result: &str) -> ListPage {
    read(result, ListKind::Tools).unwrap_or_else(|fault| panic!("{result}: {fault}"))
}

fn item(json: &str, kind: ListKind) -> Item {
    let result = format!(r#"{{"{}":[{json}]}}"#, kind.member());
    let page = read(&result, kind).expect("a page");
    page.items.into_iter().next().unwrap_or_else(|| panic!("{:?}", page.refused))
}

fn names(page: &ListPage) -> Vec<&str> {
    page.items.iter().map(|item| item.name.as_str()).collect()
}

#[test]
fn page_is_read_with_its_items_as_they_were_sent() {
    let first = r#"{ "x":1.50e400 , "n\u0061me" : "a\/b" ,"inputSchema":{"type":"object"}}"#;
    let page = page(&format!(
        r#"{{"ttlMs":5,"t\u006fols" : [ {first} , {{"name":"b"}}],"nextCursor":"","cacheScope":"public","_meta":{{}}}}"#
    ));
    assert_eq!(names(&page), ["a/b", "b"]);
    assert_eq!(page.items.first().expect("first").json, first);
    assert_eq!(page.next_cursor.as_deref(), Some(&br#""""#[..]));
    assert_eq!((page.ttl_ms, page.is_public), (Some(5), true));
    assert_eq!((page.refused.as_slice(), page.refused_count), (&[][..], 0));
}

#[test]
fn freshness_and_cursor_are_absent_unless_well_formed() {
    for result in [
        r#"{"tools":[]}"#,
        r#"{"tools":[],"nextCursor":null,"ttlMs":-1,"cacheScope":"private"}"#,
        r#"{"tools":[],"ttlMs":"5","cacheScope":true}"#,
        r#"{"tools":[],"ttlMs":1e3,"cacheScope":"Public"}"#,
    ] {
        assert_eq!(page(result), ListPage::default(), "{result}");
    }
}

#[test]
fn each_kind_has_its_own_members() {
    for (kind, result) in [
        (ListKind::Tools, r#"{"tools":[{"name":"x","uri":1}]}"#),
        (ListKind::Prompts, r#"{"prompts":[{"name":"x"}]}"#),
        (ListKind::Resources, r#"{"resources":[{"name":"n","uri":"x"}]}"#),
        (ListKind::Templates, r#"{"resourceTemplates":[{"name":"n","uriTemplate":"x"}]}"#),
    ] {
        assert_eq!(names(&read(result, kind).expect(result)), ["x"]);
        assert_eq!(ListKind::of(Method::of(kind.method())), Some(kind));
        let without = read("{}", kind);
        assert_eq!(without, Err(ListFault::NoItems(kind.member())));
    }
    assert_eq!(ListKind::of(Method::ToolsCall), None);
}

#[test]
fn item_that_could_mislead_is_left_out_alone() {
    let deep = format!(r#"{{"name":"a","x":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    let large = format!(r#"{{"name":"a","x":"{}"}}"#, "y".repeat(10_000));
    let long = format!(r#"{{"name":"{}"}}"#, "y".repeat(257));
    for (bad, why) in [
        ("5", "it is not a json object"),
        (r#"["name"]"#, "it is not a json object"),
        ("{}", "it has no name"),
        (r#"{"name":7}"#, "its name is not a string"),
        (r#"{"name":"a","n\u0061me":"b"}"#, "it has the same key twice"),
        (r#"{"name":"a","x":{"y":1,"y":2}}"#, "it has the same key twice"),
        (r#"{"name":"a" "x":1}"#, "it is not valid json"),
        (r#"{"name":"a","x":tru}"#, "it is not valid json"),
        (r#"{"name":"a","x":01}"#, "it is not valid json"),
        (r#"{"name":"a\ud800"}"#, "it is not valid json"),
        (r#"{"name":"a",}"#, "it is not valid json"),
        (&deep, "it is nested too deeply"),
        (&large, "it is too large"),
        (r#"{"name":""}"#, "its name is empty, too long or holds hidden characters"),
        (r#"{"name":"a\u202eb"}"#, "its name is empty, too long or holds hidden characters"),
        (r#"{"name":"a\u0000"}"#, "its name is empty, too long or holds hidden characters"),
        (&long, "its name is empty, too long or holds hidden characters"),
        (r#"{"name":"good"}"#, "its name is on the page already"),
    ] {
        let page = page(&format!(r#"{{"tools":[{{"name":"good"}},{bad},{{"name":"b"}}]}}"#));
        assert_eq!(names(&page), ["good", "b"], "{bad}");
        assert_eq!(page.refused.first().expect(bad).why, why, "{bad}");
        assert_eq!(page.refused_count, 1);
    }
}

#[test]
fn refused_names_are_fit_for_a_log() {
    let result = format!(r#"{{"tools":[{{"name":"\u001b[2J{}"}}]}}"#, "x".repeat(900));
    let name = page(&result).refused.into_iter().next().expect("refused").name;
    assert!(name.starts_with("\\u{1b}[2J") && name.len() < 100, "{name}");
}

#[test]
fn what_is_kept_of_a_flood_is_bounded() {
    let bounds = ItemBounds { count_max: 3, ..BOUNDS };
    let items: Vec<String> = (0..1_000).map(|n| format!(r#"{{"name":"t{n}"}}"#)).collect();
    let result = format!(r#"{{"tools":[{}]}}"#, items.join(","));
    let page = read_within(&result, ListKind::Tools, &bounds).expect("a page");
    assert_eq!(names(&page), ["t0", "t1", "t2"]);
    assert_eq!((page.refused.len(), page.refused_count), (REFUSED_MAX, 997));
}

#[test]
fn page_that_is_no_page_is_a_fault() {
    let long = format!(r#"{{"tools":[],"nextCursor":"{}"}}"#, "x".repeat(10_000));
    for result in [
        r#"{"tools":{}}"#,
        r#"{"tools":null}"#,
        r#"{"tools":[],"t\u006fols":[]}"#,
        r#"{"tools":[],"nextCursor":1}"#,
        r#"{"tools":[],"nextCursor":"\q"}"#,
        r#"{"tools":[],"nextCursor":"a","nextCursor":"b"}"#,
        r#"{"tools":[{"name":"a"} {"name":"b"}]}"#,
        r#"{"tools":[{"name":"a"},]}"#,
        &long,
    ] {
        assert!(read(result, ListKind::Tools).is_err(), "{result}");
    }
}

#[test]
fn uris_may_be_longer_than_names_and_hide_nothing_either() {
    let uri = format!("file:///{}", "x".repeat(2_000));
    assert_eq!(item(&json!({"uri": uri}).to_string(), ListKind::Resources).name, uri);
    let result = r#"{"resources":[{"uri":"file:///a\u200bb"}]}"#;
    assert_eq!(read(result, ListKind::Resources).expect("a page").refused_count, 1);
}

#[test]
fn shown_item_differs_in_its_name_alone() {
    let tool = item(r#"{ "a":1.0,"name" : "x\u0079", "b":[ 1e999 ] }"#, ListKind::Tools);
    assert_eq!(
        shown(None, ListKind::Tools, &tool, "up__\"xy", None),
        r#"{ "a":1.0,"name" : "up__\"xy", "b":[ 1e999 ] }"#
    );
    // Nothing to change: the spelling stays.
    assert_eq!(shown(Some("up"), ListKind::Tools, &tool, "xy", None), tool.json);
}

#[test]
fn description_is_replaced_or_put_in() {
    for (json, wanted) in [
        (r#"{"name":"x"}"#, r#"{"name":"y","description":"D\n"}"#),
        (r#"{"name":"x","a":0}"#, r#"{"name":"y","description":"D\n","a":0}"#),
        (r#"{"description":null,"name":"x"}"#, r#"{"description":"D\n","name":"y"}"#),
        (r#"{"descr\u0069ption":"d","name":"x"}"#, r#"{"descr\u0069ption":"D\n","name":"y"}"#),
    ] {
        let tool = item(json, ListKind::Tools);
        assert_eq!(shown(None, ListKind::Tools, &tool, "y", Some("D\n")), wanted);
    }
    let tool = item(r#"{"name":"x","description":"a\u0062"}"#, ListKind::Tools);
    assert_eq!(tool.description().as_deref(), Some("ab"));
}

#[test]
fn links_to_user_interfaces_lead_to_the_upstream() {
    let tool = item(
        r#"{"_meta":{"ui":{"resourceUri":"ui://f","v":1},"ui/resourceUri":"ui:\/\/g"},"name":"x"}"#,
        ListKind::Tools,
    );
    assert_eq!(
        shown(Some("up"), ListKind::Tools, &tool, "x", None),
        r#"{"_meta":{"ui":{"resourceUri":"ui://up__f","v":1},"ui/resourceUri":"ui://up__g"},"name":"x"}"#
    );
    assert_eq!(shown(None, ListKind::Tools, &tool, "x", None), tool.json);
}

#[test]
fn rendered_pages_are_valid_in_every_revision() {
    let examples = [
        (ListKind::Tools, "ListToolsResult", r#"{"name":"a","inputSchema":{"type":"object"}}"#),
        (ListKind::Prompts, "ListPromptsResult", r#"{"name":"a"}"#),
        (ListKind::Resources, "ListResourcesResult", r#"{"name":"a","uri":"file:///a"}"#),
        (
            ListKind::Templates,
            "ListResourceTemplatesResult",
            r#"{"name":"a","uriTemplate":"file:///{a}"}"#,
        ),
    ];
    for (kind, definition, json) in examples {
        let read = item(json, kind);
        let items = [read.json.clone(), shown(Some("u"), kind, &read, "u__a", Some("d"))];
        for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let page = render_page(kind, items.iter(), Some("c\""), None);
            Schema::of(revision).check(definition, &page);
        }
        for is_public in [true, false] {
            let page =
                render_page(kind, items.iter(), None, Some((u64::from(u32::MAX), is_public)));
            Schema::of("2026-07-28").check(definition, &page);
            let value: Value = serde_json::from_slice(&page).expect("json");
            assert_eq!(
                value.get("cacheScope"),
                Some(&json!(["private", "public"][usize::from(is_public)]))
            );
        }
        let empty = render_page(kind, std::iter::empty::<Bytes>(), None, None);
        assert_eq!(empty, format!(r#"{{"{}":[]}}"#, kind.member()).as_bytes());
    }
}

/// Text that is nearly a list of tools.
fn nearly_list() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "1",
        "null",
        "\"tools\":[",
        "{\"name\":\"a\"}",
        "\"name\":\"b\"",
        "\"description\":\"d\"",
        "\"nextCursor\":\"\"",
        "\"ttlMs\":1",
        "\"_meta\":{",
        "\"ui\":{\"resourceUri\":\"ui://x\"}",
        "\"n\\u0061me\":",
        "\u{1}",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn whatever_is_read_is_json_and_stays_json(mut result in nearly_list(), is_whole in any::<bool>()) {
        if is_whole {
            result = [br#"{"tools":["#, &result[..], b"]}"].concat();
        }
        let message = Bytes::from(result);
        let whole = tollgate_mcp::json::Span::new(0, message.len());
        let Ok(page) = read_page(&message, whole, ListKind::Tools, &BOUNDS) else { return Ok(()) };
        for item in &page.items {
            let shown = shown(Some("up"), ListKind::Tools, item, "up__x", Some("d"));
            let mut wanted: Value = serde_json::from_slice(&item.json).expect("json");
            let mut seen: Value = serde_json::from_slice(&shown).expect("json");
            for value in [&mut wanted, &mut seen] {
                let object = value.as_object_mut().expect("an object");
                object.insert("name".to_owned(), json!(null));
                object.insert("description".to_owned(), json!(null));
                object.remove("_meta");
            }
            prop_assert_eq!(seen, wanted);
        }
        let shown = page.items.iter().map(|item| &item.json);
        let page = render_page(ListKind::Tools, shown, None, None);
        prop_assert!(serde_json::from_slice::<Value>(&page).is_ok());
    }

    #[test]
    fn items_survive_byte_for_byte(
        members in prop::collection::btree_map("[b-m]{1,5}", any::<f64>().prop_map(|n| json!([n])), 0..9),
        name in "[a-zA-Z/ \"\\\\]{1,20}",
    ) {
        let mut value = json!(members);
        value.as_object_mut().expect("object").insert("name".to_owned(), json!(name));
        let json = serde_json::to_string(&value).expect("json");
        let read = item(&json, ListKind::Tools);
        prop_assert_eq!(&read.json, &json);
        prop_assert_eq!(&read.name, &name);
        let there = shown(Some("up"), ListKind::Tools, &read, "other", None);
        let again = item(std::str::from_utf8(&there).expect("utf-8"), ListKind::Tools);
        prop_assert_eq!(shown(None, ListKind::Tools, &again, &name, None), json);
    }
}
