//! Single values about who vouches and who is vouched for: issuers, algorithms, scopes, agents, secrets.
//!
//! An issuer's identifier stays the text that was typed, since tokens repeat it byte for byte.

use crate::config::collections::List;
use crate::config::decode::At;
use crate::config::report::Pos;
use crate::config::scalars::{Scalar, Text, words};
use crate::config::values::{HostName, Web, is_loopback};
use serde_json::{Value, json};
use tollgate_core::ids::Secret;
use tollgate_oauth::client_id;
use tollgate_oauth::keys::Alg;
use url::Url;

/// The identifier of an issuer: an `https` URL, or `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IssuerUrl {
    /// As typed, with references resolved.
    pub(super) text: String,
    pub(super) url: Url,
}

impl Scalar for IssuerUrl {
    const KIND: &'static str = "the identifier of an issuer";
    const FORM: &'static str = "write it exactly as its tokens do, in `iss`: `https://login.example.com/realms/agents`, with a `/` at the end only if they have one";
    // A URL can carry a password.
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let url = web(text)?;
        // SPEC: RFC 8414 section 2: no query and no fragment.
        if url.query().is_some() {
            return Err(Some("remove the part from `?` on: issuers have none".to_owned()));
        }
        if let Some(help) = unsafe_scheme(&url) {
            return Err(Some(help));
        }
        Ok(Self { text: text.to_owned(), url })
    }

    fn schema() -> Value {
        json!({ "type": "string", "format": "uri" })
    }
}

/// A URL of an issuer that keys come from, or secrets go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SafeWeb(pub(super) Url);

impl Scalar for SafeWeb {
    const KIND: &'static str = "a URL that can be used here";
    const FORM: &'static str = "write the whole URL, as in `https://login.example.com/oauth/jwks`";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let url = web(text)?;
        unsafe_scheme(&url).map_or(Ok(Self(url)), |help| Err(Some(help)))
    }

    fn schema() -> Value {
        json!({ "type": "string", "format": "uri" })
    }
}

/// A URL of an issuer, without a user in it.
fn web(text: &str) -> Result<Url, Option<String>> {
    let url = Url::parse(text).map_err(|_| None)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Some("take the user and password out of the URL".to_owned()));
    }
    Web::parse(text).map(|Web(url)| url)
}

/// What to do about clear text, which leaves whoever is in between free to vouch for anybody.
fn unsafe_scheme(url: &Url) -> Option<String> {
    let clear = url.scheme() != "https" && !is_loopback(url);
    clear.then(|| {
        "write `https://`: whoever could change what comes from there could be anybody. `http` is for `localhost` and loopback addresses only".to_owned()
    })
}

/// A scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope(pub(super) String);

impl Scalar for Scope {
    const KIND: &'static str = "a scope";
    const FORM: &'static str = "write visible ASCII characters without spaces, `\"` and `\\`, as in `mcp` or `tool:search`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        // SPEC: RFC 6749 section 3.3.
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let fits = !text.is_empty() && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned())).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0))
    }
}

impl Scope {
    /// Scopes as a default.
    pub(super) fn list(scopes: &[&str]) -> List<Self> {
        defaults(scopes.iter().map(|scope| Self((*scope).to_owned())))
    }
}

/// The id of an agent that the operator named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AgentId(pub(super) String);

impl AgentId {
    /// Longest id.
    const CHARS_MAX: usize = 64;

    /// Whether this can be the id of an agent.
    pub(crate) fn is_id(text: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = text.len() <= Self::CHARS_MAX && text.bytes().all(allowed);
        // What looks like an agent that registered itself, above all, would be taken for one.
        fits && client_id::check_name(text).is_ok()
    }
}

impl Scalar for AgentId {
    const KIND: &'static str = "the name of an agent";
    const FORM: &'static str = "write 1 to 64 letters, digits, `.`, `_` or `-`, as in `tollgate agents add nightly-report --workload`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        Self::is_id(text).then(|| Self(text.to_owned())).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

/// Hosts of registered agents: a name, or `*.` and a name for its subdomains. In lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPattern(pub(super) String);

impl Scalar for HostPattern {
    const KIND: &'static str = "a host";
    const FORM: &'static str = "write a name without scheme, port and path: `agents.example.com`, or `*.example.com` for its subdomains";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let HostName(host) = HostName::parse(text.strip_prefix("*.").unwrap_or(text))?;
        let is_name = !host.contains([':', '*', '[']);
        is_name.then(|| Self(text.to_ascii_lowercase())).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

/// A secret that the gate and somebody else share.
#[derive(Clone, Debug)]
pub(super) struct SharedSecret(pub(super) Secret<String>);

impl Scalar for SharedSecret {
    const KIND: &'static str = "a secret that can be used here";
    const FORM: &'static str = "write `${env:NAME}` or `${file:PATH}`; what it stands for is one line of visible ASCII characters";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let visible = text.bytes().all(|b| (0x20..=0x7e).contains(&b));
        let fits = !text.trim().is_empty() && visible;
        fits.then(|| Self(Secret::new(text.to_owned()))).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "writeOnly": true })
    }
}

words! {
    /// An algorithm tokens are signed with. There is no `none`, and none with a shared key.
    Signature {
        #[default]
        Rs256 = "RS256",
        Rs384 = "RS384",
        Rs512 = "RS512",
        Ps256 = "PS256",
        Ps384 = "PS384",
        Ps512 = "PS512",
        Es256 = "ES256",
        Es384 = "ES384",
        EdDsa = "EdDSA",
    }
}

impl Signature {
    /// What tokens of issuers are verified with where nothing else is written.
    pub(super) fn usual() -> List<Self> {
        defaults([Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa].into_iter())
    }

    pub(super) const fn alg(self) -> Alg {
        match self {
            Self::Rs256 => Alg::Rs256,
            Self::Rs384 => Alg::Rs384,
            Self::Rs512 => Alg::Rs512,
            Self::Ps256 => Alg::Ps256,
            Self::Ps384 => Alg::Ps384,
            Self::Ps512 => Alg::Ps512,
            Self::Es256 => Alg::Es256,
            Self::Es384 => Alg::Es384,
            Self::EdDsa => Alg::EdDsa,
        }
    }
}

words! {
    /// An algorithm the gate's own issuer signs with.
    OwnSignature {
        #[default]
        Es256 = "ES256",
        EdDsa = "EdDSA",
    }
}

words! {
    /// Which part of a client certificate names the agent.
    NamedBy {
        #[default]
        Dns = "dns",
        Spiffe = "spiffe",
        Email = "email",
    }
}

words! {
    /// Identity is switched off.
    Off {
        #[default]
        Off = "off",
    }
}

words! {
    /// The keys of an issuer are where its metadata says.
    Discovered {
        #[default]
        Discovery = "discovery",
    }
}

words! {
    /// How people sign in at the gate's own issuer, in one word.
    SignInWord {
        #[default]
        Accounts = "accounts",
        Nobody = "nobody",
    }
}

words! {
    /// Where the gate writes its secret.
    SecretPlace {
        #[default]
        Basic = "basic",
        Post = "post",
    }
}

/// Names of claims as a default.
pub(super) fn claims(names: &[String]) -> List<Text> {
    defaults(names.iter().map(|name| Text { value: name.clone(), typed: name.clone() }))
}

fn defaults<T>(values: impl Iterator<Item = T>) -> List<T> {
    List(values.map(|value| At { value, at: Pos::default() }).collect())
}
