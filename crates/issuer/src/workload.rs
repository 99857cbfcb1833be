//! The keys of issuers of workload tokens: fetched when they are needed, and kept.
//!
//! A key set is fetched again when it is old, or when a token names a key it does not know; never
//! more often than the cooldown allows, however many unknown keys are named, and by one at a time.
//! While the issuer is down, what is known stays good for a while.

use crate::settings::WorkloadIssuer;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use tollgate_core::bounds::identity::{KEYS_COOLDOWN_SECS, KEYS_FRESH_SECS, KEYS_STALE_SECS};
use tollgate_core::clock::{Clock, Millis};
use tollgate_oauth::keys::{KeySet, KeysFault};
use tollgate_outbound::{FetchFault, Fetcher, Reach, Trust};
use url::Url;

/// Why there are no keys.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WorkloadFault {
    /// They cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchFault),
    /// They cannot be read.
    #[error("its key set cannot be used: {0}")]
    Keys(#[from] KeysFault),
    /// Its metadata cannot be read.
    #[error("its metadata {0}")]
    Metadata(&'static str),
    /// They could not be had just before.
    #[error(
        "its keys could not be had just before; the next try is in at most {KEYS_COOLDOWN_SECS} s"
    )]
    Cooling,
}

/// The keys of all configured issuers, in the order of the settings.
pub(crate) struct WorkloadKeys {
    sources: Vec<Source>,
}

impl fmt::Debug for WorkloadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadKeys").field("sources", &self.sources.len()).finish()
    }
}

struct Source {
    fetcher: Fetcher,
    /// Held while fetching, so that one does and the others wait.
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    fetched: Millis,
    tried: Option<Millis>,
}

impl Known {
    /// What can be used without asking; `kid` must be among it unless it was just asked for.
    fn usable(&self, kid: Option<&str>, now: Millis) -> Option<Arc<KeySet>> {
        let keys = self.keys.as_ref()?;
        let is_fresh = now.since(self.fetched) < KEYS_FRESH_SECS * 1_000;
        let is_known = kid.is_none_or(|kid| keys.knows(kid));
        (is_fresh && is_known).then(|| Arc::clone(keys))
    }

    fn is_cooling(&self, now: Millis) -> bool {
        self.tried.is_some_and(|tried| now.since(tried) < KEYS_COOLDOWN_SECS * 1_000)
    }

    /// What can be used since nothing better can be had.
    fn stale(&self, now: Millis) -> Option<Arc<KeySet>> {
        let is_bearable = now.since(self.fetched) < KEYS_STALE_SECS * 1_000;
        self.keys.clone().filter(|_| is_bearable)
    }
}

impl WorkloadKeys {
    /// Knows no keys yet.
    ///
    /// # Errors
    /// The CAs of an issuer cannot be read.
    pub(crate) fn new(issuers: &[WorkloadIssuer]) -> Result<Self, FetchFault> {
        let source = |issuer: &WorkloadIssuer| {
            let trust = issuer.ca.clone().map_or(Trust::System, Trust::File);
            Ok(Source {
                fetcher: Fetcher::new(trust)?,
                turn: tokio::sync::Mutex::new(()),
                known: Mutex::default(),
            })
        };
        Ok(Self { sources: issuers.iter().map(source).collect::<Result<_, FetchFault>>()? })
    }

    /// The keys of the issuer at `index` of the settings, fetched if need be.
    ///
    /// # Errors
    /// There are none, not even old ones.
    pub(crate) async fn keys(
        &self,
        index: usize,
        issuer: &WorkloadIssuer,
        kid: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Arc<KeySet>, WorkloadFault> {
        let source = self.sources.get(index).ok_or(WorkloadFault::Metadata("is not configured"))?;
        if let Some(keys) = source.known.lock().usable(kid, clock.now()) {
            return Ok(keys);
        }
        let _turn = source.turn.lock().await;
        let now = clock.now();
        let known = source.known.lock().clone();
        if let Some(keys) = known.usable(kid, now) {
            return Ok(keys);
        }
        if known.is_cooling(now) {
            return known.stale(now).ok_or(WorkloadFault::Cooling);
        }
        source.known.lock().tried = Some(now);
        match fetch(&source.fetcher, issuer).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                let mut known = source.known.lock();
                known.keys = Some(Arc::clone(&keys));
                known.fetched = now;
                Ok(keys)
            }
            Err(error) => {
                let stale = known.stale(now);
                if stale.is_some() {
                    tracing::warn!(issuer = issuer.url, %error, "old keys are used meanwhile");
                }
                stale.ok_or(error)
            }
        }
    }
}

async fn fetch(fetcher: &Fetcher, issuer: &WorkloadIssuer) -> Result<KeySet, WorkloadFault> {
    // The operator wrote the issuer, and trusts it to say where its keys are.
    let url = match &issuer.keys {
        Some(url) => url.clone(),
        None => discovered(fetcher, issuer).await?,
    };
    Ok(KeySet::parse(&fetcher.get_json(&url, Reach::Anywhere).await?)?)
}

/// Where the issuer's metadata says its keys are.
///
/// SPEC: OpenID Connect Discovery 1.0 section 4, which clusters and CI systems follow; the `issuer` in
/// it must be the one that was asked, byte for byte (section 4.3).
async fn discovered(fetcher: &Fetcher, issuer: &WorkloadIssuer) -> Result<Url, WorkloadFault> {
    let base = issuer.url.trim_end_matches('/');
    let url = format!("{base}/.well-known/openid-configuration");
    let url = Url::parse(&url).map_err(|_bad| WorkloadFault::Metadata("has no usable URL"))?;
    let json = fetcher.get_json(&url, Reach::Anywhere).await?;
    let document: serde_json::Value =
        serde_json::from_slice(&json).map_err(|_bad| WorkloadFault::Metadata("is not JSON"))?;
    let text = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
    if text("issuer") != Some(issuer.url.as_str()) {
        return Err(WorkloadFault::Metadata("is of another issuer"));
    }
    let keys = text("jwks_uri").ok_or(WorkloadFault::Metadata("has no `jwks_uri`"))?;
    Url::parse(keys).map_err(|_bad| WorkloadFault::Metadata("has a `jwks_uri` that is no URL"))
}
