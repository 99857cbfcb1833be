//! Every way we say no, in one list.
//!
//! A refusal knows its stable code, one public sentence, whose fault it is and whether a retry can
//! help. It does not know HTTP or JSON-RPC: `gate/src/reply.rs` alone maps a [`Reason`] to those.
//! Messages are lower case without a final stop, name the remedy, and hold no secret.

use std::borrow::Cow;

/// Why a request was refused. The stable code is the snake-case name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The HTTP request itself is malformed or ambiguous.
    BadRequest,
    /// `Host` is not one of the gate's names.
    HostRefused,
    /// `Origin` is not one the operator allowed.
    OriginRefused,
    /// The caller proved nothing, or what it presented is not good (any more).
    Unauthenticated,
    /// The credential is good, but not for this: scopes are missing.
    ScopeInsufficient,
    /// Whether the credential is good cannot be found out now.
    IdentityUnavailable,
    /// Policy does not allow this call, though the caller may know of what it acts on.
    PolicyDenied,
    /// A rate, a count of tokens or a number of calls at once is used up for now.
    LimitReached,
    /// A budget is used up for its period.
    BudgetExhausted,
    /// The call is larger than a limit can ever have room for.
    NeverFits,
    /// The ledger cannot take another call, and calls without it are not made.
    LedgerUnavailable,
    /// No route has this path.
    RouteUnknown,
    /// The route does not serve this HTTP method.
    MethodNotAllowed,
    /// The client takes no kind of reply that MCP has.
    NotAcceptable,
    /// The body is not declared as JSON, or is content-encoded.
    UnsupportedMedia,
    /// The body is larger than the gate accepts.
    TooLarge,
    /// The client took too long to send its request.
    RequestTimeout,
    /// The body is not strict JSON.
    ParseError,
    /// The body is JSON but not a well-formed JSON-RPC message.
    InvalidRequest,
    /// A header contradicts the body, is missing or is repeated (modern era).
    HeaderMismatch,
    /// A required `_meta` field is missing (modern era), or a parameter is not usable.
    InvalidParams,
    /// The protocol version has no such method.
    MethodUnknown,
    /// The protocol version is not one the gate and the upstream both speak.
    VersionUnsupported,
    /// The request needs a session and names none.
    SessionRequired,
    /// The session is unknown, expired, ended, forged, or somebody else's.
    SessionUnknown,
    /// As many sessions exist as the gate may hold.
    SessionsFull,
    /// This caller holds as many sessions as one caller may.
    CallerSessionsFull,
    /// This caller holds as many open streams as one caller may.
    CallerStreamsFull,
    /// The gate is shutting down and takes no new work.
    Draining,
    /// No endpoint of the upstream is able to take the call. Nothing was sent.
    UpstreamDown,
    /// The upstream broke the connection after the call may have reached it.
    UpstreamLost,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The upstream answered something that is not MCP, or too much of it.
    UpstreamInvalid,
    /// The upstream refused the gate's own credential or request.
    UpstreamRefused,
    /// A defect of ours.
    Internal,
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The agent or its client software.
    Caller,
    /// Whoever configured or runs the gate.
    Operator,
    /// The MCP server behind the gate.
    Upstream,
    /// Tollgate.
    Gate,
}

