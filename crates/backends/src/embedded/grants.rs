//! Codes, refresh tokens, consents and used ids in the file.
//!
//! INVARIANT: what is used once, and the ending of a grant that follows from a second use, are one
//! transaction that held the write lock before it read anything: of all who try, in whatever
//! process, one finds the row unused.
//!
//! Next: `keys.rs`.

use super::lanes::{Desk, Txn};
use super::records::{Fault, int, read, uint, written};
use std::collections::BTreeSet;
use std::sync::Arc;
use tollgate_core::bounds::issuer::GRANT_SECS;
use tollgate_core::bounds::stores::{
    CODE_KNOWN_SECS, CODES_MAX, CONSENTS_MAX, ENDED_GRANTS_MAX, REFRESH_TOKENS_MAX, SWEPT_MAX,
    USED_IDS_MAX, USED_TOKENS_MAX, USED_TOKENS_PER_GRANT_MAX,
};
use tollgate_core::stores::{
    CodeRecord, Consent, Digest, GrantId, Grants, Pending, RefreshRecord, Rotated, Spent,
};

/// The grants of a file.
#[derive(Debug)]
pub(super) struct EmbeddedGrants(pub(super) Arc<Desk>);

/// What is swept, at most so many rows in a transaction, so that others can write in between.
const SWEEPS: [&str; 5] = [
    "DELETE FROM codes WHERE rowid IN (SELECT rowid FROM codes WHERE forgotten <= ? LIMIT ?)",
    "DELETE FROM refresh_tokens WHERE rowid IN \
     (SELECT rowid FROM refresh_tokens WHERE expires <= ? LIMIT ?)",
    "DELETE FROM used_tokens WHERE id IN (SELECT id FROM used_tokens WHERE ends <= ? LIMIT ?)",
    "DELETE FROM ended_grants WHERE grant_id IN \
     (SELECT grant_id FROM ended_grants WHERE until <= ? LIMIT ?)",
    "DELETE FROM used_ids WHERE id IN (SELECT id FROM used_ids WHERE until <= ? LIMIT ?)",
];

impl EmbeddedGrants {
    async fn keep_code(&self, code: CodeRecord) -> Result<(), Fault> {
        let txn = self.0.write().await?;
        let mut txn = txn.room("codes", CODES_MAX, "codes").await?;
        let insert = sqlx::query(
            "INSERT INTO codes (digest, grant_id, client, subject, expires, forgotten, record) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
        );
        let insert = insert.bind(&code.digest.0[..]).bind(&code.grant.0).bind(&code.client);
        let insert = insert.bind(&code.subject).bind(int(code.expires)).bind(int(code.expires));
        insert.bind(written(&code)?).execute(txn.line()).await?;
        txn.commit().await
    }

    async fn spend_code(&self, digest: Digest, now: u64) -> Result<Spent, Fault> {
        let mut txn = self.0.write().await?;
        let sql = "SELECT grant_id, record FROM codes WHERE digest = ? AND forgotten > ?";
        let find = sqlx::query_as(sql).bind(&digest.0[..]).bind(int(now));
        let row: Option<(String, Option<String>)> = find.fetch_optional(txn.line()).await?;
        let spent = match row {
            None => Spent::Unknown,
            Some((grant, None)) => {
                end(&mut txn, &grant, now.saturating_add(GRANT_SECS)).await?;
                Spent::Before(GrantId(grant))
            }
            Some((grant, Some(_))) if has_ended(&mut txn, &grant).await? => Spent::Unknown,
            Some((_, Some(text))) => {
                let update = sqlx::query(
                    "UPDATE codes SET record = NULL, forgotten = expires + ? WHERE digest = ?",
                );
                let update = update.bind(int(CODE_KNOWN_SECS)).bind(&digest.0[..]);
                update.execute(txn.line()).await?;
                Spent::Now(Box::new(read(&text)?))
            }
        };
        txn.commit().await?;
        Ok(spent)
    }

