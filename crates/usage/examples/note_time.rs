//! How long handing over a call takes whoever served it, and how fast calls are counted.
//! `cargo run --release -p tollgate-usage --example note_time`

#![expect(clippy::expect_used, reason = "it is to fail loudly")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_core::clock::ManualClock;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind};
use tollgate_core::stores::Outcome;
use tollgate_rules::teams::Teams;
use tollgate_usage::settings::{Estimator, OnFailure, PriceSettings, UsageSettings};
use tollgate_usage::{Finished, Meter, Results};

const CALLS: u32 = 10_000;

fn main() {
    for estimator in [Estimator::Bytes, Estimator::O200k] {
        for bytes in [200, 20_000] {
            time(estimator, bytes);
        }
    }
}

fn time(estimator: Estimator, bytes: usize) {
    let settings = UsageSettings {
        estimator,
        reported: Vec::new(),
        prices: PriceSettings { currency: "EUR".into(), entries: Vec::new() },
        teams: Teams::default(),
        has_ledger: false,
        on_failure: OnFailure::Open,
        retain_secs: None,
    };
    let clock = Arc::new(ManualClock::default());
    let meter = Meter::start(settings, None, clock).expect("a thread");
    let text = "the quick brown fox jumps over it ".repeat(bytes / 34 + 1);
    let answer = Bytes::from(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}}}"
    ));
    let agent = Arc::from("ci");
    let method = Arc::from("tools/call");
    let name: Arc<str> = Arc::from("search");
    let (route, upstream) = (RoutePath::from("/mcp"), UpstreamName::from("github"));
    let call = |number: u32| Finished {
        call: u128::from(number).to_be_bytes(),
        agent: Arc::clone(&agent),
        issuer: None,
        user: None,
        team: None,
        route: route.clone(),
        upstream: upstream.clone(),
        method: Arc::clone(&method),
        item: Some((ItemKind::Tool, name.clone())),
        arguments: Bytes::from_static(b"{\"q\":\"rust\"}"),
        results: Results::Whole(answer.clone()),
        aside_bytes: 0,
        outcome: Outcome::Done,
        millis: 3,
        settle: Some(Box::new(|actual| {
            std::hint::black_box(actual);
        })),
    };
    // The vocabulary is read with the first call.
    meter.note(call(0));
    wait(&meter);
    let began = Instant::now();
    for number in 0..CALLS {
        meter.note(call(number));
    }
    let noted = began.elapsed();
    wait(&meter);
    let counted = began.elapsed();
    let per = |span: Duration| span.as_nanos() / u128::from(CALLS);
    let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "search" };
    let began = Instant::now();
    for _ in 0..1_000_000 {
        std::hint::black_box(meter.estimate_out(&item));
    }
    let asked = began.elapsed().as_nanos() / 1_000_000;
    let hurried = meter.figures().hurried;
    println!(
        "{estimator:?}, results of {bytes} bytes: note {} ns, counted in {} ns ({hurried} by bytes), \
         estimate_out {asked} ns",
        per(noted),
        per(counted),
    );
}

fn wait(meter: &Meter) {
    while meter.figures().pending > 0 {
        std::thread::sleep(Duration::from_micros(200));
    }
}
