//! JSON as it must be where a signature or a decision rests on it: one reading, whoever reads.
//!
//! A member that is there twice is refused at every level, since two readers could each believe
//! another one (RFC 8725 section 2.6, RFC 7519 section 4); so is deep nesting, and a number that is
//! not finite. Says what is wrong, never what was there.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;
use tollgate_core::bounds::identity::CLAIMS_DEPTH_MAX;

/// Why a text is not taken as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// It is not a JSON text, or not a single one.
    #[error("it is not JSON")]
    NotJson,
    /// It is JSON, but not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// An object names a member twice.
    #[error("it names a member twice")]
    Twice,
    /// It is nested too deeply.
    #[error("it is nested too deeply")]
    Deep,
}

/// Reads one JSON object, and nothing after it.
///
/// # Errors
/// If it is not exactly one object with unique members, nested at most [`CLAIMS_DEPTH_MAX`] deep.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Seed { left: CLAIMS_DEPTH_MAX }.deserialize(&mut reader);
    let value = read.map_err(|error| fault(&error))?;
    reader.end().map_err(|_| JsonFault::NotJson)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonFault::NotAnObject),
    }
}

const TWICE: &str = "a member is there twice";
const DEEP: &str = "it is nested too deeply";

fn fault(error: &serde_json::Error) -> JsonFault {
    // A reader's own words arrive as an error of serde_json, with the place appended. Nothing of
    // the text itself is in its other messages, except where a type is wrong, which no value is.
    let text = error.to_string();
    match () {
        () if text.starts_with(TWICE) => JsonFault::Twice,
        () if text.starts_with(DEEP) => JsonFault::Deep,
        () => JsonFault::NotJson,
    }
}

/// Reads one value with at most so many levels in it.
#[derive(Clone, Copy)]
struct Seed {
    left: usize,
}

impl Seed {
    fn below<E: Error>(self) -> Result<Self, E> {
        self.left.checked_sub(1).map(|left| Self { left }).ok_or_else(|| E::custom(DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(below)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(below)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonFault, object};
    use serde_json::{Value, json};

    #[test]
    fn a_member_that_is_there_twice_is_refused_at_every_level() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"b":{"a":1,"c":2,"a":null}}"#,
            r#"{"b":[0,[{"a":1,"a":2}]]}"#,
        ] {
            assert_eq!(object(text.as_bytes()), Err(JsonFault::Twice), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", " ", "{", "{}x", "{} {}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1,}"] {
            assert_eq!(object(text.as_bytes()), Err(JsonFault::NotJson), "{text}");
        }
        for text in ["{\"a\":01}", "{\"a\":1e400}", "{\"a\":NaN}", "{\"a\":\"\\ud800\"}"] {
            assert_eq!(object(text.as_bytes()), Err(JsonFault::NotJson), "{text}");
        }
        for text in ["[]", "null", "1", "\"{}\"", "true"] {
            assert_eq!(object(text.as_bytes()), Err(JsonFault::NotAnObject), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(JsonFault::NotJson));
        assert_eq!(object(b"\xef\xbb\xbf{}"), Err(JsonFault::NotJson));
    }

    #[test]
    fn sixteen_levels_are_read_and_seventeen_are_not() {
        let nested = |levels: usize| {
            let inner = levels - 1;
            format!(r#"{{"a":{}{}}}"#, "[".repeat(inner), "]".repeat(inner))
        };
        assert!(object(nested(16).as_bytes()).is_ok());
        assert_eq!(object(nested(17).as_bytes()), Err(JsonFault::Deep));
        assert_eq!(object(nested(4_000).as_bytes()), Err(JsonFault::Deep));
    }

    #[test]
    fn values_are_read_as_they_are() {
        let text =
            r#"{"s":"a\u0000ü","i":-1,"u":18446744073709551615,"f":1.5,"n":null,"b":[true,{}]}"#;
        let expected = json!({
            "s": "a\0ü", "i": -1, "u": u64::MAX, "f": 1.5, "n": null, "b": [true, {}]
        });
        assert_eq!(object(text.as_bytes()).map(Value::Object), Ok(expected));
    }
}
