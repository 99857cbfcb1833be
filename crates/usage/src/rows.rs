//! The row of the ledger that a counted call becomes.
//!
//! Figures and texts are cut to what a row may hold: a sum of many rows must not overflow, and a URI
//! may be of any length.
//!
//! Next: `backlog.rs`.

use crate::call::Finished;
use crate::counting::Counted;
use crate::prices::{PriceBook, Quantities};
use std::sync::Arc;
use tollgate_core::bounds::usage::{FIGURE_MAX, ROW_TEXT_BYTES_MAX};
use tollgate_core::stores::UsageRow;

/// The version of the price of a call, and its cost.
pub(crate) fn priced(
    call: &Finished,
    counted: &Counted,
    book: &PriceBook,
    at_millis: u64,
) -> (Option<Arc<str>>, u64) {
    let Some(price) = call.item().and_then(|item| book.price(&item, at_millis)) else {
        return (None, 0);
    };
    let took = Quantities {
        calls: 1,
        tokens_in: counted.tokens_in,
        tokens_out: counted.tokens_out,
        bytes: counted.bytes,
        millis: call.millis,
    };
    // Of what the row will say, so that it can be priced again from the row.
    (Some(price.version().clone()), price.cost(&took.cut()))
}

/// The row.
pub(crate) fn row(
    call: &Finished,
    counted: &Counted,
    priced: (Option<Arc<str>>, u64),
    at_millis: u64,
) -> UsageRow {
    UsageRow {
        call: call.call,
        part: 0,
        at_millis,
        agent: short(&call.agent),
        issuer: call.issuer.as_ref().map(short),
        user: call.user.as_ref().map(short),
        team: call.team.as_ref().map(short),
        route: Arc::from(call.route.as_str()),
        upstream: Arc::from(call.upstream.as_str()),
        method: short(&call.method),
        kind: call.item.as_ref().map(|(kind, _)| *kind),
        item: call.item.as_ref().map(|(_, name)| short(name)),
        calls: 1,
        tokens_in: figure(counted.tokens_in),
        tokens_out: figure(counted.tokens_out),
        counted_by: counted.by,
        bytes: figure(counted.bytes),
        millis: figure(call.millis),
        outcome: counted.outcome,
        price: priced.0,
        cost_micros: figure(priced.1),
    }
}

fn figure(number: u64) -> i64 {
    i64::try_from(number).map_or(FIGURE_MAX, |number| number.min(FIGURE_MAX))
}

/// The text, cut where it is too long.
fn short(text: &Arc<str>) -> Arc<str> {
    if text.len() <= ROW_TEXT_BYTES_MAX {
        return text.clone();
    }
    let mut end = ROW_TEXT_BYTES_MAX - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end]).into()
}

impl Quantities {
    /// What a row holds of them.
    #[must_use]
    pub(crate) fn cut(self) -> Self {
        let cut = |number: u64| number.min(FIGURE_MAX.unsigned_abs());
        Self {
            calls: cut(self.calls),
            tokens_in: cut(self.tokens_in),
            tokens_out: cut(self.tokens_out),
            bytes: cut(self.bytes),
            millis: cut(self.millis),
        }
    }
}