impl Reason {
    /// The stable, documented code of this reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::HostRefused => "host_refused",
            Self::OriginRefused => "origin_refused",
            Self::Unauthenticated => "unauthenticated",
            Self::ScopeInsufficient => "insufficient_scope",
            Self::IdentityUnavailable => "identity_unavailable",
            Self::PolicyDenied => "policy_denied",
            Self::LimitReached => "limit_reached",
            Self::BudgetExhausted => "budget_exhausted",
            Self::NeverFits => "never_fits",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::RouteUnknown => "route_unknown",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::UnsupportedMedia => "unsupported_media",
            Self::TooLarge => "too_large",
            Self::RequestTimeout => "request_timeout",
            Self::ParseError => "parse_error",
            Self::InvalidRequest => "invalid_request",
            Self::HeaderMismatch => "header_mismatch",
            Self::InvalidParams => "invalid_params",
            Self::MethodUnknown => "method_unknown",
            Self::VersionUnsupported => "version_unsupported",
            Self::SessionRequired => "session_required",
            Self::SessionUnknown => "session_unknown",
            Self::SessionsFull => "sessions_full",
            Self::CallerSessionsFull => "caller_sessions_full",
            Self::CallerStreamsFull => "caller_streams_full",
            Self::Draining => "draining",
            Self::UpstreamDown => "upstream_down",
            Self::UpstreamLost => "upstream_lost",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamInvalid => "upstream_invalid",
            Self::UpstreamRefused => "upstream_refused",
            Self::Internal => "internal",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::BadRequest
            | Self::HostRefused
            | Self::OriginRefused
            | Self::Unauthenticated
            | Self::ScopeInsufficient
            | Self::PolicyDenied
            | Self::LimitReached
            | Self::BudgetExhausted
            | Self::NeverFits
            | Self::RouteUnknown
            | Self::MethodNotAllowed
            | Self::NotAcceptable
            | Self::UnsupportedMedia
            | Self::TooLarge
            | Self::RequestTimeout
            | Self::ParseError
            | Self::InvalidRequest
            | Self::HeaderMismatch
            | Self::InvalidParams
            | Self::MethodUnknown
            | Self::VersionUnsupported
            | Self::SessionRequired
            | Self::SessionUnknown
            | Self::CallerSessionsFull
            | Self::CallerStreamsFull => Blame::Caller,
            Self::SessionsFull
            | Self::Draining
            | Self::IdentityUnavailable
            | Self::LedgerUnavailable => Blame::Operator,
            Self::UpstreamDown
            | Self::UpstreamLost
            | Self::UpstreamTimeout
            | Self::UpstreamInvalid
            | Self::UpstreamRefused => Blame::Upstream,
            Self::Internal => Blame::Gate,
        }
    }
}

/// A refusal on its way to the caller.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// One sentence a person and a language model can act on.
    pub text: Cow<'static, str>,
    /// Seconds after which a retry can succeed, where that is known.
    pub retry_after_secs: Option<u32>,
    /// Protocol versions to name as supported ([`Reason::VersionUnsupported`] only), and the one
    /// that was asked for.
    pub versions: Option<Box<VersionsOffered>>,
    /// The value of `WWW-Authenticate`: how to become somebody who is not refused.
    pub challenge: Option<Box<str>>,
    /// What is used up ([`Reason::LimitReached`], [`Reason::BudgetExhausted`], [`Reason::NeverFits`]).
    pub limit: Option<Box<LimitFacts>>,
}

/// What a caller at a limit is told, besides the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitFacts {
    /// The name of the limit, as in the configuration.
    pub name: String,
    /// Whom it counts: `agent`, `user`, `team`, `route`, ...
    pub scope: String,
    /// What it counts.
    pub unit: LimitUnit,
    /// How much of it there is in a window.
    pub quota: u64,
    /// The window in seconds; `None` for what has none (calls at once).
    pub window_secs: Option<u64>,
    /// What is left of it now.
    pub remaining: u64,
    /// When a retry succeeds, in milliseconds; `None` if it never will, or nobody knows.
    pub retry_after_millis: Option<u64>,
}

/// What limits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitUnit {
    /// Requests.
    Requests,
    /// Tokens.
    Tokens,
    /// Calls at once.
    Concurrent,
    /// Millionths of a currency.
    Money,
}

impl LimitUnit {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
            Self::Money => "money",
        }
    }
}

/// What a version refusal tells the client.
#[derive(Clone, Debug)]
pub struct VersionsOffered {
    /// Versions that would work.
    pub supported: Vec<&'static str>,
    /// The version that was asked for, as far as it was readable.
    pub requested: String,
}

impl Refusal {
    /// A refusal with its public sentence.
    pub fn new(reason: Reason, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            text: text.into(),
            retry_after_secs: None,
            versions: None,
            challenge: None,
            limit: None,
        }
    }

    /// The same refusal, naming when a retry can succeed.
    #[must_use]
    pub fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The same refusal, with a challenge (RFC 6750 section 3).
    #[must_use]
    pub fn challenging(mut self, challenge: impl Into<Box<str>>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// A version refusal that names what would work.
    #[must_use]
    pub fn offering(mut self, supported: Vec<&'static str>, requested: impl Into<String>) -> Self {
        self.versions = Some(Box::new(VersionsOffered { supported, requested: requested.into() }));
        self
    }
}
