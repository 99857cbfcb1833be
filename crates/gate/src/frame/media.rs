//! Which kinds of bodies are read, and which kinds of answers a client takes.
//!
//! SPEC: 2026-07-28 basic/transports/streamable-http, Sending Messages to the Server: JSON in UTF-8,
//! answered by JSON or an event stream. Compressed bodies are not taken: they hide their size.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use tollgate_core::refusal::{Reason, Refusal};

/// Whether the body is of the kind that is read here.
///
/// # Errors
/// [`Reason::UnsupportedMedia`].
pub(super) fn is_taken(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |text| Err(Refusal::new(Reason::UnsupportedMedia, text));
    let media = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    // What nearly every client sends, without parsing.
    if media != Some(b"application/json") && !media.is_some_and(is_json) {
        return unsupported("send the message as `Content-Type: application/json` in UTF-8");
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return unsupported(
            "send the body without `Content-Encoding`: it is not decompressed here",
        );
    }
    Ok(())
}

/// Whether the client takes what a POST is answered with.
///
/// # Errors
/// [`Reason::NotAcceptable`].
pub(super) fn takes_answers(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(ACCEPT).is_some_and(|value| value == "application/json, text/event-stream") {
        return Ok(());
    }
    accepts(headers, "application/json").or_else(|_| accepts(headers, "text/event-stream"))
}

fn is_json(media: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(media) else { return false };
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Whether the client takes this kind of reply. A client that says nothing takes anything.
pub(crate) fn accepts(headers: &HeaderMap, kind: &str) -> Result<(), Refusal> {
    let mut given = headers.get_all(ACCEPT).iter().peekable();
    if given.peek().is_none() {
        return Ok(());
    }
    let takes = given.any(|value| {
        let Ok(text) = value.to_str() else { return false };
        let lower = text.to_ascii_lowercase();
        let major = kind.split('/').next().unwrap_or("");
        lower.contains(kind) || lower.contains("*/*") || lower.contains(&format!("{major}/*"))
    });
    if takes {
        return Ok(());
    }
    let text = "send `Accept: application/json, text/event-stream`: the reply is one of the two";
    Err(Refusal::new(Reason::NotAcceptable, text))
}
