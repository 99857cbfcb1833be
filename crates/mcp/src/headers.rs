//! MCP's HTTP headers: their names, the encoding of their values, and their comparison with a body.
//!
//! Values are decoded exactly once, and a header that is there twice is never read. No header
//! decides anything here: the gate compares them with the judged body and writes its own upstream.
//!
//! SPEC: 2026-07-28 basic/transports/streamable-http, "Value Encoding" and "Server Validation".
//!
//! Next: `headers/number.rs` for comparing numbers, `headers/annotations.rs` for `x-mcp-header`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

mod annotations;
mod number;

use crate::json::{Span, Text};

pub use annotations::{
    Annotation, AnnotationFault, ParamKind, ToolHeaders, annotations, remove_elements,
};

/// The session of a legacy client.
pub const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The protocol version of a request.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The method of a modern request.
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The tool, prompt, resource or task that a modern request names.
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Where a legacy client wants a stream resumed.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What the names of headers for annotated arguments begin with.
pub const MCP_PARAM_PREFIX: &str = "mcp-param-";

const SENTINEL_START: &[u8] = b"=?base64?";
const SENTINEL_END: &[u8] = b"?=";

/// Why a header value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A literal value holds something else than visible ASCII and inner blanks.
    #[error("the value holds other than visible ascii; encode it as `=?base64?...?=`")]
    NotVisible,
    /// What the sentinel encloses is not standard base64 with padding.
    #[error("the value is not standard base64 with padding between `=?base64?` and `?=`")]
    NotBase64,
    /// The decoded value is not UTF-8.
    #[error("the base64 of the value does not encode utf-8")]
    NotUtf8,
}

/// The header is there more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header appears more than once; send it once")]
pub struct Repeated;

/// The value of a header that must not be there twice.
///
/// # Errors
/// [`Repeated`] if it is, even with equal values.
pub fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Repeated> {
    if headers.len() == headers.keys_len() {
        return Ok(headers.get(name));
    }
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(first) }
}

/// Decodes a header value, once.
///
/// # Errors
/// A [`HeaderFault`] if the value is neither a literal nor a well-formed sentinel.
pub fn decode_value(value: &[u8]) -> Result<Cow<'_, str>, HeaderFault> {
    let value = trim_blanks(value);
    if let Some(encoded) = sentinel(value) {
        let decoded = STANDARD.decode(encoded).map_err(|_| HeaderFault::NotBase64)?;
        return String::from_utf8(decoded).map(Cow::Owned).map_err(|_| HeaderFault::NotUtf8);
    }
    if !value.iter().all(|&byte| is_literal(byte)) {
        return Err(HeaderFault::NotVisible);
    }
    std::str::from_utf8(value).map(Cow::Borrowed).map_err(|_| HeaderFault::NotVisible)
}

/// Encodes a header value, as a literal where that reads back the same.
#[must_use]
pub fn encode_value(value: &str) -> HeaderValue {
    let bytes = value.as_bytes();
    let reads_back = bytes.iter().all(|&byte| is_literal(byte))
        && trim_blanks(bytes).len() == bytes.len()
        && sentinel(bytes).is_none();
    if reads_back && let Ok(literal) = HeaderValue::from_str(value) {
        return literal;
    }
    let encoded = format!("=?base64?{}?=", STANDARD.encode(bytes));
    // INVARIANT: base64 and the sentinel are visible ASCII, so the fallback is never taken.
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static("=?base64??="))
}

/// Whether a decoded header value says the same as a JSON value of a judged body: strings by
/// their bytes after unescaping, numbers by their value without rounding, booleans by their name.
/// `null`, objects and arrays have no header, so nothing equals them.
#[must_use]
pub fn params_equal(header: &str, json_token: &[u8]) -> bool {
    match json_token.first() {
        Some(b'"') => {
            let text = Text { span: Span::new(0, json_token.len()), escaped: true };
            text.decode(json_token) == header
        }
        Some(b't' | b'f') => json_token == header.as_bytes(),
        Some(b'-' | b'0'..=b'9') => number::are_equal(header.as_bytes(), json_token),
        _ => false,
    }
}

/// What a sentinel encloses. The markers are case-sensitive and must not overlap.
fn sentinel(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(SENTINEL_START)?.strip_suffix(SENTINEL_END)
}

fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

const fn is_literal(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}
