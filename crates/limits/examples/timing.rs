//! Prints how long it takes to take and settle a call's share, in nanoseconds a call.
//!
//! Not a benchmark with a history, only a look before and after a change of the innermost loops:
//! `cargo run --release -p tollgate-limits --example timing`.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::expect_used, reason = "what is expected of an example's own making")]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tollgate_core::clock::Millis;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_core::principal::{Credential, Names, Principal, Proof};
use tollgate_limits::settings::{
    BudgetSettings, CountedPer, LevelSettings, LimitSettings, Period, RateSettings,
};
use tollgate_limits::{Actual, Limits, Now, Request};
use tollgate_rules::who::Who;

const NOW: Now = Now { millis: Millis(1_000_000), unix_secs: 1_795_197_600 };

fn main() {
    let pers = [
        CountedPer::Agent,
        CountedPer::Item,
        CountedPer::Upstream,
        CountedPer::Route,
        CountedPer::User,
        CountedPer::Address,
    ];
    for count in [0, 1, 3, 6] {
        let levels = pers[..count].iter().map(|per| level(*per)).collect();
        let settings = LimitSettings { levels, ..LimitSettings::default() };
        report(&format!("take and settle, {count} levels"), &settings);
    }
    let settings = LimitSettings {
        levels: pers[..3].iter().map(|per| level(*per)).collect(),
        budgets: vec![budget()],
        ..LimitSettings::default()
    };
    report("take and settle, 3 levels and a budget per agent", &settings);
}

/// A limit that never lacks room.
fn level(per: CountedPer) -> LevelSettings {
    let rate = RateSettings {
        amount: 10_000_000,
        window_millis: 1_000,
        burst: 1_000_000_000_000,
        debt: 1_000_000_000_000,
    };
    LevelSettings {
        name: format!("{per:?}").into(),
        per: vec![per],
        who: Who::default(),
        items: Vec::new(),
        requests: Some(rate),
        tokens: Some(rate),
        concurrent: Some(1_000),
    }
}

fn budget() -> BudgetSettings {
    BudgetSettings {
        name: "budget".into(),
        per: vec![CountedPer::Agent],
        who: Who::default(),
        team: None,
        items: Vec::new(),
        period: Period::Month,
        zone: "Europe/Berlin".to_owned(),
        tokens: Some(u64::MAX),
        calls: None,
        money_micros: None,
        warn_percent: vec![80],
        is_hard: true,
    }
}

/// Many short runs, the best of which no other process disturbed.
fn report(name: &str, settings: &LimitSettings) {
    const CALLS: u32 = 1_000;
    let limits = Limits::compile(settings, None).expect("limits");
    let names = Names {
        issuer: "https://login.example".into(),
        subject: "ann".into(),
        client: "ci".into(),
        caller_digest: [1; 16],
        agent_digest: [2; 16],
    };
    let mut proof = Proof::new(names, Credential::Jwt, 0);
    proof.user = Some("ann".into());
    let caller = proof.caller();
    let principal = Principal::Proven(Arc::new(proof));
    let (route, upstream) = (RoutePath::from("/mcp"), UpstreamName::from("search"));
    let request = Request {
        party: Party { principal: &principal, caller, address: IpAddr::from([10, 0, 0, 1]) },
        route: &route,
        item: Some(Item { kind: ItemKind::Tool, upstream: &upstream, name: "search_issues" }),
        requests: 1,
        tokens_in: 40,
        tokens_out: 400,
        cost_micros: 0,
    };
    let mut best = f64::INFINITY;
    for _ in 0..500 {
        let begun = Instant::now();
        for _ in 0..CALLS {
            let receipt = limits.take(NOW, black_box(&request)).expect("room");
            let actual = Actual { tokens_in: 40, tokens_out: 300, cost_micros: 0 };
            black_box(receipt).settle(NOW, black_box(actual));
        }
        best = best.min(begun.elapsed().as_secs_f64() / f64::from(CALLS));
    }
    println!("{name:>50}: {:7.0} ns", best * 1e9);
}
