//! Connections to the file, and transactions on them.
//!
//! One connection writes, two read, one looks for changes. A connection is taken out of its lane for
//! a transaction and put back after the commit; whatever goes wrong in between, including that
//! nobody waits any more, drops it. SQLite then rolls back, and the lane opens a new connection for
//! the next one, so no trouble outlives its cause.
//!
//! Next: `records.rs`.

use super::records::{Fault, uint};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tollgate_core::bounds::stores::STORE_MILLIS;
use tollgate_core::stores::StoreError;

/// A lane holds no connection until it is used, and while one is taken out.
type Lane = Mutex<Option<SqliteConnection>>;

/// Page caches in KiB; two of the middle one.
const CACHES: [u32; 3] = [1024, 448, 128];
/// The write-ahead log is cut back to this many bytes once it was longer.
const LOG_BYTES: u32 = 4 << 20;

/// All connections to one file.
#[derive(Debug)]
pub(super) struct Desk {
    options: SqliteConnectOptions,
    writer: Lane,
    readers: [Lane; 2],
    turn: AtomicUsize,
    lookout: Mutex<Lookout>,
}

/// The connection that looks for changes. It never writes: SQLite's `data_version` tells of the
/// commits of all others, also of those of this process.
#[derive(Debug, Default)]
struct Lookout {
    line: Option<SqliteConnection>,
    /// How often it was opened: its numbers are no good on another connection.
    opened: u64,
}

impl Desk {
    /// Opens nothing yet.
    pub(super) fn new(path: &Path) -> Self {
        // A signing key that was removed is not to be found in free pages.
        Self::with(path, |options| options.pragma("secure_delete", "ON"))
    }

    /// The same for the ledger of usage: there is no secret in it, and more to write.
    pub(super) fn for_usage(path: &Path) -> Self {
        Self::with(path, |options| options)
    }

    fn with(path: &Path, tune: fn(SqliteConnectOptions) -> SqliteConnectOptions) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .synchronous(SqliteSynchronous::Full)
            // The reason why it is locked should arrive before our own time is over.
            .busy_timeout(Duration::from_millis(STORE_MILLIS / 5 * 4))
            .pragma("trusted_schema", "OFF")
            .pragma("journal_size_limit", LOG_BYTES.to_string())
            .thread_name(|number| format!("store-{number}"))
            .disable_statement_logging();
        Self {
            options: tune(options),
            writer: Lane::default(),
            readers: [Lane::default(), Lane::default()],
            turn: AtomicUsize::new(0),
            lookout: Mutex::default(),
        }
    }

    /// Bounds what a port's method does in time, and says what went wrong in the words of the port.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, StoreError> {
        let limit = Duration::from_millis(STORE_MILLIS);
        match tokio::time::timeout(limit, work).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {STORE_MILLIS} ms"))),
        }
    }

    /// A transaction that may write. It holds the file's write lock from the start, so what it read
    /// is still so when it writes.
    pub(super) async fn write(&self) -> Result<Txn<'_>, Fault> {
        let mut txn = self.bare().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(txn.line()).await?;
        Ok(txn)
    }

    /// A connection for one statement that reads; to be put back.
    pub(super) async fn read(&self) -> Result<Txn<'_>, Fault> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        self.take(&self.readers[turn], CACHES[1]).await
    }

    /// The writing connection without a transaction.
    pub(super) async fn bare(&self) -> Result<Txn<'_>, Fault> {
        self.take(&self.writer, CACHES[0]).await
    }

    async fn take<'a>(&self, lane: &'a Lane, cache: u32) -> Result<Txn<'a>, Fault> {
        let mut lane = lane.lock().await;
        let line = match lane.take() {
            Some(line) => line,
            None => self.connect(cache).await?,
        };
        Ok(Txn { lane, line })
    }

    async fn connect(&self, cache: u32) -> Result<SqliteConnection, Fault> {
        let options = self.options.clone().pragma("cache_size", format!("-{cache}"));
        Ok(options.connect().await?)
    }

    /// A number that is another one after any commit of anybody.
    pub(super) async fn version(&self) -> Result<u64, Fault> {
        let mut lookout = self.lookout.lock().await;
        let mut line = match lookout.line.take() {
            Some(line) => line,
            None => {
                lookout.opened += 1;
                self.connect(CACHES[2]).await?
            }
        };
        let version: u32 = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut line).await?;
        lookout.line = Some(line);
        Ok((lookout.opened << 32) | u64::from(version))
    }
}

/// A connection that was taken out, mostly for a transaction. Dropped without [`Txn::commit`],
/// nothing of it has happened.
pub(super) struct Txn<'a> {
    lane: MutexGuard<'a, Option<SqliteConnection>>,
    line: SqliteConnection,
}

impl Txn<'_> {
    /// Goes on if another row fits into one of the tables that are counted. Asked before anything is
    /// written.
    pub(super) async fn room(
        mut self,
        table: &'static str,
        max: usize,
        what: &'static str,
    ) -> Result<Self, Fault> {
        let sql = "SELECT count FROM held WHERE what = ?";
        let count: i64 = sqlx::query_scalar(sql).bind(table).fetch_one(self.line()).await?;
        self.unless(uint::<usize>(count) >= max, what).await
    }

    /// Goes on unless there is no room. Asked before anything is written.
    pub(super) async fn unless(self, is_full: bool, what: &'static str) -> Result<Self, Fault> {
        if is_full {
            self.commit().await?;
            return Err(Fault::Full(what));
        }
        Ok(self)
    }

    /// Where its statements go.
    pub(super) const fn line(&mut self) -> &mut SqliteConnection {
        &mut self.line
    }

    /// Makes it happen: when this returns, it is on disk.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        sqlx::query("COMMIT").execute(&mut self.line).await?;
        self.put_back();
        Ok(())
    }

    /// Gives the connection back; for one without a transaction.
    pub(super) fn put_back(mut self) {
        *self.lane = Some(self.line);
    }
}
