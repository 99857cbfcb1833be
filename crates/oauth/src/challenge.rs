//! The `WWW-Authenticate` header: what a client without a good token is told.
//!
//! Whatever gets in, what comes out is one header value whose parameters are the ones meant: a
//! description can neither end its quotes nor begin a new line. Says nothing that is not in its
//! parts. Next: `metadata.rs`, the document it points at.

use crate::error::Error;
use crate::scope;

/// A challenge for a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// URL of the resource's metadata (RFC 9728 section 5.1).
    pub resource_metadata: String,
    /// What is wrong; `None` if there was no token at all (RFC 6750 section 3.1).
    pub error: Option<Error>,
    /// The scopes that would do.
    pub scope: Vec<String>,
}

impl Challenge {
    /// The value of the header. Visible ASCII and spaces only.
    ///
    /// SPEC: RFC 6750 section 3, RFC 9728 section 5.1, RFC 9110 section 11.6.1.
    #[must_use]
    pub fn header(&self) -> String {
        let mut value = String::from("Bearer ");
        if let Some(error) = &self.error {
            parameter(&mut value, "error", error.code.name());
            parameter(&mut value, "error_description", &described(&error.description));
        }
        let scopes: Vec<&str> =
            self.scope.iter().map(String::as_str).filter(|s| scope::check(s).is_ok()).collect();
        if !scopes.is_empty() {
            parameter(&mut value, "scope", &scope::join(&scopes));
        }
        parameter(&mut value, "resource_metadata", &encoded(&self.resource_metadata));
        value
    }
}

fn parameter(header: &mut String, name: &str, value: &str) {
    if !header.ends_with(' ') {
        header.push_str(", ");
    }
    header.push_str(name);
    header.push_str("=\"");
    header.push_str(value);
    header.push('"');
}

/// A sentence in the characters a description may have.
///
/// SPEC: RFC 6750 section 3: neither `"` nor `\`, not even escaped.
#[must_use]
pub fn described(text: &str) -> String {
    let fit = |c: char| match c {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => c,
        _ if c.is_whitespace() => ' ',
        _ => '?',
    };
    text.chars().map(fit).collect()
}

/// A URL with everything percent-encoded that could end the quotes.
fn encoded(url: &str) -> String {
    use std::fmt::Write as _;
    url.bytes().fold(String::with_capacity(url.len()), |mut text, byte| {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
