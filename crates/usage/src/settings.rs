//! What metering and the price book are made of, checked and complete: the binary builds them from the
//! file.

use std::sync::Arc;
use tollgate_core::party::ItemKind;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::teams::Teams;

/// Metering.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageSettings {
    /// Who counts tokens.
    pub estimator: Estimator,
    /// Upstreams whose own count of tokens is looked at, and how far it is believed.
    pub reported: Vec<(Arc<str>, Trust)>,
    /// The price book.
    pub prices: PriceSettings,
    /// Teams that usage is put down to.
    pub teams: Teams,
    /// Whether rows are written; without, calls are counted for limits only.
    pub has_ledger: bool,
    /// What happens to calls that the ledger cannot take.
    pub on_failure: OnFailure,
    /// Rows older than this many seconds are removed; `None` keeps all.
    pub retain_secs: Option<u64>,
}

/// Who counts tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Estimator {
    /// Bytes / 4.
    #[default]
    Bytes,
    /// The tokenizer `o200k_base`.
    O200k,
    /// The tokenizer `cl100k_base`.
    Cl100k,
}

/// How far an upstream's own count is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It counts.
    Reported,
    /// The larger of it and the gate's own count.
    Max,
}

/// What happens to calls that the ledger cannot take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused.
    Closed,
    /// They are made, and the rows that are lost are counted.
    #[default]
    Open,
}

/// The price book. Prices are what the operator declares, never what a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceSettings {
    /// ISO 4217 code of the currency.
    pub currency: Arc<str>,
    /// The entries; the first that matches an item on a day prices it.
    pub entries: Vec<PriceEntry>,
}

/// One entry. All prices in millionths of the currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceEntry {
    /// Names it in the ledger, with the day it takes effect.
    pub name: Arc<str>,
    /// Which items.
    pub items: Vec<(Option<ItemKind>, ItemGlob)>,
    /// From this day on (UTC), days since 1970-01-01; `None` is always.
    pub from_day: Option<i64>,
    /// Until before this day; `None` has no end.
    pub until_day: Option<i64>,
    /// For a call.
    pub per_call: i64,
    /// For 1,000 tokens towards the upstream.
    pub per_1k_in: i64,
    /// For 1,000 tokens back.
    pub per_1k_out: i64,
    /// For 1,000,000 bytes.
    pub per_mb: i64,
    /// For a second.
    pub per_second: i64,
}
