//! Redirect URIs: where a person is sent back to with a code. Whoever can choose one gets the code.
//!
//! What can be registered is narrow (https, loopback, private-use schemes) and canonical, so that a
//! browser goes where we read that it goes. What is asked for must then be the same bytes; only the
//! port of a loopback one may differ. Nothing is normalised here. Next: `registration.rs`.

use crate::resource::is_uri_text;
use tollgate_core::bounds::issuer::REDIRECT_BYTES_MAX;
use url::{Host, Url};

/// Why a redirect URI cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirect {
    /// It is longer than [`REDIRECT_BYTES_MAX`].
    #[error("it is longer than {REDIRECT_BYTES_MAX} bytes")]
    TooLong,
    /// It is relative or cannot be read.
    #[error("it is not an absolute URL")]
    Malformed,
    /// It has a character URLs do not have, or an encoded control character.
    #[error("it has a character a URL cannot have, or an encoded control character")]
    Character,
    /// It has a fragment.
    #[error("it has a fragment (`#`)")]
    Fragment,
    /// It has a user name or a password.
    #[error("it has a user name or password (`@` before the path)")]
    UserInfo,
    /// Its scheme is none of those taken.
    #[error(
        "its scheme must be `https`, `http` on this machine (`http://127.0.0.1`, `http://[::1]`, \
         `http://localhost`), or a private-use scheme with a dot (`com.example.app:`)"
    )]
    Scheme,
    /// It is `http` and leaves the machine.
    #[error("`http` is taken only for `127.0.0.1`, `[::1]` and `localhost`; use `https`")]
    Clear,
    /// Its host or port is one no server has.
    #[error("its host or port is malformed")]
    Host,
    /// A browser would go somewhere that is written otherwise.
    #[error(
        "it is not in canonical form: no `.` or `..` segments, scheme and host in lower case, no \
         default port"
    )]
    NotCanonical,
    /// Its query already has a parameter the answer brings.
    #[error("its query has a parameter of the authorization response, such as `code` or `state`")]
    Reserved,
}

/// Whether a redirect URI can be registered.
///
/// SPEC: RFC 6749 section 3.1.2, RFC 8252 sections 7.1, 7.3 and 8.4, RFC 9700 section 2.1.
///
/// # Errors
/// With the first rule it breaks.
pub fn register(text: &str) -> Result<(), BadRedirect> {
    if text.len() > REDIRECT_BYTES_MAX {
        return Err(BadRedirect::TooLong);
    }
    if text.contains('#') {
        return Err(BadRedirect::Fragment);
    }
    if !is_uri_text(text) || has_encoded_control(text) {
        return Err(BadRedirect::Character);
    }
    let url = Url::parse(text).map_err(|_| BadRedirect::Malformed)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadRedirect::UserInfo);
    }
    match url.scheme() {
        "https" | "http" => check_web(text, &url)?,
        scheme if scheme.contains('.') => check_private_use(text, &url)?,
        _ => return Err(BadRedirect::Scheme),
    }
    if url.query_pairs().any(|(name, _)| RESPONSE_PARAMETERS.contains(&&*name)) {
        return Err(BadRedirect::Reserved);
    }
    Ok(())
}

/// Parameters we append (RFC 6749 section 4.1.2, RFC 9207): twice, they would be read as either.
const RESPONSE_PARAMETERS: [&str; 7] =
    ["code", "state", "iss", "error", "error_description", "error_uri", "response"];

fn check_web(text: &str, url: &Url) -> Result<(), BadRedirect> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let is_host = match url.host() {
        Some(Host::Domain(name)) => !name.ends_with('.') && name.bytes().all(fits),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    };
    if !is_host || url.port() == Some(0) {
        return Err(BadRedirect::Host);
    }
    if url.scheme() == "http" && Loopback::read(text).is_none() {
        return Err(BadRedirect::Clear);
    }
    let is_bare = url.path() == "/" && url.query().is_none();
    let is_same = url.as_str() == text || (is_bare && url.as_str().strip_suffix('/') == Some(text));
    if is_same && !has_dot_segment(url.path()) { Ok(()) } else { Err(BadRedirect::NotCanonical) }
}

fn check_private_use(text: &str, url: &Url) -> Result<(), BadRedirect> {
    // `com.example.app:` alone leads nowhere.
    if url.path().is_empty() && url.host().is_none() {
        return Err(BadRedirect::Malformed);
    }
    let labels_fit = url.scheme().split('.').all(|label| !label.is_empty());
    if !labels_fit {
        return Err(BadRedirect::Scheme);
    }
    if url.as_str() == text && !has_dot_segment(url.path()) {
        Ok(())
    } else {
        Err(BadRedirect::NotCanonical)
    }
}

/// `.` and `..`, encoded or not, also where something follows after a `;`: some servers cut that
/// off before they resolve the path.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let name = segment.split(';').next().unwrap_or_default().to_ascii_lowercase();
        matches!(&*name.replace("%2e", "."), "." | "..")
    })
}

fn has_encoded_control(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| byte.is_ascii_control())
    })
}

/// Whether what is asked for is what was registered.
///
/// SPEC: RFC 9700 section 4.1.3: simple string comparison; RFC 8252 section 7.3: of loopback ones
/// the port may be any, since it is known only when the agent listens.
#[must_use]
pub fn matches(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    match (Loopback::read(registered), Loopback::read(asked)) {
        (Some(registered), Some(asked)) => registered == asked,
        _ => false,
    }
}

/// Whether a redirect URI stays on the machine of whoever follows it. Any program there can be
/// waiting for it.
#[must_use]
pub fn is_loopback(text: &str) -> bool {
    let plain = text.strip_prefix("https://").map(|rest| format!("http://{rest}"));
    Loopback::read(plain.as_deref().unwrap_or(text)).is_some()
}

/// The place a redirect URI leads to, for people and for remembering their consent: an origin, or a
/// private-use scheme. The port of a loopback one is left out, since it is another every time.
#[must_use]
pub fn place(text: &str) -> String {
    if let Some(loopback) = Loopback::read(text) {
        return format!("http://{}", loopback.host);
    }
    let Ok(url) = Url::parse(text) else { return String::from("an unreadable address") };
    match url.scheme() {
        "https" | "http" => url.origin().ascii_serialization(),
        scheme => format!("{scheme}:"),
    }
}

/// The host a redirect URI is at, in lower case; `None` for private-use schemes.
#[must_use]
pub fn host(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "https" | "http");
    url.host_str().filter(|_| is_web).map(String::from)
}

/// A loopback redirect URI without its port.
#[derive(PartialEq, Eq)]
struct Loopback<'a> {
    host: &'a str,
    rest: &'a str,
}

impl<'a> Loopback<'a> {
    /// Reads the exact spellings only: no other form of the address, no upper case, no user
    /// information can get in.
    fn read(text: &'a str) -> Option<Self> {
        let after = text.strip_prefix("http://")?;
        let host =
            ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|h| after.starts_with(h))?;
        let (host, after) = after.split_at(host.len());
        let (port, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        let is_port = match port.strip_prefix(':') {
            Some(digits) => {
                let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
                plain && digits.parse::<u16>().is_ok()
            }
            None => port.is_empty(),
        };
        is_port.then_some(Self { host, rest })
    }
}
