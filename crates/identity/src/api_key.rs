//! API keys: for agents that cannot do OAuth. A key is looked up by its digest, so how much of it
//! somebody guessed shows in no comparison.
//!
//! SPEC: OAuth does not know these. They are presented as bearer tokens and stand for one agent
//! that acts for itself.

use crate::complaint::Complaint;
use crate::denied::Denied;
use crate::finding::{Finding, Outcome, Refused};
use crate::names;
use crate::remembered::{Eras, Lasting};
use aws_lc_rs::digest;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tollgate_core::bounds::identity::API_KEY_LOOKUPS_MAX;
use tollgate_core::bounds::stores::STORE_MILLIS;
use tollgate_core::principal::{API_KEYS, Credential};
use tollgate_core::stores::{Agents, ApiKeyRecord, Digest, Revocable, StoreError};

/// What every API key begins with.
const PREFIX: &str = "tgk_";
/// Characters after it: 32 random bytes in base64url.
const REST: usize = 43;

/// Whether a token is an API key by its looks.
pub(crate) fn is_one(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Looks API keys up.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    agents: Arc<dyn Agents>,
    issuer: Arc<str>,
    turns: Semaphore,
    complaint: Complaint,
}

/// What a look-up is judged by.
pub(crate) struct Circumstances<'a> {
    /// The path of the route.
    pub(crate) path: &'a str,
    /// Unix seconds.
    pub(crate) now: u64,
    /// How long an answer is believed.
    pub(crate) believed: Duration,
    /// End when the store changes: then keys are looked up again, so that one that was just made is
    /// not refused for an earlier guess, and one that was just ended is not let in any more.
    pub(crate) store_eras: &'a Eras,
}

impl ApiKeys {
    /// Over this store.
    pub(crate) fn new(agents: Arc<dyn Agents>) -> Self {
        let turns = Semaphore::new(API_KEY_LOOKUPS_MAX);
        let complaint = Complaint::default();
        Self { agents, issuer: API_KEYS.into(), turns, complaint }
    }

    /// What the key proves at that route.
    pub(crate) async fn find(&self, token: &str, at: &Circumstances<'_>) -> Outcome {
        // One text for all that is wrong with a key, so that a guess teaches nothing.
        let bad =
            || Denied::invalid("the API key is not valid here: ask the operator for one that is");
        let era = at.store_eras.now();
        let rest = token.strip_prefix(PREFIX).unwrap_or_default();
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if rest.len() != REST || !rest.bytes().all(is_base64url) {
            return Err(bad().into());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let record = match self.look_up(Digest(bytes)).await {
            Ok(record) => record,
            Err(error) => {
                if self.complaint.is_due(at.now) {
                    tracing::error!(%error, "API keys cannot be looked up");
                }
                let why = "API keys cannot be looked up just now: try again later";
                return Err(Denied::unavailable(why, 1).into());
            }
        };
        let Some(record) = record.filter(|record| is_good(record, at)) else {
            return Err(Refused::in_era(bad(), era, at.now));
        };
        let until = at.now.saturating_add(at.believed.as_secs());
        let until = record.expires.map_or(until, |expires| expires.min(until));
        let agent = &*record.agent;
        let mut proof =
            names::proof(&self.issuer, agent, agent, Credential::ApiKey, record.created);
        proof.scopes = names::sorted(record.scopes.iter().map(String::as_str));
        proof.groups = names::sorted(record.groups.iter().map(String::as_str));
        proof.expires = record.expires;
        proof.revocable = vec![Revocable::api_key(&record.digest)];
        Ok(Finding { proof: Arc::new(proof), lasting: Lasting { until, era } })
    }

    async fn look_up(&self, digest: Digest) -> Result<Option<ApiKeyRecord>, StoreError> {
        let looking = async {
            let _turn = self.turns.acquire().await;
            self.agents.find_key(digest).await
        };
        timeout(Duration::from_millis(STORE_MILLIS), looking).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(String::from("it did not answer in time")))
        })
    }
}

fn is_good(record: &ApiKeyRecord, at: &Circumstances<'_>) -> bool {
    record.revoked.is_none()
        && record.expires.is_none_or(|expires| at.now < expires)
        && (record.routes.is_empty() || record.routes.iter().any(|route| route == at.path))
}
