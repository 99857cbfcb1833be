//! Looking into judged bodies, and changing them.

use bytes::Bytes;
use tollgate_mcp::json::{Span, elements, find_path, splice};

fn whole(body: &str) -> Span {
    Span::new(0, body.len())
}

#[test]
fn path_leads_through_nested_objects_and_escaped_keys() {
    let body = r#"{ "a" : [1,{"b":0}], "\u0062" : {"c": {"d" : "x\"}" , "e":-1.50} } }"#;
    let found = |path: &[&str]| {
        find_path(body.as_bytes(), whole(body), path).map(|span| &body[span.range()])
    };
    assert_eq!(found(&["b", "c", "e"]), Some("-1.50"));
    assert_eq!(found(&["b", "c", "d"]), Some(r#""x\"}""#));
    assert_eq!(found(&["a"]), Some(r#"[1,{"b":0}]"#));
    assert_eq!(found(&["a", "b"]), None);
    assert_eq!(found(&["z"]), None);
    assert_eq!(found(&[]), Some(body));
}

#[test]
fn path_in_what_is_not_json_leads_nowhere() {
    for body in ["", "{", "{\"a\"", "{\"a\":", "{\"b\":1", "[", "{1:2}", "{\"b\":}}"] {
        assert_eq!(find_path(body.as_bytes(), whole(body), &["a"]), None, "{body}");
    }
}

#[test]
fn elements_are_found_in_order() {
    let body = r#" [ 1 ,"a,]", {"x":[2]},[] ] "#;
    let found: Vec<&str> =
        elements(body.as_bytes(), whole(body)).iter().map(|span| &body[span.range()]).collect();
    assert_eq!(found, ["1", r#""a,]""#, r#"{"x":[2]}"#, "[]"]);
}

#[test]
fn edits_replace_and_insert_and_leave_the_rest_alone() {
    let body = Bytes::from_static(br#"{"id":1,"name":"a"}"#);
    let edits: [(Span, &[u8]); 3] =
        [(Span::new(15, 18), br#""up""#), (Span::new(6, 7), b"42"), (Span::at(1), br#""x":0,"#)];
    assert_eq!(splice(&body, &edits), Bytes::from_static(br#"{"x":0,"id":42,"name":"up"}"#));
}

#[test]
fn no_edit_copies_nothing() {
    let body = Bytes::from_static(b"{}");
    assert_eq!(splice(&body, &[]).as_ptr(), body.as_ptr());
}
