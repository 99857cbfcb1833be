//! The signing keys: which one signs now, which ones are published, and when the next is made.
//!
//! A key is published long before it signs, and until the last token it signed has ended, so that
//! whoever verifies never meets a key it cannot know. All times are of the wall clock and may jump:
//! the order in which keys were made decides, and time only says from when.
//!
//! Several processes share the store. Each looks every [`KEYS_LOOK_SECS`], and of all that find a
//! rotation due one makes the key.

use crate::settings::IssuerSettings;
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use tollgate_core::bounds::identity::LEEWAY_SECS;
use tollgate_core::bounds::issuer::{KEYS_KEPT_SECS, KEYS_LOOK_SECS};
use tollgate_core::clock::Clock;
use tollgate_core::ids::Secret;
use tollgate_core::stores::{SigningKeyRecord, StoreError, Stores};
use tollgate_oauth::keys::{Alg, KeySet, SharedKeys, SigningFault, SigningKey};

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key cannot be made, or one that is stored cannot be used.
    #[error("a signing key cannot be used: {0}")]
    Key(#[from] SigningFault),
    /// A stored key is of an algorithm that does not sign here.
    #[error("a signing key is stored for `{0}`, which is not known here")]
    Algorithm(String),
    /// There are keys, and none of them can be used.
    #[error(
        "none of the stored signing keys can be used, as the log says of each; `tollgate keys rotate \
         --now` makes a new one"
    )]
    NoneUsable,
    /// Another process rotates again and again.
    #[error("other processes changed the signing keys at the same time; try again")]
    Contended,
}

/// A key this process can sign with.
#[derive(Clone)]
struct Held {
    key: Arc<SigningKey>,
    activates: u64,
    retires: Option<u64>,
}

/// What a process knows of the signing keys. Signing asks no store.
pub(crate) struct SigningRing {
    /// In the order they were made. Short, and replaced as a whole.
    held: RwLock<Arc<[Held]>>,
    published: SharedKeys,
}

impl fmt::Debug for SigningRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningRing").finish_non_exhaustive()
    }
}

/// The key to sign with, and until when it is published.
pub(crate) struct Signer {
    /// The key.
    pub(crate) key: Arc<SigningKey>,
    /// What it signs must have ended by then.
    pub(crate) until: Option<u64>,
}

impl SigningRing {
    /// One that knows no key yet and tells `published` of those it learns.
    pub(crate) fn new(published: SharedKeys) -> Self {
        Self { held: RwLock::new(Arc::new([])), published }
    }

    /// Reads the keys again, after making the next one if it is due.
    ///
    /// # Errors
    /// The store does not answer; what was known stays.
    pub(crate) async fn refresh(
        &self,
        settings: &IssuerSettings,
        stores: &Stores,
        clock: &dyn Clock,
    ) -> Result<(), SigningError> {
        let mut records = stores.keys.all().await?;
        if is_due(settings, &records, clock.unix_secs()) {
            // Whether this process made the key or another did, it is there now.
            match add(settings, stores, clock, &records, false).await {
                Ok(Some(kid)) => tracing::info!(kid, "a new signing key is published"),
                Ok(None) => {}
                Err(error) if records.is_empty() => return Err(error),
                Err(error) => tracing::warn!(%error, "the next signing key cannot be made"),
            }
            records = stores.keys.all().await?;
        }
        self.learn(&records, clock.unix_secs())?;
        Ok(())
    }

    fn learn(&self, records: &[SigningKeyRecord], now: u64) -> Result<(), SigningError> {
        let known = self.known();
        let mut held = Vec::with_capacity(records.len());
        for record in records.iter().filter(|record| is_published(record, now)) {
            let same = known.iter().find(|known| known.key.kid() == record.kid);
            let key = match same {
                Some(known) => Arc::clone(&known.key),
                None => match read(record) {
                    Ok(key) => Arc::new(key),
                    // What another version wrote must not keep the others from signing.
                    Err(error) => {
                        tracing::error!(kid = record.kid, %error, "a signing key is unusable");
                        continue;
                    }
                },
            };
            held.push(Held { key, activates: record.activates, retires: record.retires });
        }
        let kids = |of: &[Held]| -> Vec<String> {
            of.iter().map(|held| held.key.kid().to_owned()).collect()
        };
        let has_changed = kids(&held) != kids(&known);
        let keys: Vec<Arc<SigningKey>> = held.iter().map(|held| Arc::clone(&held.key)).collect();
        // First published, then used.
        if has_changed || self.published.load().is_empty() {
            let keys: Vec<&SigningKey> = keys.iter().map(Arc::as_ref).collect();
            self.published.store(KeySet::from_signing(&keys));
        }
        *self.held.write() = held.into();
        Ok(())
    }

    fn known(&self) -> Arc<[Held]> {
        Arc::clone(&self.held.read())
    }

