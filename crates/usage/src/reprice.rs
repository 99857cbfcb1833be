//! Pricing calls again: what the present price book says they cost, as further rows beside the old ones.
//!
//! Nothing in the ledger is changed. A correction is the difference between what a call costs and what
//! its rows say so far, so doing it again adds nothing. It belongs to the time of its call.

use crate::prices::{PriceBook, Quantities};
use std::sync::Arc;
use tollgate_core::bounds::usage::FIGURE_MAX;
use tollgate_core::ids::UpstreamName;
use tollgate_core::party::Item;
use tollgate_core::stores::{StoreError, UsageFilter, UsageLedger, UsageRow};

/// Rows read at a time.
const PAGE: usize = 10_000;

/// What pricing again came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repriced {
    /// Calls that were looked at.
    pub calls: u64,
    /// Those whose cost is another one.
    pub corrected: u64,
    /// By how much all of them together, in millionths.
    pub difference_micros: i64,
}

/// Prices all calls of a span again. `writes`: corrections are added; otherwise only counted.
///
/// # Errors
/// The ledger cannot be read or written. What was corrected before stays; the next time goes on there.
pub async fn reprice(
    ledger: &dyn UsageLedger,
    book: &PriceBook,
    mut filter: UsageFilter,
    writes: bool,
) -> Result<Repriced, StoreError> {
    let mut repriced = Repriced::default();
    loop {
        let (rows, next) = whole_calls(ledger, &filter).await?;
        let mut corrections = Vec::new();
        for parts in rows.chunk_by(|one, other| one.call == other.call) {
            repriced.calls += 1;
            if let Some(row) = correction(parts, book) {
                repriced.corrected += 1;
                repriced.difference_micros =
                    repriced.difference_micros.saturating_add(row.cost_micros);
                corrections.push(row);
            }
        }
        if writes && !corrections.is_empty() {
            ledger.append(corrections).await?;
        }
        match next {
            Some(since_millis) => filter.since_millis = since_millis,
            None => return Ok(repriced),
        }
    }
}

/// Some rows from the beginning of the span, none of whose calls has more; and where to go on. All rows
/// of a call have the same time, so it is enough to leave no millisecond halfway.
async fn whole_calls(
    ledger: &dyn UsageLedger,
    filter: &UsageFilter,
) -> Result<(Vec<UsageRow>, Option<u64>), StoreError> {
    let mut rows = ledger.rows(filter.clone(), 0, PAGE).await?;
    loop {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok((rows, None));
        };
        let (first, last) = (first.at_millis, last.at_millis);
        if rows.len() % PAGE != 0 {
            return Ok((rows, None));
        }
        if first < last {
            rows.retain(|row| row.at_millis < last);
            return Ok((rows, Some(last)));
        }
        let read = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let more = ledger.rows(filter.clone(), read, PAGE).await?;
        if more.is_empty() {
            return Ok((rows, None));
        }
        rows.extend(more);
    }
}

/// What must be added to the parts of a call, in their order, so that it costs what the book says.
#[must_use]
pub fn correction(parts: &[UsageRow], book: &PriceBook) -> Option<UsageRow> {
    // A call whose own row is gone cannot be priced.
    let whole = parts.first().filter(|row| row.part == 0)?;
    let last = parts.last()?;
    let upstream = UpstreamName::from(&*whole.upstream);
    let item = whole.kind.zip(whole.item.as_ref());
    let item = item.map(|(kind, name)| Item { kind, upstream: &upstream, name });
    let price = item.and_then(|item| book.price(&item, whole.at_millis));
    let figure = |number: i64| u64::try_from(number).unwrap_or(0);
    let took = Quantities {
        calls: figure(whole.calls),
        tokens_in: figure(whole.tokens_in),
        tokens_out: figure(whole.tokens_out),
        bytes: figure(whole.bytes),
        millis: figure(whole.millis),
    };
    let cost = price.map_or(0, |price| price.cost(&took));
    let cost = i64::try_from(cost).unwrap_or(FIGURE_MAX);
    let said = parts.iter().fold(0_i64, |sum, row| sum.saturating_add(row.cost_micros));
    let cost_micros = cost.saturating_sub(said);
    (cost_micros != 0).then(|| UsageRow {
        part: last.part.saturating_add(1),
        calls: 0,
        tokens_in: 0,
        tokens_out: 0,
        bytes: 0,
        millis: 0,
        price: price.map(|price| Arc::clone(price.version())),
        cost_micros,
        ..whole.clone()
    })
}
