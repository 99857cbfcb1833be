//! Shares that are given back whole, and those of streams.

use crate::scene::{Caller, Scene, agent, level, rate};
use tollgate_core::ids::RoutePath;
use tollgate_core::party::Party;
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_limits::settings::{BudgetSettings, LevelSettings, LimitSettings, Period};
use tollgate_limits::{Now, Request};
use tollgate_rules::who::Who;

fn budget(calls: u64) -> BudgetSettings {
    BudgetSettings {
        name: "calls".into(),
        per: Vec::new(),
        who: Who::default(),
        team: None,
        items: Vec::new(),
        period: Period::Day,
        zone: "UTC".to_owned(),
        tokens: None,
        calls: Some(calls),
        money_micros: None,
        warn_percent: Vec::new(),
        is_hard: true,
    }
}

#[test]
fn what_was_not_let_in_after_all_took_nothing() {
    let both = LevelSettings {
        requests: Some(rate(3, 60_000)),
        tokens: Some(rate(300, 60_000)),
        concurrent: Some(3),
        ..level("all", &[])
    };
    let settings = LimitSettings { budgets: vec![budget(3)], ..Scene::settings([both]) };
    let mut scene = Scene::new(&settings);
    let call: Caller = agent("ci").tool("a", "b").tokens(50, 50);
    for _ in 0..10 {
        let taken: Vec<_> = (0..3).map(|_| scene.take(&call).expect("three have room")).collect();
        scene.take(&call).expect_err("a fourth has none");
        taken.into_iter().for_each(|receipt| receipt.undo());
    }
    let dropped = scene.take(&call).expect("all is as before");
    drop(dropped);
    drop((scene.take(&call).expect("a second"), scene.take(&call).expect("a third")));
    scene.take(&call).expect_err("what was dropped counts");
}

#[test]
fn a_stream_counts_as_a_request_and_is_in_no_calls_way() {
    let one = LevelSettings {
        requests: Some(rate(4, 60_000)),
        tokens: Some(rate(100, 60_000)),
        concurrent: Some(1),
        ..level("one", &[])
    };
    let mut scene = Scene::of([one]);
    let now: Now = scene.now();
    let from = [10, 0, 0, 1].into();
    let party = Party {
        principal: &Principal::Anonymous,
        caller: CallerKey::of_address(from),
        address: from,
    };
    let stream = Request {
        party,
        route: &RoutePath::from("/mcp"),
        item: None,
        requests: 1,
        tokens_in: 0,
        tokens_out: 0,
        cost_micros: 0,
    };
    let call = agent("ci").tool("a", "b").tokens(1, 0);
    let under_way = scene.take(&call).expect("a call");
    let mut first = scene.limits.take_stream(now, &stream).expect("beside a call");
    let second = scene.limits.take_stream(now, &stream).expect("beside another stream");
    drop(under_way);
    let under_way = scene.take(&call).expect("streams hold no place of calls");
    drop((second, under_way));
    first.flow(now, 200);
    let short = scene.limits.take_stream(now, &stream).expect_err("four requests");
    assert_eq!(short.facts.unit.as_str(), "requests");
    scene.advance(59_999);
    scene.take(&call).expect_err("what flows in a stream is paid for by calls");
    drop(first);
}
