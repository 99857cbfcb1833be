//! The commonest answer, one text and nothing else: counted in one look, without reading it.
//!
//! Gives the same number as `answer.rs` does by bytes, or none; never another. Where nothing but that
//! number is wanted, the call need not wait for the thread that counts.

use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What makes an answer more than one text.
static OTHERS: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
    [r#""data""#, r#""blob""#, r#""uri""#, r#""structuredContent""#].map(Finder::new)
});
static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""text""#));
static FAILED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""isError""#));
static CONTENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""content"#));

/// The bytes of the one text an answer holds; `None` where somebody has to read it.
pub(crate) fn text_bytes(answer: &[u8]) -> Option<usize> {
    if OTHERS.iter().any(|other| other.find(answer).is_some()) {
        return None;
    }
    CONTENT.find(answer)?;
    let mut found = None;
    for at in TEXT.find_iter(answer) {
        let behind = answer.get(at + r#""text""#.len()..)?.trim_ascii_start();
        // A value that happens to be `text` is followed by something else.
        let Some(value) = behind.strip_prefix(b":") else { continue };
        let value = value.trim_ascii_start().strip_prefix(b"\"")?;
        if found.replace(string_bytes(value)?).is_some() {
            return None;
        }
    }
    found
}

/// Whether an answer may say that its tool failed.
pub(crate) fn may_have_failed(answer: &[u8]) -> bool {
    FAILED.find_iter(answer).any(|at| {
        let behind = answer[at + r#""isError""#.len()..].trim_ascii_start();
        let value = behind.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_some_and(|value| !value.starts_with(b"false"))
    })
}

/// The bytes a JSON string stands for, from behind its opening quote; `None` where it has escapes that
/// are more than one character for one.
fn string_bytes(mut rest: &[u8]) -> Option<usize> {
    let mut bytes = 0;
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        bytes += at;
        if rest[at] == b'"' {
            return Some(bytes);
        }
        if *rest.get(at + 1)? == b'u' {
            return None;
        }
        bytes += 1;
        rest = &rest[at + 2..];
    }
}

/// The bytes of JSON without the white space between its tokens, where that is plain to see.
pub(crate) fn compact_bytes(json: &[u8]) -> Option<usize> {
    let has_space = memchr::memchr3(b' ', b'\n', b'\t', json).is_some()
        || memchr::memchr(b'\r', json).is_some();
    (!has_space).then_some(json.len())
}

#[cfg(test)]
mod tests {
    use super::{compact_bytes, text_bytes};
    use crate::answer;
    use crate::settings::Estimator;
    use crate::text::{Ruler, Tape, compact, of_bytes, wide};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(answer: &str) -> u64 {
        let mut tape = Tape::new(Ruler::new(Estimator::Bytes));
        let _said = answer::read(answer.as_bytes(), &mut tape, false);
        tape.tokens()
    }

    fn piece() -> impl Strategy<Value = Value> {
        prop_oneof![
            8 => "[a-z\"\\\\\n\u{e9}\u{1f6a6} ]{0,20}".prop_map(|text| json!({ "type": "text", "text": text })),
            1 => Just(json!({ "type": "image", "data": "aGk=", "mimeType": "image/png" })),
            1 => Just(json!({ "type": "resource_link", "uri": "file:///a", "name": "text" })),
            1 => Just(json!({ "type": "resource", "resource": { "uri": "a:b", "text": "text" } })),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn it_is_the_number_that_reading_gives_or_none(
            pieces in prop::collection::vec(piece(), 0..3),
            list in prop_oneof![Just("content"), Just("contents"), Just("messages"), Just("other")],
            more in prop::option::of(prop_oneof![
                Just(("structuredContent", json!({ "text": "x" }))),
                Just(("isError", json!(true))),
            ]),
            spaced in any::<bool>(),
        ) {
            let mut result = json!({ list: pieces });
            if let Some((name, value)) = more {
                result[name] = value;
            }
            let whole = json!({ "jsonrpc": "2.0", "id": 1, "result": result });
            let answer =
                if spaced { serde_json::to_string_pretty(&whole).expect("JSON") } else { whole.to_string() };
            if let Some(bytes) = text_bytes(answer.as_bytes()) {
                prop_assert_eq!(of_bytes(wide(bytes)), read(&answer), "{}", answer);
            }
        }

        #[test]
        fn compact_json_is_as_long_as_it_is(text in "[ a-z\n\"\\\\]{0,12}") {
            let json = json!({ "a": text }).to_string();
            if let Some(bytes) = compact_bytes(json.as_bytes()) {
                prop_assert_eq!(bytes, compact(&json).len());
            }
        }
    }

    #[test]
    fn only_a_tool_that_says_it_did_not_fail_has_surely_not_failed() {
        assert!(super::may_have_failed(br#"{"result":{"content":[],"isError" : true}}"#));
        assert!(!super::may_have_failed(br#"{"result":{"content":[],"isError":false}}"#));
        assert!(!super::may_have_failed(br#"{"result":{"content":[]}}"#));
    }

    #[test]
    fn the_usual_answer_is_counted_at_once() {
        let usual = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"a \"b\"\n"}],"isError":false}}"#;
        assert_eq!(text_bytes(usual.as_bytes()), Some(6));
        let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no"}}"#;
        assert_eq!(text_bytes(error.as_bytes()), None);
    }
}
