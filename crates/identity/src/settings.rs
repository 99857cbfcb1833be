//! What is needed to know who calls, checked and complete.

use std::path::PathBuf;
use std::time::Duration;
use tollgate_core::ids::Secret;
use tollgate_oauth::keys::Alg;
use url::Url;

/// Who may vouch for callers, and how that is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentitySettings {
    /// Issuers of tokens, in the order of the file.
    pub issuers: Vec<IssuerSettings>,
    /// Whether API keys are accepted.
    pub api_keys: bool,
    /// Which part of a client certificate names the agent; `None`: certificates prove nothing.
    pub certificates: Option<CertificateName>,
    /// How far clocks of issuers may differ from ours.
    pub leeway: Duration,
    /// How long a verified token is believed without being verified again.
    pub believed: Duration,
}

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerSettings {
    /// The operator's name for it: how routes choose issuers.
    pub name: String,
    /// Its issuer identifier, compared byte for byte with `iss`.
    pub url: String,
    /// Audiences accepted besides the resource identifier of the route itself, for issuers that
    /// cannot put that into a token. They apply to every route that accepts this issuer.
    pub audiences: Vec<String>,
    /// How its tokens are verified.
    pub tokens: TokenSettings,
    /// What its claims mean.
    pub claims: ClaimNames,
    /// PEM file with the CAs to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// How tokens of an issuer are verified.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenSettings {
    /// They are JWTs (RFC 9068).
    Jwt {
        /// Where its keys are.
        keys: KeysAt,
        /// Algorithms its keys may be used with.
        algorithms: Vec<Alg>,
        /// Whether `typ` must be `at+jwt`. Many providers still write `JWT`, or nothing.
        strict_type: bool,
    },
    /// They are opaque: it is asked about each (RFC 7662).
    Opaque(Introspection),
    /// It is the gate's own issuer.
    Own,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq)]
pub enum KeysAt {
    /// Where its metadata says (RFC 8414, OpenID Connect Discovery 1.0).
    Discovery,
    /// At this URL.
    Url(Url),
    /// In this file, a JWK set.
    File(PathBuf),
}

/// How an issuer is asked about its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Introspection {
    /// Where; `None`: where its metadata says.
    pub url: Option<Url>,
    /// How the gate proves itself there.
    pub client: ClientCredential,
    /// How long an answer is believed: the bound of a revocation there.
    pub believed: Duration,
    /// How many questions may be under way at once.
    pub at_once: usize,
}

/// How the gate proves itself to an authorization server.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientCredential {
    /// Its `client_id` there.
    pub id: String,
    /// Its proof.
    pub proof: ClientProof,
}

/// A proof of the gate's own.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientProof {
    /// `client_secret_basic`.
    SecretBasic(Secret<String>),
    /// `client_secret_post`.
    SecretPost(Secret<String>),
    /// `private_key_jwt` with a PEM private key in this file.
    PrivateKey {
        /// PKCS#8 PEM.
        pem: Secret<String>,
        /// The algorithm.
        algorithm: Alg,
        /// The key id, where the server wants one.
        kid: Option<String>,
    },
}

/// What claims mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// Claims that name the agent; the first that is there counts.
    pub agent: Vec<String>,
    /// The claim that names groups: a string or an array of strings. May be a path with dots
    /// (`realm_access.roles`).
    pub groups: Option<String>,
    /// Claims that name scopes: a string with spaces or an array; the first that is there counts.
    pub scopes: Vec<String>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            agent: ["client_id", "azp", "cid", "appid"].map(String::from).into(),
            groups: Some(String::from("groups")),
            scopes: ["scope", "scp"].map(String::from).into(),
        }
    }
}

/// Which part of a client certificate names the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// The first DNS name of the SAN.
    Dns,
    /// The SPIFFE id: the only URI of the SAN, with the scheme `spiffe`.
    Spiffe,
    /// The first e-mail address of the SAN.
    Email,
}

/// One protected resource: a route of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Its path, as in the configuration.
    pub path: String,
    /// Its resource identifier (RFC 8707): the URL agents use.
    pub resource: String,
    /// Names of the issuers it accepts; all if empty.
    pub issuers: Vec<String>,
    /// Scopes every token must carry.
    pub scopes: Vec<String>,
    /// Scopes named in its metadata besides.
    pub offered: Vec<String>,
}
