//! Which names the gate answers to: `Host` and `Origin`, the defence against DNS rebinding.
//!
//! The gate's own policy, judged before anything else of a request; nothing of it goes upstream.
//!
//! SPEC: 2026-07-28 basic/transports/streamable-http, Security: an invalid `Origin` is 403.

use crate::settings::NamePolicy;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Uri};
use tollgate_core::refusal::{Reason, Refusal};

/// A compiled [`NamePolicy`].
#[derive(Debug)]
pub struct Names {
    hosts: Vec<String>,
    any_host: bool,
    origins: Vec<String>,
    any_origin: bool,
}

impl Names {
    /// Compiles a policy.
    #[must_use]
    pub fn new(policy: &NamePolicy) -> Self {
        Self {
            hosts: policy.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            any_host: policy.hosts.iter().any(|host| host == "*"),
            origins: policy.origins.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
            any_origin: policy.origins.iter().any(|origin| origin == "*"),
        }
    }

    /// Judges the names a request uses; that each header is there once was judged before.
    ///
    /// # Errors
    /// [`Reason::HostRefused`], [`Reason::OriginRefused`], or [`Reason::BadRequest`] where the
    /// request's authority and `Host` differ.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check_host(uri, headers)?;
        self.check_origin(headers)
    }

    /// Judges the name a request came to, and not the page it came from.
    ///
    /// # Errors
    /// [`Reason::HostRefused`], or [`Reason::BadRequest`] as [`Self::check`].
    pub fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let header = headers.get(HOST).map(|value| value.to_str().unwrap_or(""));
        // SPEC: RFC 9112 3.2.2, RFC 9113 8.3.1: the authority of the target replaces `Host`.
        let authority = uri.authority().map(http::uri::Authority::as_str);
        if let (Some(authority), Some(header)) = (authority, header)
            && !authority.eq_ignore_ascii_case(header)
        {
            let text = "the request's authority and its `Host` header differ";
            return Err(Refusal::new(Reason::BadRequest, text));
        }
        let Some(host) = authority.or(header) else {
            return Err(Refusal::new(Reason::BadRequest, "`Host` is missing"));
        };
        if self.any_host || self.is_ours(host) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::HostRefused,
            "this gate does not answer to that host name: the operator lists names under \
             `gate.hosts`",
        ))
    }

    fn is_ours(&self, authority: &str) -> bool {
        let name = without_port(authority);
        self.hosts
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(authority) || ours.eq_ignore_ascii_case(name))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        if origin.to_str().is_ok_and(|origin| self.is_allowed_origin(origin)) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::OriginRefused,
            "pages of that origin may not use this gate: the operator lists origins under \
             `gate.origins`",
        ))
    }

    fn is_allowed_origin(&self, origin: &str) -> bool {
        if self.any_origin || self.origins.iter().any(|ours| ours.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        matches!(scheme, "http" | "https") && self.is_ours(authority)
    }

    /// Whether a browser page of this origin may read answers (CORS).
    #[must_use]
    pub fn may_read(&self, origin: &str) -> bool {
        self.is_allowed_origin(origin)
    }
}

fn without_port(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| &authority[..=end]);
    }
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::settings::NamePolicy;
    use http::{HeaderMap, HeaderValue, Uri};
    use tollgate_core::refusal::Reason;

    fn judged(host: &str, origin: Option<&'static str>) -> Result<(), Reason> {
        let policy = NamePolicy {
            hosts: ["localhost", "127.0.0.1", "[::1]", "gw.example.com:8443"]
                .map(String::from)
                .into(),
            origins: vec!["https://app.example.com".into()],
        };
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(host).expect("a header value"));
        if let Some(origin) = origin {
            headers.insert("origin", HeaderValue::from_static(origin));
        }
        let uri = Uri::from_static("/mcp");
        Names::new(&policy).check(&uri, &headers).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn own_names_are_served_with_any_port_unless_one_is_written() {
        for host in ["localhost", "LOCALHOST:9", "127.0.0.1:8080", "[::1]:1", "gw.example.com:8443"]
        {
            assert_eq!(judged(host, None), Ok(()), "{host}");
        }
        for host in [
            "gw.example.com",
            "gw.example.com:80",
            "evil.com",
            "localhost.evil",
            "",
            "localhost:80@evil",
        ] {
            assert_eq!(judged(host, None), Err(Reason::HostRefused), "{host}");
        }
    }

    #[test]
    fn foreign_origins_are_refused() {
        for origin in ["https://app.example.com", "http://localhost:3000", "https://127.0.0.1"] {
            assert_eq!(judged("localhost", Some(origin)), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "https://evil",
            "http://localhost.evil",
            "https://good.evil",
            "file://localhost",
            "https://app.example.com.evil",
            "https://user@evil",
        ] {
            assert_eq!(judged("localhost", Some(origin)), Err(Reason::OriginRefused), "{origin}");
        }
    }
}
