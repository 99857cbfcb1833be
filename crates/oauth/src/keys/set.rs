//! The keys of one issuer, and the choice of one for a signature.
//!
//! A set is replaced as a whole, never changed: readers keep the one they hold. What a set does not
//! name is unknown here; whether it is worth fetching anew is the caller's question.

use super::{Alg, Key, SigningKey};
use crate::json;
use crate::jwt::JwtFault;
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError, RwLock};
use tollgate_core::bounds::identity::{KEYS_MAX, KEYS_TRIED_MAX};
use tollgate_core::bounds::outbound::FETCH_BYTES_MAX;

/// Keys of a set that are looked at, usable or not: to see that a point is on its curve takes time.
const KEYS_LISTED_MAX: usize = 4 * KEYS_MAX;

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// It is too long.
    #[error("the key set is longer than {FETCH_BYTES_MAX} bytes")]
    TooLong,
    /// It cannot be read.
    #[error("the key set cannot be read: {0}")]
    Json(#[from] json::JsonFault),
    /// It has no array `keys`.
    #[error("the key set has no array `keys`")]
    NoKeys,
}

/// Public keys signatures are verified with. At most [`KEYS_MAX`].
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads a JWK set. Keys nothing may be verified with are left out.
    ///
    /// SPEC: RFC 7517 section 5.
    ///
    /// # Errors
    /// If it is no JWK set.
    pub fn parse(json: &[u8]) -> Result<Self, KeysFault> {
        if json.len() > FETCH_BYTES_MAX {
            return Err(KeysFault::TooLong);
        }
        let set = json::object(json)?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or(KeysFault::NoKeys)?;
        let mut keys: Vec<Key> = Vec::new();
        for key in listed.iter().take(KEYS_LISTED_MAX).filter_map(Key::read) {
            let is_known =
                keys.iter().any(|known| known.kid() == key.kid() && known.is_same_key(&key));
            if !is_known {
                keys.push(key);
            }
            if keys.len() == KEYS_MAX {
                break;
            }
        }
        Ok(Self { keys })
    }

    /// A set that verifies nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self { keys: Vec::new() }
    }

    /// The public halves of signing keys.
    #[must_use]
    pub fn from_signing(keys: &[&SigningKey]) -> Self {
        Self { keys: keys.iter().take(KEYS_MAX).map(|key| key.public().clone()).collect() }
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it verifies nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key has this id.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// The set as a JWK set, with nothing that is private.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "keys": self.keys.iter().map(Key::to_json).collect::<Vec<_>>() })
    }

    /// Whether one of the keys it may be by signed this.
    ///
    /// SPEC: RFC 7515 section 6: a `kid` chooses the key; without one, the only key that fits.
    pub(crate) fn verify(
        &self,
        (alg, kid): (Alg, Option<&str>),
        text: &str,
        signature: &Vec<u8>,
    ) -> Result<(), JwtFault> {
        let named = |key: &&Key| kid.is_none() || key.kid() == kid;
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.fits(alg)).peekable();
        if fitting.peek().is_none() {
            let is_known = kid.is_some_and(|kid| self.knows(kid));
            return Err(if is_known { JwtFault::Algorithm } else { JwtFault::KeyUnknown });
        }
        let mut fitting = fitting.take(KEYS_TRIED_MAX);
        if kid.is_none() {
            let (one, another) = (fitting.next(), fitting.next());
            let (Some(key), None) = (one, another) else { return Err(JwtFault::KeyUnknown) };
            return verdict(key.verifies(alg, text, signature));
        }
        verdict(fitting.any(|key| key.verifies(alg, text, signature)))
    }
}

const fn verdict(is_good: bool) -> Result<(), JwtFault> {
    if is_good { Ok(()) } else { Err(JwtFault::Signature) }
}

/// A key set that one side replaces while others read it.
#[derive(Clone, Debug, Default)]
pub struct SharedKeys(Arc<RwLock<Arc<KeySet>>>);

impl SharedKeys {
    /// One that begins with this set.
    #[must_use]
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keys))))
    }

    /// The set of now.
    #[must_use]
    pub fn load(&self) -> Arc<KeySet> {
        // A value is only ever replaced whole, so that a panic elsewhere leaves a good one.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it.
    pub fn store(&self, keys: KeySet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}
