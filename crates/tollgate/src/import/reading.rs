//! From the text of a client's configuration file to one tree, whatever the format.
//!
//! JSON may have comments and trailing commas, as editors write it. Refuses files that are too deep,
//! and keys that are there twice: one of the two would be lost without a word.
//!
//! Next: `formats.rs`, which finds the servers in the tree.

use crate::import::ImportError;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use tollgate_core::bounds::IMPORT_DEPTH_MAX;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    Json,
    Toml,
}

/// Reads a whole file.
///
/// # Errors
/// It is neither JSON nor TOML, too deep, or has a key twice.
pub(super) fn read(text: &str, notation: Notation) -> Result<Value, ImportError> {
    match notation {
        Notation::Json => read_json(text),
        Notation::Toml => toml::Deserializer::parse(text)
            .and_then(|document| Tree { depth: 0 }.deserialize(document))
            .map_err(|error| ImportError::NotToml(error.to_string().trim().to_owned())),
    }
}

fn read_json(text: &str) -> Result<Value, ImportError> {
    let plain = plain_json(text.trim_start_matches('\u{feff}'));
    let mut reader = serde_json::Deserializer::from_str(&plain);
    let tree = Tree { depth: 0 }.deserialize(&mut reader);
    tree.and_then(|tree| reader.end().map(|()| tree))
        .map_err(|error| ImportError::NotJson(error.to_string()))
}

/// Replaces comments and trailing commas by spaces, so that places in messages stay right.
fn plain_json(text: &str) -> String {
    let mut plain = text.as_bytes().to_vec();
    // A comma behind a value, and whether a value may come before a comma here.
    let (mut comma, mut has_value) = (None, false);
    let mut at = 0;
    while let Some(&byte) = plain.get(at) {
        let end = match (byte, plain.get(at + 1)) {
            (b'"', _) => end_of_string(&plain, at),
            (b'/', Some(b'/')) => at + plain[at..].iter().take_while(|b| **b != b'\n').count(),
            (b'/', Some(b'*')) => {
                let close = plain[at + 2..].windows(2).position(|pair| pair == b"*/");
                close.map_or(plain.len(), |close| at + close + 4)
            }
            _ => at + 1,
        };
        match byte {
            b'/' if end > at + 1 => {
                let comment = plain[at..end].iter_mut();
                comment.filter(|b| !matches!(b, b'\n' | b'\r')).for_each(|b| *b = b' ');
            }
            _ if byte.is_ascii_whitespace() => {}
            b',' => {
                comma = has_value.then_some(at);
                has_value = false;
            }
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    plain[comma] = b' ';
                }
                has_value = true;
            }
            _ => (comma, has_value) = (None, !matches!(byte, b'{' | b'[')),
        }
        at = end;
    }
    // Whole comments and single commas were replaced: what is left is text as it was.
    String::from_utf8(plain).unwrap_or_default()
}

/// Behind the closing quote of the string that opens at `at`.
fn end_of_string(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(&byte) = text.get(end) {
        match byte {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    text.len()
}

/// Reads any value, counting how deep it is.
struct Tree {
    depth: usize,
}

impl Tree {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= IMPORT_DEPTH_MAX {
            return Err(E::custom("the file is nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.deeper()?)?;
            if map.contains_key(&key) {
                let key = key.escape_debug();
                return Err(A::Error::custom(format_args!("the key `{key}` is there twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::{Notation, read};
    use serde_json::json;

    #[test]
    fn comments_and_trailing_commas_are_read_over() {
        let text = "\u{feff}// one\n{ \"a\": [1, /* two */ 2,\n], // three\n \"b\": \"// no, \\\" /* no */ ,]\", }";
        let tree = read(text, Notation::Json).expect("JSON");
        assert_eq!(tree, json!({ "a": [1, 2], "b": "// no, \" /* no */ ,]" }));
    }

    #[test]
    fn what_is_broken_is_refused() {
        for text in ["{", "{} {}", "{ \"a\": 1, \"a\": 2 }", "[,]", "/* open", "{ \"a\": \"b }"] {
            assert!(read(text, Notation::Json).is_err(), "{text}");
        }
        assert!(read("a = 1\na = 2\n", Notation::Toml).is_err());
    }

    #[test]
    fn a_file_that_is_too_deep_is_refused() {
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        assert!(read(&deep, Notation::Json).is_err());
        assert!(read(&format!("a = {deep}"), Notation::Toml).is_err());
    }

    #[test]
    fn tables_keep_their_order() {
        let tree = read("[b]\nx = 1\n[a]\ny = true\n", Notation::Toml).expect("TOML");
        assert_eq!(tree.to_string(), r#"{"b":{"x":1},"a":{"y":true}}"#);
    }
}
