//! Checks of how much callers may use: names, rates that can be kept, and nothing that limits nothing.
//!
//! Next: `budgets.rs` for budgets and the longest results.

use crate::config::amounts::{LimitWord, PerText, PerWindow, Short};
use crate::config::checking::budgets::{self, Book};
use crate::config::checking::callers::{Names, Selectors};
use crate::config::collections::{List, Row};
use crate::config::cover::shown_name;
use crate::config::decode::{At, Key};
use crate::config::issuers::AgentId;
use crate::config::raw::{LimitRule, Quota, Quotas, Rate, Root, Team};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::rules::ItemPattern;
use crate::config::scalars::{Count, Text};
use std::collections::HashSet;
use std::sync::Arc;
use tollgate_core::bounds::limits::{LEVELS_MAX, TEAMS_MAX};
use tollgate_core::ids::Secret;
use tollgate_core::party::ItemKind;
use tollgate_limits::Rate as Countable;
use tollgate_limits::settings::{
    CountedPer, LevelSettings, LimitAnswer, LimitSettings, RateSettings,
};
use tollgate_rules::items::ItemGlob;
use tollgate_rules::teams::Teams;
use tollgate_rules::who::Who;

/// Most calls at once a limit can allow.
const CONCURRENT_MAX: usize = 1_000_000;

/// What rates count.
const REQUESTS: &str = "requests";
const TOKENS: &str = "tokens";

/// The teams of a file.
pub(super) fn teams(raw: &Root, names: &Names, reading: &mut Reading<'_>) -> Teams {
    let Some(table) = raw.teams.given() else { return Teams::default() };
    if table.value.0.len() > TEAMS_MAX {
        reading.wrong(
            &table.at,
            "there are too many teams",
            format!("at most {TEAMS_MAX} fit one gate"),
        );
    }
    let mut teams = Vec::new();
    for row in &table.value.0 {
        teams.extend(team(row, names, reading));
    }
    Teams::new(teams)
}

fn team(row: &Row<Team>, names: &Names, reading: &mut Reading<'_>) -> Option<(Arc<str>, Who)> {
    let shown = shown_name(&row.name);
    is_name(&row.name, &row.at, &format!("`{shown}` cannot be the name of a team"), reading);
    let raw = row.value.as_ref()?;
    let selectors = Selectors {
        agents: &raw.agents,
        issuers: &raw.issuers,
        users: &raw.users,
        groups: &raw.groups,
        scopes: &raw.scopes,
        addresses: &raw.addresses,
        routes: &raw.routes,
    };
    let who = names.who(selectors, &format!("team `{shown}`"), reading);
    if who.is_everybody() {
        let message = format!("team `{shown}` does not say who belongs to it");
        let help = "add `agents`, `groups` or `users`; `agents: [\"*\"]` is everybody";
        reading.wrong(&row.at, message, help);
    }
    Some((row.name.as_str().into(), who))
}

/// How much callers may use; `None` where nothing is limited.
pub(super) fn quotas(
    raw: &Root,
    teams: &Teams,
    names: &Names,
    has_prices: bool,
    reading: &mut Reading<'_>,
) -> Option<LimitSettings> {
    let At { value: raw, at } = raw.limits.given()?;
    let mut used = HashSet::new();
    let mut levels = levels(raw, teams, reading);
    used.extend(levels.iter().map(|level| Arc::clone(&level.name)));
    for (place, rule) in raw.rules.value.0.iter().enumerate() {
        let name = name(&rule.value.name, &format!("rule-{}", place + 1), &mut used, reading);
        levels.extend(rule_level(&rule.value, &rule.at, name, names, reading));
    }
    if levels.len() > LEVELS_MAX {
        let help =
            format!("at most {LEVELS_MAX} fit one gate: count several things apart by `per`");
        reading.wrong(at, "there are too many limits", help);
    }
    if !teams.names().any(|_| true) {
        needs_teams(raw, reading);
    }
    let mut book = Book { teams, names, has_prices, used: &mut used };
    let budgets = budgets::budgets(&raw.budgets.value, &mut book, reading);
    let results = budgets::results(&raw.max_result_tokens.value, reading);
    if levels.is_empty() && budgets.is_empty() && results.is_empty() && reading.mistakes.is_empty()
    {
        let help =
            "add `per_agent: { requests: 600/min, tokens: 200k/min }`, or remove the section";
        reading.wrong(at, "`limits` limits nothing", help);
    }
    let notify = raw.notify.given().and_then(|notify| notify.value.webhook.given());
    Some(LimitSettings {
        levels,
        budgets,
        teams: teams.clone(),
        answer: match raw.answer.value {
            LimitWord::Http429 => LimitAnswer::Http429,
            LimitWord::JsonRpc => LimitAnswer::JsonRpc,
            LimitWord::ToolError => LimitAnswer::ToolError,
        },
        results,
        webhook: notify.map(|url| Secret::new(url.value.0.to_string())),
    })
}

