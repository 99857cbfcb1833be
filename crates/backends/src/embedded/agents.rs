//! Agents and API keys in the file.

use super::lanes::{Desk, Txn};
use super::records::{Fault, int, read, read_all, uint, written};
use std::sync::Arc;
use tollgate_core::bounds::stores::{AGENTS_MAX, API_KEYS_MAX, LISTED_MAX};
use tollgate_core::stores::{
    AgentRecord, Agents, ApiKeyRecord, Digest, Origin, Pending, Quota, Taken,
};

/// The agents and API keys of a file.
#[derive(Debug)]
pub(super) struct EmbeddedAgents(pub(super) Arc<Desk>);

const FIND: &str = "SELECT record FROM agents WHERE id = ?";

/// Whose quota an agent counts towards, if it registered itself.
fn registered_by(agent: &AgentRecord) -> Option<&str> {
    match &agent.origin {
        Origin::Registered { by, .. } => Some(by),
        Origin::Operator | Origin::Document => None,
    }
}

async fn found(txn: &mut Txn<'_>, id: &str) -> Result<Option<AgentRecord>, Fault> {
    let text: Option<String> = sqlx::query_scalar(FIND).bind(id).fetch_optional(txn.line()).await?;
    text.map(|text| read(&text)).transpose()
}

async fn room<'a>(mut txn: Txn<'a>, agent: &AgentRecord, quota: Quota) -> Result<Txn<'a>, Fault> {
    let Some(by) = registered_by(agent) else {
        let others = "SELECT count(*) FROM agents WHERE registered_by IS NULL";
        let others: i64 = sqlx::query_scalar(others).fetch_one(txn.line()).await?;
        return txn.unless(uint::<usize>(others) >= AGENTS_MAX, "agents").await;
    };
    let total = "SELECT count(*) FROM agents WHERE registered_by IS NOT NULL";
    let total: i64 = sqlx::query_scalar(total).fetch_one(txn.line()).await?;
    let mut txn = txn.unless(uint::<usize>(total) >= quota.total, "registered agents").await?;
    let by_one = "SELECT count(*) FROM agents WHERE registered_by = ?";
    let by_one: i64 = sqlx::query_scalar(by_one).bind(by).fetch_one(txn.line()).await?;
    let is_full = uint::<usize>(by_one) >= quota.by_one;
    txn.unless(is_full, "registered agents of one address").await
}

impl EmbeddedAgents {
    async fn add(&self, agent: AgentRecord, quota: Quota) -> Result<Result<(), Taken>, Fault> {
        let mut txn = self.0.write().await?;
        if found(&mut txn, &agent.id).await?.is_some() {
            txn.commit().await?;
            return Ok(Err(Taken));
        }
        let mut txn = room(txn, &agent, quota).await?;
        let insert = sqlx::query(
            "INSERT INTO agents (id, registered_by, expires, record) VALUES (?, ?, ?, ?)",
        );
        let insert = insert.bind(&agent.id).bind(registered_by(&agent));
        let insert = insert.bind(agent.expires.map(int)).bind(written(&agent)?);
        insert.execute(txn.line()).await?;
        txn.commit().await?;
        Ok(Ok(()))
    }

