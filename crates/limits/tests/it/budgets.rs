//! Budgets: what is used in a calendar period, and that a restart does not forget it.

use crate::scene::{Scene, agent};
use std::sync::Arc;
use tollgate_core::refusal::{LimitUnit, Reason};
use tollgate_core::stores::{UsageBy, UsageSums};
use tollgate_limits::settings::{BudgetSettings, CountedPer, LimitSettings, Period};
use tollgate_limits::{Actual, Limits, LimitsError};
use tollgate_rules::glob::Glob;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::teams::Teams;
use tollgate_rules::who::Who;

fn budget(name: &str) -> BudgetSettings {
    BudgetSettings {
        name: name.into(),
        per: Vec::new(),
        who: Who::default(),
        team: None,
        items: Vec::new(),
        period: Period::Day,
        zone: "UTC".to_owned(),
        tokens: None,
        calls: None,
        money_micros: None,
        warn_percent: Vec::new(),
        is_hard: true,
    }
}

fn agents(pattern: &str) -> Who {
    Who { agents: vec![Glob::parse(pattern).expect("a pattern")], ..Who::default() }
}

fn settings(budgets: impl IntoIterator<Item = BudgetSettings>) -> LimitSettings {
    LimitSettings {
        budgets: budgets.into_iter().collect(),
        teams: Teams::new(vec![(Arc::from("research"), agents("r-*"))]),
        ..LimitSettings::default()
    }
}

fn spend(scene: &mut Scene, client: &str, tokens: u64) {
    let caller = agent(client).tool("search", "query").tokens(1, 0);
    let receipt = scene.take(&caller).expect("there is room");
    let actual = Actual { tokens_in: tokens, tokens_out: 0, cost_micros: tokens * 10 };
    receipt.settle(scene.now(), actual);
}

/// Six hours to midnight.
const TO_MIDNIGHT_MILLIS: u64 = 6 * 3_600_000;

#[test]
fn a_budget_ends_and_begins_anew_with_the_next_period() {
    let mut scene =
        Scene::new(&settings([BudgetSettings { tokens: Some(1_000), ..budget("daily") }]));
    spend(&mut scene, "ci", 900);
    let caller = agent("ci").tool("search", "query").tokens(101, 0);
    let short = scene.take(&caller).expect_err("100 are left");
    assert_eq!((short.reason, short.facts.remaining), (Reason::BudgetExhausted, 100));
    assert_eq!(short.facts.retry_after_millis, Some(TO_MIDNIGHT_MILLIS));
    assert_eq!(
        short.sentence(),
        "the budget `daily` of 1,000 tokens a day is used up: it begins anew in 6 h"
    );
    drop(scene.take(&caller.tokens(100, 0)).expect("exactly what is left"));
    scene.advance(TO_MIDNIGHT_MILLIS - 1_000);
    scene.take(&caller).expect_err("a second before midnight");
    scene.advance(1_000);
    drop(scene.take(&caller).expect("a new day"));
    let short = scene.take(&caller.tokens(1_001, 0)).expect_err("more than a day has");
    assert_eq!((short.reason, short.facts.retry_after_millis), (Reason::NeverFits, None));
}

#[test]
fn what_is_reserved_counts_until_it_is_settled() {
    let mut scene =
        Scene::new(&settings([BudgetSettings { tokens: Some(1_000), ..budget("daily") }]));
    let caller = agent("ci").tool("search", "query");
    let held = scene.take(&caller.tokens(100, 800)).expect("900 reserved");
    scene.take(&caller.tokens(101, 0)).expect_err("100 are left");
    held.settle(scene.now(), Actual { tokens_in: 100, tokens_out: 100, cost_micros: 0 });
    drop(scene.take(&caller.tokens(700, 0)).expect("800 are left"));
    assert_eq!(scene.limits.budgets(scene.now())[0].used[0].1.tokens, 900);
}

