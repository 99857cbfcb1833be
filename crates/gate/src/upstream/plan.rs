//! From the settings of an upstream to what its endpoints need for a request, checked once.
//!
//! What could not be sent later (a header with a line break, a URL with credentials) is refused
//! here, so that building a request cannot fail.
//!
//! Next: `endpoint.rs` uses the [`Wiring`]; `resolve.rs` turns the [`Seed`]s into endpoints.

use crate::settings::{Probe, UpstreamSettings};
use crate::upstream::credential::{Credential, CredentialError};
use crate::upstream::endpoint::{Trouble, Wiring};
use crate::upstream::health::Rules;
use crate::upstream::request::Lead;
use crate::upstream::resolve::Seed;
use crate::upstream::tls::{Dial, Material, TlsError};
use http::{HeaderName, HeaderValue, Uri};
use std::sync::Arc;
use tollgate_core::ids::{Secret, UpstreamName};
use url::Url;

/// Why the upstreams of a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// An endpoint URL is not one we can call.
    #[error("upstream `{upstream}`: the endpoint `{url}` {why}")]
    Url {
        /// Of which upstream.
        upstream: UpstreamName,
        /// The URL, without credentials.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It has no endpoint.
    #[error("upstream `{0}` has no endpoint")]
    NoEndpoint(UpstreamName),
    /// A configured header cannot be sent.
    #[error("upstream `{upstream}`: the header `{header}` {why}")]
    Header {
        /// Of which upstream.
        upstream: UpstreamName,
        /// Its name. Its value is a secret.
        header: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The path of the health check cannot be asked for.
    #[error("upstream `{upstream}`: the health check's path `{path}` is not a path")]
    HealthPath {
        /// Of which upstream.
        upstream: UpstreamName,
        /// The path.
        path: String,
    },
    /// TLS cannot be set up.
    #[error("upstream `{upstream}`: {source}")]
    Tls {
        /// Of which upstream.
        upstream: UpstreamName,
        /// Why.
        source: TlsError,
    },
    /// Its credential cannot be used.
    #[error("upstream `{upstream}`: {source}")]
    Credential {
        /// Of which upstream.
        upstream: UpstreamName,
        /// Why.
        source: CredentialError,
    },
}

/// What is needed to wire the endpoint URLs of one upstream.
pub(crate) struct Plan<'a> {
    /// What the operator wrote.
    pub(crate) settings: &'a UpstreamSettings,
    /// When an endpoint is in or out.
    pub(crate) rules: &'a Rules,
    /// Where the endpoints tell their trouble.
    pub(crate) trouble: &'a Arc<Trouble>,
    /// What it is shown besides constant headers.
    pub(crate) credential: &'a Option<Arc<Credential>>,
}

impl Plan<'_> {
    /// One seed for each endpoint URL, checked.
    pub(crate) fn seeds(&self, material: Option<&Material>) -> Result<Vec<Seed>, UpstreamError> {
        if self.settings.endpoints.is_empty() {
            return Err(UpstreamError::NoEndpoint(self.settings.name.clone()));
        }
        let config = material.map(Material::config).transpose().map_err(|e| self.tls(e))?;
        let headers = self.headers()?;
        self.check_health_path()?;
        let wire = |url: &Url| {
            let (port, host) = (self.port(url)?, url.host_str().unwrap_or_default());
            let name = self.settings.tls.server_name.as_deref().unwrap_or(bare(host));
            let dial = match &config {
                Some(config) if url.scheme() == "https" => {
                    Some(Dial::new(Arc::clone(config), name).map_err(|e| self.tls(e))?)
                }
                _ => None,
            };
            let wiring = Wiring {
                upstream: self.settings.name.clone(),
                lead: Lead::new(&self.target(url)?, &self.host(url)?, &headers),
                tls: dial,
                connect: self.settings.timeouts.connect,
                rules: self.rules.clone(),
                trouble: Arc::clone(self.trouble),
                credential: self.credential.clone(),
            };
            Ok(Seed { url: url.clone(), port, wiring: Arc::new(wiring) })
        };
        self.settings.endpoints.iter().map(wire).collect()
    }

    /// The wiring of an endpoint that is reached over lines.
    pub(crate) fn lines(&self) -> Arc<Wiring> {
        Arc::new(Wiring {
            upstream: self.settings.name.clone(),
            lead: Lead::none(),
            tls: None,
            connect: self.settings.timeouts.connect,
            rules: self.rules.clone(),
            trouble: Arc::clone(self.trouble),
            credential: None,
        })
    }

    fn tls(&self, source: TlsError) -> UpstreamError {
        UpstreamError::Tls { upstream: self.settings.name.clone(), source }
    }

    fn url(&self, url: &Url, why: &'static str) -> UpstreamError {
        let mut shown = url.clone();
        // Neither can fail on a URL that has a host, and one without has no credentials.
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
        UpstreamError::Url { upstream: self.settings.name.clone(), url: shown.to_string(), why }
    }

    fn port(&self, url: &Url) -> Result<u16, UpstreamError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.url(url, "is neither `http` nor `https`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.url(url, "carries credentials; put them into a header"));
        }
        url.port_or_known_default().ok_or_else(|| self.url(url, "has no port"))
    }

    fn target(&self, url: &Url) -> Result<Uri, UpstreamError> {
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", url.path())
            .parse()
            .map_err(|_| self.url(url, "has a path that HTTP cannot carry"))
    }

    fn host(&self, url: &Url) -> Result<HeaderValue, UpstreamError> {
        let host = url.host_str().unwrap_or_default();
        let text = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        HeaderValue::from_str(&text).map_err(|_| self.url(url, "has a host that HTTP cannot carry"))
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamError> {
        let parse = |(name, secret): &(String, Secret<String>)| {
            let wrong = |why| UpstreamError::Header {
                upstream: self.settings.name.clone(),
                header: name.clone(),
                why,
            };
            let parsed: HeaderName =
                name.parse().map_err(|_| wrong("has a name that HTTP cannot carry"))?;
            if is_ours(&parsed) {
                return Err(wrong("is set by the gate itself"));
            }
            let mut value = HeaderValue::from_str(secret.expose())
                .map_err(|_| wrong("has a value that HTTP cannot carry"))?;
            value.set_sensitive(true);
            Ok((parsed, value))
        };
        self.settings.headers.iter().map(parse).collect()
    }

    fn check_health_path(&self) -> Result<(), UpstreamError> {
        let Probe::Http(path) = &self.settings.health.probe else { return Ok(()) };
        if path.starts_with('/') && path.parse::<Uri>().is_ok() {
            return Ok(());
        }
        Err(UpstreamError::HealthPath { upstream: self.settings.name.clone(), path: path.clone() })
    }
}

/// Headers that frame the message or belong to the connection.
fn is_ours(name: &HeaderName) -> bool {
    use http::header;
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
    ]
    .contains(name)
}

/// An IPv6 address without the brackets of URLs.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
