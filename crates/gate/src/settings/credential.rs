//! How the gate proves itself to an upstream, besides headers that are always the same.
//!
//! Whatever is chosen, it is the gate's own: the token an agent came with goes nowhere.

use std::path::PathBuf;
use tollgate_core::ids::Secret;
use tollgate_identity::settings::ClientCredential;
use tollgate_oauth::keys::Alg;
use url::Url;

/// What goes into `Authorization` towards an upstream.
#[derive(Clone, Debug, PartialEq)]
pub enum CredentialSettings {
    /// Nothing but what the operator wrote into the upstream's headers.
    None,
    /// A token of the gate itself, the same for all callers (RFC 6749 section 4.4).
    ClientCredentials(Box<TokenRequest>),
    /// A token of its own for each principal (RFC 8693). Only over Streamable HTTP, and only for
    /// principals that were proven.
    Exchange(Box<ExchangeSettings>),
}

/// A request to a token endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRequest {
    /// Where tokens are asked for.
    pub server: TokenServer,
    /// How the gate proves itself there.
    pub client: ClientCredential,
    /// Scopes asked for; none if empty.
    pub scopes: Vec<String>,
    /// Resources the token is asked for (RFC 8707), as the server writes them: usually the
    /// upstream's URL.
    pub resources: Vec<String>,
    /// The audience asked for, where the server knows names instead of resources.
    pub audience: Option<String>,
}

/// An authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenServer {
    /// Where its token endpoint is.
    pub at: TokenEndpoint,
    /// PEM file with the CAs to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// Where a token endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenEndpoint {
    /// At this URL.
    Url(Url),
    /// Where the metadata of this issuer says (RFC 8414, OpenID Connect Discovery 1.0). Compared
    /// byte for byte with what the metadata names.
    Issuer(String),
}

/// How a token of its own is got for each principal.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeSettings {
    /// Where, as whom and what for.
    pub request: TokenRequest,
    /// How the gate vouches for the principal.
    pub assertion: AssertionSettings,
}

/// What the gate says about a principal: a JWT that the server must trust.
#[derive(Clone, Debug, PartialEq)]
pub struct AssertionSettings {
    /// Its `iss`: the name under which the server knows the gate.
    pub issuer: String,
    /// Its `aud`; `None`: the issuer, or the URL of the token endpoint where that was given.
    pub audience: Option<String>,
    /// Issuers (see `Proof::issuer`) whose principals are vouched for. Nobody else is: `sub` would
    /// name somebody else of the same name. Never empty.
    pub of_issuers: Vec<String>,
    /// What signs it.
    pub key: AssertionKey,
}

/// A private key of the gate's own.
#[derive(Clone, Debug, PartialEq)]
pub struct AssertionKey {
    /// PKCS#8 PEM.
    pub pem: Secret<String>,
    /// The algorithm.
    pub algorithm: Alg,
    /// The key id, where the server wants one.
    pub kid: Option<String>,
}
