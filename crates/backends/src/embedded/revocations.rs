//! Revocations in the file.

use super::lanes::Desk;
use super::records::{Fault, int, read, read_all, written};
use std::sync::Arc;
use tollgate_core::bounds::stores::REVOCATIONS_MAX;
use tollgate_core::stores::{Pending, Revocable, Revocation, Revocations};

/// The revocations of a file.
#[derive(Debug)]
pub(super) struct EmbeddedRevocations(pub(super) Arc<Desk>);

impl EmbeddedRevocations {
    async fn revoke(&self, mut revocation: Revocation) -> Result<(), Fault> {
        let what = written(&revocation.what)?;
        let mut txn = self.0.write().await?;
        let known: Option<String> =
            sqlx::query_scalar("SELECT record FROM revocations WHERE what = ?")
                .bind(&what)
                .fetch_optional(txn.line())
                .await?;
        if let Some(known) = &known {
            let known: Revocation = read(known)?;
            revocation.before = revocation.before.max(known.before);
            revocation.until = revocation.until.max(known.until);
        } else {
            txn = txn.room("revocations", REVOCATIONS_MAX, "revocations").await?;
        }
        let keep = sqlx::query(
            "INSERT INTO revocations (what, until, record) VALUES (?, ?, ?) \
             ON CONFLICT (what) DO UPDATE SET until = excluded.until, record = excluded.record",
        );
        let keep = keep.bind(what).bind(int(revocation.until)).bind(written(&revocation)?);
        keep.execute(txn.line()).await?;
        txn.commit().await
    }

    async fn restore(&self, what: Revocable) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let delete = sqlx::query("DELETE FROM revocations WHERE what = ?").bind(written(&what)?);
        let done = delete.execute(txn.line()).await?.rows_affected();
        txn.commit().await?;
        Ok(done > 0)
    }

    async fn all(&self, now: u64) -> Result<Vec<Revocation>, Fault> {
        let mut txn = self.0.read().await?;
        let texts: Vec<String> =
            sqlx::query_scalar("SELECT record FROM revocations WHERE until > ?")
                .bind(int(now))
                .fetch_all(txn.line())
                .await?;
        txn.put_back();
        let mut all: Vec<Revocation> = read_all(&texts)?;
        all.sort_by(|one, other| one.what.cmp(&other.what));
        Ok(all)
    }

    async fn sweep(&self, now: u64) -> Result<usize, Fault> {
        let mut txn = self.0.write().await?;
        let delete = sqlx::query("DELETE FROM revocations WHERE until <= ?").bind(int(now));
        let done = delete.execute(txn.line()).await?.rows_affected();
        txn.commit().await?;
        Ok(usize::try_from(done).unwrap_or(usize::MAX))
    }
}

impl Revocations for EmbeddedRevocations {
    fn revoke(&self, revocation: Revocation) -> Pending<'_, ()> {
        Box::pin(self.0.within(self.revoke(revocation)))
    }

    fn restore(&self, what: Revocable) -> Pending<'_, bool> {
        Box::pin(self.0.within(self.restore(what)))
    }

    fn all(&self, now: u64) -> Pending<'_, Vec<Revocation>> {
        Box::pin(self.0.within(self.all(now)))
    }

    fn version(&self) -> Pending<'_, u64> {
        Box::pin(self.0.within(self.0.version()))
    }

    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        Box::pin(self.0.within(self.sweep(now)))
    }
}
