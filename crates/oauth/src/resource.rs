//! Resource identifiers: where a token may be used (RFC 8707), and where that place describes
//! itself (RFC 9728).
//!
//! Compared whole. Scheme and host are lower-cased, a default port and a lone `/` are dropped; all
//! else counts byte for byte, so that neither a prefix, nor a final slash, nor the path of another
//! route passes for this one. Next: `redirect.rs`, the other URL of OAuth.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest resource identifier, in bytes.
pub const RESOURCE_BYTES_MAX: usize = 2_048;

/// Why a text is no resource identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    /// It is longer than [`RESOURCE_BYTES_MAX`].
    #[error("a resource is at most {RESOURCE_BYTES_MAX} bytes long")]
    TooLong,
    /// It is relative, or of another scheme.
    #[error("a resource is an absolute `https://` or `http://` URL")]
    Scheme,
    /// It has a fragment.
    #[error("a resource has no fragment (`#`)")]
    Fragment,
    /// It has a user name or a password.
    #[error("a resource has no user name or password (`@` before the path)")]
    UserInfo,
    /// Its host or port is missing or malformed.
    #[error("the host or port of the resource is malformed")]
    Authority,
    /// It has a character URLs do not have.
    #[error("a resource has the characters of a URL only (RFC 3986), all else percent-encoded")]
    Character,
}

/// A resource identifier in canonical form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    text: Box<str>,
    /// Where path and query begin.
    rest: usize,
}

impl Resource {
    /// Reads a resource identifier.
    ///
    /// SPEC: RFC 8707 section 2: an absolute URI without a fragment. MCP 2026-07-28, Canonical
    /// Server URI: scheme and host in any case.
    ///
    /// # Errors
    /// If it is relative, of another scheme, malformed, or has a fragment or user information.
    pub fn parse(text: &str) -> Result<Self, BadResource> {
        if text.len() > RESOURCE_BYTES_MAX {
            return Err(BadResource::TooLong);
        }
        let (scheme, after) = text.split_once("://").ok_or(BadResource::Scheme)?;
        let (scheme, default_port) = match scheme {
            s if s.eq_ignore_ascii_case("https") => ("https", 443),
            s if s.eq_ignore_ascii_case("http") => ("http", 80),
            _ => return Err(BadResource::Scheme),
        };
        if after.contains('#') {
            return Err(BadResource::Fragment);
        }
        if !is_uri_text(after) {
            return Err(BadResource::Character);
        }
        let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
        if authority.contains('@') {
            return Err(BadResource::UserInfo);
        }
        let (host, port) = host_and_port(authority).ok_or(BadResource::Authority)?;
        let mut text = format!("{scheme}://{host}");
        if let Some(port) = port.filter(|port| *port != default_port) {
            text.push(':');
            text.push_str(&port.to_string());
        }
        let begins = text.len();
        if rest != "/" {
            text.push_str(rest);
        }
        Ok(Self { text: text.into(), rest: begins })
    }

    /// The identifier in canonical form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a text names this resource, in canonical form or not.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        *self.text == *text || Self::parse(text).is_ok_and(|other| other == *self)
    }

    /// The path, on the same origin, of its metadata.
    ///
    /// SPEC: RFC 9728 section 3.1: the well-known part goes between host and path.
    #[must_use]
    pub fn well_known(&self) -> String {
        format!("/.well-known/oauth-protected-resource{}", &self.text[self.rest..])
    }

    /// The URL of its metadata.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}{}", &self.text[..self.rest], self.well_known())
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({})", self.text)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether all of a text can stand in a URI after its scheme (RFC 3986 section 2), every `%` with
/// two hexadecimal digits.
pub(crate) fn is_uri_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => is_hex(at + 1) && is_hex(at + 2),
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        other => other.is_ascii_graphic(),
    })
}

/// Splits an authority without user information; the host in lower case.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    if let Some(literal) = authority.strip_prefix('[') {
        let (address, after) = literal.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if after.is_empty() => None,
            None => return None,
        };
        return Some((format!("[{address}]"), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (authority, None),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(fits) {
        return None;
    }
    // A last label of digits makes it an IPv4 address to whoever connects: then it must be one in
    // its only clear spelling.
    let last = host.rsplit('.').next()?;
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    if host.split('.').any(str::is_empty) || (is_number && host.parse::<Ipv4Addr>().is_err()) {
        return None;
    }
    Some((host.to_ascii_lowercase(), port))
}

fn port(digits: &str) -> Option<u16> {
    let plain = !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| plain)
}
