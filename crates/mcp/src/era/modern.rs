//! Rules of the stateless revision 2026-07-28: per-request metadata and its mirror in headers.
//!
//! The body is the source of truth; a header that disagrees is refused, never preferred. What goes
//! upstream is written anew from the judged body.
//!
//! SPEC: 2026-07-28 basic/index `_meta`, basic/transports/streamable-http Request Metadata and
//! Server Validation.

use crate::headers::{self, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION};
use crate::json::{Kind, Message, Text};
use crate::methods::{Method, Target};
use crate::reply::ResultGlance;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;
use tollgate_core::refusal::{Reason, Refusal};

/// The revision's name on the wire.
pub const VERSION: &str = "2026-07-28";

/// Whether this is a modern version the gate speaks.
#[must_use]
pub fn speaks(version: &str) -> bool {
    version == VERSION
}

/// The refusal of a request that lacks a required `_meta` field (-32602).
#[must_use]
pub fn missing_meta(field: &'static str) -> Refusal {
    Refusal::new(
        Reason::InvalidParams,
        format!("`params._meta` must hold `{field}`: this revision has no session to keep it in"),
    )
}

/// Judges a modern message against its headers: metadata, version, then mirrors.
///
/// # Errors
/// [`Reason::InvalidParams`] for missing metadata or target, [`Reason::VersionUnsupported`],
/// [`Reason::HeaderMismatch`]; [`Reason::InvalidRequest`] for a response.
pub fn check(
    body: &[u8],
    message: &Message,
    method: Method,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    match message.kind {
        Kind::Request => check_request(body, message, method, headers),
        Kind::Notification => check_present_mirrors(body, message, headers),
        Kind::Response => Err(Refusal::new(
            Reason::InvalidRequest,
            "this revision has no responses from clients: repeat the request with \
             `inputResponses` instead",
        )),
    }
}

fn check_request(
    body: &[u8],
    message: &Message,
    method: Method,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let Some(meta) = message.fields.meta else {
        return Err(missing_meta("io.modelcontextprotocol/protocolVersion"));
    };
    let Some(version) = meta.protocol_version else {
        return Err(missing_meta("io.modelcontextprotocol/protocolVersion"));
    };
    if meta.client_capabilities.is_none() {
        return Err(missing_meta("io.modelcontextprotocol/clientCapabilities"));
    }
    let version = version.decode(body);
    equal(headers, &MCP_PROTOCOL_VERSION, &version, Presence::Required)?;
    if !speaks(&version) {
        return Err(super::unknown_version(&version, vec![VERSION]));
    }
    let name = message.method.map_or(Cow::Borrowed(""), |text| text.decode(body));
    equal(headers, &MCP_METHOD, &name, Presence::Required)?;
    if method.is_legacy_only() {
        let text = format!("unknown method `{name}`: this revision has no such method");
        return Err(Refusal::new(Reason::MethodUnknown, text));
    }
    if let Some(target) = method.target() {
        let Some(value) = target_of(message, target) else {
            return Err(Refusal::new(
                Reason::InvalidParams,
                format!("`params.{}` is missing", field(target)),
            ));
        };
        equal(headers, &MCP_NAME, &value.decode(body), Presence::Required)?;
    }
    Ok(())
}

/// Notifications need no mirrors, but mirrors that are there must not lie.
fn check_present_mirrors(
    body: &[u8],
    message: &Message,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if let Some(version) = message.fields.meta.and_then(|meta| meta.protocol_version) {
        equal(headers, &MCP_PROTOCOL_VERSION, &version.decode(body), Presence::Optional)?;
    }
    match message.method {
        Some(method) => equal(headers, &MCP_METHOD, &method.decode(body), Presence::Optional),
        None => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

fn equal(
    headers: &HeaderMap,
    name: &HeaderName,
    body_says: &str,
    presence: Presence,
) -> Result<(), Refusal> {
    let Ok(value) = headers::single(headers, name) else {
        return Err(mismatch(name, "is given more than once"));
    };
    let Some(value) = value else {
        return match presence {
            Presence::Required => Err(mismatch(name, "is missing")),
            Presence::Optional => Ok(()),
        };
    };
    match headers::decode_value(value.as_bytes()) {
        Ok(decoded) if decoded == body_says => Ok(()),
        Ok(_) => Err(mismatch(name, "contradicts the body")),
        Err(_) => Err(mismatch(name, "is malformed")),
    }
}

/// A header that contradicts the body (-32020).
#[must_use]
pub fn mismatch(name: &HeaderName, how: &str) -> Refusal {
    Refusal::new(
        Reason::HeaderMismatch,
        format!("header `{name}` {how}: it must repeat what the body says"),
    )
}

const fn field(target: Target) -> &'static str {
    match target {
        Target::Name => "name",
        Target::Uri => "uri",
        Target::TaskId => "taskId",
    }
}

/// The parameter that names what the message acts on.
#[must_use]
pub const fn target_of(message: &Message, target: Target) -> Option<Text> {
    match target {
        Target::Name => message.fields.name,
        Target::Uri => message.fields.uri,
        Target::TaskId => message.fields.task_id,
    }
}

/// Gives the mirrors of a judged message for the hop to the upstream.
pub fn write_mirrors(
    body: &[u8],
    message: &Message,
    method: Method,
    mut write: impl FnMut(&HeaderName, &HeaderValue),
) {
    write(&MCP_PROTOCOL_VERSION, &HeaderValue::from_static(VERSION));
    if let Some(text) = message.method {
        write(&MCP_METHOD, &headers::encode_value(&text.decode(body)));
    }
    if let Some(value) = method.target().and_then(|target| target_of(message, target)) {
        write(&MCP_NAME, &headers::encode_value(&value.decode(body)));
    }
}

/// The HTTP status that belongs to a JSON-RPC error code in this revision; `None` where the
/// specification leaves it open.
#[must_use]
pub const fn status_of(code: i64) -> Option<u16> {
    match code {
        -32022..=-32020 | -32700 | -32600 => Some(400),
        -32601 => Some(404),
        _ => None,
    }
}

/// The members a result lacks to be valid in this revision, as JSON text to insert after its `{`.
///
/// Servers in wide use forget them; the gate is a server of this revision itself and must not.
/// Never claims `public`: what an upstream did not declare shareable is private and stale at once.
#[must_use]
pub fn missing_members(method: Method, result: &ResultGlance, body: &[u8]) -> Option<String> {
    let mut members = Vec::new();
    if result.result_type.is_none() {
        members.push(r#""resultType":"complete""#);
    }
    let is_complete = result.result_type.is_none_or(|text| text.decode(body) == "complete");
    if method.is_cacheable() && is_complete {
        if !result.has_ttl_ms {
            members.push(r#""ttlMs":0"#);
        }
        if !result.has_cache_scope {
            members.push(r#""cacheScope":"private""#);
        }
    }
    if members.is_empty() {
        return None;
    }
    let mut text = members.join(",");
    if !result.is_empty {
        text.push(',');
    }
    Some(text)
}
