//! The issuer's signing keys.

use super::Pending;
use crate::ids::Secret;
use std::fmt;

/// A signing key and its schedule.
#[derive(Clone, Debug)]
pub struct SigningKeyRecord {
    /// Its key id.
    pub kid: String,
    /// The JWS algorithm (`ES256`, `EdDSA`).
    pub algorithm: String,
    /// PKCS#8 DER.
    pub pkcs8: Secret<Vec<u8>>,
    /// When it was made, in Unix seconds: published from then on.
    pub created: u64,
    /// From when it signs, in Unix seconds.
    pub activates: u64,
    /// Until when it is published, in Unix seconds; `None` while nothing is to replace it.
    pub retires: Option<u64>,
}

/// Signing keys.
pub trait SigningKeys: Send + Sync + fmt::Debug {
    /// All keys, the oldest first.
    fn all(&self) -> Pending<'_, Vec<SigningKeyRecord>>;

    /// Adds a key if the newest is still `newest` (`None`: there is none), so that of several
    /// processes one rotates; says whether it did. All others without an end get `retire_others`.
    fn add<'a>(
        &'a self,
        key: SigningKeyRecord,
        newest: Option<&'a str>,
        retire_others: u64,
    ) -> Pending<'a, bool>;

    /// Removes a key at once; says whether it was there.
    fn remove<'a>(&'a self, kid: &'a str) -> Pending<'a, bool>;
}
