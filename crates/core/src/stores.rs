//! The ports behind which lives what is kept: agents, users, grants, signing keys and revocations; the
//! ledger of usage; and pins of tool definitions.
//!
//! The implementations are in `tollgate-backends`; one contract suite there holds for all of them.
//! Every method is atomic, also between processes that share a store. Secrets never get here: only
//! digests of them. Times are Unix seconds, handed in.
//!
//! Read in this order.

mod agents;

mod users;

mod grants;

mod keys;

mod revocations;

mod usage;

mod pins;

pub use agents::{AgentRecord, Agents, ApiKeyRecord, AuthMethod, ClientKeys, GrantType, Origin};
pub use agents::{Quota, SecretHash, Taken};
pub use grants::{CodeRecord, Consent, GrantId, Grants, RefreshRecord, Rotated, Spent};
pub use keys::{SigningKeyRecord, SigningKeys};
pub use pins::{Approval, FIRST_USE, PinRecord, PinTexts, Pins, Seen};
pub use revocations::{Revocable, Revocation, Revocations};
pub use usage::{
    CallId, CountedBy, Outcome, UsageBy, UsageFilter, UsageLedger, UsageRow, UsageSums,
};
pub use users::{UserRecord, Users};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A SHA-256 digest of a secret: what is stored instead of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// An answer of a store that is still to come.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store has no answer. Not an answer of its own: what is absent is `None`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or used just now; what was asked may or may not have happened.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read: another version wrote it, or it is damaged.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// It holds as much as it may.
    #[error("the store holds as many {0} as it may")]
    Full(&'static str),
}

/// All stores of identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Agents and their API keys.
    pub agents: Arc<dyn Agents>,
    /// People with local accounts.
    pub users: Arc<dyn Users>,
    /// Codes, refresh tokens and consents.
    pub grants: Arc<dyn Grants>,
    /// The issuer's signing keys.
    pub keys: Arc<dyn SigningKeys>,
    /// What is not valid any more, before its time.
    pub revocations: Arc<dyn Revocations>,
}
