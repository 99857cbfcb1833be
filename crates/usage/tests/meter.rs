//! The meter from outside: every call that is noted becomes one row, or is accounted for; whoever
//! reserved is told once; and a ledger that fails is waited for.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tollgate_core::bounds::usage::{COUNTING_CALLS_MAX, FAILING_CLOSED_MILLIS, PENDING_ROWS_MAX};
use tollgate_core::clock::ManualClock;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind};
use tollgate_core::stores::{
    CallId, CountedBy, Outcome, Pending, StoreError, UsageBy, UsageFilter, UsageLedger, UsageRow,
    UsageSums,
};
use tollgate_rules::items::ItemGlob;
use tollgate_rules::teams::Teams;
use tollgate_usage::prices::PriceBook;
use tollgate_usage::reprice::{Repriced, reprice};
use tollgate_usage::settings::{
    Estimator, OnFailure, PriceEntry, PriceSettings, Trust, UsageSettings,
};
use tollgate_usage::{Actual, Finished, Meter, Results, Unready};

const PATIENCE: Duration = Duration::from_secs(20);

/// A ledger that can be told to fail.
#[derive(Debug, Default)]
struct Ledger {
    rows: Mutex<BTreeMap<(u64, CallId, u32), UsageRow>>,
    fails: AtomicBool,
}

impl UsageLedger for Ledger {
    fn append(&self, rows: Vec<UsageRow>) -> Pending<'_, usize> {
        Box::pin(async move {
            if self.fails.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("as told".to_owned()));
            }
            let mut held = self.rows.lock();
            let before = held.len();
            for row in rows {
                held.entry((row.at_millis, row.call, row.part)).or_insert(row);
            }
            Ok(held.len() - before)
        })
    }

    fn sums(&self, _: UsageFilter, _: Vec<UsageBy>, _: usize) -> Pending<'_, Vec<UsageSums>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn rows(&self, filter: UsageFilter, skip: u64, limit: usize) -> Pending<'_, Vec<UsageRow>> {
        Box::pin(async move {
            let held = self.rows.lock();
            let from = held.values().filter(|row| row.at_millis >= filter.since_millis);
            let skip = usize::try_from(skip).expect("a number");
            Ok(from.skip(skip).take(limit).cloned().collect())
        })
    }

    fn sweep(&self, _: u64) -> Pending<'_, usize> {
        Box::pin(async { Ok(0) })
    }
}

fn prices(per_call: i64) -> PriceSettings {
    let entry = PriceEntry {
        name: "all".into(),
        items: vec![(None, ItemGlob::parse("*").expect("a pattern"))],
        from_day: None,
        until_day: None,
        per_call,
        per_1k_in: 0,
        per_1k_out: 10_000,
        per_mb: 0,
        per_second: 0,
    };
    PriceSettings { currency: "EUR".into(), entries: vec![entry] }
}

fn settings() -> UsageSettings {
    UsageSettings {
        estimator: Estimator::Bytes,
        reported: Vec::new(),
        prices: prices(2_500),
        teams: Teams::default(),
        has_ledger: true,
        on_failure: OnFailure::Open,
        retain_secs: None,
    }
}

struct Scene {
    ledger: Arc<Ledger>,
    clock: Arc<ManualClock>,
    meter: Meter,
}

fn scene(settings: UsageSettings) -> Scene {
    let (ledger, clock) = (Arc::new(Ledger::default()), Arc::new(ManualClock::default()));
    clock.advance(1_795_000_000_000);
    let meter = Meter::start(settings, Some(ledger.clone()), clock.clone()).expect("a thread");
    Scene { ledger, clock, meter }
}

fn answer(text: &str) -> Bytes {
    let text = serde_json::to_string(text).expect("JSON");
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":{text}}}]}}}}"#
    ))
}

