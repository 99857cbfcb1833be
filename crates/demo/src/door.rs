//! The door: path, host, origin, media types and size, then the choice of the era.
//!
//! The era follows from how the client opens: a request with a modern `_meta` is served
//! statelessly, everything else belongs to a session. A contradicting header is an error, never a
//! silent switch.
//!
//! Next: `legacy.rs` and `modern.rs`.

use crate::bounds::REQUEST_BYTES_MAX;
use crate::message::{self, Incoming as Received, Message};
use crate::reply::{Failure, Response, refuse};
use crate::serve::Shared;
use crate::{legacy, modern};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;

/// The path of the MCP endpoint.
pub const PATH: &str = "/mcp";

/// Header with the version the client speaks.
pub(crate) const VERSION_HEADER: &str = "mcp-protocol-version";

/// Answers one HTTP request.
pub(crate) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response, Infallible> {
    Ok(match admit(request, &shared).await {
        Ok(response) => response,
        Err(failure) => refuse(&failure, None),
    })
}

async fn admit(request: Request<Incoming>, shared: &Arc<Shared>) -> Result<Response, Failure> {
    if request.uri().path() != PATH {
        return Err(Failure::status(StatusCode::NOT_FOUND, "the MCP endpoint is /mcp"));
    }
    check_names(request.headers(), shared.is_loopback)?;
    match *request.method() {
        Method::POST => post(request, shared).await,
        Method::GET => legacy::listen(request.headers(), shared),
        Method::DELETE => legacy::end(request.headers(), shared),
        _ => Err(Failure::status(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE")),
    }
}

async fn post(request: Request<Incoming>, shared: &Arc<Shared>) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let is_json = header(&head.headers, CONTENT_TYPE.as_str())?
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(Failure::status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send content-type: application/json",
        ));
    }
    if !accepts(&head.headers, "application/json") || !accepts(&head.headers, "text/event-stream") {
        return Err(Failure::status(
            StatusCode::NOT_ACCEPTABLE,
            "send accept: application/json, text/event-stream",
        ));
    }
    let body = read(body).await?;
    let received = message::parse(&body)?;
    let version = header(&head.headers, VERSION_HEADER)?;
    let is_modern_header = version.is_some_and(modern::is_modern);
    match received {
        Received::One(message)
            if message.claims_modern() || (is_modern_header && message.is_stateless()) =>
        {
            Ok(modern::answer(message, &head.headers, shared))
        }
        Received::One(Message::Response(_)) | Received::Batch(_) if is_modern_header => {
            Err(Failure::invalid_request("send one request or one notification"))
        }
        received => legacy::answer(received, &head.headers, shared).await,
    }
}

async fn read(body: Incoming) -> Result<Bytes, Failure> {
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(cause) if cause.is::<http_body_util::LengthLimitError>() => {
            Err(Failure::status(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))
        }
        Err(_) => Err(Failure::status(StatusCode::BAD_REQUEST, "the body broke off")),
    }
}

/// SPEC: both eras, transports, Security: `Origin` must be validated against DNS rebinding.
fn check_names(headers: &HeaderMap, is_loopback: bool) -> Result<(), Failure> {
    let forbidden = |what: &str| {
        Failure::status(StatusCode::FORBIDDEN, format!("this {what} is not served here"))
    };
    if let Some(origin) = header(headers, ORIGIN.as_str())?
        && !origin.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_local_name))
    {
        return Err(forbidden("origin"));
    }
    let host = header(headers, HOST.as_str())?.unwrap_or_default();
    let is_local = host.parse::<http::uri::Authority>().is_ok_and(|a| is_local_name(a.host()));
    if is_loopback && !is_local {
        return Err(forbidden("host"));
    }
    Ok(())
}

fn is_local_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]")
}

/// Whether the client takes this media type. Saying nothing is taking anything.
pub(crate) fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let mut offers = headers.get_all(ACCEPT).iter().peekable();
    let family = media.split('/').next().unwrap_or_default();
    offers.peek().is_none()
        || offers.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(
            |offer| {
                let offer = offer.split(';').next().unwrap_or_default().trim();
                offer == "*/*"
                    || offer.eq_ignore_ascii_case(media)
                    || offer.strip_suffix("/*").is_some_and(|f| f.eq_ignore_ascii_case(family))
            },
        )
}

/// A header that may appear once at most: which of two would count is anybody's guess.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(Failure::mismatch(format!("header `{name}` is not visible ASCII"))),
        },
        (Some(_), Some(_)) => Err(Failure::mismatch(format!("header `{name}` is repeated"))),
    }
}

/// The `_meta` object of a request or notification, where there is one.
pub(crate) fn meta(
    params: &serde_json::Map<String, Value>,
) -> Option<&serde_json::Map<String, Value>> {
    params.get("_meta")?.as_object()
}
