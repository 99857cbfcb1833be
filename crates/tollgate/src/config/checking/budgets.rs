//! Checks of budgets: one period each, a calendar that exists, and nothing that a restart would forget.
//!
//! Also the longest results of tools.

use crate::config::amounts::{OversizeWord, PerText};
use crate::config::checking::callers::{Names, Selectors};
use crate::config::checking::limits::{globs, name, no_teams, per};
use crate::config::collections::{List, Sections};
use crate::config::decode::{At, Key, listed};
use crate::config::raw::{Budget, ResultCap};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::rules::unknown_name;
use crate::config::scalars::Count;
use std::collections::HashSet;
use std::sync::Arc;
use tollgate_core::bounds::limits::{BUDGETS_MAX, RESULT_CAPS_MAX, WARN_PERCENT_MAX};
use tollgate_limits::is_zone;
use tollgate_limits::settings::{BudgetSettings, CountedPer, Oversize, Period, ResultSettings};
use tollgate_rules::teams::Teams;

/// What budgets are checked against.
pub(super) struct Book<'r> {
    pub(super) teams: &'r Teams,
    pub(super) names: &'r Names,
    /// Whether there are prices.
    pub(super) has_prices: bool,
    /// Names of limits and budgets.
    pub(super) used: &'r mut HashSet<Arc<str>>,
}

pub(super) fn budgets(
    list: &Sections<Budget>,
    book: &mut Book<'_>,
    reading: &mut Reading<'_>,
) -> Vec<BudgetSettings> {
    if let Some(over) = list.0.get(BUDGETS_MAX) {
        let help =
            format!("at most {BUDGETS_MAX} fit one gate: count several things apart by `per`");
        reading.wrong(&over.at, "there are too many budgets", help);
    }
    let mut budgets = Vec::new();
    for (place, At { value, at }) in list.0.iter().enumerate() {
        budgets.extend(budget(value, at, place, book, reading));
    }
    budgets
}

fn budget(
    raw: &Budget,
    at: &Pos,
    place: usize,
    book: &mut Book<'_>,
    reading: &mut Reading<'_>,
) -> Option<BudgetSettings> {
    let name = name(&raw.name.0, &format!("budget-{}", place + 1), book.used, reading);
    let rule = format!("budget `{name}`");
    let team = raw.team.given().map(|team| {
        let known: Vec<&str> = book.teams.names().map(|name| &**name).collect();
        if !known.contains(&team.value.value.as_str()) {
            let message =
                format!("{rule} is of the team `{}`, which is not there", team.value.typed);
            reading.wrong(
                &team.at,
                message,
                match known.as_slice() {
                    [] => "add `teams: { research: { groups: [research] } }` at the top level"
                        .to_owned(),
                    known => unknown_name(&team.value.value, known),
                },
            );
        }
        team.value.value.as_str().into()
    });
    let zone = &raw.zone.value;
    if let Some(at) = raw.zone.at.as_ref().filter(|_| !is_zone(&zone.value)) {
        let message = format!("`{}` is no time zone", zone.typed);
        reading.wrong(
            at,
            message,
            "write a name of the IANA database, as in `Europe/Berlin` or `UTC`",
        );
    }
    let per = ledger_per(raw, &rule, book.teams, reading);
    let selectors = Selectors {
        agents: &raw.agents,
        issuers: &Key::Absent,
        users: &raw.users,
        groups: &Key::Absent,
        scopes: &Key::Absent,
        addresses: &Key::Absent,
        routes: &raw.routes,
    };
    let who = book.names.who(selectors, &rule, reading);
    let items = globs(&raw.items, "items", &rule, reading);
    if let Some(at) = raw.money.given().map(|money| &money.at).filter(|_| !book.has_prices) {
        let help = "add `prices` at the top level, or count `tokens` or `calls`";
        reading.wrong(at, format!("{rule} counts money, and nothing has a price"), help);
    }
    let period = period(raw, at, &rule, reading)?;
    Some(BudgetSettings {
        name,
        per,
        who,
        team,
        items: items.into_iter().map(|glob| (None, glob)).collect(),
        period,
        zone: zone.value.clone(),
        tokens: raw.tokens.given().map(|tokens| tokens.value.amount),
        calls: raw.calls.given().map(|calls| calls.value.amount),
        money_micros: raw.money.given().map(|money| money.value.micros),
        warn_percent: warn(&raw.warn.value, raw.warn.at.as_ref(), &rule, reading),
        is_hard: raw.hard.value.0,
    })
}

