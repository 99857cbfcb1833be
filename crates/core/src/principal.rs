//! Who is calling, independent of how they proved it.
//!
//! Identity is (issuer, subject, client): the *agent* is the client, and where the subject is a
//! person, that is the *user* it acts for. Nothing self-reported (`clientInfo`, headers) is part of
//! it. Without an identity section every caller is [`Principal::Anonymous`]; only its network
//! address then tells callers apart, and only for counting.
//!
//! Who makes a [`Proof`] has verified a credential: that is `tollgate-identity` alone.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// The agent that calls, plus the user it acts for.
///
/// Two principals are equal if issuer, subject and client are, whatever their credentials say
/// besides: a new token of the same principal is the same principal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Identity is off: nobody proved anything.
    Anonymous,
    /// A credential was verified.
    Proven(Arc<Proof>),
}

impl Principal {
    /// Bytes that differ between any two principals: what sessions and sealed values are bound to.
    #[must_use]
    pub fn binding(&self) -> &[u8] {
        match self {
            Self::Anonymous => b"anonymous",
            Self::Proven(proof) => &proof.binding,
        }
    }

    /// What was proven, if anything.
    #[must_use]
    pub fn proof(&self) -> Option<&Arc<Proof>> {
        match self {
            Self::Anonymous => None,
            Self::Proven(proof) => Some(proof),
        }
    }
}

/// What a verified credential says. Never shown whole: names of people are in it.
#[derive(Clone)]
pub struct Proof {
    /// Who vouches: the issuer's URL, or [`API_KEYS`] or [`CERTIFICATES`] for what the gate itself
    /// knows.
    pub issuer: Arc<str>,
    /// Whom it is about: a person, or the agent itself.
    pub subject: Arc<str>,
    /// The agent: the OAuth client.
    pub client: Arc<str>,
    /// The user the agent acts for; `None` where the agent acts for itself.
    pub user: Option<Arc<str>>,
    /// Through whom the right was passed on (RFC 8693 `act`), the most recent first.
    pub actors: Vec<Arc<str>>,
    /// What the credential is limited to. Sorted, each once.
    pub scopes: Arc<[Box<str>]>,
    /// Groups of the user, or of the agent, as the configured claim names them.
    pub groups: Arc<[Box<str>]>,
    /// All that was verified, as the JSON of one object, for conditions that look further than names; at
    /// most [`CLAIMS_BYTES_MAX`](crate::bounds::policy::CLAIMS_BYTES_MAX). `None` where a credential has
    /// no claims, and where they are larger.
    pub claims: Option<Arc<str>>,
    /// When the credential ends, in Unix seconds; `None` where it does not by itself.
    pub expires: Option<u64>,
    /// How it was proven.
    pub credential: Credential,
    /// What a revocation may name besides the agent: ids of the grant, the token, the key.
    pub revocable: Vec<crate::stores::Revocable>,
    /// Since when the credential exists, in Unix seconds: a revocation ends what is older.
    pub issued: u64,
    binding: Box<[u8]>,
    caller: CallerKey,
    agent: AgentKey,
}

/// Issuer of principals that were proven by an API key.
pub const API_KEYS: &str = "urn:tollgate:api-key";
/// Issuer of principals that were proven by a client certificate.
pub const CERTIFICATES: &str = "urn:tollgate:certificate";

/// How a principal was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A JWT access token (RFC 9068).
    Jwt,
    /// A token its issuer was asked about (RFC 7662).
    Opaque,
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
}

/// The three names a principal is made of, and digests of them, which the maker computes since this
/// crate has no cryptography.
#[derive(Clone, Debug)]
pub struct Names {
    /// See [`Proof::issuer`].
    pub issuer: Arc<str>,
    /// See [`Proof::subject`].
    pub subject: Arc<str>,
    /// See [`Proof::client`].
    pub client: Arc<str>,
    /// A collision-free digest of all three.
    pub caller_digest: [u8; 16],
    /// A collision-free digest of issuer and client.
    pub agent_digest: [u8; 16],
}