/// The limits with a key of their own.
fn levels(raw: &Quotas, teams: &Teams, reading: &mut Reading<'_>) -> Vec<LevelSettings> {
    let quotas: [(&str, &Key<Quota>, &[CountedPer]); 9] = [
        ("per_agent", &raw.per_agent, &[CountedPer::Agent]),
        ("per_user", &raw.per_user, &[CountedPer::User]),
        ("per_group", &raw.per_group, &[CountedPer::Group]),
        ("per_team", &raw.per_team, &[CountedPer::Team]),
        ("per_address", &raw.per_address, &[CountedPer::Address]),
        ("per_route", &raw.per_route, &[CountedPer::Route]),
        ("per_upstream", &raw.per_upstream, &[CountedPer::Upstream]),
        ("per_tool", &raw.per_tool, &[CountedPer::Item]),
        ("total", &raw.total, &[]),
    ];
    let mut levels = Vec::new();
    for (name, quota, per) in quotas {
        let Some(At { value, at }) = quota.given() else { continue };
        let shown = format!("`limits.{name}`");
        let level = LevelSettings {
            name: name.into(),
            per: per.to_vec(),
            who: Who::default(),
            items: Vec::new(),
            requests: rate(&value.requests, (REQUESTS, &shown), reading),
            tokens: rate(&value.tokens, (TOKENS, &shown), reading),
            concurrent: concurrent(&value.concurrent, &shown, reading),
        };
        let keys =
            [value.requests.is_absent(), value.tokens.is_absent(), value.concurrent.is_absent()];
        limits_something(keys, &shown, at, reading);
        if name == "per_team" && !teams.names().any(|_| true) {
            no_teams("`limits.per_team` counts by team", at, reading);
        }
        levels.push(level);
    }
    levels
}

fn rule_level(
    raw: &LimitRule,
    at: &Pos,
    name: Arc<str>,
    names: &Names,
    reading: &mut Reading<'_>,
) -> Option<LevelSettings> {
    let rule = format!("limit `{name}`");
    let selectors = Selectors {
        agents: &raw.agents,
        issuers: &raw.issuers,
        users: &raw.users,
        groups: &raw.groups,
        scopes: &raw.scopes,
        addresses: &raw.addresses,
        routes: &raw.routes,
    };
    let keys = [raw.requests.is_absent(), raw.tokens.is_absent(), raw.concurrent.is_absent()];
    limits_something(keys, &rule, at, reading);
    let mut items = Vec::new();
    let kinds = [
        ("tools", &raw.tools, ItemKind::Tool),
        ("prompts", &raw.prompts, ItemKind::Prompt),
        ("resources", &raw.resources, ItemKind::Resource),
    ];
    for (key, list, kind) in kinds {
        items.extend(globs(list, key, &rule, reading).into_iter().map(|glob| (Some(kind), glob)));
    }
    Some(LevelSettings {
        per: per(&raw.per.value, &rule, reading),
        who: names.who(selectors, &rule, reading),
        items,
        requests: rate(&raw.requests, (REQUESTS, &rule), reading),
        tokens: rate(&raw.tokens, (TOKENS, &rule), reading),
        concurrent: concurrent(&raw.concurrent, &rule, reading),
        name,
    })
}

fn limits_something(absent: [bool; 3], rule: &str, at: &Pos, reading: &mut Reading<'_>) {
    if absent == [true; 3] {
        let help = "add `requests: 600/min`, `tokens: 200k/min` or `concurrent: 20`";
        reading.wrong(at, format!("{rule} says nothing of how much"), help);
    }
}

