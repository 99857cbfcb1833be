//! A ledger of usage in the memory of one process: for tests, and for gates that may forget.
//!
//! One mutex, held for one method and never across an await. Next: `embedded/usage.rs`.

use crate::tallies::{DAY_MILLIS, Names, Tallies, of_row};
use parking_lot::Mutex;
use std::collections::HashSet;
use tollgate_core::bounds::stores::MEMORY_ROWS_MAX;
use tollgate_core::stores::{
    CallId, Pending, StoreError, UsageBy, UsageFilter, UsageLedger, UsageRow, UsageSums,
};

/// A [`UsageLedger`] in memory.
#[derive(Debug, Default)]
pub struct MemoryUsage {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    rows: Vec<UsageRow>,
    known: HashSet<(CallId, u32)>,
}

impl Held {
    fn append(&mut self, rows: Vec<UsageRow>) -> Result<usize, StoreError> {
        if self.rows.len() + rows.len() > MEMORY_ROWS_MAX {
            return Err(StoreError::Full("rows of usage"));
        }
        let before = self.rows.len();
        for row in rows {
            if self.known.insert((row.call, row.part)) {
                self.rows.push(row);
            }
        }
        Ok(self.rows.len() - before)
    }

    fn matching<'a>(&'a self, filter: &'a UsageFilter) -> impl Iterator<Item = &'a UsageRow> {
        let is = |wanted: &Option<String>, name: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| name == Some(wanted))
        };
        self.rows.iter().filter(move |row| {
            row.at_millis >= filter.since_millis
                && filter.until_millis.is_none_or(|until| row.at_millis < until)
                && is(&filter.agent, Some(&row.agent))
                && is(&filter.team, row.team.as_deref())
                && is(&filter.upstream, Some(&row.upstream))
        })
    }
}

impl UsageLedger for MemoryUsage {
    fn append(&self, rows: Vec<UsageRow>) -> Pending<'_, usize> {
        Box::pin(async move { self.held.lock().append(rows) })
    }

    fn sums(
        &self,
        filter: UsageFilter,
        by: Vec<UsageBy>,
        limit: usize,
    ) -> Pending<'_, Vec<UsageSums>> {
        Box::pin(async move {
            let mut tallies = Tallies::default();
            for row in self.held.lock().matching(&filter) {
                let group = Names::of(row).group(row.at_millis / DAY_MILLIS, &by);
                tallies.add(group, of_row(row));
            }
            Ok(tallies.first(limit))
        })
    }

    fn rows(&self, filter: UsageFilter, skip: u64, limit: usize) -> Pending<'_, Vec<UsageRow>> {
        Box::pin(async move {
            let held = self.held.lock();
            let mut rows: Vec<&UsageRow> = held.matching(&filter).collect();
            rows.sort_by_key(|row| (row.at_millis, row.call, row.part));
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            Ok(rows.into_iter().skip(skip).take(limit).cloned().collect())
        })
    }

    fn sweep(&self, before_millis: u64) -> Pending<'_, usize> {
        Box::pin(async move {
            let before = before_millis / DAY_MILLIS * DAY_MILLIS;
            let Held { rows, known } = &mut *self.held.lock();
            let held = rows.len();
            rows.retain(|row| {
                let stays = row.at_millis >= before;
                if !stays {
                    known.remove(&(row.call, row.part));
                }
                stays
            });
            Ok(held - rows.len())
        })
    }
}
