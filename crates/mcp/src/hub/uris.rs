//! Resource URIs, task ids and request ids of upstreams, as agents of a hub see them.
//!
//! Each carries its upstream in front and comes back exactly as it was; nothing is remembered.
//! Each has one spelling outward: what would come back the same as another is not taken inward. A
//! URI that an upstream already gave such a front only gets another one, so it stays that
//! upstream's. Nothing is sealed: the front says where a name leads, not that anybody may go there.

use std::borrow::Cow;

use super::naming::{SEPARATOR, is_upstream};
use super::quote;
use crate::json::{Limits, Span, Text, judge_value};

/// The scheme of resources on a hub, up to the upstream's name.
const SCHEME: &str = "tollgate+";

/// MCP Apps: hosts know user interfaces by this scheme, so it must stay in front.
const APPS: &str = "ui://";

/// The URI, or URI template, on the hub of an upstream's resource: `tollgate+UPSTREAM:URI`, and
/// `ui://UPSTREAM__REST` for `ui://REST`.
#[must_use]
pub fn outward(upstream: &str, uri: &str) -> String {
    match uri.strip_prefix(APPS) {
        Some(rest) => format!("{APPS}{upstream}{SEPARATOR}{rest}"),
        None => format!("{SCHEME}{upstream}:{uri}"),
    }
}

/// The upstream and the original of a URI on the hub; `None` if [`outward`] does not give it.
#[must_use]
pub fn inward(uri: &str) -> Option<(&str, Cow<'_, str>)> {
    if let Some(rest) = uri.strip_prefix(APPS) {
        let (upstream, rest) = rest.split_once(SEPARATOR)?;
        return is_upstream(upstream).then(|| (upstream, Cow::Owned(format!("{APPS}{rest}"))));
    }
    let (upstream, original) = uri.strip_prefix(SCHEME)?.split_once(':')?;
    // Two spellings of one resource would be two resources to whoever judges by the spelling.
    let is_ours = is_upstream(upstream) && !original.starts_with(APPS);
    is_ours.then_some((upstream, Cow::Borrowed(original)))
}

/// The id on the hub of an upstream's task.
#[must_use]
pub fn outward_task(upstream: &str, id: &str) -> String {
    format!("{upstream}{SEPARATOR}{id}")
}

/// The upstream and the original of a task id on the hub.
#[must_use]
pub fn inward_task(id: &str) -> Option<(&str, &str)> {
    id.split_once(SEPARATOR).filter(|(upstream, _)| is_upstream(upstream))
}

/// The id, as a JSON string token, under which an agent sees an upstream's request. `raw_token` is
/// the upstream's own, quotes included: string and integer ids stay apart.
#[must_use]
pub fn outward_id(upstream: &str, raw_token: &[u8]) -> String {
    quote(&format!("{upstream}{SEPARATOR}{}", String::from_utf8_lossy(raw_token)))
}

/// The upstream and its own raw id token of an agent's answer; `None` if `token` is not a string
/// that [`outward_id`] gives for a valid id.
#[must_use]
pub fn inward_id(token: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = string(token)?.decode(token);
    let (upstream, original) = text.split_once(SEPARATOR)?;
    let original = original.as_bytes();
    let is_id = is_upstream(upstream) && (is_integer(original) || string(original).is_some());
    is_id.then(|| (upstream.to_owned(), original.to_vec()))
}

/// The token, if it is exactly one valid JSON string.
fn string(token: &[u8]) -> Option<Text> {
    let is_string = token.first() == Some(&b'"')
        && token.last() == Some(&b'"')
        && judge_value(token, &Limits::default()).is_ok();
    let escaped = memchr::memchr(b'\\', token).is_some();
    is_string.then(|| Text { span: Span::new(0, token.len()), escaped })
}

/// An integer in its one spelling.
fn is_integer(token: &[u8]) -> bool {
    match token {
        b"0" => true,
        [b'-', b'1'..=b'9', rest @ ..] | [b'1'..=b'9', rest @ ..] => {
            rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}
