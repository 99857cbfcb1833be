//! What is not valid any more, before its time.
//!
//! Few entries, each with an end: a revocation is forgotten when everything it concerns has expired.

use super::{Digest, Pending};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What can be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocable {
    /// Everything of an agent, whoever issued it: its `client_id`.
    Agent(String),
    /// Everything that descends from one grant of the embedded issuer: its id.
    Grant(String),
    /// One token of an issuer: issuer and `jti`.
    Token(String, String),
    /// Everything of a person: issuer and subject.
    Subject(String, String),
    /// One API key, by the hex of its digest's first 8 bytes.
    ApiKey(String),
}

impl Revocable {
    /// How an API key is named here.
    #[must_use]
    pub fn api_key(digest: &Digest) -> Self {
        use std::fmt::Write as _;
        Self::ApiKey(digest.0[..8].iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Of what.
    pub what: Revocable,
    /// Credentials issued up to this time are void, in Unix seconds. `u64::MAX`: all, until it is
    /// taken back.
    pub before: u64,
    /// When it may be forgotten, in Unix seconds.
    pub until: u64,
}

/// Revocations.
pub trait Revocations: Send + Sync + fmt::Debug {
    /// Adds one, or extends the one of the same thing.
    fn revoke(&self, revocation: Revocation) -> Pending<'_, ()>;

    /// Takes one back; says whether it was there.
    fn restore(&self, what: Revocable) -> Pending<'_, bool>;

    /// All that may not be forgotten yet.
    fn all(&self, now: u64) -> Pending<'_, Vec<Revocation>>;

    /// A number that changes whenever any process changed anything in the store that is shared with
    /// this one. Cheap: asked for several times a second.
    fn version(&self) -> Pending<'_, u64>;

    /// Forgets what may be forgotten; says how many.
    fn sweep(&self, now: u64) -> Pending<'_, usize>;
}
