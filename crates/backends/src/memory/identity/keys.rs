//! Signing keys in memory.

use super::{Held, room};
use tollgate_core::bounds::stores::SIGNING_KEYS_MAX;
use tollgate_core::stores::{Pending, SigningKeyRecord, SigningKeys};

/// Signing keys, the oldest first.
#[derive(Debug)]
pub(super) struct MemoryKeys(pub(super) Held<Vec<SigningKeyRecord>>);

impl SigningKeys for MemoryKeys {
    fn all(&self) -> Pending<'_, Vec<SigningKeyRecord>> {
        Box::pin(async move { Ok(self.0.read().clone()) })
    }

    fn add<'a>(
        &'a self,
        key: SigningKeyRecord,
        newest: Option<&'a str>,
        retire_others: u64,
    ) -> Pending<'a, bool> {
        Box::pin(async move {
            let mut keys = self.0.write();
            let is_newest = keys.last().map(|key| key.kid.as_str()) == newest;
            if !is_newest || keys.iter().any(|other| other.kid == key.kid) {
                return Ok(false);
            }
            room(keys.len(), SIGNING_KEYS_MAX, "signing keys")?;
            for other in keys.iter_mut() {
                other.retires.get_or_insert(retire_others);
            }
            keys.push(key);
            Ok(true)
        })
    }

    fn remove<'a>(&'a self, kid: &'a str) -> Pending<'a, bool> {
        Box::pin(async move {
            let mut keys = self.0.write();
            let before = keys.len();
            keys.retain(|key| key.kid != kid);
            Ok(keys.len() < before)
        })
    }
}