    /// The key that signs now: of those whose time has come, the one made last.
    pub(crate) fn signer(&self, now: u64) -> Option<Signer> {
        let held = self.known();
        let is_there = |held: &&Held| held.retires.is_none_or(|retires| retires > now);
        let active = held.iter().filter(is_there).rfind(|held| held.activates <= now);
        // The clock went back to before all keys, or the key that was in use was removed: a key
        // that is published signs before its time rather than none.
        let chosen = active.or_else(|| held.iter().find(is_there))?;
        Some(Signer { key: Arc::clone(&chosen.key), until: chosen.retires })
    }

    /// Whether there is a key to sign with.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn ready(&self, now: u64) -> Result<(), SigningError> {
        self.signer(now).map(|_| ()).ok_or(SigningError::NoneUsable)
    }

    /// The public keys.
    pub(crate) fn published(&self) -> Arc<KeySet> {
        self.published.load()
    }
}

/// Makes the next signing key before it is due, and says its id.
///
/// It signs after the usual time ahead, or, `immediately`, as soon as every process knows it. Tokens
/// of the key before it stay valid; to end those, remove that key.
///
/// # Errors
/// The store does not answer, or no key can be made.
pub async fn rotate(
    settings: &IssuerSettings,
    stores: &Stores,
    clock: &dyn Clock,
    immediately: bool,
) -> Result<String, SigningError> {
    for _ in 0..ROTATE_TRIES {
        let records = stores.keys.all().await?;
        if let Some(kid) = add(settings, stores, clock, &records, immediately).await? {
            return Ok(kid);
        }
    }
    Err(SigningError::Contended)
}

/// A rotation is tried so often against other processes.
const ROTATE_TRIES: usize = 5;

/// Removes the records of keys that nothing valid was signed with for long.
pub(crate) async fn sweep(stores: &Stores, now: u64) -> Result<usize, StoreError> {
    let mut removed = 0;
    for record in stores.keys.all().await? {
        // Kept for a while besides: a clock that jumped ahead must not lose keys for good.
        let is_over = |retires: u64| retires.saturating_add(KEYS_KEPT_SECS) < now;
        if record.retires.is_some_and(is_over) && stores.keys.remove(&record.kid).await? {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether the next key must be made: the one that signs is about to have signed long enough, and
/// none is waiting for its turn.
fn is_due(settings: &IssuerSettings, records: &[SigningKeyRecord], now: u64) -> bool {
    let (life, ahead) =
        (settings.life.signing_key.as_secs(), settings.life.signing_key_ahead.as_secs());
    let Some(newest) = records.last() else { return true };
    if newest.retires.is_some() {
        // Its successor was removed.
        return true;
    }
    if newest.activates > now {
        // Waits for its turn; unless it was made by a clock that was wrong, and would wait for long.
        return newest.activates - now > ahead.saturating_mul(2).max(LEEWAY_SECS);
    }
    now.saturating_add(ahead) >= newest.activates.saturating_add(life)
}

async fn add(
    settings: &IssuerSettings,
    stores: &Stores,
    clock: &dyn Clock,
    records: &[SigningKeyRecord],
    immediately: bool,
) -> Result<Option<String>, SigningError> {
    let key = SigningKey::generate(settings.algorithm)?;
    let now = clock.unix_secs();
    let newest = records.last();
    let wait = match newest {
        // Nobody knows any key: there is nothing to wait for.
        None => 0,
        // All processes look once, and those that verify elsewhere find a new key id. A newest key
        // that is to end has lost its successor, and may end before the usual time ahead.
        Some(record) if immediately || record.retires.is_some() => KEYS_LOOK_SECS * 2,
        Some(_) => settings.life.signing_key_ahead.as_secs(),
    };
    let newest = newest.map(|record| record.kid.as_str());
    let activates = now.saturating_add(wait);
    // INVARIANT: the key before this one signs until then, tokens last so long, verifiers' clocks may
    // be behind, and each process learns of this key up to a look later.
    let life = settings.life.access_token.as_secs();
    let retire_others = activates.saturating_add(life + 2 * LEEWAY_SECS + 2 * KEYS_LOOK_SECS);
    let record = SigningKeyRecord {
        kid: key.kid().to_owned(),
        algorithm: settings.algorithm.name().to_owned(),
        pkcs8: Secret::new(key.pkcs8().to_vec()),
        created: now,
        activates,
        retires: None,
    };
    let kid = record.kid.clone();
    let is_added = stores.keys.add(record, newest, retire_others).await?;
    Ok(is_added.then_some(kid))
}

fn is_published(record: &SigningKeyRecord, now: u64) -> bool {
    record.retires.is_none_or(|retires| retires > now)
}

fn read(record: &SigningKeyRecord) -> Result<SigningKey, SigningError> {
    let algorithm = Alg::parse(&record.algorithm)
        .ok_or_else(|| SigningError::Algorithm(record.algorithm.clone()))?;
    Ok(SigningKey::from_pkcs8(&record.kid, algorithm, record.pkcs8.expose())?)
}
