//! Answers as values: their body is whole, since nothing here is longer than a page.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use serde_json::Value;

/// The body of an answer.
pub type Body = Full<Bytes>;
/// An answer.
pub type Response = http::Response<Body>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    of(status, "", Bytes::new())
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    of(status, "application/json", Bytes::from(value.to_string()))
}

/// An answer of a media type.
pub(crate) fn of(status: StatusCode, media_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if !media_type.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}
