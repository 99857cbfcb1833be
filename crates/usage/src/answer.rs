//! What a JSON-RPC answer holds, as far as tokens go: the text a model is likely to be shown.
//!
//! Only the outer members are understood, and each stays where it is in the answer. What is not
//! understood counts by its JSON text, so nothing is free because it is unknown. An answer is never
//! refused here: what cannot be read counts by its bytes.
//!
//! Next: `text.rs`, `reported.rs`.

use crate::reported::{self, Report};
use crate::text::{Tape, compact};
use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use tollgate_core::bounds::usage::{COMPARED_BYTES_MAX, CONTENT_ITEMS_MAX};

/// What an answer says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// It is a JSON-RPC error.
    pub(crate) is_error: bool,
    /// It is the result of a tool that failed.
    pub(crate) is_tool_error: bool,
    /// What the upstream says it took.
    pub(crate) report: Report,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outer<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    structured_content: Option<&'a RawValue>,
    #[serde(borrow)]
    is_error: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

/// An element of `content`, `contents` or `messages`.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    blob: Option<&'a RawValue>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// Reads an answer onto the tape. `wants_report`: whether what the upstream says is looked at.
pub(crate) fn read(answer: &[u8], tape: &mut Tape, wants_report: bool) -> Answer {
    let mut read = Answer { is_error: false, is_tool_error: false, report: Report::Silent };
    let envelope = serde_json::from_slice::<Envelope<'_>>(answer);
    match envelope.map(|envelope| (envelope.result, envelope.error)) {
        Ok((Some(result), _)) => {
            let Ok(outer) = serde_json::from_str::<Outer<'_>>(result.get()) else {
                tape.add(&compact(result.get()));
                return read;
            };
            read.is_tool_error = outer.is_error.is_some_and(|raw| raw.get() == "true");
            if wants_report {
                read.report = reported::look(outer.meta, outer.structured_content);
            }
            if !add_content(&outer, tape) {
                tape.add(&compact(result.get()));
            }
        }
        Ok((None, Some(error))) => {
            read.is_error = true;
            tape.add(&compact(error.get()));
        }
        Ok((None, None)) | Err(_) => tape.add_bytes(answer.len()),
    }
    read
}

/// Adds what a result holds; false if it is of no form that is known.
fn add_content(outer: &Outer<'_>, tape: &mut Tape) -> bool {
    let lists = [outer.content, outer.contents, outer.messages];
    let mut texts = Vec::new();
    let mut is_known = false;
    for list in lists.into_iter().flatten() {
        is_known = true;
        let mut left = CONTENT_ITEMS_MAX;
        let each = each(list, |piece| {
            if left == 0 {
                return tape.add_bytes(piece.get().len());
            }
            left -= 1;
            add_piece(piece, tape, &mut texts, 0);
        });
        if each.is_err() {
            tape.add(&compact(list.get()));
        }
    }
    if let Some(structured) = outer.structured_content {
        is_known = true;
        if !is_said_already(&texts, structured.get()) {
            tape.add(&compact(structured.get()));
        }
    }
    is_known
}

/// Adds one element. Texts are kept for comparison.
fn add_piece<'a>(raw: &'a RawValue, tape: &mut Tape, texts: &mut Vec<Cow<'a, str>>, depth: u8) {
    let Ok(piece) = serde_json::from_str::<Piece<'a>>(raw.get()) else {
        return tape.add(&compact(raw.get()));
    };
    // A message has content, and content may embed a resource: no further.
    if let Some(inner) = piece.resource.or(piece.content).filter(|_| depth < 2) {
        return add_piece(inner, tape, texts, depth + 1);
    }
    if let Some(text) = piece.text.and_then(string) {
        tape.add(&text);
        texts.push(text);
    } else if piece.data.or(piece.blob).is_some() {
        tape.add_media();
    } else {
        tape.add(&compact(raw.get()));
    }
}

/// The value of a JSON string.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Whether the texts say what the structured content says: servers send both, and a model is shown
/// one. Some wrap a bare value as `{"result": …}`, and write one text for each element of a list.
fn is_said_already(texts: &[Cow<'_, str>], structured: &str) -> bool {
    let length: usize = texts.iter().map(|text| text.len()).sum();
    if texts.is_empty() {
        return false;
    }
    if structured.len().max(length) > COMPARED_BYTES_MAX {
        return matches!(texts, [one] if compact(one) == compact(structured));
    }
    let Ok(structured) = serde_json::from_str::<Value>(structured) else { return false };
    let wrapped = match &structured {
        Value::Object(members) if members.len() == 1 => members.get("result"),
        _ => None,
    };
    if let [one] = texts {
        return is_same(one, &structured) || wrapped.is_some_and(|value| is_same(one, value));
    }
    let elements = wrapped.unwrap_or(&structured).as_array();
    elements.is_some_and(|elements| {
        elements.len() == texts.len()
            && texts.iter().zip(elements).all(|(text, e)| is_same(text, e))
    })
}

fn is_same(text: &str, value: &Value) -> bool {
    value.as_str() == Some(text)
        || serde_json::from_str::<Value>(text).is_ok_and(|said| said == *value)
}

/// Shows each element of a JSON array.
fn each<'a>(array: &'a RawValue, show: impl FnMut(&'a RawValue)) -> Result<(), serde_json::Error> {
    struct Each<F>(F);
    impl<'a, F: FnMut(&'a RawValue)> Visitor<'a> for Each<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
            while let Some(element) = elements.next_element::<&'a RawValue>()? {
                (self.0)(element);
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(Each(show))
}

#[cfg(test)]
mod tests;