/// What a budget counts apart, as far as the ledger can tell after a restart.
fn ledger_per(
    raw: &Budget,
    rule: &str,
    teams: &Teams,
    reading: &mut Reading<'_>,
) -> Vec<CountedPer> {
    for At { value, at } in &raw.per.value.0 {
        match value {
            PerText::Group | PerText::Address => {
                let known = ["agent", "user", "team", "route", "upstream", "tool"];
                let help = format!(
                    "a budget is summed up from the ledger after a restart, which has neither groups nor addresses. One of: {}. For members of groups, make a team of them",
                    listed(&known)
                );
                reading.wrong(at, format!("{rule} cannot count these apart"), help);
            }
            PerText::Team if !teams.names().any(|_| true) => {
                no_teams(&format!("{rule} counts by team"), at, reading);
            }
            PerText::Agent
            | PerText::User
            | PerText::Team
            | PerText::Route
            | PerText::Upstream
            | PerText::Tool => {}
        }
    }
    per(&raw.per.value, rule, reading)
}

/// The one period of a budget.
fn period(raw: &Budget, at: &Pos, rule: &str, reading: &mut Reading<'_>) -> Option<Period> {
    let given = [
        raw.tokens.given().map(|tokens| (tokens.value.period, &tokens.at)),
        raw.calls.given().map(|calls| (calls.value.period, &calls.at)),
        raw.money.given().map(|money| (money.value.period, &money.at)),
    ];
    let is_wrong = [raw.tokens.is_absent(), raw.calls.is_absent(), raw.money.is_absent()];
    let mut given = given.into_iter().flatten();
    let Some((period, _)) = given.next() else {
        if is_wrong == [true; 3] {
            let help = "add `tokens: 50M/month`, `calls: 10k/day` or `money: 100/month`";
            reading.wrong(at, format!("{rule} says nothing of how much"), help);
        }
        return None;
    };
    if let Some((_, at)) = given.find(|(other, _)| *other != period) {
        let help = "make a budget of its own for each period";
        reading.wrong(at, format!("{rule} has two periods"), help);
    }
    Some(period)
}

fn warn(list: &List<Count>, at: Option<&Pos>, rule: &str, reading: &mut Reading<'_>) -> Vec<u8> {
    if let Some(at) = at.filter(|_| list.0.len() > WARN_PERCENT_MAX) {
        let help = format!("at most {WARN_PERCENT_MAX} fit a budget");
        reading.wrong(at, format!("{rule} has too many thresholds"), help);
    }
    let mut percents = Vec::new();
    for At { value: Count(percent), at } in &list.0 {
        match u8::try_from(*percent).ok().filter(|percent| (1..=99).contains(percent)) {
            Some(percent) => percents.push(percent),
            None => {
                let message = format!("`warn` of {rule} is {percent}, which is out of range");
                reading.wrong(at, message, "write percentages from 1 to 99, as in `[50, 80, 90]`; at the end there is always a warning");
            }
        }
    }
    percents.sort_unstable();
    percents.dedup();
    percents
}

/// The longest results of tools.
pub(super) fn results(
    list: &Sections<ResultCap>,
    reading: &mut Reading<'_>,
) -> Vec<ResultSettings> {
    if let Some(over) = list.0.get(RESULT_CAPS_MAX) {
        let help = format!("at most {RESULT_CAPS_MAX} fit one gate");
        reading.wrong(&over.at, "there are too many entries of `max_result_tokens`", help);
    }
    let mut results = Vec::new();
    for (place, At { value, .. }) in list.0.iter().enumerate() {
        let rule = format!("entry {} of `max_result_tokens`", place + 1);
        let items = globs(&value.tools.0, "tools", &rule, reading);
        let Some(tokens) = value.tokens.given() else { continue };
        results.push(ResultSettings {
            items,
            tokens_max: tokens.value.0,
            oversize: match value.oversize.value {
                OversizeWord::Refuse => Oversize::Refuse,
                OversizeWord::Truncate => Oversize::Truncate,
            },
        });
    }
    results
}
