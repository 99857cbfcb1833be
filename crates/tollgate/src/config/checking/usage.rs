//! Checks of metering and of the price book: upstreams that are there, names that are one entry's, days
//! in their order, and entries that could never price anything.

use crate::config::billing::{Amount, EstimatorWord, OnFailureWord, TrustWord};
use crate::config::collections::List;
use crate::config::decode::{At, Key, Set, listed, nearest};
use crate::config::raw::{Price, Prices, Root, Usage};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::rules::ItemPattern;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use tollgate_core::bounds::usage::{PRICE_ENTRIES_MAX, PRICE_ITEMS_MAX};
use tollgate_core::party::ItemKind;
use tollgate_limits::settings::LimitSettings;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::teams::Teams;
use tollgate_usage::settings::{
    Estimator, OnFailure, PriceEntry, PriceSettings, Trust, UsageSettings,
};

const DAY_SECS: u64 = 86_400;
const RETAIN_DAYS_MAX: usize = 36_500;

/// What is metered; `None` where nothing in the file needs it.
pub(super) fn usage(
    raw: &Root,
    (quotas, teams): (Option<&LimitSettings>, &Teams),
    reading: &mut Reading<'_>,
) -> Option<UsageSettings> {
    let is_wanted = !raw.usage.is_absent() || !raw.prices.is_absent();
    let budgets = quotas.map_or(&[][..], |quotas| &quotas.budgets);
    if !is_wanted && quotas.is_none() {
        return None;
    }
    let default = Usage::default();
    let keys = raw.usage.given().map_or(&default, |usage| &usage.value);
    let is_kept = keys.ledger.value.0;
    if let Some(at) = keys.ledger.at.as_ref().filter(|_| !is_kept && !budgets.is_empty()) {
        reading.wrong(
            at,
            "budgets are counted anew from the ledger after a restart, and `usage.ledger` is `false`",
            "remove the key `ledger`, or the budgets",
        );
    }
    let prices = raw.prices.given().map(|prices| book(&prices.value, raw, reading));
    Some(UsageSettings {
        estimator: match keys.estimator.value {
            EstimatorWord::Bytes => Estimator::Bytes,
            EstimatorWord::O200k => Estimator::O200k,
            EstimatorWord::Cl100k => Estimator::Cl100k,
        },
        reported: reported(keys, raw, reading),
        prices: prices.unwrap_or_else(nothing_priced),
        teams: teams.clone(),
        has_ledger: is_kept && (is_wanted || !budgets.is_empty()),
        on_failure: match keys.on_failure.value {
            OnFailureWord::Open => OnFailure::Open,
            OnFailureWord::Closed => OnFailure::Closed,
        },
        retain_secs: retained(keys, reading),
    })
}

/// The file of the ledger, where there is one.
pub(super) fn file(
    raw: &Root,
    usage: Option<&UsageSettings>,
    reading: &mut Reading<'_>,
) -> Option<PathBuf> {
    let stores = &raw.stores.value;
    let file = reading.whole_path(&stores.usage.value.value);
    usage.filter(|usage| usage.has_ledger)?;
    if file == reading.whole_path(&stores.embedded.value.value) {
        let at = stores.usage.at.as_ref().or(stores.embedded.at.as_ref());
        reading.wrong(
            at.unwrap_or(&Pos::default()),
            "`stores.usage` and `stores.embedded` are the same file",
            "give each a file of its own, so that neither waits for the other",
        );
    }
    Some(file)
}

fn nothing_priced() -> PriceSettings {
    PriceSettings { currency: "USD".into(), entries: Vec::new() }
}

fn retained(keys: &Usage, reading: &mut Reading<'_>) -> Option<u64> {
    let At { value: days, at } = keys.retain_days.given()?;
    if !(1..=RETAIN_DAYS_MAX).contains(&days.0) {
        let message = format!("`usage.retain_days` is {}, which is out of range", days.0);
        reading.wrong(at, message, format!("write a number from 1 to {RETAIN_DAYS_MAX}"));
    }
    Some(u64::try_from(days.0).unwrap_or(u64::MAX).saturating_mul(DAY_SECS))
}

fn upstreams(raw: &Root) -> Vec<&str> {
    let rows = raw.upstreams.given().map(|rows| rows.value.0.as_slice()).unwrap_or_default();
    rows.iter().map(|row| row.name.as_str()).collect()
}

fn reported(keys: &Usage, raw: &Root, reading: &mut Reading<'_>) -> Vec<(Arc<str>, Trust)> {
    let known = upstreams(raw);
    let mut reported = Vec::new();
    for row in keys.reported.given().map(|table| table.value.0.as_slice()).unwrap_or_default() {
        if !known.contains(&row.name.as_str()) {
            let message = "`usage.reported` names an upstream that is not there".to_owned();
            let help = match nearest(&row.name, &known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the upstreams are: {}", listed(&known)),
            };
            reading.wrong(&row.at, message, help);
        }
        let trust = match row.value {
            Some(TrustWord::Reported) => Trust::Reported,
            Some(TrustWord::Max) | None => Trust::Max,
        };
        reported.push((row.name.as_str().into(), trust));
    }
    reported
}

