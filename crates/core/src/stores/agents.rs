//! Agents: the OAuth clients the issuer knows, and API keys for those that cannot do OAuth.

use super::{Digest, Pending};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A registered agent: an OAuth client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Its `client_id`: the operator's name for it, or a random one.
    pub id: String,
    /// How it came to be known.
    pub origin: Origin,
    /// What people are shown (`client_name`).
    pub name: String,
    /// How it proves itself at the token endpoint.
    pub auth: AuthMethod,
    /// Secrets that are valid; two while one replaces the other.
    pub secrets: Vec<SecretHash>,
    /// Public keys, for [`AuthMethod::PrivateKeyJwt`].
    pub keys: ClientKeys,
    /// Where people may be sent back to, exactly.
    pub redirect_uris: Vec<String>,
    /// What it may ask for at the token endpoint.
    pub grants: Vec<GrantType>,
    /// Scopes it may get; a trailing `*` stands for any rest. Empty: whatever a person consents to,
    /// and nothing for the agent itself.
    pub scopes: Vec<String>,
    /// Paths of the routes it may get tokens for; all if empty.
    pub routes: Vec<String>,
    /// Groups it belongs to when it acts for itself.
    pub groups: Vec<String>,
    /// The rest of what it registered, as a JSON object (RFC 7591 section 2).
    pub metadata: String,
    /// When it was made, in Unix seconds.
    pub created: u64,
    /// When it ends, in Unix seconds; for registered ones, unless it is used before.
    pub expires: Option<u64>,
    /// When it was last given a token, in Unix seconds.
    pub used: Option<u64>,
    /// When the operator cut it off, in Unix seconds.
    pub revoked: Option<u64>,
}

/// How an agent came to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `tollgate agents add`.
    Operator,
    /// Dynamic registration (RFC 7591).
    Registered {
        /// Whose quota it counts towards: an address, IPv6 by /64.
        by: String,
        /// The digest of its registration access token (RFC 7592).
        token: Digest,
    },
    /// It is its own metadata document: the id is the document's URL. Kept only for what is known of
    /// it besides: its revocation.
    Document,
}

/// How an agent proves itself at the token endpoint (RFC 7591 `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// It is public.
    None,
    /// A secret in the `Authorization` header (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// A secret in the form.
    ClientSecretPost,
    /// A signed assertion (RFC 7523 section 2.2).
    PrivateKeyJwt,
}

/// What an agent may ask for at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GrantType {
    /// For a person, with a code.
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// Again, with a refresh token.
    #[serde(rename = "refresh_token")]
    RefreshToken,
    /// For itself.
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    /// For itself, with a token of a trusted issuer (RFC 7523 section 2.1).
    #[serde(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
}

/// A client secret that is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash {
    /// Its digest.
    pub digest: Digest,
    /// When it was made, in Unix seconds.
    pub created: u64,
    /// When it ends, in Unix seconds.
    pub expires: Option<u64>,
}

/// Where an agent's public keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeys {
    /// It has none.
    None,
    /// Here, as a JWK set.
    Inline(String),
    /// At this URL.
    Url(String),
}

/// An API key. It is one agent acting for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// Its digest: how it is found.
    pub digest: Digest,
    /// A short name that can be shown: the first characters of the key.
    pub label: String,
    /// The agent it stands for.
    pub agent: String,
    /// What it is limited to.
    pub scopes: Vec<String>,
    /// Groups of the agent.
    pub groups: Vec<String>,
    /// Paths of the routes it is good for; all if empty.
    pub routes: Vec<String>,
    /// When it was made, in Unix seconds.
    pub created: u64,
    /// When it ends, in Unix seconds.
    pub expires: Option<u64>,
    /// When it was revoked, in Unix seconds.
    pub revoked: Option<u64>,
}

/// How many agents may have registered themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// In total.
    pub total: usize,
    /// With the same [`Origin::Registered::by`].
    pub by_one: usize,
}

/// There already is one of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

/// The agents of the embedded issuer, and API keys.
pub trait Agents: Send + Sync + fmt::Debug {
    /// Adds an agent; [`super::StoreError::Full`] if it is a registered one over the quota.
    fn add(&self, agent: AgentRecord, quota: Quota) -> Pending<'_, Result<(), Taken>>;

    /// The agent of that id, revoked and expired ones too.
    fn find<'a>(&'a self, id: &'a str) -> Pending<'a, Option<AgentRecord>>;

    /// Puts `agent` in the place of `old` if that is still what is stored; says whether it was.
    fn replace(&self, old: AgentRecord, agent: AgentRecord) -> Pending<'_, bool>;

    /// Removes an agent; says whether it was there.
    fn remove<'a>(&'a self, id: &'a str) -> Pending<'a, bool>;

    /// At most `limit` agents with ids after `after`, by id.
    fn list<'a>(&'a self, after: &'a str, limit: usize) -> Pending<'a, Vec<AgentRecord>>;

    /// Removes registered agents that expired before `now`; says how many.
    fn sweep(&self, now: u64) -> Pending<'_, usize>;

    /// Adds an API key.
    fn add_key(&self, key: ApiKeyRecord) -> Pending<'_, ()>;

    /// The API key with this digest, revoked and expired ones too.
    fn find_key(&self, digest: Digest) -> Pending<'_, Option<ApiKeyRecord>>;

    /// The API keys of an agent, or of all; at most 10,000.
    fn keys_of<'a>(&'a self, agent: Option<&'a str>) -> Pending<'a, Vec<ApiKeyRecord>>;

    /// Lets an API key end at this time, unless it ends before; says whether there is one.
    fn end_key(&self, digest: Digest, at: u64) -> Pending<'_, bool>;

    /// Marks API keys of an agent as revoked: all of them, or the one with this label. Says which.
    fn revoke_keys<'a>(
        &'a self,
        agent: &'a str,
        label: Option<&'a str>,
        now: u64,
    ) -> Pending<'a, Vec<ApiKeyRecord>>;
}
