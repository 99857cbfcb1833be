//! Lists and results for people: names with the first line of what they say, texts as texts.
//!
//! What a server wrote is printed without control characters: a tool's description must not be able to
//! rewrite the terminal.

use crate::screen::{self, on_lines, on_one_line};
use serde_json::Value;
use std::fmt::Write as _;

/// Longest description that is shown, in characters.
const LINE_MAX: usize = 120;
/// Widest column of names.
const NAMES_MAX: usize = 40;

/// A list, one line for each.
pub(super) fn list(items: &[Value], what: &str) -> String {
    if items.is_empty() {
        return format!("no {what}\n");
    }
    let key = if what == "resources" { "uri" } else { "name" };
    let rows: Vec<(String, String)> = items
        .iter()
        .map(|item| {
            let name = on_one_line(item[key].as_str().unwrap_or("(without a name)"), 200);
            let about = [&item["description"], &item["title"], &item["name"]];
            let about = about.into_iter().filter_map(Value::as_str).find(|text| !text.is_empty());
            let line = about.and_then(|text| text.trim().lines().next()).unwrap_or_default();
            (name, on_one_line(line, LINE_MAX))
        })
        .collect();
    let width = rows.iter().map(|(name, _)| name.chars().count().min(NAMES_MAX)).max().unwrap_or(0);
    let mut text = String::new();
    for (name, about) in rows {
        let about = if about == name { String::new() } else { about };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("{name:<width$}  {about}").trim_end());
    }
    text
}

/// The result of a call.
pub(super) fn result(result: &Value) -> String {
    let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = String::new();
    for block in blocks {
        let block = block_text(block);
        text.push_str(&block);
        if !block.ends_with('\n') {
            text.push('\n');
        }
    }
    if text.is_empty() {
        let value = result.get("structuredContent").unwrap_or(result);
        text = format!("{}\n", screen::json(value));
    }
    text
}

fn block_text(block: &Value) -> String {
    let word = |key: &str| on_one_line(block[key].as_str().unwrap_or("?"), 200);
    match block["type"].as_str() {
        Some("text") => on_lines(block["text"].as_str().unwrap_or_default()),
        Some(kind @ ("image" | "audio")) => {
            let bytes = block["data"].as_str().map_or(0, |data| data.len() / 4 * 3);
            format!("[{kind} {}, about {bytes} bytes; `--json` prints it]", word("mimeType"))
        }
        Some("resource_link") => format!("[resource {} {}]", word("uri"), word("name")),
        Some("resource") => match block["resource"]["text"].as_str() {
            Some(text) => on_lines(text),
            None => {
                let uri = on_one_line(block["resource"]["uri"].as_str().unwrap_or("?"), 200);
                format!("[resource {uri}; `--json` prints it]")
            }
        },
        Some(_) | None => screen::json(block),
    }
}

#[cfg(test)]
mod tests {
    use super::{list, result};
    use serde_json::json;

    #[test]
    fn a_list_is_one_line_for_each() {
        let items = [
            json!({ "name": "count", "description": "Counts.\nMore." }),
            json!({ "name": "say\u{1b}[2J", "title": "Says" }),
        ];
        assert_eq!(list(&items, "tools"), "count         Counts.\nsay\\u{1b}[2J  Says\n");
        assert_eq!(list(&[], "prompts"), "no prompts\n");
        let resource = json!({ "uri": "file:///a", "name": "a" });
        assert_eq!(list(&[resource], "resources"), "file:///a  a\n");
    }

    #[test]
    fn texts_are_texts_and_the_rest_is_named() {
        let content = json!({ "content": [
            { "type": "text", "text": "a\nb\u{1b}" },
            { "type": "image", "mimeType": "image/png", "data": "AAAAAAAA" },
            { "type": "resource_link", "uri": "x://y", "name": "y" },
        ] });
        assert_eq!(
            result(&content),
            "a\nb\\u{1b}\n[image image/png, about 6 bytes; `--json` prints it]\n[resource x://y y]\n"
        );
        let structured = json!({ "content": [], "structuredContent": { "n": 1 } });
        assert_eq!(result(&structured), "{\n  \"n\": 1\n}\n");
    }
}
