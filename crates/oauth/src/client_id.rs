//! Which texts can be a `client_id`, and which of them are URLs of a metadata document.
//!
//! Only spellings are judged here, so that one document has one id and no id looks like something
//! else. Where a name leads is judged when it is connected to, by `tollgate-outbound`: that alone
//! keeps fetches away from inner addresses. Next: `registration.rs`.

use crate::resource::is_uri_text;
use tollgate_core::bounds::issuer::CLIENT_ID_BYTES_MAX;
use url::{Host, Url};

/// Why a text cannot be a `client_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadClientId {
    /// It is empty or longer than [`CLIENT_ID_BYTES_MAX`].
    #[error("a client id has 1 to {CLIENT_ID_BYTES_MAX} bytes")]
    Length,
    /// It has a character ids do not have.
    #[error("a client id has visible ASCII characters only; in a URL, all else percent-encoded")]
    Character,
    /// It looks like the name of a person, of the gate itself, or like a URL.
    #[error("a client id is no URL and does not begin with `user:`, `urn:` or `reg_`")]
    Reserved,
    /// It is a URL of another scheme.
    #[error("a client id that is a URL begins with `https://`")]
    Scheme,
    /// It has no path.
    #[error("a client id that is a URL has a path, such as `/client.json`")]
    NoPath,
    /// It has a fragment, or user information, or is not in its canonical spelling.
    #[error(
        "a client id that is a URL is written canonically: no fragment, no user name, no `.` or \
         `..` segments, scheme and host in lower case, no default port"
    )]
    NotCanonical,
    /// Its host is not a public name.
    #[error("a client id that is a URL is at a public host name, not at an address")]
    Host,
    /// It has a port.
    #[error("a client id that is a URL has no port")]
    Port,
}

/// Whether a `client_id` is to be read as a URL.
#[must_use]
pub fn is_url(id: &str) -> bool {
    id.contains("://")
}

/// Whether an operator may give an agent this id.
///
/// # Errors
/// If it is empty, too long, has other than visible ASCII characters, or could be taken for a URL,
/// for a person, for an issuer, or for an agent that registered itself.
pub fn check_name(id: &str) -> Result<(), BadClientId> {
    if id.is_empty() || id.len() > CLIENT_ID_BYTES_MAX {
        return Err(BadClientId::Length);
    }
    if !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadClientId::Character);
    }
    let reserved = ["user:", "urn:", "reg_", "http:", "https:"];
    let is_reserved = |start: &&str| {
        id.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start))
    };
    if is_url(id) || reserved.iter().any(is_reserved) {
        return Err(BadClientId::Reserved);
    }
    Ok(())
}

/// Reads a `client_id` that is the URL of a metadata document.
///
/// With `private`, hosts that are not public, `http` on loopback and ports are taken as well: for
/// tests and closed networks.
///
/// SPEC: draft-ietf-oauth-client-id-metadata-document section 3.
///
/// # Errors
/// With the first rule it breaks.
pub fn document(id: &str, private: bool) -> Result<Url, BadClientId> {
    if id.is_empty() || id.len() > CLIENT_ID_BYTES_MAX {
        return Err(BadClientId::Length);
    }
    let url = fetched(id, private)?;
    if url.path() == "/" {
        return Err(BadClientId::NoPath);
    }
    Ok(url)
}

/// Reads a URL that an agent named and that will be fetched: its document, or its keys.
///
/// # Errors
/// With the first rule it breaks.
pub fn fetched(text: &str, private: bool) -> Result<Url, BadClientId> {
    let is_web = text.starts_with("https://") || (private && text.starts_with("http://"));
    if !is_web {
        return Err(BadClientId::Scheme);
    }
    if !is_uri_text(text) {
        return Err(BadClientId::Character);
    }
    let url = Url::parse(text).map_err(|_| BadClientId::Host)?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.fragment().is_some() || url.as_str() != text {
        let is_bare = url.as_str().strip_suffix('/') == Some(text);
        return Err(if is_bare { BadClientId::NoPath } else { BadClientId::NotCanonical });
    }
    if private {
        let is_clear = url.scheme() == "http";
        return if is_clear && !is_local(&url) { Err(BadClientId::Scheme) } else { Ok(url) };
    }
    if !is_public_name(&url) {
        return Err(BadClientId::Host);
    }
    if url.port().is_some() {
        return Err(BadClientId::Port);
    }
    Ok(url)
}

/// Whether a text is an `https` URL, or an `http` one on this machine, in canonical spelling.
pub(crate) fn is_web_url(text: &str) -> bool {
    fetched(text, true).is_ok()
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A name with a dot that does not end in one, outside the names that never leave a machine or a
/// network (RFC 6761, RFC 6762, RFC 8375, RFC 9476; `internal` is reserved by ICANN).
fn is_public_name(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !name.bytes().all(fits) || name.split('.').any(str::is_empty) {
        return false;
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let inner =
        ["localhost", "local", "internal", "home", "lan", "invalid", "alt", "onion", "arpa"];
    name.contains('.') && !inner.contains(&last)
}
