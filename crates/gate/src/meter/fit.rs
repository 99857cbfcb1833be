//! Results that are longer than an operator allows: refused, or cut so that they say it.
//!
//! Only results that are too long are parsed; all others pass as their bytes. A cut result is valid
//! JSON, and whole items of its content are either there or not, except one text, which ends with a
//! mark.
//!
//! LIMIT: what is cut has no `structuredContent` any more, which clients of tools with an output
//! schema may miss: `refuse` is for those. What a tool that runs as a task comes to is not judged.

use crate::reply;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_limits::settings::Oversize;
use tollgate_mcp::json::splice;
use tollgate_mcp::reply::Glance;

/// Bytes that count as one token.
const TOKEN_BYTES: usize = super::TOKEN_BYTES as usize;

/// The longest result of a tool.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) tokens_max: u64,
    pub(crate) oversize: Oversize,
    /// The tool, as its upstream calls it.
    pub(crate) tool: Box<str>,
}

/// An answer that has its room, cut or an error in its place; `None` if this one has it.
pub(super) fn fit(answer: &Bytes, glance: &Glance, room: &Room) -> Option<Bytes> {
    let result = glance.result.as_ref()?.span;
    let tokens = super::tokens_of(result.len());
    if tokens <= room.tokens_max {
        return None;
    }
    let cut = match room.oversize {
        Oversize::Refuse => None,
        Oversize::Truncate => cut(result.of(answer), tokens, room.tokens_max),
    };
    Some(match cut {
        Some(cut) => splice(answer, &[(result, cut.as_bytes())]),
        None => {
            let refusal = too_long(tokens, room);
            let refused = reply::error_message(&refusal, glance.id.map(|id| id.of(answer)));
            splice(answer, &[(glance.span, &refused)])
        }
    })
}

fn too_long(tokens: u64, room: &Room) -> Refusal {
    let tool: String = room.tool.chars().take(80).collect();
    let text = format!(
        "the result has about {tokens} tokens, more than the {} allowed for tool `{}`: ask for less",
        room.tokens_max,
        tool.escape_debug()
    );
    Refusal::new(Reason::NeverFits, text)
}

/// The result with as much of its content as there is room for; `None` if it has none.
fn cut(result: &[u8], tokens: u64, tokens_max: u64) -> Option<String> {
    let mut result: Map<String, Value> = serde_json::from_slice(result).ok()?;
    let Some(Value::Array(content)) = result.remove("content") else { return None };
    let bytes_max = usize::try_from(tokens_max).ok()?.saturating_mul(TOKEN_BYTES);
    // What the rest says about itself has to leave room for the content.
    result.retain(|key, value| match key.as_str() {
        "isError" | "resultType" => true,
        "structuredContent" => false,
        _ => value.to_string().len() <= bytes_max / 8,
    });
    let meta = result.entry("_meta").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        meta.insert("tollgate/cut".to_owned(), json!({ "tokens": tokens, "allowed": tokens_max }));
    }
    let mark = format!("[cut by the gate: {tokens_max} of {tokens} tokens]");
    let frame = Value::Object(result.clone()).to_string().len() + r#","content":[]"#.len();
    let mark_bytes = json!({ "type": "text", "text": &mark }).to_string().len() + 1;
    let left = bytes_max.saturating_sub(frame + mark_bytes);
    result.insert("content".to_owned(), Value::Array(kept(content, left, &mark)));
    Some(Value::Object(result).to_string())
}

/// As many items as there is room for, in their order, with a mark at the end.
fn kept(content: Vec<Value>, mut left: usize, mark: &str) -> Vec<Value> {
    let mut kept = Vec::new();
    for mut item in content {
        let bytes = item.to_string().len() + 1;
        if bytes <= left {
            left -= bytes;
            kept.push(item);
            continue;
        }
        let Some(text) = text_of(&mut item) else { continue };
        let whole = std::mem::take(text);
        let frame = bytes - escaped_len(&whole) - 1;
        let Some(room) = left.checked_sub(frame).filter(|room| *room > 0) else { break };
        if let Some(text) = text_of(&mut item) {
            *text = format!("{}\n{mark}", head(&whole, room));
            kept.push(item);
            return kept;
        }
    }
    kept.push(json!({ "type": "text", "text": mark }));
    kept
}

/// The text of a text item, or of a resource with text.
fn text_of(item: &mut Value) -> Option<&mut String> {
    let holder = if item.get("resource").is_some() { item.get_mut("resource")? } else { item };
    match holder.get_mut("text")? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Bytes of a text in JSON, without its quotes.
fn escaped_len(text: &str) -> usize {
    text.chars().map(escaped_char).sum()
}

fn escaped_char(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => char.len_utf8(),
    }
}

