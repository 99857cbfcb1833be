//! What counts of an answer, and what does not.

use super::{Answer, read};
use crate::reported::Report;
use crate::settings::Estimator;
use crate::text::{Ruler, Tape};
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_core::bounds::usage::MEDIA_TOKENS;

fn counted(answer: &[u8]) -> (u64, Answer) {
    let mut tape = Tape::new(Ruler::new(Estimator::Bytes));
    let answer = read(answer, &mut tape, true);
    (tape.tokens(), answer)
}

fn tokens(result: &Value) -> u64 {
    counted(json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string().as_bytes()).0
}

const fn of(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

#[test]
fn the_text_of_content_counts_and_its_frame_does_not() {
    let content = json!([{"type": "text", "text": "12345678"}, {"type": "text", "text": "é\n"}]);
    assert_eq!(tokens(&json!({"content": content, "_meta": {"x": "y".repeat(99)}})), of(11));
}

#[test]
fn structured_content_counts_once_when_the_text_says_the_same() {
    let value = json!({"b": 1, "a": ["é", 2.5]});
    let text = r#"{ "a": ["\u00e9", 2.5], "b": 1 }"#;
    let said = json!({"content": [{"type": "text", "text": text}], "structuredContent": value});
    assert_eq!(tokens(&said), of(text.len() as u64));
    let other =
        json!({"content": [{"type": "text", "text": "two rows"}], "structuredContent": value});
    assert_eq!(tokens(&other), of(8 + value.to_string().len() as u64));
}

#[test]
fn wrapped_values_and_lists_count_once_too() {
    let one =
        json!({"content": [{"type": "text", "text": "8"}], "structuredContent": {"result": 8}});
    assert_eq!(tokens(&one), 1);
    let texts = json!([{"type": "text", "text": "alpha"}, {"type": "text", "text": "{\"a\":1}"}]);
    let list = json!({"content": texts, "structuredContent": {"result": ["alpha", {"a": 1}]}});
    assert_eq!(tokens(&list), of(12));
}

#[test]
fn images_sounds_and_blobs_count_for_a_flat_figure() {
    let data = "A".repeat(100_000);
    let content = json!([
        {"type": "image", "data": data, "mimeType": "image/png"},
        {"type": "audio", "data": data, "mimeType": "audio/wav"},
        {"type": "resource", "resource": {"uri": "a:b", "blob": data}},
        {"type": "resource", "resource": {"uri": "a:b", "text": "1234"}},
    ]);
    assert_eq!(tokens(&json!({"content": content})), 3 * MEDIA_TOKENS + 1);
    assert_eq!(tokens(&json!({"contents": [{"uri": "a:b", "blob": data}]})), MEDIA_TOKENS);
}

#[test]
fn prompts_and_resources_count_by_their_text() {
    let messages = json!([{"role": "user", "content": {"type": "text", "text": "12345678"}}]);
    assert_eq!(tokens(&json!({"messages": messages})), 2);
    assert_eq!(tokens(&json!({"contents": [{"uri": "a:b", "text": "12345678"}]})), 2);
}

#[test]
fn what_is_not_understood_counts_by_its_json_text() {
    let list = json!({"tools": [{"name": "a", "inputSchema": {}}]});
    assert_eq!(tokens(&list), of(list.to_string().len() as u64));
    let link = json!({"type": "resource_link", "uri": "file:///a"});
    assert_eq!(tokens(&json!({"content": [link]})), of(link.to_string().len() as u64));
    assert_eq!(tokens(&json!({"content": "a string"})), of(10));
    assert_eq!(tokens(&json!({"content": [7, "ab"]})), of(5));
}

#[test]
fn errors_count_and_are_told_apart() {
    let error = json!({"code": -32602, "message": "no such tool"});
    let body = json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string();
    let (tokens, answer) = counted(body.as_bytes());
    assert_eq!(tokens, of(error.to_string().len() as u64));
    assert!(answer.is_error && !answer.is_tool_error);
    let failed = br#"{"id":1,"result":{"content":[],"isError":true}}"#;
    assert!(counted(failed).1.is_tool_error);
}

#[test]
fn an_answer_nobody_can_read_counts_by_its_bytes() {
    for wrong in [&b"\xff\xff\xff\xff\xff"[..], b"{\"result", b"nulls"] {
        assert_eq!(counted(wrong).0, of(wrong.len() as u64), "{wrong:?}");
    }
    let deep = format!("{{\"result\":{}{}}}", "[".repeat(9_000), "]".repeat(9_000));
    assert!(counted(deep.as_bytes()).0 >= 4_500);
}

#[test]
fn reports_are_looked_at_only_where_that_is_wanted() {
    let body = br#"{"result":{"content":[],"_meta":{"usage":{"input_tokens":1}}}}"#;
    let mut tape = Tape::new(Ruler::new(Estimator::Bytes));
    assert_eq!(read(body, &mut tape, false).report, Report::Silent);
    assert!(matches!(read(body, &mut tape, true).report, Report::Said(_)));
}

proptest! {
    #[test]
    fn no_answer_stops_the_count(answer in prop::collection::vec(any::<u8>(), 0..200)) {
        counted(&answer);
    }

    #[test]
    fn no_result_stops_the_count(
        result in r#"\{("content"|"structuredContent"|"contents"):[\[\]\{\}"a:,text0-9]{0,40}\}"#
    ) {
        let body = format!("{{\"result\":{result}}}");
        counted(body.as_bytes());
    }
}
