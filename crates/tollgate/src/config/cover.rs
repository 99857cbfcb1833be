//! Covers a configuration file with `*`, so that reports may show its lines and never a secret.
//!
//! Everything is covered but what is known to be harmless: the words of the file's own language, and,
//! where the file could be parsed, names, and values that stand where the schema has a place for them and
//! are no secret there. So a secret stays covered that a slip of the keyboard moved elsewhere. References
//! (`${env:NAME}`) stay visible: they are not the secret. Lengths in bytes are kept.

use crate::config::tree::{Kind, Name, Node};
use serde_json::Value;
use std::collections::HashSet;
use std::ops::Range;

/// Words of references, shown besides the known keys.
const REFERENCE_WORDS: [&str; 2] = ["env", "file"];

/// Longest name that is shown.
const NAME_MAX: usize = 64;

/// Covers a file that could be parsed. `schema` is the one of the whole file.
pub(super) fn cover_tree(source: &str, root: &Node, schema: &Value) -> String {
    let mut covered = cover_words(source, &keys(schema));
    let mut uncover = Uncover { source: source.as_bytes(), covered: &mut covered };
    uncover.node(root, schema);
    into_text(covered)
}

/// Covers a file that could not be parsed.
pub(super) fn cover_text(source: &str, schema: &Value) -> String {
    into_text(cover_words(source, &keys(schema)))
}

/// As much of a name as may be shown. A value becomes part of a name where the space after a colon was
/// forgotten: `{ Authorization:secret }` is a name.
pub(super) fn shown_name(name: &str) -> String {
    let shown = shown_bytes(name);
    if shown == name.len() { name.to_owned() } else { format!("{}…", &name[..shown]) }
}

fn shown_bytes(name: &str) -> usize {
    let of_path = |b: u8| name.starts_with('/') && matches!(b, b'%' | b'?' | b'#');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./~".contains(&b) || of_path(b);
    name.bytes().take(NAME_MAX).take_while(|b| plain(*b)).count()
}

/// Every key of the file's language.
fn keys(schema: &Value) -> HashSet<&str> {
    let mut keys = HashSet::new();
    let mut waiting = vec![schema];
    while let Some(schema) = waiting.pop() {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            keys.insert(key.as_str());
            waiting.push(value);
        }
        waiting.extend(schema["anyOf"].as_array().into_iter().flatten());
        waiting.extend(schema.get("additionalProperties"));
        waiting.extend(schema.get("items"));
    }
    keys
}

/// Covers every word that is not a key. What stands between words stays.
fn cover_words(source: &str, keys: &HashSet<&str>) -> Vec<u8> {
    let mut covered = source.as_bytes().to_vec();
    let in_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-') || !b.is_ascii();
    let mut start = 0;
    while start < covered.len() {
        let length = covered[start..].iter().take_while(|b| in_word(b)).count();
        let word = &source.as_bytes()[start..start + length];
        // A dash alone starts an item of a list, three of them a document.
        let known = word.iter().all(|b| *b == b'-')
            || std::str::from_utf8(word)
                .is_ok_and(|word| keys.contains(word) || REFERENCE_WORDS.contains(&word));
        if !known {
            covered[start..start + length].fill(b'*');
        }
        start += length.max(1);
    }
    covered
}

/// Shows what is harmless: what stands where the schema has a place for it, and is no secret there.
struct Uncover<'a> {
    source: &'a [u8],
    covered: &'a mut Vec<u8>,
}

impl Uncover<'_> {
    fn node(&mut self, node: &Node, schema: &Value) {
        match &node.kind {
            Kind::Map(entries) => {
                let section = form(schema, "object");
                entries.iter().for_each(|(name, value)| self.entry(name, value, section));
            }
            Kind::List(items) => {
                let schema = &form(schema, "array")["items"];
                items.iter().for_each(|item| self.node(item, schema));
            }
            Kind::Scalar(text) => {
                self.cover(node.at.bytes.clone());
                let single = !schema.is_null()
                    && schema["writeOnly"].is_null()
                    && !matches!(schema["type"].as_str(), Some("object" | "array"));
                if single && !text.contains("-----BEGIN") {
                    self.show(node.at.bytes.clone());
                    self.cover_userinfo(node.at.bytes.clone());
                }
                self.show_references(node.at.bytes.clone());
            }
            Kind::Unsettled | Kind::Empty => {}
        }
    }

    fn entry(&mut self, name: &Name, value: &Node, section: &Value) {
        let range = name.at.bytes.clone();
        let table = &section["additionalProperties"];
        // A name without a value, among secrets, may be a secret itself: after `secret:,`, for one.
        let properties = section["properties"].as_object();
        let beside_secret = properties.is_some_and(|keys| {
            keys.get(&name.text).is_none() && keys.values().any(|key| !key["writeOnly"].is_null())
        });
        let among_secrets = beside_secret || !table["writeOnly"].is_null();
        let bare = matches!(value.kind, Kind::Empty) && among_secrets;
        if section.is_null() || bare {
            self.cover(range);
        } else {
            self.cover(range.clone());
            let quote =
                usize::from(self.source.get(range.start).is_some_and(|b| b"\"'".contains(b)));
            let shown = range.start + quote + shown_bytes(&name.text);
            self.show(range.start..shown.min(range.end));
        }
        let known = section["properties"].get(&name.text).or(table.is_object().then_some(table));
        self.node(value, known.unwrap_or(&Value::Null));
    }

    fn show(&mut self, range: Range<usize>) {
        if let (Some(shown), Some(text)) =
            (self.covered.get_mut(range.clone()), self.source.get(range))
        {
            shown.copy_from_slice(text);
        }
    }

    /// Covers all but white space and the quotes around.
    fn cover(&mut self, range: Range<usize>) {
        let Some(text) = self.covered.get_mut(range) else { return };
        let covers = |b: &&mut u8| !matches!(**b, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'');
        text.iter_mut().filter(covers).for_each(|b| *b = b'*');
    }

    /// Covers `user:password` in `scheme://user:password@host`.
    fn cover_userinfo(&mut self, range: Range<usize>) {
        let Some(text) = self.covered.get_mut(range) else { return };
        let scheme = text.windows(3).position(|window| window == b"://").map(|at| at + 2);
        let colon = scheme.or_else(|| text.iter().position(|b| *b == b':'));
        let start = colon.map_or(0, |at| at + 1);
        let end = text.iter().rposition(|b| *b == b'@').unwrap_or(0);
        if let Some(userinfo) = text.get_mut(start..end) {
            userinfo.fill(b'*');
        }
    }

    fn show_references(&mut self, range: Range<usize>) {
        let mut from = range.start;
        while let Some(rest) = self.source.get(from..range.end) {
            let starts = |prefix: &[u8]| rest.windows(prefix.len()).position(|w| w == prefix);
            let Some(start) = starts(b"${env:").into_iter().chain(starts(b"${file:")).min() else {
                return;
            };
            let Some(end) = rest[start..].iter().position(|b| *b == b'}') else { return };
            self.show(from + start..from + start + end + 1);
            from += start + end + 1;
        }
    }
}

/// The one of a value's forms that has this type.
fn form<'s>(schema: &'s Value, kind: &str) -> &'s Value {
    let forms = schema["anyOf"].as_array().into_iter().flatten();
    forms.chain([schema]).find(|form| form["type"] == kind).unwrap_or(&Value::Null)
}

/// A cover falls on whole characters, so this is text; if it were not, nothing of it would be shown.
fn into_text(covered: Vec<u8>) -> String {
    String::from_utf8(covered).unwrap_or_default()
}
