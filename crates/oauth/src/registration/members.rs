//! The members of a client's metadata, read strictly: one JSON object, the types the registry gives
//! them.
//!
//! Which texts may be shown to people is decided here too. Used by `registration.rs` only.

use super::RegistrationFault;
use crate::json;
use serde_json::{Map, Value};
use tollgate_core::bounds::issuer::CLIENT_TEXT_BYTES_MAX;

/// A JSON object whose names are each there once.
#[derive(Debug)]
pub(super) struct Members(Map<String, Value>);

impl Members {
    pub(super) fn parse(json: &[u8]) -> Result<Self, RegistrationFault> {
        json::object(json).map(Self).map_err(|fault| {
            RegistrationFault::metadata(format!("the metadata is not taken: {fault}"))
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member; `null` counts as left out.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, RegistrationFault> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = value.as_str();
        text.map(Some)
            .ok_or_else(|| RegistrationFault::metadata(format!("`{name}` must be a string")))
    }

    pub(super) fn texts(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Option<Vec<&str>>, RegistrationFault> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let list = value.as_array().filter(|list| list.len() <= max);
        let texts = list.and_then(|list| list.iter().map(Value::as_str).collect::<Option<_>>());
        texts.map(Some).ok_or_else(|| {
            RegistrationFault::metadata(format!(
                "`{name}` must be an array of at most {max} strings"
            ))
        })
    }
}

pub(super) fn check_text(name: &str, text: &str) -> Result<(), RegistrationFault> {
    if text.len() <= CLIENT_TEXT_BYTES_MAX && is_plain(text) {
        return Ok(());
    }
    Err(RegistrationFault::metadata(format!(
        "`{name}` is at most {CLIENT_TEXT_BYTES_MAX} bytes of visible characters"
    )))
}

/// The beginning of what somebody sent, fit for an error message.
pub(super) fn shown(text: &str) -> String {
    let fit = |c: char| if matches!(c, ' '..='~') && c != '`' { c } else { '?' };
    text.chars().take(100).map(fit).collect()
}

/// Whether people see all of a text, in the order it has: no control characters, no line
/// separators, nothing invisible, nothing that turns the direction.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| {
        c.is_control()
            || matches!(u32::from(c),
                // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers,
                // Khmer inherent vowels, Mongolian selectors.
                0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
                // Zero-width characters and direction marks, separators, embeddings, joiners,
                // isolates.
                | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
                | 0x2800 | 0x3164 | 0xfeff | 0xffa0
                // Interlinear annotations, musical formatting, tags, variation selectors, private use.
                | 0xfff0..=0xfffb | 0x1_d173..=0x1_d17a | 0xe_0000..=0xe_0fff
                | 0xe000..=0xf8ff | 0xf_0000..=0x10_ffff)
    })
}
