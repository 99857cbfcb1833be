//! Why a caller is not let in, and why identity cannot start.
//!
//! The texts of [`Denied`] are public: each says what to do about it and nothing that is secret.
//! None tells an unknown key from a wrong signature, since who may not come in need not know which
//! keys there are.

use std::borrow::Cow;

/// Why a caller is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// 401 `invalid_token`: the credential proves nothing here.
    #[error("{why}")]
    Invalid {
        /// A public sentence.
        why: Cow<'static, str>,
    },
    /// 403 `insufficient_scope`: the credential is good and not enough.
    #[error("the token lacks a scope that is needed here: ask for `{}`", .scopes.join(" "))]
    Insufficient {
        /// All scopes that are needed, held or not.
        scopes: Vec<String>,
    },
    /// 503: whether the credential is good cannot be found out just now. Never a 401, at which
    /// agents throw good tokens away.
    #[error("{why}")]
    Unavailable {
        /// A public sentence.
        why: Cow<'static, str>,
        /// When to try again, in seconds.
        retry_after_secs: u64,
    },
    /// 400 `invalid_request`: what was sent is no credential at all.
    #[error("{why}")]
    Malformed {
        /// A public sentence.
        why: Cow<'static, str>,
    },
}

impl Denied {
    pub(crate) fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { why: why.into() }
    }

    pub(crate) fn unavailable(why: impl Into<Cow<'static, str>>, retry_after_secs: u64) -> Self {
        Self::Unavailable { why: why.into(), retry_after_secs: retry_after_secs.max(1) }
    }
}

/// Why identity cannot start with these settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The resource of a route is no resource identifier.
    #[error("the resource `{resource}` of `{path}` is not usable: {why}")]
    Resource {
        /// The route's path.
        path: String,
        /// What was written.
        resource: String,
        /// Why.
        why: String,
    },
    /// A route names an issuer that is not there.
    #[error("`{path}` accepts the issuer `{name}`, which is not configured")]
    UnknownIssuer {
        /// The route's path.
        path: String,
        /// The issuer's name.
        name: String,
    },
    /// Two issuers have the same URL: a token could not say whose it is.
    #[error("two issuers have the URL `{0}`: merge them, or correct one of them")]
    SameIssuer(String),
    /// The settings name the gate's own issuer, and there is none.
    #[error("the issuer `{0}` is the gate's own, and the gate's own issuer is off")]
    NoOwnIssuer(String),
    /// A file with keys cannot be used.
    #[error("the key set of issuer `{issuer}` in `{path}` is not usable: {why}")]
    KeyFile {
        /// The issuer's name.
        issuer: String,
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The URL of an issuer cannot be fetched from.
    #[error("the URL `{url}` of issuer `{issuer}` is not usable: {why}")]
    Url {
        /// The issuer's name.
        issuer: String,
        /// What was written.
        url: String,
        /// Why.
        why: String,
    },
    /// There is no way to ask an issuer: its CA file, usually.
    #[error("issuer `{issuer}` cannot be reached with these settings: {why}")]
    Reach {
        /// The issuer's name.
        issuer: String,
        /// Why.
        why: String,
    },
    /// The gate's own key for an issuer is not usable.
    #[error("the private key for issuer `{issuer}` is not usable: {why}")]
    ClientKey {
        /// The issuer's name.
        issuer: String,
        /// Why.
        why: String,
    },
}
