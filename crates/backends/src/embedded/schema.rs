//! Versions of the file: each step of `migrations/` once, in order, all or nothing.
//!
//! The number of steps taken is SQLite's `user_version`, so a file that a newer Tollgate has changed
//! is known and refused. Steps are never changed once released, only added to.
//!
//! Next: `lanes.rs`.

use super::OpenError;
use super::lanes::{Desk, Txn};
use super::records::Fault;
use std::path::Path;
use std::time::{Duration, Instant};
use tollgate_core::bounds::stores::STORE_MILLIS;
use tollgate_core::stores::StoreError;

/// How a file is made.
#[derive(Debug)]
pub(super) struct Plan {
    /// The steps that bring a file up, in their order.
    pub(super) steps: &'static [&'static str],
    /// SQLite's `application_id` of such files.
    pub(super) application: i64,
}

/// How `records.rs` ends what SQLite says when it cannot open a file.
const CANNOT_OPEN: &str = "(SQLite 14)";

/// SQLite's result code for a file that is something else.
const NOT_A_DATABASE: &str = "26";

/// Brings the file to the newest version.
pub(super) async fn bring_up(desk: &Desk, path: &Path, plan: &Plan) -> Result<(), OpenError> {
    let known = plan.known();
    let stated = |source| OpenError::Store { path: path.to_owned(), source };
    let foreign = |why: String| OpenError::Foreign { path: path.to_owned(), why };
    match desk.within(check(desk, plan)).await.map_err(|fault| unopened(path, fault))? {
        Found::Ours(found) if found > known => {
            return Err(OpenError::Newer { path: path.to_owned(), found, known });
        }
        Found::Ours(_) | Found::Empty => {}
        Found::Foreign(why) => return Err(foreign(why)),
    }
    desk.within(use_wal(desk)).await.map_err(stated)?;
    desk.within(migrate(desk, plan)).await.map_err(stated)
}

/// SQLite says only that it cannot open a file; the system says why.
fn unopened(path: &Path, source: StoreError) -> OpenError {
    let is_unopened = matches!(&source, StoreError::Unavailable(why) if why.ends_with(CANNOT_OPEN));
    let reason = if is_unopened { super::file::reason(path) } else { None };
    match reason {
        Some(source) => OpenError::File { path: path.to_owned(), source },
        None => OpenError::Store { path: path.to_owned(), source },
    }
}

/// What is in a file.
enum Found {
    Empty,
    Ours(i64),
    Foreign(String),
}

impl Plan {
    fn known(&self) -> i64 {
        i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }
}

async fn check(desk: &Desk, plan: &Plan) -> Result<Found, Fault> {
    match look(desk, plan).await {
        Err(Fault::Sql(sqlx::Error::Database(error)))
            if error.code().is_some_and(|code| code == NOT_A_DATABASE) =>
        {
            Ok(Found::Foreign("it is not a SQLite file".to_owned()))
        }
        seen => seen,
    }
}

async fn look(desk: &Desk, plan: &Plan) -> Result<Found, Fault> {
    let mut txn = desk.read().await?;
    // One state of the file: another process may be making it just now.
    sqlx::query("BEGIN").execute(txn.line()).await?;
    let version = number(&mut txn, "PRAGMA user_version").await?;
    let application = number(&mut txn, "PRAGMA application_id").await?;
    let tables = number(&mut txn, "SELECT count(*) FROM sqlite_master").await?;
    txn.commit().await?;
    Ok(match (application, tables) {
        (ours, _) if ours == plan.application => Found::Ours(version),
        (0, 0) => Found::Empty,
        _ => Found::Foreign("it is the SQLite file of another program".to_owned()),
    })
}

async fn number(txn: &mut Txn<'_>, sql: &'static str) -> Result<i64, Fault> {
    Ok(sqlx::query_scalar(sql).fetch_one(txn.line()).await?)
}

/// Turns the write-ahead log on. Who finds another process doing the same is refused at once,
/// without the usual waiting, so the waiting is here.
async fn use_wal(desk: &Desk) -> Result<(), Fault> {
    let until = Instant::now() + Duration::from_millis(STORE_MILLIS / 2);
    loop {
        let mut bare = desk.bare().await?;
        match sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(bare.line()).await {
            Ok(mode) => {
                let mode: String = mode;
                bare.put_back();
                if mode == "wal" {
                    return Ok(());
                }
                return Err(Fault::Unusable("its file system has no shared memory for a WAL"));
            }
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn migrate(desk: &Desk, plan: &Plan) -> Result<(), Fault> {
    let mut txn = desk.write().await?;
    // Another process may have been faster.
    let done = usize::try_from(number(&mut txn, "PRAGMA user_version").await?).unwrap_or(0);
    for step in plan.steps.iter().skip(done) {
        sqlx::raw_sql(*step).execute(txn.line()).await?;
    }
    if done < plan.steps.len() {
        let (known, application) = (plan.known(), plan.application);
        let marks = format!("PRAGMA user_version = {known}; PRAGMA application_id = {application}");
        // Both are numbers of ours.
        sqlx::raw_sql(sqlx::AssertSqlSafe(marks)).execute(txn.line()).await?;
    }
    txn.commit().await
}