    async fn keep_refresh(&self, token: RefreshRecord) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        if has_ended(&mut txn, &token.grant.0).await? || is_known(&mut txn, token.digest).await? {
            txn.commit().await?;
            return Ok(false);
        }
        let mut txn = txn.room("refresh_tokens", REFRESH_TOKENS_MAX, "refresh tokens").await?;
        insert(&mut txn, &token).await?;
        txn.commit().await?;
        Ok(true)
    }

    async fn find_refresh(&self, token: Digest, now: u64) -> Result<Option<RefreshRecord>, Fault> {
        let mut txn = self.0.read().await?;
        let sql = "SELECT record FROM refresh_tokens WHERE digest = ? AND min(expires, ends) > ?";
        let find = sqlx::query_scalar(sql).bind(&token.0[..]).bind(int(now));
        let text: Option<String> = find.fetch_optional(txn.line()).await?;
        txn.put_back();
        text.map(|text| read(&text)).transpose()
    }

    async fn rotate(&self, used: Digest, next: RefreshRecord, now: u64) -> Result<Rotated, Fault> {
        let mut txn = self.0.write().await?;
        let is_next_known = is_known(&mut txn, next.digest).await?;
        let sql = "DELETE FROM refresh_tokens \
                   WHERE digest = ? AND grant_id = ? AND min(expires, ends) > ? RETURNING ends";
        let take = sqlx::query_scalar(sql).bind(&used.0[..]).bind(&next.grant.0).bind(int(now));
        let ends: Option<i64> = take.fetch_optional(txn.line()).await?;
        let rotated = match ends {
            Some(ends) => {
                if is_next_known {
                    // Dropped with the transaction: the used one stays as it was.
                    return Err(Fault::Unusable("the next token is known already"));
                }
                remember(&mut txn, used, (&next.grant.0, ends)).await?;
                insert(&mut txn, &next).await?;
                Rotated::Now
            }
            None => judge_used(&mut txn, used, now).await?,
        };
        txn.commit().await?;
        Ok(rotated)
    }

    async fn end(&self, grant: GrantId, until: u64) -> Result<(), Fault> {
        let mut txn = self.0.write().await?;
        end(&mut txn, &grant.0, until).await?;
        txn.commit().await
    }

    async fn end_all(
        &self,
        client: Option<&str>,
        subject: Option<&str>,
        until: u64,
    ) -> Result<Vec<GrantId>, Fault> {
        // Neither would be everybody's: nobody means that.
        let (sqls, first, second) = match (client, subject) {
            (None, None) => return Ok(Vec::new()),
            (Some(client), None) => (BY_CLIENT, client, ""),
            (None, Some(subject)) => (BY_SUBJECT, subject, ""),
            (Some(client), Some(subject)) => (BY_BOTH, client, subject),
        };
        let mut txn = self.0.write().await?;
        let mut grants = BTreeSet::new();
        for sql in sqls {
            let find = sqlx::query_scalar(sql).bind(first).bind(second);
            let found: Vec<String> = find.fetch_all(txn.line()).await?;
            grants.extend(found);
        }
        let mut ended = Vec::new();
        for grant in grants {
            if !has_ended(&mut txn, &grant).await? {
                end(&mut txn, &grant, until).await?;
                ended.push(GrantId(grant));
            }
        }
        txn.commit().await?;
        Ok(ended)
    }

    async fn spend_once(&self, id: Digest, until: u64) -> Result<bool, Fault> {
        let mut txn = self.0.write().await?;
        let find = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM used_ids WHERE id = ?)");
        if find.bind(&id.0[..]).fetch_one(txn.line()).await? {
            txn.commit().await?;
            return Ok(false);
        }
        let mut txn = txn.room("used_ids", USED_IDS_MAX, "used ids").await?;
        let insert = sqlx::query("INSERT INTO used_ids (id, until) VALUES (?, ?)");
        insert.bind(&id.0[..]).bind(int(until)).execute(txn.line()).await?;
        txn.commit().await?;
        Ok(true)
    }

    async fn consent(&self, key: [&str; 4]) -> Result<Option<Consent>, Fault> {
        let mut txn = self.0.read().await?;
        let text = consent_text(&mut txn, key).await?;
        txn.put_back();
        text.map(|text| read(&text)).transpose()
    }

    async fn keep_consent(&self, consent: Consent) -> Result<(), Fault> {
        let key = [&consent.subject, &consent.client, &consent.redirect, &consent.resource];
        let key = key.map(String::as_str);
        let mut txn = self.0.write().await?;
        if consent_text(&mut txn, key).await?.is_none() {
            txn = txn.room("consents", CONSENTS_MAX, "consents").await?;
        }
        let mut keep = sqlx::query(
            "INSERT INTO consents (subject, client, redirect, resource, record) \
             VALUES (?, ?, ?, ?, ?) ON CONFLICT (subject, client, redirect, resource) \
             DO UPDATE SET record = excluded.record",
        );
        for part in key {
            keep = keep.bind(part);
        }
        keep.bind(written(&consent)?).execute(txn.line()).await?;
        txn.commit().await
    }

    /// One transaction of a sweep; says how many rows it removed.
    async fn sweep_some(&self, sql: &'static str, now: u64) -> Result<usize, Fault> {
        let mut txn = self.0.write().await?;
        let delete = sqlx::query(sql).bind(int(now)).bind(int(SWEPT_MAX));
        let done = delete.execute(txn.line()).await?.rows_affected();
        txn.commit().await?;
        Ok(usize::try_from(done).unwrap_or(usize::MAX))
    }
}

