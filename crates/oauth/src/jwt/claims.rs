//! Claims: what a token, or an answer about one, says.
//!
//! A claim that is there but is not what it must be is a fault, never absent: a check that is
//! skipped where a claim cannot be read is no check (CVE-2026-25537: `exp` as a string).

use super::JwtFault;
use crate::json::{self, JsonFault};
use serde_json::{Map, Value};
use std::fmt;

/// Latest time that is taken, in Unix seconds: the largest integer every reader of JSON reads alike
/// (RFC 7493 section 2.2). Far enough that adding to it cannot overflow.
const TIME_MAX: u64 = (1 << 53) - 1;

/// Claims by name. Values are never shown: they are about people.
#[derive(Clone, PartialEq)]
pub struct Claims {
    members: Map<String, Value>,
}

impl Claims {
    /// Reads claims that are not in a token, such as an answer to an introspection.
    ///
    /// # Errors
    /// If they are not one JSON object with unique members.
    pub fn parse(json: &[u8]) -> Result<Self, JsonFault> {
        json::object(json).map(Self::from)
    }

    /// All of them as the JSON text of one object, unless that is longer than `bytes_max`.
    #[must_use]
    pub fn whole(&self, bytes_max: usize) -> Option<String> {
        let text = serde_json::to_string(&self.members).ok()?;
        (text.len() <= bytes_max).then_some(text)
    }

    /// A text, if it is there.
    ///
    /// # Errors
    /// If something else is there.
    pub fn text(&self, name: &str) -> Result<Option<&str>, JwtFault> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwtFault::claim(name, "must be a string")),
        }
    }

    /// A time in Unix seconds, if it is there. Fractions are cut off.
    ///
    /// SPEC: RFC 7519 section 2 (NumericDate): a JSON number, which may have a fraction.
    ///
    /// # Errors
    /// If something else is there: a string, null, a negative number, or one beyond all times.
    pub fn time(&self, name: &str) -> Result<Option<u64>, JwtFault> {
        let number = match self.members.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(_) => return Err(JwtFault::claim(name, "must be a number")),
        };
        let seconds = match (number.as_u64(), number.as_f64()) {
            (Some(seconds), _) => seconds,
            // INVARIANT: not negative and at most 2^53, so that the cast only cuts the fraction off.
            (None, Some(seconds)) if (0.0..=TIME_MAX as f64).contains(&seconds) => seconds as u64,
            _ => return Err(JwtFault::claim(name, "must be a time in Unix seconds")),
        };
        if seconds > TIME_MAX {
            return Err(JwtFault::claim(name, "must be a time in Unix seconds"));
        }
        Ok(Some(seconds))
    }

    /// A text or a list of texts, if it is there.
    ///
    /// # Errors
    /// If something else is there.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, JwtFault> {
        self.value(name).map(|value| texts(name, value)).transpose()
    }

    /// The texts at a path (see [`Claims::path`]), if it is there.
    ///
    /// # Errors
    /// If something else than a text or a list of texts is there.
    pub fn texts_at(&self, path: &str) -> Result<Option<Vec<&str>>, JwtFault> {
        self.path(path).map(|value| texts(path, value)).transpose()
    }

    /// Whatever is there.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Whatever is at a path with dots: `realm_access.roles` is the member `roles` of the claim
    /// `realm_access`, unless there is a claim of that very name (claims may be URLs).
    #[must_use]
    pub fn path(&self, path: &str) -> Option<&Value> {
        find(&self.members, path)
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(members: Map<String, Value>) -> Self {
        Self { members }
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

fn texts<'a>(name: &str, value: &'a Value) -> Result<Vec<&'a str>, JwtFault> {
    let fault = || JwtFault::claim(name, "must be a string or a list of strings");
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(list) => {
            list.iter().map(|one| one.as_str().ok_or_else(fault)).collect::<Result<_, _>>()
        }
        _ => Err(fault()),
    }
}

/// LIMIT: goes down one level a dot; claims are at most 16 levels deep.
fn find<'a>(members: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    members.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let inner = members.get(&path[..dot])?.as_object()?;
            find(inner, &path[dot + 1..])
        })
    })
}
