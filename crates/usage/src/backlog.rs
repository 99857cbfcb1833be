//! Rows that wait for the ledger: bounded, in order, and each of them accounted for.
//!
//! Of every row that is pushed, exactly one of three is true: it waits, it was written, or it was lost
//! because too many waited. Nothing is lost for any other reason while the process lives.
//!
//! Next: `writing.rs`.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;
use tollgate_core::bounds::usage::{FLUSH_ROWS, PENDING_ROWS_MAX};
use tollgate_core::stores::UsageRow;

/// The rows.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    // A plain mutex: the counting thread pushes, one task takes.
    rows: Mutex<VecDeque<UsageRow>>,
    /// Rows that wait, and those being written.
    pending: AtomicUsize,
    written: AtomicU64,
    lost: AtomicU64,
    /// The first row is there.
    pub(crate) first: Notify,
    /// Enough rows for a statement are there, or somebody is in a hurry.
    pub(crate) enough: Notify,
}

impl Backlog {
    /// Takes a row; it is lost if too many wait.
    pub(crate) fn push(&self, row: UsageRow) {
        if self.pending.fetch_add(1, Ordering::AcqRel) >= PENDING_ROWS_MAX {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::error!(
                    "the ledger of usage takes no rows, and {PENDING_ROWS_MAX} of them wait: rows are lost \
                     from now on, and counted"
                );
            }
            return;
        }
        let mut rows = self.rows.lock();
        rows.push_back(row);
        let waiting = rows.len();
        drop(rows);
        if waiting == 1 {
            self.first.notify_one();
        } else if waiting == FLUSH_ROWS {
            self.enough.notify_one();
        }
    }

    /// The oldest rows, at most a statement of them. They stay pending until [`Backlog::wrote`].
    pub(crate) fn take(&self) -> Vec<UsageRow> {
        let mut rows = self.rows.lock();
        let some = rows.len().min(FLUSH_ROWS);
        rows.drain(..some).collect()
    }

    /// Whether any wait to be taken.
    pub(crate) fn has_rows(&self) -> bool {
        !self.rows.lock().is_empty()
    }

    /// So many rows are in the ledger.
    pub(crate) fn wrote(&self, rows: usize) {
        self.written.fetch_add(u64::try_from(rows).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.pending.fetch_sub(rows, Ordering::AcqRel);
    }

    /// Rows not in the ledger yet.
    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// Rows in the ledger.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Rows nobody will find.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
