//! The only map from a refusal to HTTP and JSON-RPC.
//!
//! Speaks to proxies (status, `Retry-After`), to SDKs (a JSON-RPC error with the request's own id)
//! and to language models (one sentence that says what to do).
//!
//! `reply/limit.rs` has what is said of limits besides the sentence.

mod limit;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;
use tollgate_core::refusal::{Blame, Reason, Refusal};
use tollgate_mcp::era::Era;

use crate::body::GateBody;
use crate::frame;
use limit::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Media type of a single reply.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// HTTP status and JSON-RPC code of every reason.
///
/// SPEC: JSON-RPC 2.0 section 5.1; 2026-07-28 basic/index, Error Codes: -32020 to -32022 as
/// defined there; codes of our own lie outside -32768 to -32000.
#[must_use]
pub const fn answer(reason: Reason) -> (StatusCode, i64) {
    match reason {
        Reason::BadRequest | Reason::InvalidRequest | Reason::SessionRequired => {
            (StatusCode::BAD_REQUEST, -32600)
        }
        Reason::ParseError => (StatusCode::BAD_REQUEST, -32700),
        Reason::InvalidParams => (StatusCode::BAD_REQUEST, -32602),
        Reason::HeaderMismatch => (StatusCode::BAD_REQUEST, -32020),
        Reason::MethodUnknown => (StatusCode::NOT_FOUND, -32601),
        Reason::VersionUnsupported => (StatusCode::BAD_REQUEST, -32022),
        Reason::Unauthenticated => (StatusCode::UNAUTHORIZED, -31005),
        Reason::ScopeInsufficient => (StatusCode::FORBIDDEN, -31006),
        Reason::IdentityUnavailable => (StatusCode::SERVICE_UNAVAILABLE, -31007),
        Reason::PolicyDenied => (StatusCode::FORBIDDEN, -31008),
        Reason::LimitReached => (StatusCode::TOO_MANY_REQUESTS, -31009),
        Reason::BudgetExhausted => (StatusCode::TOO_MANY_REQUESTS, -31010),
        // Waiting does not help, so it must not look as if it did.
        Reason::NeverFits => (StatusCode::UNPROCESSABLE_ENTITY, -31011),
        Reason::LedgerUnavailable => (StatusCode::SERVICE_UNAVAILABLE, -31012),
        Reason::HostRefused | Reason::OriginRefused => (StatusCode::FORBIDDEN, -32600),
        Reason::RouteUnknown | Reason::SessionUnknown => (StatusCode::NOT_FOUND, -32600),
        Reason::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, -32600),
        Reason::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, -32600),
        Reason::UnsupportedMedia => (StatusCode::UNSUPPORTED_MEDIA_TYPE, -32600),
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, -32600),
        Reason::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, -32600),
        Reason::SessionsFull => (StatusCode::SERVICE_UNAVAILABLE, -31001),
        Reason::CallerSessionsFull => (StatusCode::TOO_MANY_REQUESTS, -31002),
        Reason::CallerStreamsFull => (StatusCode::TOO_MANY_REQUESTS, -31003),
        Reason::Draining => (StatusCode::SERVICE_UNAVAILABLE, -31004),
        Reason::UpstreamDown => (StatusCode::SERVICE_UNAVAILABLE, -32603),
        Reason::UpstreamLost | Reason::UpstreamInvalid | Reason::UpstreamRefused => {
            (StatusCode::BAD_GATEWAY, -32603)
        }
        Reason::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, -32603),
        Reason::Internal => (StatusCode::INTERNAL_SERVER_ERROR, -32603),
    }
}

/// The JSON-RPC error message of a refusal.
#[must_use]
pub fn error_message(refusal: &Refusal, id: Option<&[u8]>) -> Vec<u8> {
    let (_, code) = answer(refusal.reason);
    let mut data = json!({
        "reason": refusal.reason.code(),
        "blame": match refusal.reason.blame() {
            Blame::Caller => "caller",
            Blame::Operator => "operator",
            Blame::Upstream => "upstream",
            Blame::Gate => "gate",
        },
    });
    if let Some(secs) = refusal.retry_after_secs {
        data["retryAfterSeconds"] = secs.into();
    }
    if let Some(facts) = &refusal.limit {
        limit::describe(facts, &mut data);
    }
    if let Some(versions) = &refusal.versions {
        data["supported"] = versions.supported.clone().into();
        data["requested"] = versions.requested.clone().into();
    }
    let error = json!({ "code": code, "message": refusal.text, "data": data });
    message(id, ("error", &error))
}

/// A refusal as the result of a tool that failed: the only form in which some models read it.
///
/// SPEC: 2025-11-25 server/tools, Error Handling; 2026-07-28 basic/index: `resultType`.
#[must_use]
pub fn tool_error(refusal: &Refusal, id: &[u8], era: Era) -> Vec<u8> {
    let mut result = json!({
        "content": [{ "type": "text", "text": refusal.text }],
        "isError": true,
    });
    if era == Era::Modern {
        result["resultType"] = "complete".into();
    }
    message(Some(id), ("result", &result))
}

fn message(id: Option<&[u8]>, (key, value): (&str, &serde_json::Value)) -> Vec<u8> {
    let mut message = br#"{"jsonrpc":"2.0","#.to_vec();
    // SPEC: 2025-11-25 and later: an error for a request whose id could not be read has none.
    if let Some(id) = id {
        message.extend_from_slice(br#""id":"#);
        message.extend_from_slice(id);
        message.push(b',');
    }
    message.extend_from_slice(format!(r#""{key}":{value}}}"#).as_bytes());
    message
}

/// The HTTP response to a refused request.
#[must_use]
pub fn refuse(refusal: &Refusal, id: Option<&[u8]>) -> Response<GateBody> {
    let (status, _) = answer(refusal.reason);
    let mut response = json(status, Bytes::from(error_message(refusal, id)));
    let headers = response.headers_mut();
    if let Some(secs) = refusal.retry_after_secs {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    if let Some((policy, state)) = refusal.limit.as_deref().and_then(limit::headers) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, state);
    }
    let challenge = refusal.challenge.as_deref();
    if let Some(challenge) = challenge.and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    match refusal.reason {
        Reason::MethodNotAllowed => {
            let (name, value) = frame::ALLOWED;
            headers.insert(name, value);
        }
        // What follows on this connection may not be what the client thinks it is.
        Reason::BadRequest | Reason::TooLarge | Reason::RequestTimeout | Reason::Draining => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

/// A JSON response.
#[must_use]
pub fn json(status: StatusCode, body: Bytes) -> Response<GateBody> {
    let mut response = Response::new(GateBody::Full(Some(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// The response that carries an event stream.
#[must_use]
pub fn events(body: GateBody) -> Response<GateBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // SPEC: 2026-07-28 streamable-http: proxies in between must not hold events back.
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// The response to a message that is answered elsewhere.
#[must_use]
pub fn accepted() -> Response<GateBody> {
    let mut response = Response::new(GateBody::Full(Some(Bytes::from_static(b"Accepted"))));
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A response without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<GateBody> {
    let mut response = Response::new(GateBody::Full(None));
    *response.status_mut() = status;
    response
}
