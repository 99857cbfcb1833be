//! Pins in the file.

use super::lanes::{Desk, Txn};
use super::records::{Fault, int, uint};
use crate::pinning::{self, plan};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;
use tollgate_core::bounds::pins::PINS_LISTED_MAX;
use tollgate_core::stores::{Approval, Digest, Pending, PinRecord, PinTexts, Pins, Seen};

/// The pins of a file.
#[derive(Debug)]
pub(super) struct EmbeddedPins(pub(super) Arc<Desk>);

impl EmbeddedPins {
    async fn all(&self, upstream: Option<String>) -> Result<Vec<PinRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let held = held(&mut txn, upstream.as_deref()).await?;
        txn.put_back();
        Ok(held.into_iter().map(|held| held.record).collect())
    }

    async fn texts(&self, upstream: &str, tool: &str) -> Result<Option<PinTexts>, Fault> {
        let sql = "SELECT approved_text, coalesce(seen_text, approved_text) FROM pins \
             WHERE upstream = ? AND tool = ?";
        let mut txn = self.0.read().await?;
        let row: Option<(Option<String>, String)> =
            sqlx::query_as(sql).bind(upstream).bind(tool).fetch_optional(txn.line()).await?;
        txn.put_back();
        Ok(row.map(|(approved, seen)| PinTexts { approved, seen }))
    }

    async fn saw(
        &self,
        upstream: &str,
        seen: Vec<Seen>,
        how: (bool, u64),
    ) -> Result<Vec<PinRecord>, Fault> {
        let mut txn = self.0.write().await?;
        let before = held(&mut txn, Some(upstream)).await?;
        let plan = plan(upstream, &before, seen, how);
        for tool in plan.evicted {
            remove(&mut txn, upstream, Some(&tool)).await?;
        }
        for (record, text) in plan.written {
            write(&mut txn, record, text).await?;
        }
        let after = held(&mut txn, Some(upstream)).await?;
        txn.commit().await?;
        Ok(after.into_iter().map(|held| held.record).collect())
    }

    async fn approve(
        &self,
        upstream: &str,
        tools: Vec<(String, Digest)>,
        (by, at): (String, u64),
    ) -> Result<Vec<String>, Fault> {
        let txn = self.0.write().await?;
        let mut txn = txn.unless(tools.len() > PINS_LISTED_MAX, "pins").await?;
        let mut done = Vec::new();
        for (tool, digest) in tools {
            let update = sqlx::query(
                "UPDATE pins SET approved = seen, approved_by = ?, approved_at = ?, \
                 approved_text = coalesce(seen_text, approved_text), seen_text = NULL \
                 WHERE upstream = ? AND tool = ? AND seen = ?",
            );
            let update = update.bind(&by).bind(int(at)).bind(upstream).bind(&tool);
            let update = update.bind(digest.0.as_slice());
            if update.execute(txn.line()).await?.rows_affected() > 0 {
                done.push(tool);
            }
        }
        txn.commit().await?;
        Ok(done)
    }

    async fn forget(&self, upstream: &str, tool: Option<&str>) -> Result<usize, Fault> {
        let mut txn = self.0.write().await?;
        let done = remove(&mut txn, upstream, tool).await?;
        txn.commit().await?;
        Ok(usize::try_from(done).unwrap_or(usize::MAX))
    }

    async fn version(&self) -> Result<u64, Fault> {
        let mut txn = self.0.read().await?;
        let version: i64 =
            sqlx::query_scalar("SELECT version FROM pins_version").fetch_one(txn.line()).await?;
        txn.put_back();
        Ok(uint(version))
    }
}

