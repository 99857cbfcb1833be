//! A judged JSON value as a tree with sorted keys and unescaped strings, and its canonical text.
//!
//! Numbers and literals stay text: nothing is rounded. Next: `diff.rs`.

use crate::hub::array::each_element;
use crate::json::{Span, Text, skip_value};
use crate::reply::GlanceFault;
use crate::reply::members::Members;
use std::fmt::Write as _;

/// One JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Members, sorted by key; no key twice.
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    /// The value of a string.
    Text(String),
    /// A number, `true`, `false` or `null`, as it was written.
    Token(String),
}

impl Node {
    /// Reads a value that was judged, so its nesting is bounded. `None` if it was not.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let start = crate::json::skip_space(json, 0);
        read(json, start).ok().map(|(node, _)| node)
    }

    /// Writes the canonical text.
    pub(super) fn write(&self, text: &mut String) {
        match self {
            Self::Object(members) => {
                text.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    write_string(key, text);
                    text.push(':');
                    value.write(text);
                }
                text.push('}');
            }
            Self::Array(elements) => {
                text.push('[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    element.write(text);
                }
                text.push(']');
            }
            Self::Text(value) => write_string(value, text),
            Self::Token(token) => text.push_str(token),
        }
    }

    /// The value for people: a string without its quotes, anything else as canonical text.
    pub(super) fn shown(&self) -> String {
        if let Self::Text(value) = self {
            return value.clone();
        }
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

/// Written out rather than left to a library, whose choice of escapes could change with its version:
/// digests outlive it.
fn write_string(value: &str, text: &mut String) {
    text.push('"');
    for letter in value.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control @ '\0'..='\u{1f}' => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

fn read(json: &[u8], at: usize) -> Result<(Node, usize), GlanceFault> {
    match json.get(at) {
        Some(b'{') => {
            let mut members = Members::open(json, at)?;
            let mut found = Vec::new();
            while let Some(key) = members.next_key()? {
                let (value, end) = read(json, members.at)?;
                members.at = end;
                found.push((key.decode(json).into_owned(), value));
            }
            found.sort_by(|(one, _), (other, _)| one.cmp(other));
            Ok((Node::Object(found), members.at))
        }
        Some(b'[') => {
            let mut elements = Vec::new();
            let end = each_element(json, at, |at| {
                let (element, end) = read(json, at)?;
                elements.push(element);
                Ok(end)
            })?;
            Ok((Node::Array(elements), end))
        }
        _ => {
            let end = skip_value(json, at)?;
            let span = Span::new(at, end);
            let raw = span.of(json);
            let node = if raw.first() == Some(&b'"') {
                let escaped = memchr::memchr(b'\\', raw).is_some();
                Node::Text(Text { span, escaped }.decode(json).into_owned())
            } else {
                Node::Token(String::from_utf8_lossy(raw).into_owned())
            };
            Ok((node, end))
        }
    }
}
