//! What the issuer has given out and must remember: codes, refresh tokens, consents, and ids that
//! may be used once.
//!
//! A *grant* is one consent put to work: the code, and all tokens that descend from it. What is
//! used twice ends its grant.

use super::{Digest, Pending};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a grant. Random, 128 bit, in hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantId(pub String);

/// An authorization code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// Its digest.
    pub digest: Digest,
    /// The grant that begins with it.
    pub grant: GrantId,
    /// The agent it was given to.
    pub client: String,
    /// The `redirect_uri` it was sent to, as it was asked for.
    pub redirect_uri: String,
    /// The S256 challenge (RFC 7636).
    pub challenge: String,
    /// Who signed in.
    pub subject: String,
    /// What that person is called.
    pub user_name: String,
    /// That person's groups.
    pub groups: Vec<String>,
    /// The resource tokens will be for (RFC 8707).
    pub resource: String,
    /// The scopes consented to.
    pub scopes: Vec<String>,
    /// When it ends, in Unix seconds.
    pub expires: u64,
}

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshRecord {
    /// Its digest.
    pub digest: Digest,
    /// Its grant.
    pub grant: GrantId,
    /// The agent it was given to.
    pub client: String,
    /// Whom it is about.
    pub subject: String,
    /// What that person is called.
    pub user_name: String,
    /// That person's groups when they signed in.
    pub groups: Vec<String>,
    /// The resource.
    pub resource: String,
    /// The scopes of the grant: at most these.
    pub scopes: Vec<String>,
    /// When this token ends unless used, in Unix seconds.
    pub expires: u64,
    /// When the grant ends in any case, in Unix seconds.
    pub ends: u64,
}

/// What became of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It was good, and is not any more.
    Now(Box<CodeRecord>),
    /// It was used before: its grant is ended from now on.
    Before(GrantId),
    /// There is none, or it has expired.
    Unknown,
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The next one is in its place.
    Now,
    /// It was used before: its grant is ended from now on.
    Before(GrantId),
    /// There is none, it has expired, or its grant has ended.
    Unknown,
}

/// What a person has agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Who.
    pub subject: String,
    /// For which agent.
    pub client: String,
    /// To be sent back to which origin or scheme: a client of the same id elsewhere is asked again.
    pub redirect: String,
    /// For which resource.
    pub resource: String,
    /// Scopes.
    pub scopes: Vec<String>,
    /// When, in Unix seconds.
    pub given: u64,
}

/// Codes, refresh tokens, consents and ids that are used once.
pub trait Grants: Send + Sync + fmt::Debug {
    /// Keeps a code.
    fn keep_code(&self, code: CodeRecord) -> Pending<'_, ()>;

    /// Uses a code. Of all who try, at most one gets [`Spent::Now`]; every later one gets
    /// [`Spent::Before`] until long after the code would have expired, and ends the grant.
    fn spend_code(&self, digest: Digest, now: u64) -> Pending<'_, Spent>;

    /// Keeps the first refresh token of a grant, unless the grant has ended meanwhile; says whether
    /// it is kept.
    fn keep_refresh(&self, token: RefreshRecord) -> Pending<'_, bool>;

    /// A refresh token that has not been used, has not expired, and whose grant has not ended.
    fn find_refresh(&self, digest: Digest, now: u64) -> Pending<'_, Option<RefreshRecord>>;

    /// Uses a refresh token and keeps the next one. Of all who try, at most one gets
    /// [`Rotated::Now`]; every later one gets [`Rotated::Before`], and ends the grant.
    fn rotate(&self, used: Digest, next: RefreshRecord, now: u64) -> Pending<'_, Rotated>;

    /// Ends a grant: its refresh tokens are void, also those kept later. `until` is when its last
    /// access token ends.
    fn end(&self, grant: GrantId, until: u64) -> Pending<'_, ()>;

    /// Ends all grants of an agent, or of a person, or both; says which those were.
    fn end_all<'a>(
        &'a self,
        client: Option<&'a str>,
        subject: Option<&'a str>,
        until: u64,
    ) -> Pending<'a, Vec<GrantId>>;

    /// Marks an id as used until then; false if it was used before.
    fn spend_once(&self, id: Digest, until: u64) -> Pending<'_, bool>;

    /// What this person has agreed to for this agent, redirect and resource.
    fn consent<'a>(
        &'a self,
        subject: &'a str,
        client: &'a str,
        redirect: &'a str,
        resource: &'a str,
    ) -> Pending<'a, Option<Consent>>;

    /// Keeps a consent in place of an earlier one for the same.
    fn keep_consent(&self, consent: Consent) -> Pending<'_, ()>;

    /// Forgets what has ended; says how many records.
    fn sweep(&self, now: u64) -> Pending<'_, usize>;
}
