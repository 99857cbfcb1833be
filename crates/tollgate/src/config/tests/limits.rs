//! What the sections `limits` and `teams` come to.

use crate::config::tests::{MINIMAL, checked, judged};
use tollgate_core::party::ItemKind;
use tollgate_limits::Limits;
use tollgate_limits::settings::{
    CountedPer, LimitAnswer, LimitSettings, Oversize, Period, RateSettings,
};

fn limits(lines: &str) -> LimitSettings {
    let settings = checked(&format!("{MINIMAL}{lines}\n")).settings.quotas.expect("limits");
    Limits::compile(&settings, None).expect("what passes the checks compiles");
    settings
}

fn mistakes(lines: &str) -> Vec<String> {
    let report = judged(&format!("{MINIMAL}{lines}\n")).map(|_| ()).unwrap_err().to_string();
    report.lines().filter_map(|line| line.strip_prefix("error: ")).map(str::to_owned).collect()
}

#[test]
fn without_the_section_nothing_is_limited() {
    assert_eq!(checked(MINIMAL).settings.quotas, None);
}

#[test]
fn the_short_form_is_a_level_with_a_burst_of_its_amount() {
    let settings =
        limits("limits: { per_agent: { requests: 600/min, tokens: 200k/min, concurrent: 20 } }");
    let [level] = &*settings.levels else { panic!("one level: {settings:?}") };
    assert_eq!((&*level.name, &*level.per), ("per_agent", &[CountedPer::Agent][..]));
    let rate = |amount| RateSettings { amount, window_millis: 60_000, burst: amount, debt: amount };
    assert_eq!((level.requests, level.tokens), (Some(rate(600)), Some(rate(200_000))));
    assert_eq!(level.concurrent, Some(20));
}

#[test]
fn every_key_of_a_rule_arrives() {
    let settings = limits(
        "limits:\n  rules:\n    - per: [agent, tool]\n      agents: [\"ci-*\"]\n      users: [ann]\n      groups: [ops]\n      scopes: [mcp]\n      addresses: [10.0.0.0/8]\n      routes: [/mcp]\n      tools: [\"search__*\"]\n      resources: [\"files__file:///srv/*\"]\n      requests: { rate: 10/s, burst: 20 }\n      tokens: { rate: 50k/min, burst: 20k, debt: 1M }\n      concurrent: 4\n",
    );
    let level = &settings.levels[0];
    assert_eq!((&*level.name, &*level.per), ("rule-1", &[CountedPer::Agent, CountedPer::Item][..]));
    let kinds: Vec<_> = level.items.iter().map(|(kind, glob)| (*kind, glob.to_string())).collect();
    let expected = [
        (Some(ItemKind::Tool), "search__*".to_owned()),
        (Some(ItemKind::Resource), "files__file:///srv/*".to_owned()),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(level.requests.map(|rate| (rate.amount, rate.burst)), Some((10, 20)));
    assert_eq!(level.tokens.map(|rate| (rate.burst, rate.debt)), Some((20_000, 1_000_000)));
    let who = &level.who;
    assert_eq!((who.agents.len(), who.users.len(), who.groups.len()), (1, 1, 1));
    assert_eq!((who.scopes.len(), who.addresses.len(), who.routes.len()), (1, 1, 1));
}

#[test]
fn a_budget_has_a_period_a_calendar_and_thresholds() {
    let settings = limits(
        "limits:\n  budgets:\n    - { name: r, team: research, tokens: 50M/month, calls: 10k/month, zone: Europe/Berlin, warn: [90, 50], hard: false, items: [\"search__*\"] }\nteams: { research: { groups: [research] } }",
    );
    let budget = &settings.budgets[0];
    assert_eq!((budget.period, &*budget.zone), (Period::Month, "Europe/Berlin"));
    assert_eq!((budget.tokens, budget.calls), (Some(50_000_000), Some(10_000)));
    assert_eq!((&*budget.warn_percent, budget.is_hard), (&[50, 90][..], false));
    assert_eq!(budget.team.as_deref(), Some("research"));
    assert!(settings.teams.names().eq([&"research".into()]));
}

#[test]
fn longest_results_answers_and_the_webhook_arrive() {
    let settings = limits(
        "limits:\n  max_result_tokens: [{ tools: [\"wiki__*\"], tokens: 25k, oversize: truncate }]\n  answer: tool_error\n  notify: { webhook: \"https://hooks.example.com/T0/s3cret\" }",
    );
    assert_eq!(settings.answer, LimitAnswer::ToolError);
    let [result] = &*settings.results else { panic!("one: {settings:?}") };
    assert_eq!((result.tokens_max, result.oversize), (25_000, Oversize::Truncate));
    assert!(!format!("{settings:?}").contains("s3cret"));
}

#[test]
fn what_limits_nothing_or_nobody_is_refused() {
    for lines in [
        "limits: { answer: jsonrpc }",
        "limits: { per_agent: {} }",
        "limits: { rules: [{ per: [agent] }] }",
        "limits: { rules: [{ requests: 1/s, agents: [] }] }",
        "limits: { rules: [{ requests: 1/s, tools: [] }] }",
        "limits: { budgets: [{ name: a }] }",
        "limits: { per_team: { requests: 1/s } }",
        "limits: { rules: [{ per: [team], requests: 1/s }] }",
        "limits: { total: { concurrent: 0 } }",
        "teams: { research: {} }",
        "teams: { \"a b\": { agents: [\"*\"] } }",
    ] {
        assert_eq!(mistakes(lines).len(), 1, "{lines}: {:?}", mistakes(lines));
    }
}

#[test]
fn what_a_budget_would_forget_is_refused() {
    for keys in ["per: [group]", "per: [address]", "groups: [a]", "scopes: [a]", "money: 1/day"] {
        let lines = format!("limits: {{ budgets: [{{ name: a, calls: 1/day, {keys} }}] }}");
        assert_eq!(mistakes(&lines).len(), 1, "{lines}: {:?}", mistakes(&lines));
    }
}
