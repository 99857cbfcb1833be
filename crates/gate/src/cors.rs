//! Browser pages as clients: preflights, and which page may read what.
//!
//! Nothing here protects the gate (`names.rs` refuses foreign origins before anything else); it
//! tells the browser that an origin the operator listed may read the answer. Credentials in cookies
//! are never allowed.
//!
//! SPEC: WHATWG Fetch, HTTP CORS protocol.

use crate::body::GateBody;
use crate::reply;
use crate::snapshot::Snapshot;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

/// The page a request comes from.
#[derive(Debug)]
pub struct Page {
    origin: HeaderValue,
}

impl Page {
    /// The page, if the request comes from one.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Option<Self> {
        let origin = request.headers().get(ORIGIN)?.clone();
        Some(Self { origin })
    }

    /// The answer to a preflight; `None` if the request is none, or is to be refused.
    #[must_use]
    pub fn preflight<B>(
        &self,
        snapshot: &Snapshot,
        request: &Request<B>,
    ) -> Option<Response<GateBody>> {
        let is_preflight = request.method() == Method::OPTIONS
            && snapshot.serves(request.uri().path())
            && snapshot.names.check(request.uri(), request.headers()).is_ok();
        if !is_preflight {
            return None;
        }
        let mut response = reply::empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        self.allow(snapshot, headers);
        let methods = HeaderValue::from_static("POST, GET, DELETE");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        // Any header may be sent: those that mean nothing here go nowhere.
        let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            wanted.unwrap_or_else(|| HeaderValue::from_static("content-type")),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Lets the page read the response, if its origin is allowed.
    pub fn allow(&self, snapshot: &Snapshot, headers: &mut HeaderMap) {
        if !self.origin.to_str().is_ok_and(|origin| snapshot.names.may_read(origin)) {
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.insert(VARY, HeaderValue::from_static("origin"));
        let exposed = HeaderValue::from_static("mcp-session-id, www-authenticate, retry-after");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}
