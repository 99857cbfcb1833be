//! What is sent back: results, failures and the HTTP responses that carry them.
//!
//! The one place that knows the error codes of both eras.

use crate::stream::Body;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use std::borrow::Cow;

/// An HTTP response of this server.
pub(crate) type Response = http::Response<Body>;

/// A request that is not served, with its HTTP status and JSON-RPC code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    code: i64,
    text: Cow<'static, str>,
    data: Option<Value>,
}

impl Failure {
    fn new(status: StatusCode, code: i64, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, text: text.into(), data: None }
    }

    /// A failure of HTTP rather than of JSON-RPC.
    pub(crate) fn status(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, -32600, text)
    }

    pub(crate) fn parse(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32700, text)
    }

    pub(crate) fn invalid_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32600, text)
    }

    /// SPEC: 2026-07-28 streamable-http, Server Validation.
    pub(crate) fn mismatch(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32020, text)
    }

    /// SPEC: 2026-07-28 basic/index, `_meta`: a required member is missing.
    pub(crate) fn meta(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, -32602, text)
    }

    /// SPEC: 2026-07-28 basic/versioning, `MissingRequiredClientCapabilityError`.
    pub(crate) fn capability(required: &Value) -> Self {
        let mut failure =
            Self::new(StatusCode::BAD_REQUEST, -32021, "the client lacks a capability");
        failure.data = Some(json!({ "requiredCapabilities": required }));
        failure
    }

    /// SPEC: 2026-07-28 basic/versioning, `UnsupportedProtocolVersionError`.
    pub(crate) fn version(supported: &[&str], requested: &str) -> Self {
        let mut failure =
            Self::new(StatusCode::BAD_REQUEST, -32022, "this protocol version is not supported");
        failure.data = Some(json!({ "supported": supported, "requested": requested }));
        failure
    }

    /// Parameters that cannot be used. Not the transport's business, hence 200.
    pub(crate) fn params(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::OK, -32602, text)
    }

    /// A method this server does not have: 404 in the modern era, 200 in the legacy one, where 404
    /// would mean that the session is gone.
    pub(crate) fn method(status: StatusCode, method: &str) -> Self {
        Self::new(status, -32601, format!("unknown method `{method}`"))
    }

    /// The JSON-RPC error, with the id of what it answers if that is known.
    pub(crate) fn message(&self, id: Option<&Value>) -> Value {
        let mut error = json!({ "code": self.code, "message": self.text });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        match id {
            Some(id) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
            None => json!({ "jsonrpc": "2.0", "error": error }),
        }
    }
}

/// A JSON-RPC response.
pub(crate) fn result(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// A JSON-RPC notification.
pub(crate) fn notification(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

/// One failure as an HTTP response.
pub(crate) fn refuse(failure: &Failure, id: Option<&Value>) -> Response {
    whole(failure.status, &failure.message(id))
}

/// One JSON value as an HTTP response.
pub(crate) fn whole(status: StatusCode, value: &Value) -> Response {
    let mut response = http::Response::new(Body::whole(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An HTTP response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Body::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// An event stream as an HTTP response.
pub(crate) fn stream(body: Body) -> Response {
    let mut response = http::Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
