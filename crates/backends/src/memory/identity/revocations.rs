//! Revocations in memory.

use super::{Changes, Held, room};
use std::collections::BTreeMap;
use tollgate_core::bounds::stores::REVOCATIONS_MAX;
use tollgate_core::stores::{Pending, Revocable, Revocation, Revocations};

/// Revocations by what they are of.
#[derive(Debug)]
pub(super) struct MemoryRevocations(
    pub(super) Held<BTreeMap<Revocable, Revocation>>,
    pub(super) Changes,
);

impl Revocations for MemoryRevocations {
    fn revoke(&self, revocation: Revocation) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut all = self.0.write();
            if let Some(known) = all.get_mut(&revocation.what) {
                known.before = known.before.max(revocation.before);
                known.until = known.until.max(revocation.until);
                return Ok(());
            }
            room(all.len(), REVOCATIONS_MAX, "revocations")?;
            all.insert(revocation.what.clone(), revocation);
            Ok(())
        })
    }

    fn restore(&self, what: Revocable) -> Pending<'_, bool> {
        Box::pin(async move { Ok(self.0.write().remove(&what).is_some()) })
    }

    fn all(&self, now: u64) -> Pending<'_, Vec<Revocation>> {
        Box::pin(async move {
            let all = self.0.read();
            Ok(all.values().filter(|one| one.until > now).cloned().collect())
        })
    }

    fn version(&self) -> Pending<'_, u64> {
        Box::pin(async move { Ok(self.1.count()) })
    }

    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        Box::pin(async move {
            let mut all = self.0.write();
            let before = all.len();
            all.retain(|_, one| one.until > now);
            Ok(before - all.len())
        })
    }
}