fn call(number: u64, results: Results) -> Finished {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Finished {
        call: id,
        agent: "ci".into(),
        issuer: None,
        user: None,
        team: None,
        route: RoutePath::from("/mcp"),
        upstream: UpstreamName::from("github"),
        method: "tools/call".into(),
        item: Some((ItemKind::Tool, "search".into())),
        arguments: Bytes::from_static(b"{ \"q\" : 1 }"),
        results,
        aside_bytes: 0,
        outcome: Outcome::Done,
        millis: 3,
        settle: None,
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Notes calls from a thread of its own; each tells when it is settled.
fn note_many(meter: Meter, noter: u64, settled: Arc<AtomicU64>) {
    for number in 0..10_000 {
        let settled = settled.clone();
        let settle = Box::new(move |actual: Actual| {
            // 40 bytes of text; 2,500 for the call, and 10 for each token.
            assert_eq!((actual.tokens_out, actual.cost_micros), (10, 2_600));
            settled.fetch_add(1, Ordering::Relaxed);
        });
        let call = call(noter << 32 | number, Results::Whole(answer(&"x".repeat(40))));
        meter.note(Finished { settle: Some(settle), ..call });
        while meter.figures().pending > 10_000 {
            std::thread::yield_now();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_becomes_one_row_and_one_settlement_whoever_notes_it() {
    let scene = scene(settings());
    let settled = Arc::new(AtomicU64::new(0));
    let noters = (0..4).map(|noter| {
        let (meter, settled) = (scene.meter.clone(), settled.clone());
        tokio::task::spawn_blocking(move || note_many(meter, noter, settled))
    });
    for noter in noters.collect::<Vec<_>>() {
        noter.await.expect("no panic");
    }
    assert!(scene.meter.flush(PATIENCE).await);
    let figures = scene.meter.figures();
    assert_eq!((figures.noted, figures.written, figures.lost), (40_000, 40_000, 0));
    assert_eq!(settled.load(Ordering::Relaxed), 40_000);
    let rows = scene.ledger.rows.lock();
    assert_eq!(rows.len(), 40_000);
    // `{"q":1}` without its room.
    assert!(rows.values().all(|row| (row.tokens_in, row.tokens_out, row.calls) == (2, 10, 1)));
}

#[tokio::test]
async fn rows_are_written_soon_without_anybody_asking() {
    let scene = scene(settings());
    scene.meter.note(call(1, Results::None));
    until(|| scene.ledger.rows.lock().len() == 1).await;
    scene.meter.note(call(2, Results::Counted { bytes: 400, tokens: 100 }));
    until(|| scene.ledger.rows.lock().len() == 2).await;
}

#[tokio::test]
async fn the_last_handle_takes_what_waits_with_it_into_the_ledger() {
    let Scene { ledger, meter, .. } = scene(settings());
    for number in 0..3_000 {
        meter.note(call(number, Results::None));
    }
    drop(meter);
    until(|| ledger.rows.lock().len() == 3_000).await;
}

#[tokio::test]
async fn a_ledger_that_fails_is_written_to_until_it_takes_rows_again() {
    let closed = UsageSettings { on_failure: OnFailure::Closed, ..settings() };
    let scene = scene(closed.clone());
    scene.ledger.fails.store(true, Ordering::Relaxed);
    for number in 0..100 {
        scene.meter.note(call(number, Results::None));
    }
    until(|| scene.meter.figures().failures > 0).await;
    assert_eq!(scene.meter.is_ready(), Ok(()), "a moment is no reason to refuse");
    assert!(!scene.meter.flush(Duration::from_millis(20)).await);
    scene.clock.advance(FAILING_CLOSED_MILLIS);
    assert!(matches!(scene.meter.is_ready(), Err(Unready::Failing(_))));
    // The operator may change their mind, and back.
    scene.meter.reload(settings());
    assert_eq!(scene.meter.is_ready(), Ok(()));
    scene.meter.reload(closed);
    assert!(scene.meter.is_ready().is_err());
    scene.ledger.fails.store(false, Ordering::Relaxed);
    until(|| scene.meter.is_ready().is_ok()).await;
    assert!(scene.meter.flush(PATIENCE).await);
    assert_eq!((scene.ledger.rows.lock().len(), scene.meter.figures().lost), (100, 0));
}

#[tokio::test]
async fn what_no_bound_holds_is_lost_and_counted() {
    let scene = scene(UsageSettings { on_failure: OnFailure::Closed, ..settings() });
    scene.ledger.fails.store(true, Ordering::Relaxed);
    let all = PENDING_ROWS_MAX as u64 + 5_000;
    for number in 0..all {
        scene.meter.note(call(number, Results::None));
    }
    until(|| scene.meter.figures().lost == 5_000).await;
    assert!(matches!(scene.meter.is_ready(), Err(Unready::Behind(_))));
    scene.ledger.fails.store(false, Ordering::Relaxed);
    assert!(scene.meter.flush(PATIENCE).await);
    let figures = scene.meter.figures();
    assert_eq!((figures.noted, figures.lost), (all, 5_000));
    assert_eq!(figures.noted, figures.written + figures.lost);
    assert_eq!(scene.ledger.rows.lock().len() as u64, figures.written);
}

#[tokio::test]
async fn when_nobody_has_time_to_count_calls_are_counted_by_bytes_at_once() {
    let scene = scene(UsageSettings { estimator: Estimator::O200k, ..settings() });
    let (go_on, waits) = mpsc::channel::<()>();
    // Keeps the counting thread busy until the other end is gone.
    let busy = Box::new(move |_: Actual| assert!(waits.recv().is_err()));
    scene.meter.note(Finished { settle: Some(busy), ..call(0, Results::None) });
    let whole = Results::Whole(answer("hello world"));
    for number in 1..=COUNTING_CALLS_MAX as u64 + 10 {
        scene.meter.note(call(number, whole.clone()));
    }
    assert!(scene.meter.figures().hurried >= 10);
    let (told, tell) = mpsc::channel();
    let settle = Box::new(move |actual| told.send(actual).expect("somebody waits"));
    scene.meter.note(Finished { settle: Some(settle), ..call(u64::MAX, whole) });
    let actual: Actual = tell.try_recv().expect("told before `note` returned");
    assert_eq!(actual.tokens_out, (answer("hello world").len() as u64).div_ceil(4));
    drop(go_on);
    assert!(scene.meter.flush(PATIENCE).await);
    let rows = scene.ledger.rows.lock();
    let by = |by| rows.values().filter(|row| row.counted_by == by).count();
    assert!(by(CountedBy::Tokenizer) > 0 && by(CountedBy::Bytes) >= 11);
    assert_eq!(rows.len(), COUNTING_CALLS_MAX + 12);
}

#[tokio::test]
async fn what_an_upstream_reports_counts_only_where_the_operator_named_it() {
    let body = r#"{"id":1,"result":{"content":[],"isError":true,"_meta":{"usage":{"output_tokens":900}}}}"#;
    let void = body.replace("900", "-900");
    let other = vec![("other".into(), Trust::Reported)];
    let cases = [
        (Vec::new(), body, (0, CountedBy::Bytes, 0)),
        (other, body, (0, CountedBy::Bytes, 0)),
        (vec![("github".into(), Trust::Max)], body, (900, CountedBy::Reported, 0)),
        (vec![("github".into(), Trust::Reported)], &*void, (0, CountedBy::Bytes, 1)),
    ];
    for (reported, body, wanted) in cases {
        let scene = scene(UsageSettings { reported, ..settings() });
        scene.meter.note(call(1, Results::Whole(Bytes::from(body.to_owned()))));
        assert!(scene.meter.flush(PATIENCE).await);
        let void = scene.meter.figures().reports_void;
        let rows = scene.ledger.rows.lock();
        let row = rows.values().next().expect("a row");
        assert_eq!((row.tokens_out, row.counted_by, void), wanted, "{body}");
        assert_eq!(row.outcome, Outcome::ToolError);
    }
}

#[tokio::test]
async fn estimates_follow_what_came_back() {
    let scene = scene(settings());
    let upstream = UpstreamName::from("github");
    let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "search" };
    scene.meter.note(call(1, Results::Whole(answer(&"x".repeat(4_000)))));
    assert!(scene.meter.flush(PATIENCE).await);
    assert_eq!(scene.meter.estimate_out(&item), 1_000);
    assert_eq!(scene.meter.estimate_cost(&item, 10, 1_000), 12_500);
}

#[tokio::test]
async fn pricing_again_adds_the_difference_once() {
    let scene = scene(settings());
    // More calls in one millisecond than are read at a time, twice, and fewer between.
    for number in 0..25_000 {
        if [0, 11_000, 14_000].contains(&number) {
            scene.clock.advance(1);
        }
        scene.meter.note(call(number, Results::None));
    }
    assert!(scene.meter.flush(PATIENCE).await);
    let again = async |per_call, writes| {
        let book = PriceBook::new(&prices(per_call));
        reprice(&*scene.ledger, &book, UsageFilter::default(), writes).await.expect("an answer")
    };
    let done =
        |corrected, difference_micros| Repriced { calls: 25_000, corrected, difference_micros };
    assert_eq!(again(2_500, true).await, done(0, 0));
    assert_eq!(again(3_000, false).await, done(25_000, 12_500_000));
    assert_eq!(again(3_000, true).await, done(25_000, 12_500_000));
    assert_eq!(again(3_000, true).await, done(0, 0));
    assert_eq!(again(0, true).await, done(25_000, -75_000_000));
    let rows = scene.ledger.rows.lock();
    assert_eq!(rows.len(), 75_000);
    assert_eq!(rows.values().map(|row| row.cost_micros).sum::<i64>(), 0);
    assert_eq!(rows.values().map(|row| row.calls).sum::<i64>(), 25_000);
}
