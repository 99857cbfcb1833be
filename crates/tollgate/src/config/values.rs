//! Single values of the domain: URLs, names, files, keys, probes. Each refuses what has no safe meaning.

use crate::config::scalars::{Scalar, words};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};
use std::collections::HashSet;
use tollgate_core::bounds::GLOB_BYTES_MAX;
use tollgate_core::ids::Secret;
use url::{Host, Url};

/// An `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Web(pub(super) Url);

impl Scalar for Web {
    const KIND: &'static str = "a URL that can be used here";
    const FORM: &'static str =
        "write scheme, host and path: `http://10.0.0.1:9001/mcp` or `https://mcp.example.com/mcp`";
    // A URL can carry a password; what is wrong with it is said without repeating it.
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let url = Url::parse(text).map_err(|_| None)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Some("the scheme must be `http` or `https`".to_owned()));
        }
        if !text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://")) {
            return Err(None);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Some("take the user and password out of the URL; the gate's own credential is a header: `credential: { header: { Authorization: \"Basic ${env:NAME}\" } }`".to_owned()));
        }
        if url.fragment().is_some() {
            return Err(Some("remove the part from `#` on: it is never sent".to_owned()));
        }
        if url.port() == Some(0) {
            return Err(Some("port 0 cannot be connected to".to_owned()));
        }
        Ok(Self(url))
    }

    fn schema() -> Value {
        json!({ "type": "string", "format": "uri" })
    }
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A `Host` value, in lower case: a name or an address, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName(pub(super) String);

impl Scalar for HostName {
    const KIND: &'static str = "a host name";
    const FORM: &'static str = "write it as clients do, without scheme and path: `mcp.example.com`, `mcp.example.com:8443`, `[::1]`, or `*` for any";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        // The URL parser is the judge: what it takes as a host and gives back unchanged is one.
        let url = Url::parse(&format!("http://{lower}/")).map_err(|_| None)?;
        let host = url.host_str().unwrap_or_default();
        let port = lower.strip_prefix(host).ok_or(None)?;
        let port_fits = port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|p| p.parse::<u16>().is_ok_and(|n| n > 0 && n.to_string() == p));
        (port_fits && !host.contains('*')).then_some(Self(lower)).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

/// An `Origin` value, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OriginName(pub(super) String);

impl Scalar for OriginName {
    const KIND: &'static str = "an origin";
    const FORM: &'static str =
        "write scheme and host as browsers send them: `https://app.example.com`, or `*` for any";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        let url = Url::parse(&lower).map_err(|_| None)?;
        let origin = url.origin().ascii_serialization();
        if origin == "null" {
            return Err(None);
        }
        if lower != origin {
            return Err(Some(format!(
                "an origin has no path, user or default port: did you mean `{origin}`?"
            )));
        }
        Ok(Self(origin))
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

/// The path of a file. Reading it is the check's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FilePath {
    pub(super) value: String,
    /// With its references unresolved, for messages.
    pub(super) typed: String,
}

impl FilePath {
    pub(super) fn of(path: &str) -> Self {
        Self { value: path.to_owned(), typed: path.to_owned() }
    }
}

impl Scalar for FilePath {
    const KIND: &'static str = "the path of a file";
    const FORM: &'static str =
        "write a path; relative ones start at the folder of the configuration file";
    // A PEM file pasted in place of its path.
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text.contains("-----BEGIN") {
            return Err(Some("write the path of the PEM file, not its content".to_owned()));
        }
        let fits = !text.is_empty() && !text.chars().any(char::is_control);
        let path = || Self { value: text.to_owned(), typed: text.to_owned() };
        fits.then(path).ok_or(None)
    }

    fn typed_as(self, typed: &str) -> Self {
        Self { typed: typed.to_owned(), ..self }
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.value))
    }
}

/// A glob over names or URIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) value: String,
    /// With its references unresolved, for messages.
    pub(super) typed: String,
}