// The empty second value of the first two keeps the number of values the same for all.
const BY_CLIENT: [&str; 2] = [
    "SELECT DISTINCT grant_id FROM codes WHERE client = ?1 AND ?2 = ''",
    "SELECT DISTINCT grant_id FROM refresh_tokens WHERE client = ?1 AND ?2 = ''",
];
const BY_SUBJECT: [&str; 2] = [
    "SELECT DISTINCT grant_id FROM codes WHERE subject = ?1 AND ?2 = ''",
    "SELECT DISTINCT grant_id FROM refresh_tokens WHERE subject = ?1 AND ?2 = ''",
];
const BY_BOTH: [&str; 2] = [
    "SELECT DISTINCT grant_id FROM codes WHERE client = ?1 AND subject = ?2",
    "SELECT DISTINCT grant_id FROM refresh_tokens WHERE client = ?1 AND subject = ?2",
];

async fn has_ended(txn: &mut Txn<'_>, grant: &str) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM ended_grants WHERE grant_id = ?)";
    Ok(sqlx::query_scalar(sql).bind(grant).fetch_one(txn.line()).await?)
}

async fn is_known(txn: &mut Txn<'_>, token: Digest) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE digest = ?1) \
               OR EXISTS (SELECT 1 FROM used_tokens WHERE digest = ?1)";
    Ok(sqlx::query_scalar(sql).bind(&token.0[..]).fetch_one(txn.line()).await?)
}

/// Ends a grant: what it had is gone, and what may still come to it will be refused.
async fn end(txn: &mut Txn<'_>, grant: &str, until: u64) -> Result<(), Fault> {
    if has_ended(txn, grant).await? {
        // Changes nothing, and so costs no write, if it is known for long enough.
        let sql = "UPDATE ended_grants SET until = ?1 WHERE grant_id = ?2 AND until < ?1";
        sqlx::query(sql).bind(int(until)).bind(grant).execute(txn.line()).await?;
        return Ok(());
    }
    let tokens = sqlx::query("DELETE FROM refresh_tokens WHERE grant_id = ?");
    tokens.bind(grant).execute(txn.line()).await?;
    let codes = sqlx::query("DELETE FROM codes WHERE grant_id = ? AND record IS NOT NULL");
    codes.bind(grant).execute(txn.line()).await?;
    let oldest = "DELETE FROM ended_grants WHERE grant_id IN \
                  (SELECT grant_id FROM ended_grants ORDER BY until LIMIT 1) \
                  AND (SELECT count FROM held WHERE what = 'ended_grants') >= ?";
    sqlx::query(oldest).bind(int(ENDED_GRANTS_MAX)).execute(txn.line()).await?;
    let insert = sqlx::query("INSERT INTO ended_grants (grant_id, until) VALUES (?, ?)");
    insert.bind(grant).bind(int(until)).execute(txn.line()).await?;
    Ok(())
}

/// What a refresh token is that cannot be used: one that was used before ends its grant.
async fn judge_used(txn: &mut Txn<'_>, token: Digest, now: u64) -> Result<Rotated, Fault> {
    let sql = "SELECT grant_id, ends FROM used_tokens WHERE digest = ? AND ends > ?";
    let find = sqlx::query_as(sql).bind(&token.0[..]).bind(int(now));
    let row: Option<(String, i64)> = find.fetch_optional(txn.line()).await?;
    let Some((grant, ends)) = row else { return Ok(Rotated::Unknown) };
    end(txn, &grant, uint(ends)).await?;
    Ok(Rotated::Before(GrantId(grant)))
}