fn book(prices: &Prices, raw: &Root, reading: &mut Reading<'_>) -> PriceSettings {
    let known = upstreams(raw);
    let mut names = HashSet::new();
    let mut entries: Vec<PriceEntry> = Vec::new();
    let sections = prices.entries.given();
    for At { value: price, at } in sections.map(|list| list.value.0.as_slice()).unwrap_or_default()
    {
        let entry = entry(price, at, &known, reading);
        let named = (entry.name.clone(), entry.from_day);
        if !names.insert(named) && !entry.name.is_empty() {
            let message =
                format!("two entries of `prices` are called `{}` from the same day", entry.name);
            reading.wrong(at, message, "give each a `name` or a day `from` of its own");
        }
        if let Some(before) = entries.iter().find(|before| covers(before, &entry)) {
            reading.warn(
                at,
                format!(
                    "`{}` prices nothing: `{}` before it always fits first",
                    entry.name, before.name
                ),
            );
        }
        entries.push(entry);
    }
    if let Some(list) = sections.filter(|list| list.value.0.len() > PRICE_ENTRIES_MAX) {
        let message = format!("`prices.entries` has more than {PRICE_ENTRIES_MAX} entries");
        reading.wrong(&list.at, message, "use patterns, and remove what nobody asks for any more");
    }
    PriceSettings { currency: prices.currency.value.0.as_str().into(), entries }
}

fn entry(price: &Price, at: &Pos, known: &[&str], reading: &mut Reading<'_>) -> PriceEntry {
    let name = price.name.given().map_or("", |name| name.value.value.as_str());
    let (from, until) = (price.from.given(), price.until.given());
    if let (Some(from), Some(until)) = (from, until)
        && until.value <= from.value
    {
        let message = format!("the price `{name}` ends before it begins");
        reading.wrong(&until.at, message, "`until` is the first day it no longer holds");
    }
    let amounts = [
        &price.per_call,
        &price.per_1k_tokens_in,
        &price.per_1k_tokens_out,
        &price.per_mb,
        &price.per_second,
    ];
    // One that is wrong has its mistake already.
    if amounts.iter().all(|amount| amount.is_absent()) {
        let message = format!("the price `{name}` has no amount");
        let help = "add `per_call`, `per_1k_tokens_in`, `per_1k_tokens_out`, `per_mb` or `per_second`; `per_call: 0` if it is free";
        reading.wrong(at, message, help);
    }
    PriceEntry {
        name: name.into(),
        items: items(price, known, reading),
        from_day: from.map(|day| day.value.0),
        until_day: until.map(|day| day.value.0),
        per_call: micros(&price.per_call),
        per_1k_in: micros(&price.per_1k_tokens_in),
        per_1k_out: micros(&price.per_1k_tokens_out),
        per_mb: micros(&price.per_mb),
        per_second: micros(&price.per_second),
    }
}

fn micros(amount: &Key<Amount>) -> i64 {
    amount.given().map_or(0, |amount| amount.value.0)
}

fn items(
    price: &Price,
    known: &[&str],
    reading: &mut Reading<'_>,
) -> Vec<(Option<ItemKind>, ItemGlob)> {
    let lists: [(ItemKind, &Set<List<ItemPattern>>); 3] = [
        (ItemKind::Tool, &price.tools),
        (ItemKind::Prompt, &price.prompts),
        (ItemKind::Resource, &price.resources),
    ];
    let mut items = Vec::new();
    for (kind, list) in lists {
        for At { value: ItemPattern(glob), at } in &list.value.0 {
            if !known.iter().any(|name| glob.upstream().matches(name)) {
                reading.warn(at, format!("`{glob}` fits no upstream of this file"));
            }
            items.push((Some(kind), glob.clone()));
        }
        if let Some(at) = list.at.as_ref().filter(|_| list.value.0.len() > PRICE_ITEMS_MAX) {
            let message = format!("a price is for at most {PRICE_ITEMS_MAX} patterns");
            reading.wrong(at, message, "use `*`");
        }
    }
    if items.is_empty() {
        // INVARIANT: `*` is a pattern.
        items.extend(ItemGlob::parse("*").ok().map(|all| (None, all)));
    }
    items
}

/// Whether an entry fits whenever a later one would.
fn covers(before: &PriceEntry, entry: &PriceEntry) -> bool {
    let begins = before.from_day.is_none_or(|from| entry.from_day.is_some_and(|day| from <= day));
    let ends = before.until_day.is_none_or(|end| entry.until_day.is_some_and(|day| day <= end));
    let fits = |(kind, glob): &(Option<ItemKind>, ItemGlob)| {
        before
            .items
            .iter()
            .any(|(known, all)| (known.is_none() || known == kind) && (all.is_all() || all == glob))
    };
    begins && ends && entry.items.iter().all(fits)
}