#[test]
fn a_call_over_midnight_counts_in_the_period_it_ends_in_as_in_the_ledger() {
    let mut scene =
        Scene::new(&settings([BudgetSettings { tokens: Some(1_000), ..budget("daily") }]));
    let caller = agent("ci").tool("search", "query");
    let held = scene.take(&caller.tokens(100, 800)).expect("900 reserved");
    scene.advance(TO_MIDNIGHT_MILLIS);
    held.settle(scene.now(), Actual { tokens_in: 100, tokens_out: 300, cost_micros: 0 });
    let status = &scene.limits.budgets(scene.now())[0];
    assert_eq!(status.used[0].1.tokens, 400);
    scene.take(&caller.tokens(601, 0)).expect_err("600 are left");
    drop(scene.take(&caller.tokens(600, 0)).expect("nothing is held of yesterday"));
}

#[test]
fn budgets_count_calls_and_money_and_apart_what_they_are_told_to() {
    let mut scene = Scene::new(&settings([
        BudgetSettings { calls: Some(2), per: vec![CountedPer::Agent], ..budget("calls") },
        BudgetSettings { money_micros: Some(1_000_000), ..budget("money") },
    ]));
    spend(&mut scene, "a", 1);
    spend(&mut scene, "a", 1);
    let caller = |client: &str| agent(client).tool("search", "query");
    let short = scene.take(&caller("a")).expect_err("two calls");
    assert_eq!((&*short.facts.scope, short.facts.unit), ("agent", LimitUnit::Requests));
    spend(&mut scene, "b", 50_000);
    let short = scene.take(&caller("b").micros(500_000)).expect_err("half is used");
    assert_eq!(short.facts.unit, LimitUnit::Money);
    assert_eq!(
        short.sentence(),
        "the budget `money` of 1.00 a day is used up: it begins anew in 6 h"
    );
}

#[test]
fn a_teams_budget_is_its_own() {
    let research =
        BudgetSettings { calls: Some(1), team: Some("research".into()), ..budget("research") };
    let mut scene = Scene::new(&settings([research.clone()]));
    spend(&mut scene, "r-1", 1);
    let short = scene.take(&agent("r-2")).expect_err("the team's one call");
    assert_eq!(&*short.facts.scope, "team");
    spend(&mut scene, "ci", 1);
    let nobody = BudgetSettings { team: Some("nobody".into()), ..research };
    let error = Limits::compile(&settings([nobody]), None).expect_err("no such team");
    assert!(matches!(error, LimitsError::TeamUnknown { .. }));
}

#[test]
fn each_threshold_warns_once_and_the_last_passed_is_told() {
    let mut scene = Scene::new(&settings([BudgetSettings {
        tokens: Some(1_000),
        warn_percent: vec![50, 80, 90],
        is_hard: false,
        per: vec![CountedPer::Agent],
        ..budget("daily")
    }]));
    let mut told = Vec::new();
    for tokens in [499, 1, 10, 350, 200, 10] {
        spend(&mut scene, "ci", tokens);
        let warnings = scene.limits.warnings();
        told.push(warnings.iter().map(|warning| warning.percent).collect::<Vec<_>>());
    }
    assert_eq!(told, [vec![], vec![50], vec![], vec![80], vec![100], vec![]]);
    scene.advance(TO_MIDNIGHT_MILLIS);
    spend(&mut scene, "ci", 500);
    let warnings = scene.limits.warnings();
    let [warning] = &*warnings else { panic!("one warning: {warnings:?}") };
    assert_eq!((warning.percent, &*warning.of, warning.used), (50, "ci", 500));
}

