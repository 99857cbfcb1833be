//! Local accounts in the file.

use super::lanes::{Desk, Txn};
use super::records::{Fault, int, read, read_all, uint, written};
use std::sync::Arc;
use tollgate_core::bounds::stores::{LISTED_MAX, USERS_MAX};
use tollgate_core::stores::{Pending, Taken, UserRecord, Users};

/// The accounts of a file.
#[derive(Debug)]
pub(super) struct EmbeddedUsers(pub(super) Arc<Desk>);

impl EmbeddedUsers {
    async fn find(&self, sql: &'static str, value: &str) -> Result<Option<UserRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let text: Option<String> =
            sqlx::query_scalar(sql).bind(value).fetch_optional(txn.line()).await?;
        txn.put_back();
        text.map(|text| read(&text)).transpose()
    }

    async fn add(&self, user: UserRecord) -> Result<Result<(), Taken>, Fault> {
        let mut txn = self.0.write().await?;
        if taken(&mut txn, &user.id, &user.name).await? {
            txn.commit().await?;
            return Ok(Err(Taken));
        }
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(txn.line()).await?;
        let mut txn = txn.unless(uint::<usize>(count) >= USERS_MAX, "accounts").await?;
        let text = written(&user)?;
        let insert = sqlx::query("INSERT INTO users (id, name, record) VALUES (?, ?, ?)");
        insert.bind(user.id).bind(user.name).bind(text).execute(txn.line()).await?;
        txn.commit().await?;
        Ok(Ok(()))
    }

    async fn replace(&self, user: UserRecord) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let text = written(&user)?;
        let is_named: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users WHERE name = ? AND id <> ?)")
                .bind(&user.name)
                .bind(&user.id)
                .fetch_one(txn.line())
                .await?;
        let mut done = 0;
        if !is_named {
            let update = sqlx::query("UPDATE users SET name = ?, record = ? WHERE id = ?");
            let update = update.bind(user.name).bind(text).bind(user.id);
            done = update.execute(txn.line()).await?.rows_affected();
        }
        txn.commit().await?;
        Ok(done > 0)
    }

    async fn remove(&self, name: &str) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let delete = sqlx::query("DELETE FROM users WHERE name = ?").bind(name);
        let done = delete.execute(txn.line()).await?.rows_affected();
        txn.commit().await?;
        Ok(done > 0)
    }

    async fn list(&self) -> Result<Vec<UserRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let texts: Vec<String> =
            sqlx::query_scalar("SELECT record FROM users ORDER BY name LIMIT ?")
                .bind(int(LISTED_MAX))
                .fetch_all(txn.line())
                .await?;
        txn.put_back();
        read_all(&texts)
    }
}

async fn taken(txn: &mut Txn<'_>, id: &str, name: &str) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE id = ? OR name = ?)";
    Ok(sqlx::query_scalar(sql).bind(id).bind(name).fetch_one(txn.line()).await?)
}

impl Users for EmbeddedUsers {
    fn add(&self, user: UserRecord) -> Pending<'_, Result<(), Taken>> {
        Box::pin(self.0.within(self.add(user)))
    }

    fn by_name<'a>(&'a self, name: &'a str) -> Pending<'a, Option<UserRecord>> {
        Box::pin(self.0.within(self.find("SELECT record FROM users WHERE name = ?", name)))
    }

    fn by_id<'a>(&'a self, id: &'a str) -> Pending<'a, Option<UserRecord>> {
        Box::pin(self.0.within(self.find("SELECT record FROM users WHERE id = ?", id)))
    }

    fn replace(&self, user: UserRecord) -> Pending<'_, bool> {
        Box::pin(self.0.within(self.replace(user)))
    }

    fn remove<'a>(&'a self, name: &'a str) -> Pending<'a, bool> {
        Box::pin(self.0.within(self.remove(name)))
    }

    fn list(&self) -> Pending<'_, Vec<UserRecord>> {
        Box::pin(self.0.within(self.list()))
    }
}
