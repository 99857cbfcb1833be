//! The price book: what an item costs on a day, in integers.
//!
//! A price is what the operator declares; a cost is an estimate to that extent. One call's cost is the
//! exact sum of its parts, rounded once to a millionth, halves to even. Figures that are too large
//! saturate: a cost is never negative and never wraps.
//!
//! Next: `money.rs` (decimals), `days.rs`.

use crate::days;
use crate::settings::{PriceEntry, PriceSettings};
use std::sync::Arc;
use tollgate_core::bounds::usage::FIGURE_MAX;
use tollgate_core::party::Item;

/// What a call took, in the figures that have prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantities {
    /// Calls.
    pub calls: u64,
    /// Tokens towards the upstream.
    pub tokens_in: u64,
    /// Tokens back.
    pub tokens_out: u64,
    /// Bytes of arguments and result.
    pub bytes: u64,
    /// Milliseconds.
    pub millis: u64,
}

/// The prices in force.
#[derive(Debug)]
pub struct PriceBook {
    currency: Arc<str>,
    prices: Vec<Price>,
}

/// An entry, with the version the ledger knows it by.
#[derive(Clone, Debug)]
pub struct Price {
    entry: PriceEntry,
    version: Arc<str>,
}

/// What can have a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PricedBy {
    /// A call.
    Call,
    /// 1,000 tokens towards the upstream.
    TokensIn,
    /// 1,000 tokens back.
    TokensOut,
    /// 1,000,000 bytes.
    Bytes,
    /// A second.
    Time,
}

impl PricedBy {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Call, Self::TokensIn, Self::TokensOut, Self::Bytes, Self::Time];
}

/// All parts of a cost are fractions with this denominator, in millionths.
const DENOMINATOR: i128 = 1_000_000;

impl PriceBook {
    /// Takes the entries in their order: the first that matches counts.
    #[must_use]
    pub fn new(settings: &PriceSettings) -> Self {
        let price = |entry: &PriceEntry| Price { entry: entry.clone(), version: version(entry) };
        Self {
            currency: settings.currency.clone(),
            prices: settings.entries.iter().map(price).collect(),
        }
    }

    /// ISO 4217 code.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The price of an item at a Unix millisecond, if it has one.
    #[must_use]
    pub fn price(&self, item: &Item<'_>, at_millis: u64) -> Option<&Price> {
        if self.prices.is_empty() {
            return None;
        }
        let day = days::of_millis(at_millis);
        self.prices.iter().find(|price| price.holds(item, day))
    }

    /// The price the ledger knows by this version, if it is still in the book.
    #[must_use]
    pub fn version(&self, version: &str) -> Option<&Price> {
        self.prices.iter().find(|price| &*price.version == version)
    }
}

impl Price {
    /// The entry's name, the day it takes effect and a digest of what it says: another price is
    /// another version, also under the same name and day.
    #[must_use]
    pub const fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The entry's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// What the call costs, in millionths.
    #[must_use]
    pub fn cost(&self, took: &Quantities) -> u64 {
        let whole = PricedBy::ALL
            .iter()
            .fold(0_i128, |sum, by| sum.saturating_add(self.fraction(*by, took)));
        rounded(whole)
    }

    /// The part of a cost that is due to one figure, in millionths, rounded by itself.
    #[must_use]
    pub fn part(&self, by: PricedBy, took: &Quantities) -> u64 {
        rounded(self.fraction(by, took))
    }

    /// The price of a figure in millionths, and for how many units it is.
    #[must_use]
    pub const fn unit(&self, by: PricedBy) -> (i64, u32) {
        match by {
            PricedBy::Call => (self.entry.per_call, 1),
            PricedBy::TokensIn => (self.entry.per_1k_in, 1_000),
            PricedBy::TokensOut => (self.entry.per_1k_out, 1_000),
            PricedBy::Bytes => (self.entry.per_mb, 1_000_000),
            PricedBy::Time => (self.entry.per_second, 1_000),
        }
    }

    fn holds(&self, item: &Item<'_>, day: i64) -> bool {
        let entry = &self.entry;
        entry.from_day.is_none_or(|from| from <= day)
            && entry.until_day.is_none_or(|until| day < until)
            && entry
                .items
                .iter()
                .any(|(kind, glob)| kind.is_none_or(|kind| kind == item.kind) && glob.matches(item))
    }

    /// Millionths of millionths.
    fn fraction(&self, by: PricedBy, took: &Quantities) -> i128 {
        let quantity = match by {
            PricedBy::Call => took.calls,
            PricedBy::TokensIn => took.tokens_in,
            PricedBy::TokensOut => took.tokens_out,
            PricedBy::Bytes => took.bytes,
            PricedBy::Time => took.millis,
        };
        let (price, units) = self.unit(by);
        // 2^64 * 2^63 fits; the factor may not.
        let scale = DENOMINATOR / i128::from(units);
        i128::from(quantity).saturating_mul(i128::from(price.max(0))).saturating_mul(scale)
    }
}

/// To the nearest millionth, halves to even.
fn rounded(fraction: i128) -> u64 {
    let (whole, rest) = (fraction / DENOMINATOR, fraction % DENOMINATOR);
    let is_up = rest * 2 > DENOMINATOR || (rest * 2 == DENOMINATOR && whole % 2 != 0);
    let limit = FIGURE_MAX.unsigned_abs();
    u64::try_from(whole.saturating_add(i128::from(is_up))).unwrap_or(limit).min(limit)
}

fn version(entry: &PriceEntry) -> Arc<str> {
    let said = format!("{entry:?}");
    // FNV-1a: tells versions of one operator's entry apart, nothing more.
    let digest = said.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let digest = (digest >> 32) ^ (digest & 0xffff_ffff);
    let name = &entry.name;
    match entry.from_day {
        Some(day) => format!("{name}@{}#{digest:08x}", days::iso(day)).into(),
        None => format!("{name}#{digest:08x}").into(),
    }
}
