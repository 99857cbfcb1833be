//! Looking into judged values, and changing judged bytes without touching the rest.
//!
//! Everything here works on spans of a body that was judged or glanced at before; on other bytes
//! it finds nothing, and never panics. No JSON is parsed into a tree and none is re-serialised.

use bytes::Bytes;

use super::walk::{skip_space, skip_string, skip_value};
use super::{Span, Text};

/// The span of the value at `path`, following one object member a step.
///
/// `object` is where to start. Keys are compared unescaped; the first of equal keys counts, which
/// in a judged body is the only one.
#[must_use]
pub fn find_path(body: &[u8], object: Span, path: &[&str]) -> Option<Span> {
    path.iter().try_fold(object, |object, key| find_member(body, object, key))
}

fn find_member(body: &[u8], object: Span, wanted: &str) -> Option<Span> {
    let mut at = skip_space(body, object.start as usize);
    if body.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(body, at + 1);
    while body.get(at) == Some(&b'"') {
        let (key_end, escaped) = skip_string(body, at).ok()?;
        let key = Text { span: Span::new(at, key_end), escaped };
        let colon = skip_space(body, key_end);
        let start = skip_space(body, colon + 1);
        let end = skip_value(body, start).ok()?;
        if key.is(body, wanted) {
            return Some(Span::new(start, end));
        }
        at = skip_space(body, end);
        if body.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(body, at + 1);
    }
    None
}

/// The members of an object, in order: each key, and the span of its value; empty if there is no
/// object at `object`.
#[must_use]
pub fn members(body: &[u8], object: Span) -> Vec<(Text, Span)> {
    let mut found = Vec::new();
    let mut at = skip_space(body, object.start as usize);
    if body.get(at) != Some(&b'{') {
        return found;
    }
    at = skip_space(body, at + 1);
    while body.get(at) == Some(&b'"') {
        let Ok((key_end, escaped)) = skip_string(body, at) else { break };
        let key = Text { span: Span::new(at, key_end), escaped };
        let start = skip_space(body, skip_space(body, key_end) + 1);
        let Ok(end) = skip_value(body, start) else { break };
        found.push((key, Span::new(start, end)));
        at = skip_space(body, end);
        if body.get(at) != Some(&b',') {
            break;
        }
        at = skip_space(body, at + 1);
    }
    found
}

/// The keys of an object, in order.
#[must_use]
pub fn keys(body: &[u8], object: Span) -> Vec<Text> {
    members(body, object).into_iter().map(|(key, _)| key).collect()
}

/// The spans of an array's elements, in order; empty if there is no array at `array`.
#[must_use]
pub fn elements(body: &[u8], array: Span) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = skip_space(body, array.start as usize);
    if body.get(at) != Some(&b'[') {
        return found;
    }
    at = skip_space(body, at + 1);
    while let Ok(end) = skip_value(body, at) {
        found.push(Span::new(at, end));
        at = skip_space(body, end);
        if body.get(at) != Some(&b',') {
            break;
        }
        at = skip_space(body, at + 1);
    }
    found
}

/// The body with each span replaced by the bytes beside it. An empty span inserts.
///
/// Edits may come in any order; at one place they apply in the order given. They must not
/// overlap: one that begins within an earlier one is dropped.
#[must_use]
pub fn splice(body: &Bytes, edits: &[(Span, &[u8])]) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    let mut order: Vec<&(Span, &[u8])> = edits.iter().collect();
    order.sort_by_key(|(span, _)| span.start);
    let added: usize = edits.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut spliced = Vec::with_capacity(body.len() + added);
    let mut done = 0;
    for (span, bytes) in order {
        let range = span.range();
        debug_assert!(done <= range.start, "edits must not overlap");
        let Some(kept) = body.get(done..range.start) else { continue };
        spliced.extend_from_slice(kept);
        spliced.extend_from_slice(bytes);
        done = range.end;
    }
    spliced.extend_from_slice(body.get(done..).unwrap_or_default());
    Bytes::from(spliced)
}