impl Proof {
    /// A proof with nothing but names; the maker fills in the rest.
    #[must_use]
    pub fn new(names: Names, credential: Credential, issued: u64) -> Self {
        let mut binding = Vec::with_capacity(24 + names.issuer.len() + 64);
        for part in [&names.issuer, &names.subject, &names.client] {
            binding.extend_from_slice(&(part.len() as u64).to_be_bytes());
            binding.extend_from_slice(part.as_bytes());
        }
        Self {
            issuer: names.issuer,
            subject: names.subject,
            client: names.client,
            user: None,
            actors: Vec::new(),
            scopes: Arc::new([]),
            groups: Arc::new([]),
            claims: None,
            expires: None,
            credential,
            revocable: Vec::new(),
            issued,
            binding: binding.into(),
            caller: CallerKey(u128::from_be_bytes(names.caller_digest)),
            agent: AgentKey(u128::from_be_bytes(names.agent_digest)),
        }
    }

    /// What caps and isolation know the principal by.
    #[must_use]
    pub const fn caller(&self) -> CallerKey {
        self.caller
    }

    /// What everything of this agent is known by, whoever it acts for.
    #[must_use]
    pub const fn agent(&self) -> AgentKey {
        self.agent
    }

    /// Whether the credential carries this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| **held == *scope)
    }
}

impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        self.binding == other.binding
    }
}

impl Eq for Proof {}

impl Hash for Proof {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.binding.hash(state);
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Proof");
        shown.field("issuer", &self.issuer).field("client", &self.client);
        shown.field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// What per-caller caps count by, and what is kept apart between callers.
///
/// A proven principal's is a digest of its names. An anonymous caller's is its address, IPv6 by
/// /64, since one host commonly owns the whole of it; no digest looks like an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallerKey(u128);

impl CallerKey {
    /// The key of an anonymous caller: its address.
    #[must_use]
    pub const fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().to_bits()),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(_) => Self(v6.to_bits()),
                None => Self(v6.to_bits() & !(u64::MAX as u128)),
            },
        }
    }

    /// In which of so many parts it is kept.
    #[must_use]
    pub const fn part(self, parts: usize) -> usize {
        (self.0 % parts as u128) as usize
    }

    /// The key as a number, for tables that hold other keys too.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }
}

/// What all principals of one agent have in common: issuer and client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AgentKey(u128);

impl AgentKey {
    /// The key as a number, for tables that hold other keys too.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{CallerKey, Credential, Names, Principal, Proof};
    use std::sync::Arc;

    fn key(text: &str) -> CallerKey {
        CallerKey::of_address(text.parse().expect("an address"))
    }

    fn proven([issuer, subject, client]: [&str; 3], issued: u64) -> Principal {
        let names = Names {
            issuer: issuer.into(),
            subject: subject.into(),
            client: client.into(),
            caller_digest: [1; 16],
            agent_digest: [2; 16],
        };
        Principal::Proven(Arc::new(Proof::new(names, Credential::Jwt, issued)))
    }

    #[test]
    fn one_ipv6_network_is_one_caller() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }

    #[test]
    fn mapped_and_plain_ipv4_are_one_caller() {
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.2"), key("10.0.0.1"));
    }

    #[test]
    fn a_new_token_is_the_same_principal() {
        assert_eq!(proven(["i", "s", "c"], 1), proven(["i", "s", "c"], 2));
    }

    #[test]
    fn names_that_run_into_one_another_are_different_principals() {
        for other in [["i", "sc", ""], ["is", "", "c"], ["i", "c", "s"], ["", "is", "c"]] {
            assert_ne!(proven(["i", "s", "c"], 1), proven(other, 1));
            assert_ne!(proven(["i", "s", "c"], 1).binding(), proven(other, 1).binding());
        }
    }
}