    async fn find(&self, id: &str) -> Result<Option<AgentRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let agent = found(&mut txn, id).await?;
        txn.put_back();
        Ok(agent)
    }

    async fn replace(&self, old: AgentRecord, agent: AgentRecord) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        // Records are compared, not texts: another version may have written the same otherwise.
        let is_same = found(&mut txn, &agent.id).await?.is_some_and(|known| known == old);
        if is_same {
            let update = sqlx::query(
                "UPDATE agents SET registered_by = ?, expires = ?, record = ? WHERE id = ?",
            );
            let update = update.bind(registered_by(&agent)).bind(agent.expires.map(int));
            let update = update.bind(written(&agent)?).bind(&agent.id);
            update.execute(txn.line()).await?;
        }
        txn.commit().await?;
        Ok(is_same)
    }

    async fn remove(&self, id: &str) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let delete = sqlx::query("DELETE FROM agents WHERE id = ?").bind(id);
        let done = delete.execute(txn.line()).await?.rows_affected();
        txn.commit().await?;
        Ok(done > 0)
    }

    async fn list(&self, after: &str, limit: usize) -> Result<Vec<AgentRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let page = "SELECT record FROM agents WHERE id > ? ORDER BY id LIMIT ?";
        let page = sqlx::query_scalar(page).bind(after).bind(int(limit.min(LISTED_MAX)));
        let texts: Vec<String> = page.fetch_all(txn.line()).await?;
        txn.put_back();
        read_all(&texts)
    }

    async fn sweep(&self, now: u64) -> Result<usize, Fault> {
        let mut txn = self.0.write().await?;
        let sql = "DELETE FROM agents WHERE registered_by IS NOT NULL AND expires < ?";
        let done = sqlx::query(sql).bind(int(now)).execute(txn.line()).await?.rows_affected();
        txn.commit().await?;
        Ok(usize::try_from(done).unwrap_or(usize::MAX))
    }

    async fn add_key(&self, key: ApiKeyRecord) -> Result<(), Fault> {
        let mut txn = self.0.write().await?;
        let count = "SELECT count(*) FROM api_keys WHERE digest <> ?";
        let count = sqlx::query_scalar(count).bind(&key.digest.0[..]);
        let count: i64 = count.fetch_one(txn.line()).await?;
        let mut txn = txn.unless(uint::<usize>(count) >= API_KEYS_MAX, "API keys").await?;
        // The same key again is the same attempt again; above all it must not undo a revocation.
        let insert = sqlx::query(
            "INSERT INTO api_keys (digest, agent, created, label, record) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (digest) DO NOTHING",
        );
        let insert = insert.bind(&key.digest.0[..]).bind(&key.agent).bind(int(key.created));
        insert.bind(&key.label).bind(written(&key)?).execute(txn.line()).await?;
        txn.commit().await
    }

    async fn find_key(&self, digest: Digest) -> Result<Option<ApiKeyRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let find = sqlx::query_scalar("SELECT record FROM api_keys WHERE digest = ?");
        let text: Option<String> = find.bind(&digest.0[..]).fetch_optional(txn.line()).await?;
        txn.put_back();
        text.map(|text| read(&text)).transpose()
    }

    async fn keys_of(&self, agent: Option<&str>) -> Result<Vec<ApiKeyRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let keys = listed(&mut txn, agent, int(LISTED_MAX)).await?;
        txn.put_back();
        Ok(keys)
    }

    async fn end_key(&self, digest: Digest, at: u64) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let find = sqlx::query_scalar("SELECT record FROM api_keys WHERE digest = ?");
        let found: Option<String> = find.bind(&digest.0[..]).fetch_optional(txn.line()).await?;
        if let Some(text) = &found {
            let mut key: ApiKeyRecord = read(text)?;
            key.expires = Some(key.expires.map_or(at, |expires| expires.min(at)));
            let update = sqlx::query("UPDATE api_keys SET record = ? WHERE digest = ?");
            update.bind(written(&key)?).bind(&digest.0[..]).execute(txn.line()).await?;
        }
        txn.commit().await?;
        Ok(found.is_some())
    }

    async fn revoke_keys(
        &self,
        agent: &str,
        label: Option<&str>,
        now: u64,
    ) -> Result<Vec<ApiKeyRecord>, Fault> {
        let mut txn = self.0.write().await?;
        let mut revoked = listed(&mut txn, Some(agent), -1).await?;
        revoked
            .retain(|key| key.revoked.is_none() && label.is_none_or(|wanted| key.label == wanted));
        for key in &mut revoked {
            key.revoked = Some(now);
            let update = sqlx::query("UPDATE api_keys SET record = ? WHERE digest = ?");
            let update = update.bind(written(key)?).bind(&key.digest.0[..]);
            update.execute(txn.line()).await?;
        }
        txn.commit().await?;
        Ok(revoked)
    }
}

/// API keys of an agent, or of all; so many, or all if negative.
async fn listed(
    txn: &mut Txn<'_>,
    agent: Option<&str>,
    limit: i64,
) -> Result<Vec<ApiKeyRecord>, Fault> {
    let texts: Vec<String> = match agent {
        Some(agent) => {
            let sql = "SELECT record FROM api_keys WHERE agent = ? \
                       ORDER BY created, label, digest LIMIT ?";
            sqlx::query_scalar(sql).bind(agent).bind(limit).fetch_all(txn.line()).await?
        }
        None => {
            let sql = "SELECT record FROM api_keys \
                       ORDER BY agent, created, label, digest LIMIT ?";
            sqlx::query_scalar(sql).bind(limit).fetch_all(txn.line()).await?
        }
    };
    read_all(&texts)
}

impl Agents for EmbeddedAgents {
    fn add(&self, agent: AgentRecord, quota: Quota) -> Pending<'_, Result<(), Taken>> {
        Box::pin(self.0.within(self.add(agent, quota)))
    }

    fn find<'a>(&'a self, id: &'a str) -> Pending<'a, Option<AgentRecord>> {
        Box::pin(self.0.within(self.find(id)))
    }

    fn replace(&self, old: AgentRecord, agent: AgentRecord) -> Pending<'_, bool> {
        Box::pin(self.0.within(self.replace(old, agent)))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Pending<'a, bool> {
        Box::pin(self.0.within(self.remove(id)))
    }

    fn list<'a>(&'a self, after: &'a str, limit: usize) -> Pending<'a, Vec<AgentRecord>> {
        Box::pin(self.0.within(self.list(after, limit)))
    }

    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        Box::pin(self.0.within(self.sweep(now)))
    }

    fn add_key(&self, key: ApiKeyRecord) -> Pending<'_, ()> {
        Box::pin(self.0.within(self.add_key(key)))
    }

    fn find_key(&self, digest: Digest) -> Pending<'_, Option<ApiKeyRecord>> {
        Box::pin(self.0.within(self.find_key(digest)))
    }

    fn keys_of<'a>(&'a self, agent: Option<&'a str>) -> Pending<'a, Vec<ApiKeyRecord>> {
        Box::pin(self.0.within(self.keys_of(agent)))
    }

    fn end_key(&self, digest: Digest, at: u64) -> Pending<'_, bool> {
        Box::pin(self.0.within(self.end_key(digest, at)))
    }

    fn revoke_keys<'a>(
        &'a self,
        agent: &'a str,
        label: Option<&'a str>,
        now: u64,
    ) -> Pending<'a, Vec<ApiKeyRecord>> {
        Box::pin(self.0.within(self.revoke_keys(agent, label, now)))
    }
}