/// A rate that was typed, if it can be kept.
fn rate(
    key: &Key<Short<PerWindow, Rate>>,
    (what, rule): (&str, &str),
    reading: &mut Reading<'_>,
) -> Option<RateSettings> {
    let At { value, at } = key.given()?;
    let (per_window, burst, debt) = match value {
        Short::Value(rate) => (*rate, None, None),
        Short::Keys(keys) => (
            keys.rate.given()?.value,
            keys.burst.given().map(|burst| burst.value.0),
            keys.debt.given().map(|debt| (debt.value.0, &debt.at)),
        ),
    };
    if let Some((_, at)) = debt
        && what == REQUESTS
    {
        let help = "remove it: a request is one request, also afterwards. Debt is for tokens";
        reading.wrong(at, format!("`{what}` of {rule} has a debt"), help);
    }
    let burst = burst.unwrap_or(per_window.amount);
    let settings = RateSettings {
        amount: per_window.amount,
        window_millis: per_window.window_millis,
        burst,
        debt: debt.map_or(burst, |(debt, _)| debt),
    };
    if let Err(error) = Countable::new(&settings) {
        let help = format!("{error}; what is used over days and weeks is a budget");
        reading.wrong(at, format!("`{what}` of {rule} cannot be kept to"), help);
    }
    Some(settings)
}

fn concurrent(key: &Key<Count>, rule: &str, reading: &mut Reading<'_>) -> Option<u32> {
    let At { value: Count(calls), at } = key.given()?;
    if !(1..=CONCURRENT_MAX).contains(calls) {
        let message = format!("`concurrent` of {rule} is {calls}, which is out of range");
        reading.wrong(at, message, format!("write a number from 1 to {CONCURRENT_MAX}"));
    }
    u32::try_from(*calls).ok()
}

/// What is counted apart, each once.
pub(super) fn per(list: &List<PerText>, rule: &str, reading: &mut Reading<'_>) -> Vec<CountedPer> {
    let mut all = Vec::new();
    for At { value, at } in &list.0 {
        let per = match value {
            PerText::Agent => CountedPer::Agent,
            PerText::User => CountedPer::User,
            PerText::Group => CountedPer::Group,
            PerText::Team => CountedPer::Team,
            PerText::Address => CountedPer::Address,
            PerText::Route => CountedPer::Route,
            PerText::Upstream => CountedPer::Upstream,
            PerText::Tool => CountedPer::Item,
        };
        if all.contains(&per) {
            reading.wrong(at, format!("`per` of {rule} says this twice"), "remove one");
        }
        all.push(per);
    }
    all
}

/// Patterns of items. An empty list reads like "none" and would mean "all".
pub(super) fn globs(
    key: &Key<List<ItemPattern>>,
    name: &str,
    rule: &str,
    reading: &mut Reading<'_>,
) -> Vec<ItemGlob> {
    let Some(At { value: list, at }) = key.given() else { return Vec::new() };
    if list.0.is_empty() {
        let help = format!("write patterns, or remove the key `{name}` for everything");
        reading.wrong(at, format!("`{name}` of {rule} is empty"), help);
    }
    list.0.iter().map(|pattern| pattern.value.0.clone()).collect()
}

/// The name of a rule: as typed, or the usual one.
pub(super) fn name(
    key: &Key<Text>,
    usual: &str,
    used: &mut HashSet<Arc<str>>,
    reading: &mut Reading<'_>,
) -> Arc<str> {
    let Some(At { value: text, at }) = key.given() else {
        used.insert(usual.into());
        return usual.into();
    };
    let shown = &text.typed;
    is_name(
        &text.value,
        at,
        &format!("`{shown}` cannot be the name of a limit or budget"),
        reading,
    );
    let name: Arc<str> = text.value.as_str().into();
    if !used.insert(Arc::clone(&name)) {
        let help =
            "choose another: headers and messages tell limits and budgets apart by their names";
        reading.wrong(at, format!("two limits or budgets are called `{shown}`"), help);
    }
    name
}

fn is_name(name: &str, at: &Pos, message: &str, reading: &mut Reading<'_>) {
    if !AgentId::is_id(name) {
        reading.wrong(at, message, "write 1 to 64 letters, digits, `.`, `_` or `-`");
    }
}

/// Rules that count by team, where there are none.
fn needs_teams(raw: &Quotas, reading: &mut Reading<'_>) {
    for rule in &raw.rules.value.0 {
        for At { value, at } in &rule.value.per.value.0 {
            if *value == PerText::Team {
                no_teams("this limit counts by team", at, reading);
            }
        }
    }
}

pub(super) fn no_teams(what: &str, at: &Pos, reading: &mut Reading<'_>) {
    let message = format!("{what}, and there are no teams");
    let help = "add `teams: { research: { groups: [research] } }` at the top level";
    reading.wrong(at, message, help);
}
