//! What the issuer needs to know, checked and complete.

use std::path::PathBuf;
use std::time::Duration;
use tollgate_core::ids::Secret;
use tollgate_oauth::keys::Alg;
use url::Url;

/// The embedded authorization server.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerSettings {
    /// The issuer identifier: the public URL of the gate, without a path and a final slash.
    pub url: Url,
    /// The resources tokens may be asked for: each route's path, identifier and scopes.
    pub resources: Vec<ResourceSettings>,
    /// How agents get known.
    pub registration: RegistrationSettings,
    /// How people sign in.
    pub sign_in: SignIn,
    /// Issuers whose workload tokens are accepted in exchange for an agent's (RFC 7523 section 2.1).
    pub workloads: Vec<WorkloadIssuer>,
    /// How long things last.
    pub life: Lifetimes,
    /// What new signing keys are.
    pub algorithm: Alg,
}

/// One route tokens may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSettings {
    /// Its path.
    pub path: String,
    /// Its resource identifier (RFC 8707).
    pub identifier: String,
    /// Scopes people may be asked for; `tool:NAME` may always be.
    pub scopes: Vec<String>,
}

/// How agents get known without an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationSettings {
    /// Whether agents may register themselves (RFC 7591).
    pub dynamic: bool,
    /// Whether a URL may be a `client_id` (Client ID Metadata Documents).
    pub documents: bool,
    /// Hosts such documents and redirects may be at, besides loopback redirects; any if empty. `*.`
    /// before a host stands for its subdomains.
    pub hosts: Vec<String>,
    /// Agents that registered themselves, in total.
    pub total_max: usize,
    /// The same from one address.
    pub per_address_max: usize,
    /// How long one that never got a token is kept.
    pub unused: Duration,
    /// Whether documents may be at addresses that are not public. For tests and closed networks.
    pub private_addresses: bool,
}

/// How people sign in.
#[derive(Clone, Debug, PartialEq)]
pub enum SignIn {
    /// They cannot: there are only machines.
    Nobody,
    /// With local accounts.
    Accounts,
    /// At an OpenID provider.
    Provider(Box<ProviderSettings>),
}

/// An OpenID provider people sign in at.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSettings {
    /// What people are shown.
    pub name: String,
    /// Its issuer identifier.
    pub url: String,
    /// The gate's client id there.
    pub client_id: String,
    /// The gate's secret there.
    pub client_secret: Secret<String>,
    /// Scopes asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim of the ID token that names groups.
    pub groups_claim: Option<String>,
    /// The claim of the ID token people are shown and logged as.
    pub name_claim: String,
    /// PEM file with the CAs to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// An issuer of workload tokens: a cluster, a CI system.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadIssuer {
    /// Its issuer identifier.
    pub url: String,
    /// Where its keys are; `None`: where its metadata says.
    pub keys: Option<Url>,
    /// Algorithms its keys may be used with.
    pub algorithms: Vec<Alg>,
    /// Which workload is which agent: the exact `sub`, and the agent's id.
    pub subjects: Vec<(String, String)>,
    /// PEM file with the CAs to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Authorization codes.
    pub code: Duration,
    /// Access tokens.
    pub access_token: Duration,
    /// Refresh tokens nobody uses.
    pub refresh_token: Duration,
    /// Grants, whatever is used.
    pub grant: Duration,
    /// A signing key signs.
    pub signing_key: Duration,
    /// The next signing key is published before it signs.
    pub signing_key_ahead: Duration,
}
