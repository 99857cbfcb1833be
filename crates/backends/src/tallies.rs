//! Sums of usage by group, for every ledger: what a group is, and sums that saturate.
//!
//! Next: `memory/usage.rs`, `embedded/usage.rs`.

use jiff::Span;
use jiff::civil::{Date, date};
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_core::party::ItemKind;
use tollgate_core::stores::{CountedBy, Outcome, UsageBy, UsageRow, UsageSums};

/// Milliseconds of a day.
pub(crate) const DAY_MILLIS: u64 = 86_400_000;

/// Everything of a row that repeats from row to row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    pub(crate) agent: Arc<str>,
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) team: Option<Arc<str>>,
    pub(crate) route: Arc<str>,
    pub(crate) upstream: Arc<str>,
    pub(crate) method: Arc<str>,
    pub(crate) kind: Option<ItemKind>,
    pub(crate) item: Option<Arc<str>>,
    pub(crate) price: Option<Arc<str>>,
    pub(crate) counted_by: u8,
    pub(crate) is_correction: bool,
}

impl Names {
    pub(crate) fn of(row: &UsageRow) -> Self {
        Self {
            agent: row.agent.clone(),
            issuer: row.issuer.clone(),
            user: row.user.clone(),
            team: row.team.clone(),
            route: row.route.clone(),
            upstream: row.upstream.clone(),
            method: row.method.clone(),
            kind: row.kind,
            item: row.item.clone(),
            price: row.price.clone(),
            counted_by: counted_by_number(row.counted_by),
            is_correction: row.part > 0,
        }
    }

    /// As text: a JSON list, the same for the same names.
    pub(crate) fn text(&self) -> Result<String, serde_json::Error> {
        let texts = [
            Some(&self.agent),
            self.issuer.as_ref(),
            self.user.as_ref(),
            self.team.as_ref(),
            Some(&self.route),
            Some(&self.upstream),
            Some(&self.method),
            self.item.as_ref(),
            self.price.as_ref(),
        ];
        let texts = texts.map(|text| text.map(|text| &**text));
        let kind = self.kind.map(ItemKind::as_str);
        serde_json::to_string(&(texts, kind, self.counted_by, self.is_correction))
    }

    /// From its text.
    pub(crate) fn read(text: &str) -> Result<Self, serde_json::Error> {
        let (texts, kind, counted_by, is_correction) =
            serde_json::from_str::<([Option<String>; 9], Option<String>, u8, bool)>(text)?;
        let kind = ItemKind::ALL.into_iter().find(|one| kind.as_deref() == Some(one.as_str()));
        let [agent, issuer, user, team, route, upstream, method, item, price] =
            texts.map(|text| text.map(Arc::<str>::from));
        // What a row must have is there: it was written by the method above.
        let some = Option::unwrap_or_default;
        Ok(Self {
            agent: some(agent),
            issuer,
            user,
            team,
            route: some(route),
            upstream: some(upstream),
            method: some(method),
            kind,
            item,
            price,
            counted_by,
            is_correction,
        })
    }

    /// The group that what has these names belongs to.
    pub(crate) fn group(&self, day: u64, by: &[UsageBy]) -> Vec<Option<String>> {
        let own = |name: &Option<Arc<str>>| name.as_ref().map(|name| name.to_string());
        let value = |by: &UsageBy| match by {
            UsageBy::Agent => Some(self.agent.to_string()),
            UsageBy::User => own(&self.user),
            UsageBy::Team => own(&self.team),
            UsageBy::Route => Some(self.route.to_string()),
            UsageBy::Upstream => Some(self.upstream.to_string()),
            UsageBy::Tool => self.item.as_ref().map(|item| format!("{}__{item}", self.upstream)),
            UsageBy::Day => Some(iso(day)),
            UsageBy::Price => own(&self.price),
            UsageBy::CountedBy => Some(
                match counted_by(self.counted_by) {
                    CountedBy::Reported => "reported",
                    CountedBy::Tokenizer => "tokenizer",
                    CountedBy::Bytes => "bytes",
                }
                .to_owned(),
            ),
            UsageBy::Correction => self.is_correction.then(|| "correction".to_owned()),
        };
        by.iter().map(value).collect()
    }
}

/// Calls, tokens in, tokens out, bytes, milliseconds, errors, cost.
pub(crate) type Sums = [i64; 7];

/// What a row adds.
pub(crate) const fn of_row(row: &UsageRow) -> Sums {
    let errors = if matches!(row.outcome, Outcome::Done) { 0 } else { row.calls };
    [row.calls, row.tokens_in, row.tokens_out, row.bytes, row.millis, errors, row.cost_micros]
}

/// Sums of groups that grow.
#[derive(Debug, Default)]
pub(crate) struct Tallies(BTreeMap<Vec<Option<String>>, Sums>);

impl Tallies {
    pub(crate) fn add(&mut self, group: Vec<Option<String>>, sums: Sums) {
        let all = self.0.entry(group).or_default();
        for (one, more) in all.iter_mut().zip(sums) {
            *one = one.saturating_add(more);
        }
    }

    /// The first groups, in their order.
    pub(crate) fn first(self, limit: usize) -> Vec<UsageSums> {
        let sums = |(group, sums): (Vec<Option<String>>, Sums)| {
            let [calls, tokens_in, tokens_out, bytes, millis, errors, cost_micros] = sums;
            UsageSums { group, calls, tokens_in, tokens_out, bytes, millis, errors, cost_micros }
        };
        self.0.into_iter().take(limit).map(sums).collect()
    }
}

/// A day since 1970-01-01 as `2026-11-20`.
fn iso(day: u64) -> String {
    const EPOCH: Date = date(1970, 1, 1);
    let days = i64::try_from(day).ok().and_then(|day| Span::new().try_days(day).ok());
    let date = days.and_then(|days| EPOCH.checked_add(days).ok());
    date.map_or_else(|| "?".to_owned(), |date| date.to_string())
}

pub(crate) const fn counted_by_number(by: CountedBy) -> u8 {
    match by {
        CountedBy::Reported => 0,
        CountedBy::Tokenizer => 1,
        CountedBy::Bytes => 2,
    }
}

/// And back; a number of a later version counts as the coarsest.
pub(crate) const fn counted_by(number: u8) -> CountedBy {
    match number {
        0 => CountedBy::Reported,
        1 => CountedBy::Tokenizer,
        _ => CountedBy::Bytes,
    }
}
