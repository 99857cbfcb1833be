//! The modern era (2026-07-28): every request stands alone and says what it is.
//!
//! The body is the truth; headers that mirror it must agree. Judged in this order: the required
//! `_meta` members, the version, the mirrored headers, the method. No request is ever sent to the
//! client, and a reader that leaves cancels its call.
//!
//! Next: `modern_tools.rs` for calls.

use crate::door::{VERSION_HEADER, header, meta};
use crate::legacy;
use crate::message::{Message, Request};
use crate::modern_tools;
use crate::reply::{Failure, Response, empty, notification, refuse, result, stream, whole};
use crate::serve::Shared;
use crate::stream;
use crate::tools;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// The modern revision served.
pub const VERSION: &str = "2026-07-28";
pub(crate) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";
/// How long lists may be cached: they never change while the process lives.
const TTL_MILLIS: u64 = 60_000;

/// Whether a version header says that the client speaks this era.
pub(crate) fn is_modern(version: &str) -> bool {
    version == VERSION
}

/// Answers a request or a notification.
pub(crate) fn answer(message: Message, headers: &HeaderMap, shared: &Arc<Shared>) -> Response {
    let Message::Request(request) = message else {
        return empty(StatusCode::ACCEPTED);
    };
    match judge(&request, headers).and_then(|()| dispatch(&request, shared)) {
        Ok(response) => response,
        Err(failure) => refuse(&failure, Some(&request.id)),
    }
}

fn judge(request: &Request, headers: &HeaderMap) -> Result<(), Failure> {
    let meta = meta(&request.params).ok_or_else(|| Failure::meta("`params._meta` is missing"))?;
    let version = meta
        .get(VERSION_KEY)
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::meta(format!("`_meta` lacks `{VERSION_KEY}`")))?;
    if !meta.get(CAPABILITIES_KEY).is_some_and(Value::is_object) {
        return Err(Failure::meta(format!("`_meta` lacks `{CAPABILITIES_KEY}`")));
    }
    if version != VERSION {
        return Err(Failure::version(&supported(), version));
    }
    mirrored(headers, VERSION_HEADER, Some(version))?;
    mirrored(headers, "mcp-method", Some(&request.method))?;
    let named = match request.method.as_str() {
        "tools/call" | "prompts/get" => request.params.get("name"),
        "resources/read" => request.params.get("uri"),
        _ => None,
    };
    mirrored(headers, "mcp-name", named.and_then(Value::as_str))?;
    if meta.get(LOG_LEVEL_KEY).is_some_and(|level| tools::rank(Some(level)).is_none()) {
        return Err(Failure::params("`logLevel` is not a log level"));
    }
    Ok(())
}

/// SPEC: 2026-07-28 streamable-http, Server Validation and Value Encoding.
fn mirrored(headers: &HeaderMap, name: &str, body: Option<&str>) -> Result<(), Failure> {
    let Some(body) = body else {
        return Ok(());
    };
    let value = header(headers, name)?
        .ok_or_else(|| Failure::mismatch(format!("header `{name}` is missing")))?;
    match decode(value) {
        Some(value) if value == body => Ok(()),
        Some(_) => Err(Failure::mismatch(format!("header `{name}` contradicts the body"))),
        None => Err(Failure::mismatch(format!("header `{name}` is not well encoded"))),
    }
}

fn decode(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => Some(String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?.into()),
        None => Some(value.into()),
    }
}

fn supported() -> Vec<&'static str> {
    std::iter::once(VERSION).chain(legacy::VERSIONS).collect()
}

fn dispatch(request: &Request, shared: &Arc<Shared>) -> Result<Response, Failure> {
    let value = match request.method.as_str() {
        "server/discover" => cacheable(json!({
            "supportedVersions": supported(),
            "capabilities": { "tools": {}, "logging": {} },
            "instructions": "Call `count`, then again with the handle it returned.",
        })),
        "tools/list" => cacheable(json!({ "tools": tools::list(true) })),
        "tools/call" => return modern_tools::call(request, shared),
        "subscriptions/listen" => return listen(request, shared),
        method => return Err(Failure::method(StatusCode::NOT_FOUND, method)),
    };
    Ok(whole(StatusCode::OK, &result(&request.id, &complete(value))))
}

fn cacheable(mut value: Value) -> Value {
    value["ttlMs"] = json!(TTL_MILLIS);
    value["cacheScope"] = json!("public");
    value
}

/// A result of this era: its type, and who made it.
pub(crate) fn complete(mut value: Value) -> Value {
    value["resultType"] = json!("complete");
    value["_meta"] = json!({ SERVER_KEY: server_info() });
    value
}

/// Who this server says it is.
pub(crate) fn server_info() -> Value {
    json!({ "name": "tollgate-demo", "version": env!("CARGO_PKG_VERSION") })
}

/// Whether the client wants log messages at `info` for this request.
pub(crate) fn wants_log(params: &Map<String, Value>) -> bool {
    let level = meta(params).and_then(|meta| meta.get(LOG_LEVEL_KEY));
    tools::rank(level).is_some_and(|least| tools::INFO >= least)
}

/// What the client can do, as this request declares it.
pub(crate) fn client_can(params: &Map<String, Value>, capability: &str) -> bool {
    meta(params)
        .and_then(|meta| meta.get(CAPABILITIES_KEY))
        .and_then(|capabilities| capabilities.get(capability))
        .is_some_and(Value::is_object)
}

/// SPEC: 2026-07-28 basic/patterns/subscriptions. Nothing here ever changes, so nothing is
/// promised: the acknowledgement names no notification, and the stream stays open and silent.
fn listen(request: &Request, shared: &Arc<Shared>) -> Result<Response, Failure> {
    if !request.params.get("notifications").is_some_and(Value::is_object) {
        return Err(Failure::params("`notifications` must be an object"));
    }
    let (events, body) = stream::open();
    let id = request.id.clone();
    let shared = shared.clone();
    // Owned by its reader and the instance: it ends with whichever ends first.
    tokio::spawn(async move {
        let about = json!({ SUBSCRIPTION_KEY: id });
        let params = json!({ "notifications": {}, "_meta": about });
        let acknowledged = notification("notifications/subscriptions/acknowledged", &params);
        if events.send(&acknowledged).await.is_err() {
            return;
        }
        tokio::select! {
            () = events.closed() => return,
            () = shared.stopping() => {}
        }
        let end = result(&id, &json!({ "resultType": "complete", "_meta": about }));
        // A reader that left at the same moment needs no farewell.
        let _gone = events.send(&end).await;
    });
    Ok(stream(body))
}