/// The longest head of a text that takes no more than so many bytes in JSON.
fn head(text: &str, bytes: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, char)| {
        taken += escaped_char(*char);
        taken > bytes
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::{Room, TOKEN_BYTES, fit};
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tollgate_limits::settings::Oversize;
    use tollgate_mcp::reply::glance;

    fn fitted(result: &Value, tokens_max: u64, oversize: Oversize) -> (Bytes, Bytes) {
        let answer = format!(r#" {{"jsonrpc": "2.0","id": "a\u0031", "result":{result}}} "#);
        let answer = Bytes::from(answer);
        let found = glance(&answer).expect("an answer");
        let room = Room { tokens_max, oversize, tool: "read".into() };
        let fitted = fit(&answer, &found, &room);
        (answer.clone(), fitted.unwrap_or(answer))
    }

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn what_has_its_room_is_the_same_bytes() {
        let result =
            json!({ "content": [{ "type": "text", "text": "x" }], "structuredContent": {} });
        let tokens = result.to_string().len().div_ceil(TOKEN_BYTES) as u64;
        for oversize in [Oversize::Refuse, Oversize::Truncate] {
            let (before, after) = fitted(&result, tokens, oversize);
            assert_eq!(before.as_ptr(), after.as_ptr());
            let (before, after) = fitted(&result, tokens - 1, oversize);
            assert_ne!(before, after);
        }
    }

    #[test]
    fn a_refused_result_is_an_error_under_the_same_id_that_says_what_to_do() {
        let result = json!({ "content": [{ "type": "text", "text": "x".repeat(4_000) }] });
        let (_, refused) = fitted(&result, 100, Oversize::Refuse);
        let refused = parsed(&refused);
        assert_eq!(refused["id"], "a1");
        assert_eq!(refused["error"]["code"], -31011);
        let said = "the result has about 1010 tokens, more than the 100 allowed for tool `read`: \
                    ask for less";
        assert_eq!(refused["error"]["message"], said);
        assert!(refused.get("result").is_none());
    }

    #[test]
    fn a_text_is_cut_and_says_so_and_nothing_structured_is_left() {
        let result = json!({
            "content": [
                { "type": "text", "text": "first" },
                { "type": "image", "data": "A".repeat(4_000), "mimeType": "image/png" },
                { "type": "text", "text": "x".repeat(4_000), "annotations": { "priority": 1 } },
                { "type": "text", "text": "never" },
            ],
            "structuredContent": { "a": "x".repeat(4_000) },
            "isError": false,
            "_meta": { "kept": 1 },
        });
        let (_, cut) = fitted(&result, 150, Oversize::Truncate);
        let cut = parsed(&cut);
        let content = cut["result"]["content"].as_array().expect("content");
        assert_eq!(content.len(), 2, "{cut}");
        assert_eq!(content[0]["text"], "first");
        let text = content[1]["text"].as_str().expect("a text");
        let tokens = result.to_string().len().div_ceil(TOKEN_BYTES);
        let mark = format!("x\n[cut by the gate: 150 of {tokens} tokens]");
        assert!(text.ends_with(&mark), "{text}");
        assert_eq!(content[1]["annotations"]["priority"], 1);
        assert!(cut["result"].get("structuredContent").is_none());
        assert_eq!(cut["result"]["isError"], false);
        assert_eq!(cut["result"]["_meta"]["kept"], 1);
        assert_eq!(cut["result"]["_meta"]["tollgate/cut"]["allowed"], 150);
        let bytes = cut["result"].to_string().len();
        assert!((500..=600).contains(&bytes), "as much as there is room for, not more: {bytes}");
    }

    #[test]
    fn what_has_no_content_to_cut_is_refused() {
        let (_, refused) = fitted(&json!({ "x": "y".repeat(400) }), 10, Oversize::Truncate);
        assert_eq!(parsed(&refused)["error"]["code"], -31011);
    }

    proptest! {
        #[test]
        fn a_cut_result_is_json_and_has_its_room(
            texts in proptest::collection::vec("(?s).{0,200}", 1..6),
            tokens_max in 60_u64..200,
        ) {
            let items: Vec<Value> = texts.iter().map(|text| json!({ "type": "text", "text": text })).collect();
            let (_, cut) = fitted(&json!({ "content": items }), tokens_max, Oversize::Truncate);
            let found = glance(&cut).expect("an answer");
            let result = found.result.expect("a result").span;
            prop_assert!(result.len() <= tokens_max as usize * TOKEN_BYTES, "{}", result.len());
            let content = parsed(result.of(&cut))["content"].clone();
            for (item, text) in content.as_array().expect("content").iter().zip(&texts) {
                let shown = item["text"].as_str().expect("a text");
                let shown = shown.split("[cut by the gate").next().unwrap_or_default();
                prop_assert!(text.starts_with(shown.strip_suffix('\n').unwrap_or(shown)) || text == shown);
            }
        }
    }
}
