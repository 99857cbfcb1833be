//! Agents and API keys in memory.

use super::{Held, room};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use tollgate_core::bounds::stores::{AGENTS_MAX, API_KEYS_MAX, LISTED_MAX};
use tollgate_core::stores::{
    AgentRecord, Agents, ApiKeyRecord, Digest, Origin, Pending, Quota, StoreError, Taken,
};

/// Agents and API keys.
#[derive(Debug)]
pub(super) struct MemoryAgents(pub(super) Held<Known>);

#[derive(Default)]
pub(super) struct Known {
    agents: BTreeMap<String, AgentRecord>,
    keys: HashMap<Digest, ApiKeyRecord>,
}

impl Known {
    /// Whether one more agent of this origin fits.
    fn room(&self, origin: &Origin, quota: Quota) -> Result<(), StoreError> {
        let origins = || self.agents.values().map(|agent| &agent.origin);
        let Origin::Registered { by, .. } = origin else {
            if self.agents.len() < AGENTS_MAX {
                return Ok(());
            }
            let others = origins().filter(|one| !matches!(one, Origin::Registered { .. }));
            return room(others.count(), AGENTS_MAX, "agents");
        };
        let (mut total, mut by_one) = (0, 0);
        for one in origins() {
            if let Origin::Registered { by: whose, .. } = one {
                total += 1;
                by_one += usize::from(whose == by);
            }
        }
        room(total, quota.total, "registered agents")?;
        room(by_one, quota.by_one, "registered agents of one address")
    }

    fn keys(&self, wanted: impl Fn(&ApiKeyRecord) -> bool) -> Vec<ApiKeyRecord> {
        let mut keys: Vec<_> = self.keys.values().filter(|key| wanted(key)).cloned().collect();
        let order = |key: &ApiKeyRecord| (key.agent.clone(), key.created, key.label.clone());
        keys.sort_by_cached_key(|key| (order(key), key.digest.0));
        keys
    }
}

impl Agents for MemoryAgents {
    fn add(&self, agent: AgentRecord, quota: Quota) -> Pending<'_, Result<(), Taken>> {
        Box::pin(async move {
            let mut known = self.0.write();
            if known.agents.contains_key(&agent.id) {
                return Ok(Err(Taken));
            }
            known.room(&agent.origin, quota)?;
            known.agents.insert(agent.id.clone(), agent);
            Ok(Ok(()))
        })
    }

    fn find<'a>(&'a self, id: &'a str) -> Pending<'a, Option<AgentRecord>> {
        Box::pin(async move { Ok(self.0.read().agents.get(id).cloned()) })
    }

    fn replace(&self, old: AgentRecord, agent: AgentRecord) -> Pending<'_, bool> {
        Box::pin(async move {
            let mut known = self.0.write();
            match known.agents.get_mut(&agent.id) {
                Some(slot) if *slot == old => {
                    *slot = agent;
                    Ok(true)
                }
                _ => Ok(false),
            }
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> Pending<'a, bool> {
        Box::pin(async move { Ok(self.0.write().agents.remove(id).is_some()) })
    }

    fn list<'a>(&'a self, after: &'a str, limit: usize) -> Pending<'a, Vec<AgentRecord>> {
        Box::pin(async move {
            let known = self.0.read();
            let later = known.agents.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
            let page = later.take(limit.min(LISTED_MAX));
            Ok(page.map(|(_, agent)| agent.clone()).collect())
        })
    }

    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        Box::pin(async move {
            let mut known = self.0.write();
            let before = known.agents.len();
            known.agents.retain(|_, agent| {
                let is_registered = matches!(agent.origin, Origin::Registered { .. });
                !is_registered || agent.expires.is_none_or(|expires| expires >= now)
            });
            Ok(before - known.agents.len())
        })
    }

    fn add_key(&self, key: ApiKeyRecord) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut known = self.0.write();
            if !known.keys.contains_key(&key.digest) {
                room(known.keys.len(), API_KEYS_MAX, "API keys")?;
                known.keys.insert(key.digest, key);
            }
            Ok(())
        })
    }

    fn find_key(&self, digest: Digest) -> Pending<'_, Option<ApiKeyRecord>> {
        Box::pin(async move { Ok(self.0.read().keys.get(&digest).cloned()) })
    }

    fn keys_of<'a>(&'a self, agent: Option<&'a str>) -> Pending<'a, Vec<ApiKeyRecord>> {
        Box::pin(async move {
            let mut keys = self.0.read().keys(|key| agent.is_none_or(|wanted| key.agent == wanted));
            keys.truncate(LISTED_MAX);
            Ok(keys)
        })
    }

    fn end_key(&self, digest: Digest, at: u64) -> Pending<'_, bool> {
        Box::pin(async move {
            let mut known = self.0.write();
            let Some(key) = known.keys.get_mut(&digest) else { return Ok(false) };
            key.expires = Some(key.expires.map_or(at, |expires| expires.min(at)));
            Ok(true)
        })
    }

    fn revoke_keys<'a>(
        &'a self,
        agent: &'a str,
        label: Option<&'a str>,
        now: u64,
    ) -> Pending<'a, Vec<ApiKeyRecord>> {
        Box::pin(async move {
            let mut known = self.0.write();
            let mut revoked = known.keys(|key| {
                let is_named = label.is_none_or(|wanted| key.label == wanted);
                key.agent == agent && is_named && key.revoked.is_none()
            });
            for key in &mut revoked {
                key.revoked = Some(now);
                known.keys.insert(key.digest, key.clone());
            }
            Ok(revoked)
        })
    }
}
