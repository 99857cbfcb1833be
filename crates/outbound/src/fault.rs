//! Why a fetch has no answer, in words an operator can act on.
//!
//! No message holds a body, a header value or the query of a URL: they may carry secrets. Whoever
//! shows these to the writer of a URL tells him what the gate's network looks like: show him less.

use crate::trust::TrustFault;
use http::StatusCode;
use std::time::Duration;

/// Why a fetch has no answer. An answer with a status outside 3xx is one, whatever it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchFault {
    /// The URL is not one that is fetched from.
    #[error("the URL cannot be used: {0}")]
    Url(&'static str),
    /// It leads to an address that is not public, and only the operator may want that.
    #[error("`{host}` is not, or not only, at public addresses")]
    NotPublic {
        /// The host of the URL.
        host: String,
    },
    /// The name has no address.
    #[error("`{host}` cannot be resolved: {why}")]
    Name {
        /// The host of the URL.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No address accepted a connection.
    #[error("`{host}` cannot be reached: {why}")]
    Unreachable {
        /// The host of the URL.
        host: String,
        /// What the last address that was tried said.
        why: String,
    },
    /// The TLS handshake failed.
    #[error("no TLS with `{host}`: {why}")]
    Tls {
        /// The host of the URL.
        host: String,
        /// What is wrong, and the likely remedy.
        why: String,
    },
    /// The system trusts nobody.
    #[error("the system has no trusted CA certificates; name a PEM file in `ca`")]
    NoRoots,
    /// The CAs to trust cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustFault),
    /// The answer leads elsewhere, which is not followed.
    #[error("the answer is a redirect ({}), which is not followed; write the final URL", .0.as_u16())]
    Redirected(StatusCode),
    /// The answer is compressed, although that was not asked for.
    #[error("the answer is compressed, which was not asked for")]
    Encoded,
    /// The body is longer than it may be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The head is longer than it may be, or has too many fields.
    #[error("the head of the answer is too long")]
    HeadTooLong,
    /// Not everything was there in time.
    #[error("no complete answer within {} ms", .0.as_millis())]
    TooSlow(Duration),
    /// Too many other fetches are under way.
    #[error("too many fetches are under way")]
    Busy,
    /// The other side does not speak HTTP as it should, or ended the connection early.
    #[error("the answer is broken: {0}")]
    Broken(String),
    /// The answer has another status than the one that was needed.
    #[error("the answer has status {}", .0.as_u16())]
    Status(StatusCode),
}
