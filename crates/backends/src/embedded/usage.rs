//! The ledger of usage in a SQLite file of its own: one process or several append, the command line
//! reads meanwhile.
//!
//! A row that was acknowledged is on disk. What repeats from row to row is stored once, and the sums of
//! whole days are kept beside the rows, so a bill of a year does not read a year of rows.
//!
//! Next: `usage/appending.rs`, `usage/reading.rs`.

mod appending;
mod reading;

use super::lanes::Desk;
use super::schema::Plan;
use super::{OpenError, file, schema};
use appending::Series;
use std::path::Path;
use tollgate_core::stores::{Pending, UsageBy, UsageFilter, UsageLedger, UsageRow, UsageSums};

/// How the file is made.
const PLAN: Plan = Plan {
    steps: &[include_str!("../../migrations/usage/0001_usage.sql")],
    // "tolu"
    application: 0x746f_6c75,
};

/// An open ledger.
#[derive(Debug)]
pub struct EmbeddedUsage {
    desk: Desk,
    series: Series,
}

impl EmbeddedUsage {
    /// Opens the ledger, and makes it if there is none.
    ///
    /// # Errors
    /// The file cannot be used, is not ours, or others could read it.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::File { path: path.to_owned(), source };
        let path = &std::path::absolute(path).map_err(io)?;
        file::prepare(path)?;
        let desk = Desk::for_usage(path);
        schema::bring_up(&desk, path, &PLAN).await?;
        Ok(Self { desk, series: Series::default() })
    }
}

impl UsageLedger for EmbeddedUsage {
    fn append(&self, rows: Vec<UsageRow>) -> Pending<'_, usize> {
        Box::pin(self.desk.within(appending::append(&self.desk, &self.series, rows)))
    }

    fn sums(
        &self,
        filter: UsageFilter,
        by: Vec<UsageBy>,
        limit: usize,
    ) -> Pending<'_, Vec<UsageSums>> {
        Box::pin(self.desk.within(reading::sums(&self.desk, filter, by, limit)))
    }

    fn rows(&self, filter: UsageFilter, skip: u64, limit: usize) -> Pending<'_, Vec<UsageRow>> {
        Box::pin(self.desk.within(reading::rows(&self.desk, filter, skip, limit)))
    }

    fn sweep(&self, before_millis: u64) -> Pending<'_, usize> {
        Box::pin(self.desk.within(appending::sweep(&self.desk, before_millis)))
    }
}