async fn insert(txn: &mut Txn<'_>, token: &RefreshRecord) -> Result<(), Fault> {
    let insert = sqlx::query(
        "INSERT INTO refresh_tokens (digest, grant_id, client, subject, expires, ends, record) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    let insert = insert.bind(&token.digest.0[..]).bind(&token.grant.0).bind(&token.client);
    let insert = insert.bind(&token.subject).bind(int(token.expires.min(token.ends)));
    insert.bind(int(token.ends)).bind(written(token)?).execute(txn.line()).await?;
    Ok(())
}

/// Remembers a used token of a grant until that ends; the oldest make room.
async fn remember(
    txn: &mut Txn<'_>,
    token: Digest,
    (grant, ends): (&str, i64),
) -> Result<(), Fault> {
    let of_grant = "DELETE FROM used_tokens WHERE id IN (SELECT id FROM used_tokens \
                    WHERE grant_id = ? ORDER BY id DESC LIMIT -1 OFFSET ?)";
    let of_grant = sqlx::query(of_grant).bind(grant).bind(int(USED_TOKENS_PER_GRANT_MAX - 1));
    of_grant.execute(txn.line()).await?;
    let of_all = "DELETE FROM used_tokens WHERE id = (SELECT min(id) FROM used_tokens) \
                  AND (SELECT count FROM held WHERE what = 'used_tokens') >= ?";
    sqlx::query(of_all).bind(int(USED_TOKENS_MAX)).execute(txn.line()).await?;
    let insert = sqlx::query("INSERT INTO used_tokens (digest, grant_id, ends) VALUES (?, ?, ?)");
    insert.bind(&token.0[..]).bind(grant).bind(ends).execute(txn.line()).await?;
    Ok(())
}

async fn consent_text(txn: &mut Txn<'_>, key: [&str; 4]) -> Result<Option<String>, Fault> {
    let mut find = sqlx::query_scalar(
        "SELECT record FROM consents \
         WHERE subject = ? AND client = ? AND redirect = ? AND resource = ?",
    );
    for part in key {
        find = find.bind(part);
    }
    Ok(find.fetch_optional(txn.line()).await?)
}

impl Grants for EmbeddedGrants {
    fn keep_code(&self, code: CodeRecord) -> Pending<'_, ()> {
        Box::pin(self.0.within(self.keep_code(code)))
    }

    fn spend_code(&self, digest: Digest, now: u64) -> Pending<'_, Spent> {
        Box::pin(self.0.within(self.spend_code(digest, now)))
    }

    fn keep_refresh(&self, token: RefreshRecord) -> Pending<'_, bool> {
        Box::pin(self.0.within(self.keep_refresh(token)))
    }

    fn find_refresh(&self, digest: Digest, now: u64) -> Pending<'_, Option<RefreshRecord>> {
        Box::pin(self.0.within(self.find_refresh(digest, now)))
    }

    fn rotate(&self, used: Digest, next: RefreshRecord, now: u64) -> Pending<'_, Rotated> {
        Box::pin(self.0.within(self.rotate(used, next, now)))
    }

    fn end(&self, grant: GrantId, until: u64) -> Pending<'_, ()> {
        Box::pin(self.0.within(self.end(grant, until)))
    }

    fn end_all<'a>(
        &'a self,
        client: Option<&'a str>,
        subject: Option<&'a str>,
        until: u64,
    ) -> Pending<'a, Vec<GrantId>> {
        Box::pin(self.0.within(self.end_all(client, subject, until)))
    }

    fn spend_once(&self, id: Digest, until: u64) -> Pending<'_, bool> {
        Box::pin(self.0.within(self.spend_once(id, until)))
    }

    fn consent<'a>(
        &'a self,
        subject: &'a str,
        client: &'a str,
        redirect: &'a str,
        resource: &'a str,
    ) -> Pending<'a, Option<Consent>> {
        Box::pin(self.0.within(self.consent([subject, client, redirect, resource])))
    }

    fn keep_consent(&self, consent: Consent) -> Pending<'_, ()> {
        Box::pin(self.0.within(self.keep_consent(consent)))
    }

    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        Box::pin(async move {
            let mut all = 0;
            for sql in SWEEPS {
                loop {
                    // Each transaction has its own time.
                    let done = self.0.within(self.sweep_some(sql, now)).await?;
                    all += done;
                    if done < SWEPT_MAX {
                        break;
                    }
                }
            }
            Ok(all)
        })
    }
}