async fn held(txn: &mut Txn<'_>, upstream: Option<&str>) -> Result<Vec<pinning::Held>, Fault> {
    const ALL: &str = "SELECT upstream, tool, approved, approved_by, approved_at, seen, seen_at, \
         coalesce(octet_length(approved_text), 0) + coalesce(octet_length(seen_text), 0) AS bytes \
         FROM pins";
    // All parts are ours.
    let rows = match upstream {
        Some(upstream) => {
            let sql = format!("{ALL} WHERE upstream = ? ORDER BY 1, 2 LIMIT {PINS_LISTED_MAX}");
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(upstream).fetch_all(txn.line()).await?
        }
        None => {
            let sql = format!("{ALL} ORDER BY 1, 2 LIMIT {PINS_LISTED_MAX}");
            sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(txn.line()).await?
        }
    };
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<pinning::Held, Fault> {
    let approved: Option<Vec<u8>> = row.try_get("approved")?;
    let approved = match approved {
        None => None,
        Some(bytes) => Some(Approval {
            digest: digest(&bytes)?,
            by: row.try_get("approved_by")?,
            at: uint(row.try_get("approved_at")?),
        }),
    };
    let seen: Vec<u8> = row.try_get("seen")?;
    let record = PinRecord {
        upstream: row.try_get("upstream")?,
        tool: row.try_get("tool")?,
        approved,
        seen: digest(&seen)?,
        seen_at: uint(row.try_get("seen_at")?),
    };
    Ok(pinning::Held { record, bytes: uint(row.try_get("bytes")?) })
}

fn digest(bytes: &[u8]) -> Result<Digest, Fault> {
    let bytes = bytes.try_into().map_err(|_| Fault::Unusable("a digest of a pin is damaged"))?;
    Ok(Digest(bytes))
}

/// Writes a record and the text that is seen now. The text that was approved stays.
async fn write(txn: &mut Txn<'_>, record: PinRecord, text: String) -> Result<(), Fault> {
    let is_approved = record.approved.as_ref().is_some_and(|one| one.digest == record.seen);
    let (approved_text, seen_text) =
        if is_approved { (Some(text), None) } else { (None, Some(text)) };
    let upsert = sqlx::query(
        "INSERT INTO pins (upstream, tool, approved, approved_by, approved_at, approved_text, seen, \
         seen_at, seen_text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (upstream, tool) DO UPDATE SET seen = excluded.seen, \
         seen_at = excluded.seen_at, seen_text = excluded.seen_text",
    );
    let upsert = upsert.bind(record.upstream).bind(record.tool);
    let approved = record.approved;
    let upsert = upsert
        .bind(approved.as_ref().map(|one| one.digest.0.to_vec()))
        .bind(approved.as_ref().map(|one| one.by.clone()))
        .bind(approved.as_ref().map(|one| int(one.at)))
        .bind(approved_text);
    let upsert = upsert.bind(record.seen.0.to_vec()).bind(int(record.seen_at)).bind(seen_text);
    upsert.execute(txn.line()).await?;
    Ok(())
}

async fn remove(txn: &mut Txn<'_>, upstream: &str, tool: Option<&str>) -> Result<u64, Fault> {
    let sql = "DELETE FROM pins WHERE upstream = ? AND tool = coalesce(?, tool)";
    let delete = sqlx::query(sql).bind(upstream).bind(tool);
    Ok(delete.execute(txn.line()).await?.rows_affected())
}

impl Pins for EmbeddedPins {
    fn all(&self, upstream: Option<String>) -> Pending<'_, Vec<PinRecord>> {
        Box::pin(self.0.within(self.all(upstream)))
    }

    fn texts(&self, upstream: String, tool: String) -> Pending<'_, Option<PinTexts>> {
        Box::pin(self.0.within(async move { self.texts(&upstream, &tool).await }))
    }

    fn saw(
        &self,
        upstream: String,
        seen: Vec<Seen>,
        how: (bool, u64),
    ) -> Pending<'_, Vec<PinRecord>> {
        Box::pin(self.0.within(async move { self.saw(&upstream, seen, how).await }))
    }

    fn approve(
        &self,
        upstream: String,
        tools: Vec<(String, Digest)>,
        how: (String, u64),
    ) -> Pending<'_, Vec<String>> {
        Box::pin(self.0.within(async move { self.approve(&upstream, tools, how).await }))
    }

    fn forget(&self, upstream: String, tool: Option<String>) -> Pending<'_, usize> {
        Box::pin(self.0.within(async move { self.forget(&upstream, tool.as_deref()).await }))
    }

    fn version(&self) -> Pending<'_, u64> {
        Box::pin(self.0.within(self.version()))
    }
}
