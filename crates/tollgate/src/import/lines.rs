//! Lines of YAML: quoting, comments, and whole entries that are comments.
//!
//! Every value is quoted, so that nothing a client's file holds can become structure, and every comment
//! goes through one place that keeps it on its line.

use crate::screen::{is_unprintable, on_one_line};
use serde_json::Value;
use std::fmt::Write as _;
use tollgate_core::bounds::IMPORT_SHOWN_MAX;

/// Longest line before a list gets one line for each item.
const WIDTH: usize = 100;

/// The lines of a file, or of a part of it.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<String>);

impl Lines {
    /// `key: value` or anything else, `depth` levels in.
    pub(super) fn put(&mut self, depth: usize, text: &str) {
        self.0.push(format!("{}{text}", "  ".repeat(depth)));
    }

    /// A comment on one line.
    pub(super) fn remark(&mut self, depth: usize, text: &str) {
        self.put(depth, &format!("# {}", on_one_line(text, IMPORT_SHOWN_MAX)));
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.0.push(String::new());
    }

    /// `key: [a, b]`, or one line for each item where that is too long.
    pub(super) fn list(&mut self, depth: usize, key: &str, items: &[String]) {
        let line = format!("{key}: [{}]", items.join(", "));
        if depth * 2 + line.len() <= WIDTH {
            return self.put(depth, &line);
        }
        self.put(depth, &format!("{key}:"));
        for item in items {
            self.put(depth + 1, &format!("- {item}"));
        }
    }

    /// Appends others.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Appends others as comments: they can be taken in by removing `# `.
    pub(super) fn extend_as_comments(&mut self, depth: usize, others: Self) {
        let indent = "  ".repeat(depth);
        self.0.extend(others.0.into_iter().map(|line| {
            let line = line.strip_prefix(&indent).unwrap_or(&line);
            format!("{indent}# {line}").trim_end().to_owned()
        }));
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        let mut text = self.0.join("\n");
        text.push('\n');
        text
    }
}

/// A value in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_unprintable(c) => {
                // Writing to a string cannot fail. None of these is beyond four digits.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key, in quotes where YAML could take it for something else.
pub(super) fn key(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A value that could not be carried, for a comment: what looks like a secret is covered.
pub(super) fn covered(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut shown = text.clone();
            for one in crate::import::secrets::in_named(name, text).into_iter().rev() {
                shown.replace_range(one.bytes, "***");
            }
            Value::String(shown)
        }
        Value::Array(items) => items.iter().map(|item| covered(name, item)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), covered(key, value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, covered, key, quoted};
    use serde_json::json;

    #[test]
    fn values_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"b\\c\nd\u{85}é"), r#""a\"b\\c\nd\u0085é""#);
        assert_eq!(
            (key("API_KEY"), key("on"), key("7up")),
            ("API_KEY".into(), "\"on\"".into(), "\"7up\"".into())
        );
    }

    #[test]
    fn comments_cannot_leave_their_line() {
        let mut lines = Lines::default();
        lines.remark(1, "a\nb: c");
        assert_eq!(lines.into_text(), "  # a\\u{a}b: c\n");
    }

    #[test]
    fn an_entry_can_be_taken_in_again() {
        let (mut entry, mut lines) = (Lines::default(), Lines::default());
        entry.put(1, "a:");
        entry.put(2, "b: c");
        lines.extend_as_comments(1, entry);
        assert_eq!(lines.into_text(), "  # a:\n  #   b: c\n");
    }

    #[test]
    fn secrets_in_what_is_left_are_covered() {
        let value = json!({ "clientSecret": "abc", "clientId": "x", "list": ["Bearer abcdefgh"] });
        let expected = json!({ "clientSecret": "***", "clientId": "x", "list": ["Bearer ***"] });
        assert_eq!(covered("oauth", &value), expected);
    }
}