#[test]
fn a_restart_forgets_nothing_that_the_ledger_has() {
    let settings = settings([
        BudgetSettings {
            tokens: Some(1_000),
            per: vec![CountedPer::Agent],
            items: vec![(None, ItemGlob::parse("search__*").expect("a pattern"))],
            warn_percent: vec![50],
            ..budget("searches")
        },
        BudgetSettings {
            calls: Some(3),
            team: Some("research".into()),
            who: agents("r-*"),
            ..budget("research")
        },
    ]);
    let mut scene = Scene::new(&settings);
    let questions = scene.limits.questions(scene.now());
    let [searches, research] = &*questions else { panic!("two questions: {questions:?}") };
    assert_eq!(searches.by, [UsageBy::Agent, UsageBy::Tool]);
    assert_eq!(research.by, [UsageBy::Agent]);
    assert_eq!(research.filter.team.as_deref(), Some("research"));
    let midnight = scene.unix_secs - 18 * 3_600;
    assert_eq!(searches.filter.since_millis, midnight * 1_000);
    let row = |group: &[&str], calls: i64, tokens: i64| UsageSums {
        group: group.iter().map(|value| Some((*value).to_owned())).collect(),
        calls,
        tokens_in: tokens,
        ..UsageSums::default()
    };
    let rows = [
        row(&["r-1", "search__query"], 1, 600),
        row(&["r-1", "search__other"], 1, 300),
        row(&["r-1", "files__read"], 1, 5_000),
        row(&["r-2", "search__query"], 1, 10),
    ];
    scene.limits.load(scene.now(), searches, &rows);
    // A second answer changes nothing.
    scene.limits.load(scene.now(), searches, &rows);
    scene.limits.load(scene.now(), research, &[row(&["r-1"], 2, 0)]);
    assert!(scene.limits.questions(scene.now()).is_empty());
    assert_eq!(scene.limits.warnings(), [], "it was warned of before the restart");
    let caller = agent("r-1").tool("search", "query");
    let short = scene.take(&caller.tokens(101, 0)).expect_err("900 were used");
    assert_eq!(&*short.facts.name, "searches");
    drop(scene.take(&caller.tokens(100, 0)).expect("and no more"));
    let short = scene.take(&agent("r-2")).expect_err("three calls of the team");
    assert_eq!(&*short.facts.name, "research");
}

#[test]
fn a_raised_budget_keeps_what_was_used_and_another_calendar_begins_anew() {
    let small = BudgetSettings { tokens: Some(1_000), ..budget("daily") };
    let mut scene = Scene::new(&settings([small.clone()]));
    scene.limits.load(scene.now(), &scene.limits.questions(scene.now())[0], &[]);
    spend(&mut scene, "ci", 1_000);
    let larger = settings([BudgetSettings { tokens: Some(1_500), ..small.clone() }]);
    scene.limits = Limits::compile(&larger, Some(&scene.limits)).expect("limits");
    assert!(scene.limits.questions(scene.now()).is_empty());
    let caller = agent("ci").tool("search", "query");
    scene.take(&caller.tokens(501, 0)).expect_err("500 are left");
    let weekly = settings([BudgetSettings { period: Period::Week, ..small }]);
    scene.limits = Limits::compile(&weekly, Some(&scene.limits)).expect("limits");
    assert_eq!(scene.limits.questions(scene.now()).len(), 1, "the ledger has the week");
}

#[test]
fn a_wall_clock_that_is_put_back_does_not_bring_back_a_budget() {
    let mut scene =
        Scene::new(&settings([BudgetSettings { tokens: Some(1_000), ..budget("daily") }]));
    scene.advance(TO_MIDNIGHT_MILLIS);
    spend(&mut scene, "ci", 1_000);
    scene.unix_secs -= 5;
    scene.take(&agent("ci").tool("search", "query").tokens(1, 0)).expect_err("used up");
}

#[test]
fn what_a_restart_would_forget_is_refused() {
    let refused = |budget: BudgetSettings| {
        Limits::compile(&settings([budget]), None).expect_err("refused").to_string()
    };
    let groups = Who { groups: vec!["ops".into()], ..Who::default() };
    let error = refused(BudgetSettings { calls: Some(1), who: groups, ..budget("b") });
    assert!(error.contains("cannot go by groups"), "{error}");
    let per = vec![CountedPer::Group];
    let error = refused(BudgetSettings { calls: Some(1), per, ..budget("b") });
    assert!(error.contains("cannot go by group"), "{error}");
    let zone = "Mars/Olympus".to_owned();
    let error = refused(BudgetSettings { calls: Some(1), zone, ..budget("b") });
    assert!(error.contains("no IANA time zone"), "{error}");
    let error = refused(budget("b"));
    assert!(error.contains("needs tokens, calls or money"), "{error}");
}
