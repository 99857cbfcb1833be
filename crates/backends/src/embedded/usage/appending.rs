//! Appending rows, and removing old ones.
//!
//! INVARIANT: a series is looked for, or made, in the transaction that uses it. What is remembered of
//! earlier ones is looked at again in each: another process may have swept them.
//!
//! Next: `reading.rs`.

use super::super::lanes::{Desk, Txn};
use super::super::records::{Fault, int, written};
use crate::tallies::{DAY_MILLIS, Names};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use tollgate_core::bounds::stores::{KNOWN_SERIES_MAX, SWEPT_ROWS_MAX};
use tollgate_core::stores::{Outcome, UsageRow};

/// Series this process has seen. Bounded; emptied when full.
#[derive(Debug, Default)]
pub(super) struct Series(
    // A plain mutex: only whoever holds the writing lane comes here.
    Mutex<HashMap<Names, i64>>,
);

/// Rows of one statement; the larger, the fewer trips to SQLite.
const HELPINGS: [usize; 3] = [100, 10, 1];
const COLUMNS: usize = 11;

static INSERTS: LazyLock<[String; HELPINGS.len()]> = LazyLock::new(|| {
    HELPINGS.map(|rows| {
        let row = format!("({})", ["?"; COLUMNS].join(","));
        let rows = vec![row; rows].join(",");
        format!(
            "INSERT OR IGNORE INTO usage (call, part, at, series, outcome, calls, tokens_in, \
             tokens_out, bytes, millis, cost) VALUES {rows}"
        )
    })
});

/// Adds the rows that are not there yet.
pub(super) async fn append(
    desk: &Desk,
    series: &Series,
    rows: Vec<UsageRow>,
) -> Result<usize, Fault> {
    if rows.is_empty() {
        return Ok(0);
    }
    let mut txn = desk.write().await?;
    let named: Vec<Names> = rows.iter().map(Names::of).collect();
    let ids = series.ids(&mut txn, &named).await?;
    let mut added = 0;
    let mut rest = rows.iter().zip(&named);
    let mut left = rows.len();
    for (helping, sql) in HELPINGS.into_iter().zip(INSERTS.iter()) {
        while left >= helping {
            left -= helping;
            // INVARIANT: made above of constants.
            let mut insert = sqlx::query(sqlx::AssertSqlSafe(sql.as_str()));
            for (row, names) in rest.by_ref().take(helping) {
                let id =
                    ids.get(names).copied().ok_or(Fault::Unusable("a series has no number"))?;
                insert = insert.bind(&row.call[..]).bind(row.part).bind(int(row.at_millis));
                insert = insert.bind(id).bind(outcome(row.outcome)).bind(row.calls);
                insert = insert.bind(row.tokens_in).bind(row.tokens_out).bind(row.bytes);
                insert = insert.bind(row.millis).bind(row.cost_micros);
            }
            added += insert.execute(txn.line()).await?.rows_affected();
        }
    }
    txn.commit().await?;
    series.remember(ids);
    Ok(usize::try_from(added).unwrap_or(usize::MAX))
}

impl Series {
    /// The numbers of all these names.
    async fn ids(&self, txn: &mut Txn<'_>, named: &[Names]) -> Result<HashMap<Names, i64>, Fault> {
        let distinct: HashSet<&Names> = named.iter().collect();
        let mut ids = HashMap::with_capacity(distinct.len());
        {
            let known = self.0.lock();
            for names in &distinct {
                if let Some(id) = known.get(*names) {
                    ids.insert((*names).clone(), *id);
                }
            }
        }
        if !ids.is_empty() && !are_there(txn, ids.values().copied()).await? {
            ids.clear();
        }
        for names in distinct {
            if !ids.contains_key(names) {
                ids.insert(names.clone(), find_or_make(txn, names).await?);
            }
        }
        Ok(ids)
    }

    fn remember(&self, ids: HashMap<Names, i64>) {
        let mut known = self.0.lock();
        if known.len() + ids.len() > KNOWN_SERIES_MAX {
            known.clear();
        }
        known.extend(ids);
    }
}

/// Whether none of the series was removed. Their numbers are never given twice.
async fn are_there(txn: &mut Txn<'_>, ids: impl Iterator<Item = i64>) -> Result<bool, Fault> {
    let ids: Vec<i64> = ids.collect();
    let sql = "SELECT count(*) FROM json_each(?) AS one JOIN series ON series.id = one.value";
    let count: i64 = sqlx::query_scalar(sql).bind(written(&ids)?).fetch_one(txn.line()).await?;
    Ok(count == int(ids.len()))
}

async fn find_or_make(txn: &mut Txn<'_>, names: &Names) -> Result<i64, Fault> {
    let text = names.text()?;
    let find = sqlx::query_scalar("SELECT id FROM series WHERE names = ?").bind(&text);
    let found: Option<i64> = find.fetch_optional(txn.line()).await?;
    if let Some(id) = found {
        return Ok(id);
    }
    let sql = "INSERT INTO series (names, agent, team, upstream) VALUES (?, ?, ?, ?) RETURNING id";
    let make = sqlx::query_scalar(sql).bind(text).bind(&*names.agent);
    let make = make.bind(names.team.as_deref()).bind(&*names.upstream);
    Ok(make.fetch_one(txn.line()).await?)
}

const fn outcome(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Done => 0,
        Outcome::ToolError => 1,
        Outcome::Error => 2,
        Outcome::Unfinished => 3,
    }
}

/// Removes some rows of the days that ended before; with the last of them the sums of those days, and
/// the names nobody has any more.
pub(super) async fn sweep(desk: &Desk, before_millis: u64) -> Result<usize, Fault> {
    let day = before_millis / DAY_MILLIS;
    let mut txn = desk.write().await?;
    let sql = "DELETE FROM usage WHERE rowid IN \
               (SELECT rowid FROM usage WHERE at < ? ORDER BY at LIMIT ?)";
    let delete = sqlx::query(sql).bind(int(day * DAY_MILLIS)).bind(int(SWEPT_ROWS_MAX));
    let removed = delete.execute(txn.line()).await?.rows_affected();
    if removed < u64::try_from(SWEPT_ROWS_MAX).unwrap_or(u64::MAX) {
        let days = sqlx::query("DELETE FROM days WHERE day < ?").bind(int(day));
        if days.execute(txn.line()).await?.rows_affected() > 0 {
            let names = "DELETE FROM series WHERE id NOT IN (SELECT series FROM days)";
            sqlx::query(names).execute(txn.line()).await?;
        }
    }
    txn.commit().await?;
    Ok(usize::try_from(removed).unwrap_or(usize::MAX))
}