impl Scalar for Pattern {
    const KIND: &'static str = "a name or a pattern";
    const FORM: &'static str =
        "write a name, or a pattern with `*` for any characters and `?` for one, on one line";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text.len() > GLOB_BYTES_MAX {
            return Err(Some(format!("at most {GLOB_BYTES_MAX} bytes: shorten it with `*`")));
        }
        let fits = !text.trim().is_empty() && !text.chars().any(char::is_control);
        fits.then(|| Self { value: text.to_owned(), typed: text.to_owned() }).ok_or(None)
    }

    fn typed_as(self, typed: &str) -> Self {
        Self { typed: typed.to_owned(), ..self }
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

/// Text of one or more lines, for agents and people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prose(pub(super) String);

impl Scalar for Prose {
    const KIND: &'static str = "text";
    const FORM: &'static str =
        "write text without control characters; several lines go below `|`, indented";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let shown = |c: char| c == '\n' || c == '\t' || !c.is_control();
        let fits = !text.trim().is_empty() && text.chars().all(shown);
        fits.then(|| Self(text.to_owned())).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

words! {
    /// Whether clients must present a certificate.
    ClientAuth {
        Optional = "optional",
        #[default]
        Required = "required",
    }
}

words! {
    /// Which eras an upstream speaks.
    Era {
        #[default]
        Auto = "auto",
        Legacy = "legacy",
        Modern = "modern",
        Both = "both",
    }
}

words! {
    /// What happens to sessions that are lost.
    Loss {
        #[default]
        Strict = "strict",
        Recoverable = "recoverable",
    }
}

words! {
    /// Who approves tools that are seen first.
    Trust {
        #[default]
        FirstUse = "first-use",
        Approve = "approve",
    }
}

words! {
    /// What becomes of tools that were not approved as they are.
    Treatment {
        #[default]
        Quarantine = "quarantine",
        Flag = "flag",
    }
}

/// How an endpoint is asked for its health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Check {
    /// It accepts a connection.
    #[default]
    Connect,
    /// It answers a GET of this path.
    Get(String),
}

impl Scalar for Check {
    const KIND: &'static str = "a health check";
    const FORM: &'static str = "write `connect`, or `GET` and a path: `GET /healthz`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        if text == "connect" {
            return Ok(Self::Connect);
        }
        let path = text.strip_prefix("GET ").ok_or(None)?;
        let visible = path.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'#');
        (path.starts_with('/') && visible).then(|| Self::Get(path.to_owned())).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^(connect|GET /\S*)$|\$\{(env|file):" })
    }

    fn spell(&self) -> Option<Value> {
        Some(match self {
            Self::Connect => json!("connect"),
            Self::Get(path) => json!(format!("GET {path}")),
        })
    }
}

/// A key that seals session ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SealKey(pub(super) Secret<[u8; 32]>);

/// Fewest different bytes in a key. 32 random bytes have fewer than 16 with a chance below 10^-12.
const DIFFERENT_BYTES_MIN: usize = 16;

impl Scalar for SealKey {
    const KIND: &'static str = "a key of 32 random bytes in base64 or hex";
    const FORM: &'static str = "make one with `openssl rand -base64 32`";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let bytes = from_hex(text).or_else(|| from_base64(text)).ok_or(None)?;
        let length = bytes.len();
        let key = <[u8; 32]>::try_from(bytes).map_err(|_| {
            Some(format!("it has {length} bytes; make one of 32 with `openssl rand -base64 32`"))
        })?;
        if is_weak(&key) {
            return Err(Some("it is a pattern or a text, which can be guessed; make a random one with `openssl rand -base64 32`".to_owned()));
        }
        Ok(Self(Secret::new(key)))
    }

    fn schema() -> Value {
        json!({ "type": "string", "writeOnly": true })
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() < 32
        || !digits.len().is_multiple_of(2)
        || !digits.iter().all(u8::is_ascii_hexdigit)
    {
        return None;
    }
    let value = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let url_safe = GeneralPurpose::new(&base64::alphabet::URL_SAFE, config);
    standard.decode(text).or_else(|_| url_safe.decode(text)).ok()
}

/// Whether a key is one that somebody made up: few different bytes, an even progression, or text.
fn is_weak(key: &[u8; 32]) -> bool {
    let different = key.iter().collect::<HashSet<_>>().len();
    let step = key[1].wrapping_sub(key[0]);
    let progression = key.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    let text = key.iter().all(|b| (0x20..=0x7e).contains(b));
    different < DIFFERENT_BYTES_MIN || progression || text
}
