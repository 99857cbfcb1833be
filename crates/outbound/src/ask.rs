//! What is asked and what came back.

use crate::reach::Reach;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::fmt;
use std::time::Duration;
use tollgate_core::bounds::outbound::{FETCH_BYTES_MAX, FETCH_MILLIS};
use url::Url;
use url::form_urlencoded::Serializer;

/// One request, with the bounds of its answer.
#[derive(Clone)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// Where. Its fragment is not sent.
    pub url: &'a Url,
    /// Headers besides those that make it HTTP (`host`, `content-length`, `connection`,
    /// `accept-encoding`, `user-agent`), which are set here whatever they say.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; may be empty.
    pub body: Bytes,
    /// Where it may go.
    pub reach: Reach,
    /// Longest body that is taken.
    pub bytes_max: usize,
    /// Time for everything: waiting for a turn, looking up, connecting, the whole answer.
    pub limit: Duration,
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers, body and query carry credentials.
        let mut shown = f.debug_struct("Ask");
        shown.field("method", &self.method).field("host", &self.url.host_str());
        shown.field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl<'a> Ask<'a> {
    /// Asks for a JSON document, within the bounds of what the operator named.
    #[must_use]
    pub fn json(url: &'a Url, reach: Reach) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: vec![(ACCEPT, HeaderValue::from_static("application/json"))],
            body: Bytes::new(),
            reach,
            bytes_max: FETCH_BYTES_MAX,
            limit: Duration::from_millis(FETCH_MILLIS),
        }
    }

    /// Sends a form and asks for JSON, within the bounds of what the operator named.
    #[must_use]
    pub fn form(url: &'a Url, reach: Reach, fields: &[(&str, &str)]) -> Self {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(fields);
        let mut ask = Self::json(url, reach);
        ask.method = Method::POST;
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        ask.headers.push((CONTENT_TYPE, form_type));
        ask.body = Bytes::from(form.finish());
        ask
    }
}

/// An answer that is completely there.
#[derive(Clone)]
pub struct Answer {
    /// Its status; never 1xx or 3xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bodies are tokens.
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// Whether it says that it is JSON: `application/json`, or any type ending in `+json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let Some(Ok(named)) = self.headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else {
            return false;
        };
        let essence = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"))
    }
}
