//! What JSON becomes in a condition, or that it becomes nothing.
//!
//! Whole numbers are `int`, or `uint` where they are too large for that; others are `double`. A number that
//! neither can hold as written makes nothing of the whole, as does a name that is there twice, or in two
//! spellings (`spelling.rs`): an upstream might read it differently, and a condition about it would be
//! about something else.

use crate::condition::spelling::folded;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::{HashMap, HashSet};
use std::fmt;
use tollgate_core::bounds::policy::{ARGUMENTS_DEPTH_MAX, ARGUMENTS_VALUES_MAX};

/// From here on a `double` no longer holds every whole number (2^53).
const DOUBLE_EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// An object that was read.
pub(super) struct Object {
    /// What it is to conditions.
    pub(super) value: Box<dyn Val>,
    /// The names in it, at whatever depth.
    pub(super) names: Vec<Box<str>>,
}

/// Reads an object of at most so many bytes.
pub(super) fn object(text: &[u8], bytes_max: usize) -> Option<Object> {
    let text = text.trim_ascii();
    if text.len() > bytes_max || text.first() != Some(&b'{') {
        return None;
    }
    let (mut left, mut names) = (ARGUMENTS_VALUES_MAX, Vec::new());
    let mut source = serde_json::Deserializer::from_slice(text);
    let whole = Value { left: &mut left, names: &mut names, depth: 0 };
    let value = whole.deserialize(&mut source).ok()?;
    source.end().ok()?;
    Some(Object { value, names })
}

/// Reads one value, of those that may still be read.
struct Value<'l> {
    left: &'l mut usize,
    names: &'l mut Vec<Box<str>>,
    depth: usize,
}

impl Value<'_> {
    fn below(&mut self) -> Value<'_> {
        Value { left: self.left, names: self.names, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Box<dyn Val>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        if self.depth > ARGUMENTS_DEPTH_MAX {
            return Err(D::Error::custom("too deep"));
        }
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Box<dyn Val>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.abs() >= DOUBLE_EXACT_BELOW {
            return Err(E::custom("a number that would change"));
        }
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut source: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = source.next_element_seed(self.below())? {
            elements.push(element);
        }
        Ok(Box::new(CelList::from(elements)))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut source: A) -> Result<Self::Value, A::Error> {
        let mut members: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
        let mut spelled = HashSet::new();
        while let Some(name) = source.next_key::<String>()? {
            if !spelled.insert(folded(&name)) {
                return Err(A::Error::custom("two spellings of a name"));
            }
            self.names.push(name.as_str().into());
            let value = source.next_value_seed(self.below())?;
            let key = CelMapKey::String(CelString::from(name));
            members.insert(key, value);
        }
        Ok(Box::new(CelMap::from(members)))
    }
}
