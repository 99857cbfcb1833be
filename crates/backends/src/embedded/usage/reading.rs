//! Reading sums and rows.
//!
//! Of a span of time, whole days are read from their sums, and what is left at either end from the
//! rows. Both are read in one transaction, so a sum is that of one moment.
//!
//! Next: `../../tallies.rs`.

use super::super::lanes::{Desk, Txn};
use super::super::records::{Fault, int, uint};
use crate::tallies::{DAY_MILLIS, Names, Sums, Tallies, counted_by};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use std::collections::HashMap;
use tollgate_core::stores::{Outcome, UsageBy, UsageFilter, UsageRow, UsageSums};

const SERIES: &str = "SELECT id, names FROM series \
    WHERE (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR team = ?2) \
    AND (?3 IS NULL OR upstream = ?3)";

const DAYS: &str = "SELECT day, series, calls, tokens_in, tokens_out, bytes, millis, errors, cost \
                    FROM days WHERE day >= ? AND day < ?";

/// Sums of 64 bits could overflow on the way: halves of 32 bits are summed, and put together after.
const EDGE: &str = "SELECT at / 86400000, series, sum(calls >> 32), sum(calls & 4294967295), \
    sum(tokens_in >> 32), sum(tokens_in & 4294967295), \
    sum(tokens_out >> 32), sum(tokens_out & 4294967295), \
    sum(bytes >> 32), sum(bytes & 4294967295), sum(millis >> 32), sum(millis & 4294967295), \
    sum(iif(outcome = 0, 0, calls) >> 32), sum(iif(outcome = 0, 0, calls) & 4294967295), \
    sum(cost >> 32), sum(cost & 4294967295) \
    FROM usage WHERE at >= ? AND at < ? GROUP BY 1, 2";

const ROWS: &str = "SELECT call, part, at, names, outcome, calls, tokens_in, tokens_out, bytes, \
    millis, cost FROM usage JOIN series ON series.id = usage.series \
    WHERE at >= ?4 AND at < ?5 AND (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR team = ?2) \
    AND (?3 IS NULL OR upstream = ?3) ORDER BY at, call, part LIMIT ?6 OFFSET ?7";

/// The span of a filter in three parts: rows, whole days, rows. Empty parts end where they begin.
fn parts(filter: &UsageFilter) -> [(u64, u64); 3] {
    let since = filter.since_millis;
    let until = filter.until_millis.unwrap_or(u64::MAX / DAY_MILLIS * DAY_MILLIS).max(since);
    let first = since.div_ceil(DAY_MILLIS);
    let last = until / DAY_MILLIS;
    if first > last {
        return [(since, until), (0, 0), (0, 0)];
    }
    [(since, first * DAY_MILLIS), (first, last), (last * DAY_MILLIS, until)]
}

pub(super) async fn sums(
    desk: &Desk,
    filter: UsageFilter,
    by: Vec<UsageBy>,
    limit: usize,
) -> Result<Vec<UsageSums>, Fault> {
    let mut txn = desk.read().await?;
    sqlx::query("BEGIN").execute(txn.line()).await?;
    let names = series(&mut txn, &filter).await?;
    let [head, days, tail] = parts(&filter);
    let mut tallies = Tallies::default();
    let mut add = |row: &SqliteRow, sums: Sums| -> Result<(), Fault> {
        let id: i64 = row.try_get(1)?;
        if let Some(names) = names.get(&id) {
            tallies.add(names.group(uint(row.try_get(0)?), &by), sums);
        }
        Ok(())
    };
    if days.0 < days.1 {
        let find = sqlx::query(DAYS).bind(int(days.0)).bind(int(days.1));
        for row in find.fetch_all(txn.line()).await? {
            let mut sums = Sums::default();
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum = row.try_get(at + 2)?;
            }
            add(&row, sums)?;
        }
    }
    for edge in [head, tail] {
        if edge.0 >= edge.1 {
            continue;
        }
        let find = sqlx::query(EDGE).bind(int(edge.0)).bind(int(edge.1));
        for row in find.fetch_all(txn.line()).await? {
            let mut sums = Sums::default();
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum = whole(row.try_get(at * 2 + 2)?, row.try_get(at * 2 + 3)?);
            }
            add(&row, sums)?;
        }
    }
    txn.commit().await?;
    Ok(tallies.first(limit))
}

/// The sum whose halves were summed.
fn whole(high: i64, low: i64) -> i64 {
    let sum = (i128::from(high) << 32) + i128::from(low);
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

async fn series(txn: &mut Txn<'_>, filter: &UsageFilter) -> Result<HashMap<i64, Names>, Fault> {
    let find = sqlx::query_as(SERIES).bind(filter.agent.as_deref()).bind(filter.team.as_deref());
    let rows: Vec<(i64, String)> =
        find.bind(filter.upstream.as_deref()).fetch_all(txn.line()).await?;
    rows.into_iter().map(|(id, names)| Ok((id, Names::read(&names)?))).collect()
}

pub(super) async fn rows(
    desk: &Desk,
    filter: UsageFilter,
    skip: u64,
    limit: usize,
) -> Result<Vec<UsageRow>, Fault> {
    let mut txn = desk.read().await?;
    let find = sqlx::query(ROWS).bind(filter.agent.as_deref()).bind(filter.team.as_deref());
    let find = find.bind(filter.upstream.as_deref()).bind(int(filter.since_millis));
    let find = find.bind(filter.until_millis.map_or(i64::MAX, int)).bind(int(limit));
    let rows = find.bind(int(skip)).fetch_all(txn.line()).await?;
    txn.put_back();
    rows.iter().map(row).collect()
}

fn row(row: &SqliteRow) -> Result<UsageRow, Fault> {
    let call: Vec<u8> = row.try_get(0)?;
    let names: Names = Names::read(row.try_get(3)?)?;
    let number: i64 = row.try_get(4)?;
    Ok(UsageRow {
        call: call.try_into().map_err(|_| Fault::Unusable("a call has no id of 16 bytes"))?,
        part: row.try_get(1)?,
        at_millis: uint(row.try_get(2)?),
        agent: names.agent,
        issuer: names.issuer,
        user: names.user,
        team: names.team,
        route: names.route,
        upstream: names.upstream,
        method: names.method,
        kind: names.kind,
        item: names.item,
        calls: row.try_get(5)?,
        tokens_in: row.try_get(6)?,
        tokens_out: row.try_get(7)?,
        counted_by: counted_by(names.counted_by),
        bytes: row.try_get(8)?,
        millis: row.try_get(9)?,
        outcome: outcome(number),
        price: names.price,
        cost_micros: row.try_get(10)?,
    })
}

/// A number of a later version counts as no answer.
const fn outcome(number: i64) -> Outcome {
    match number {
        0 => Outcome::Done,
        1 => Outcome::ToolError,
        2 => Outcome::Error,
        _ => Outcome::Unfinished,
    }
}
