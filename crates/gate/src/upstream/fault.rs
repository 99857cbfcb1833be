//! The ways an exchange fails, and what each means for a retry.
//!
//! The line that matters is between [`SendError::NotSent`], after which a call may be repeated, and
//! everything else, after which it may not: tools are not idempotent. In doubt it was sent.
//!
//! Next: `exchange.rs` and `reply.rs`, where these arise.

use crate::upstream::credential::CredentialFault;
use crate::upstream::tls;
use std::io;

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No reply began in time.
    FirstByte,
    /// The reply's body fell silent.
    Pause,
    /// The whole exchange took too long.
    Total,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::FirstByte => "it did not begin to reply in time",
            Self::Pause => "its reply paused for too long",
            Self::Total => "the call took too long in all",
        })
    }
}

/// Why an exchange failed, and by that whether it may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Provably not processed: repeating it, here or elsewhere, is safe.
    #[error("the request was not sent: {0}")]
    NotSent(Cause),
    /// It may have been processed, in part or in whole.
    #[error("the upstream was lost: {0}")]
    Lost(Cause),
    /// A deadline passed; it may have been processed.
    #[error("the upstream timed out: {0}")]
    Timeout(Phase),
    /// The reply cannot be used; the request was probably processed.
    #[error("the upstream's reply is not valid: {0}")]
    Invalid(Cause),
}

/// What happened on the way to or from an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Nothing listens at the address.
    #[error("it refused the connection")]
    Refused,
    /// Connecting, TLS included, took too long.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// The address cannot be reached.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No secure connection came about; the text names the likely remedy.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The connection ended before the reply did.
    #[error("it closed the connection early")]
    Closed,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(String),
    /// What it sent is not HTTP/1.1.
    #[error("it does not speak HTTP/1.1 correctly: {0}")]
    NotHttp(String),
    /// The head of the reply is larger than we take.
    #[error("the head of its reply is too large")]
    HeadTooLarge,
    /// The body is encoded although we asked for none of that.
    #[error("it sent the content or transfer coding `{0}`, which was not asked for")]
    Encoded(String),
    /// It wants to speak another protocol on this connection.
    #[error("it switched protocols without being asked")]
    Switched,
    /// What is at the other end of a line (a child process, an event stream) is not there, or has no
    /// room; in words. Only the first line of them may be shown to agents.
    #[error("{}", .0.trim_end().replace('\n', "; "))]
    Line(String),
    /// The gate has no token for it.
    #[error(transparent)]
    Credential(CredentialFault),
}

impl Cause {
    /// Reads an error of the connection.
    pub(crate) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        if let Some(why) = tls::late_refusal(error) {
            return Self::Tls(why);
        }
        match error.kind() {
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Self::Closed,
            Kind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error.to_string()),
        }
    }
}

impl SendError {
    /// What a failure before the head of a reply means; `written` if any byte of the request left.
    pub(crate) fn before_head(cause: Cause, written: bool) -> Self {
        match cause {
            // Only a refusal of the handshake itself becomes this cause here.
            Cause::Tls(_) => Self::NotSent(cause),
            _ if !written => Self::NotSent(cause),
            Cause::NotHttp(_) | Cause::HeadTooLarge | Cause::Encoded(_) | Cause::Switched => {
                Self::Invalid(cause)
            }
            _ => Self::Lost(cause),
        }
    }

    /// What a failure within the body means.
    pub(crate) fn within_body(cause: Cause) -> Self {
        match cause {
            Cause::NotHttp(_) => Self::Invalid(cause),
            _ => Self::Lost(cause),
        }
    }
}
