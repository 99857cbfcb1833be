//! Signing keys in the file.

use super::lanes::Desk;
use super::records::{Fault, int, uint};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;
use tollgate_core::bounds::stores::SIGNING_KEYS_MAX;
use tollgate_core::ids::Secret;
use tollgate_core::stores::{Pending, SigningKeyRecord, SigningKeys};

/// The signing keys of a file.
#[derive(Debug)]
pub(super) struct EmbeddedKeys(pub(super) Arc<Desk>);

impl EmbeddedKeys {
    async fn all(&self) -> Result<Vec<SigningKeyRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let rows = sqlx::query(
            "SELECT kid, algorithm, pkcs8, created, activates, retires FROM signing_keys ORDER BY id",
        );
        let rows = rows.fetch_all(txn.line()).await?;
        txn.put_back();
        rows.iter().map(record).collect()
    }

    async fn add(
        &self,
        key: SigningKeyRecord,
        newest: Option<&str>,
        retire_others: u64,
    ) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let kids: Vec<String> = sqlx::query_scalar("SELECT kid FROM signing_keys ORDER BY id")
            .fetch_all(txn.line())
            .await?;
        if kids.last().map(String::as_str) != newest || kids.contains(&key.kid) {
            txn.commit().await?;
            return Ok(false);
        }
        let mut txn = txn.unless(kids.len() >= SIGNING_KEYS_MAX, "signing keys").await?;
        let retire = sqlx::query("UPDATE signing_keys SET retires = ? WHERE retires IS NULL");
        retire.bind(int(retire_others)).execute(txn.line()).await?;
        let insert = sqlx::query(
            "INSERT INTO signing_keys (kid, algorithm, pkcs8, created, activates, retires) \
             VALUES (?, ?, ?, ?, ?, ?)",
        );
        let insert = insert.bind(key.kid).bind(key.algorithm).bind(key.pkcs8.expose().as_slice());
        let insert = insert.bind(int(key.created)).bind(int(key.activates));
        insert.bind(key.retires.map(int)).execute(txn.line()).await?;
        txn.commit().await?;
        Ok(true)
    }

    async fn remove(&self, kid: &str) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let delete = sqlx::query("DELETE FROM signing_keys WHERE kid = ?").bind(kid);
        let done = delete.execute(txn.line()).await?.rows_affected();
        txn.commit().await?;
        Ok(done > 0)
    }
}

fn record(row: &SqliteRow) -> Result<SigningKeyRecord, Fault> {
    Ok(SigningKeyRecord {
        kid: row.try_get("kid")?,
        algorithm: row.try_get("algorithm")?,
        pkcs8: Secret::new(row.try_get("pkcs8")?),
        created: uint(row.try_get("created")?),
        activates: uint(row.try_get("activates")?),
        retires: row.try_get::<Option<i64>, _>("retires")?.map(uint),
    })
}

impl SigningKeys for EmbeddedKeys {
    fn all(&self) -> Pending<'_, Vec<SigningKeyRecord>> {
        Box::pin(self.0.within(self.all()))
    }

    fn add<'a>(
        &'a self,
        key: SigningKeyRecord,
        newest: Option<&'a str>,
        retire_others: u64,
    ) -> Pending<'a, bool> {
        Box::pin(self.0.within(self.add(key, newest, retire_others)))
    }

    fn remove<'a>(&'a self, kid: &'a str) -> Pending<'a, bool> {
        Box::pin(self.0.within(self.remove(kid)))
    }
}
