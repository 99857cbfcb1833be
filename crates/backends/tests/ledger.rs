//! The contract of the ledger of usage, run against every implementation; and what only a file can do
//! wrong.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

use std::path::Path;
use std::sync::Arc;
use tollgate_backends::embedded::{Embedded, EmbeddedUsage, OpenError};
use tollgate_backends::memory::MemoryUsage;
use tollgate_core::party::ItemKind;
use tollgate_core::stores::{
    CountedBy, Outcome, UsageBy, UsageFilter, UsageLedger, UsageRow, UsageSums,
};

const DAY: u64 = 86_400_000;
/// 2026-11-20.
const TODAY: u64 = 20_777 * DAY;

fn row(number: u64) -> UsageRow {
    let mut call = [0; 16];
    call[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    call[8..].copy_from_slice(&number.to_be_bytes());
    UsageRow {
        call,
        part: 0,
        at_millis: TODAY + number,
        agent: "ci".into(),
        issuer: Some("https://id.example".into()),
        user: None,
        team: Some("platform".into()),
        route: "/mcp".into(),
        upstream: "github".into(),
        method: "tools/call".into(),
        kind: Some(ItemKind::Tool),
        item: Some("search".into()),
        calls: 1,
        tokens_in: 10,
        tokens_out: 100,
        counted_by: CountedBy::Bytes,
        bytes: 440,
        millis: 7,
        outcome: Outcome::Done,
        price: Some("search#0badcafe".into()),
        cost_micros: 2_500,
    }
}

async fn append(ledger: &dyn UsageLedger, rows: Vec<UsageRow>) -> usize {
    ledger.append(rows).await.expect("room")
}

async fn sums(ledger: &dyn UsageLedger, filter: UsageFilter, by: &[UsageBy]) -> Vec<UsageSums> {
    ledger.sums(filter, by.to_vec(), 1_000).await.expect("an answer")
}

async fn rows(ledger: &dyn UsageLedger, filter: UsageFilter) -> Vec<UsageRow> {
    ledger.rows(filter, 0, 10_000).await.expect("an answer")
}

fn all() -> UsageFilter {
    UsageFilter::default()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn a_row_is_found_as_it_was_added(ledger: &dyn UsageLedger) {
    let full = UsageRow {
        user: Some("ada \u{1f600}\n\"'".into()),
        outcome: Outcome::Unfinished,
        counted_by: CountedBy::Reported,
        ..row(1)
    };
    let bare = UsageRow {
        issuer: None,
        team: None,
        kind: None,
        item: None,
        price: None,
        outcome: Outcome::ToolError,
        counted_by: CountedBy::Tokenizer,
        ..row(2)
    };
    let correction = UsageRow {
        part: 1,
        calls: 0,
        tokens_in: 0,
        cost_micros: -2_500,
        outcome: Outcome::Error,
        ..row(2)
    };
    assert_eq!(append(ledger, vec![bare.clone(), correction.clone(), full.clone()]).await, 3);
    assert_eq!(rows(ledger, all()).await, [full, bare, correction]);
}

async fn a_row_is_added_once(ledger: &dyn UsageLedger) {
    assert_eq!(append(ledger, vec![row(1), row(2)]).await, 2);
    let other = UsageRow { cost_micros: 1, team: None, ..row(2) };
    assert_eq!(append(ledger, vec![row(1), other, row(3), row(3)]).await, 1);
    let sums = sums(ledger, all(), &[]).await;
    assert_eq!((sums[0].calls, sums[0].cost_micros), (3, 7_500));
    assert_eq!(append(ledger, Vec::new()).await, 0);
}

async fn sums_are_those_of_the_rows_by_whatever_group(ledger: &dyn UsageLedger) {
    let mut some_rows: Vec<UsageRow> = (0..300).map(row).collect();
    for (number, row) in some_rows.iter_mut().enumerate() {
        row.at_millis = TODAY - DAY + number as u64 * (DAY / 100);
        row.agent = ["ci", "web"][number % 2].into();
        row.team = [Some("platform".into()), None, Some("data".into())][number % 3].clone();
        row.item = [Some("search".into()), None][number % 2].clone();
        row.outcome = [Outcome::Done, Outcome::Error][usize::from(number % 5 == 0)];
        row.part = u32::from(number % 7 == 0);
        row.tokens_out = number as i64;
    }
    append(ledger, some_rows.clone()).await;
    let by = [UsageBy::Day, UsageBy::Team, UsageBy::Agent, UsageBy::Tool, UsageBy::Correction];
    let found = sums(ledger, all(), &by).await;
    assert!(found.is_sorted_by_key(|sums| &sums.group));
    for sums in &found {
        let belongs = |row: &&UsageRow| {
            let day = ["2026-11-19", "2026-11-20", "2026-11-21"];
            let at = (row.at_millis - (TODAY - DAY)) / DAY;
            let item = row.item.as_ref().map(|item| format!("github__{item}"));
            let correction = (row.part > 0).then(|| "correction".to_owned());
            let own = [
                some(day[at as usize]),
                row.team.as_ref().map(|team| team.to_string()),
                some(&row.agent),
                item,
                correction,
            ];
            own == *sums.group
        };
        let of: Vec<&UsageRow> = some_rows.iter().filter(belongs).collect();
        assert_eq!(sums.calls, of.len() as i64);
        assert_eq!(sums.tokens_out, of.iter().map(|row| row.tokens_out).sum::<i64>());
        assert_eq!(sums.errors, of.iter().filter(|r| r.outcome != Outcome::Done).count() as i64);
        assert_eq!(sums.cost_micros, of.len() as i64 * 2_500);
        assert_eq!((sums.tokens_in, sums.bytes), (of.len() as i64 * 10, of.len() as i64 * 440));
        assert_eq!(sums.millis, of.len() as i64 * 7);
    }
    assert_eq!(found.iter().map(|sums| sums.calls).sum::<i64>(), 300);
}

async fn a_span_begins_and_ends_on_the_millisecond(ledger: &dyn UsageLedger) {
    let at = |at_millis: u64, number| UsageRow { at_millis, ..row(number) };
    let times = [
        TODAY - DAY - 1,
        TODAY - DAY,
        TODAY - 1,
        TODAY,
        TODAY + 5,
        TODAY + DAY - 1,
        TODAY + DAY,
        TODAY + 3 * DAY + 9,
    ];
    let some_rows = times.iter().zip(0..).map(|(time, number)| at(*time, number)).collect();
    append(ledger, some_rows).await;
    for since in times {
        for until in times.into_iter().filter(|until| *until >= since) {
            let filter = UsageFilter { since_millis: since, until_millis: Some(until), ..all() };
            let wanted = times.iter().filter(|time| (since..until).contains(time)).count();
            let found = sums(ledger, filter.clone(), &[]).await;
            let calls = found.first().map_or(0, |sums| sums.calls);
            assert_eq!(calls, wanted as i64, "{filter:?}");
            assert_eq!(rows(ledger, filter).await.len(), wanted);
        }
    }
}

async fn filters_hold_for_sums_and_rows(ledger: &dyn UsageLedger) {
    let other = UsageRow { agent: "web".into(), team: None, upstream: "files".into(), ..row(2) };
    append(ledger, vec![row(1), other.clone()]).await;
    let filters = [
        UsageFilter { agent: some("web"), ..all() },
        UsageFilter { upstream: some("files"), ..all() },
        UsageFilter { agent: some("web"), since_millis: TODAY + 1, ..all() },
    ];
    for filter in filters {
        assert_eq!(rows(ledger, filter.clone()).await, std::slice::from_ref(&other), "{filter:?}");
        let by_team = sums(ledger, filter, &[UsageBy::Team, UsageBy::Upstream]).await;
        assert_eq!(by_team.len(), 1);
        assert_eq!(by_team[0].group, [None, some("files")]);
    }
    let nobody = UsageFilter { team: some("data"), ..all() };
    assert!(sums(ledger, nobody.clone(), &[]).await.is_empty());
    assert!(rows(ledger, nobody).await.is_empty());
}

async fn rows_come_oldest_first_in_pages(ledger: &dyn UsageLedger) {
    append(ledger, (0..50).rev().map(row).collect()).await;
    let page = ledger.rows(all(), 20, 5).await.expect("an answer");
    assert_eq!(page, (20..25).map(row).collect::<Vec<_>>());
    assert!(ledger.rows(all(), 50, 5).await.expect("an answer").is_empty());
}

async fn groups_are_at_most_as_many_as_asked_for(ledger: &dyn UsageLedger) {
    let of = |number: u64| UsageRow { item: Some(format!("t{number}").into()), ..row(number) };
    append(ledger, (0..10).map(of).collect()).await;
    let found = ledger.sums(all(), vec![UsageBy::Tool], 3).await.expect("an answer");
    let names: Vec<_> = found.iter().map(|sums| sums.group[0].as_deref()).collect();
    assert_eq!(names, [Some("github__t0"), Some("github__t1"), Some("github__t2")]);
}

async fn sums_saturate(ledger: &dyn UsageLedger) {
    let large = |number, cost_micros| UsageRow { cost_micros, ..row(number) };
    append(ledger, vec![large(1, i64::MAX), large(2, i64::MAX - 7)]).await;
    append(ledger, vec![large(3, 5)]).await;
    assert_eq!(sums(ledger, all(), &[]).await[0].cost_micros, i64::MAX);
    // Not by whole days, too.
    let part = UsageFilter { since_millis: TODAY + 1, until_millis: Some(TODAY + 9), ..all() };
    assert_eq!(sums(ledger, part, &[]).await[0].cost_micros, i64::MAX);
}

async fn a_sweep_takes_whole_days_and_nothing_else(ledger: &dyn UsageLedger) {
    let at = |at_millis: u64, number| UsageRow { at_millis, ..row(number) };
    append(ledger, vec![at(TODAY - 1, 1), at(TODAY, 2), at(TODAY + 9, 3)]).await;
    assert_eq!(ledger.sweep(TODAY + 5).await.expect("an answer"), 1);
    assert_eq!(ledger.sweep(TODAY + 5).await.expect("an answer"), 0);
    assert_eq!(sums(ledger, all(), &[UsageBy::Day]).await.len(), 1);
    assert_eq!(rows(ledger, all()).await.len(), 2);
    // What was swept is not known any more, and its names can be used again.
    assert_eq!(append(ledger, vec![at(TODAY - 1, 1)]).await, 1);
    assert_eq!(ledger.sweep(TODAY + 2 * DAY).await.expect("an answer"), 3);
    assert_eq!(append(ledger, vec![row(4)]).await, 1);
    assert_eq!(sums(ledger, all(), &[UsageBy::Agent]).await[0].group, [some("ci")]);
}

async fn of_many_who_append_the_same_each_row_is_there_once(ledger: &dyn UsageLedger) {
    let batch = || async { append(ledger, (0..250).map(row).collect()).await };
    let added = tokio::join!(batch(), batch(), batch(), batch());
    assert_eq!(added.0 + added.1 + added.2 + added.3, 250);
    assert_eq!(sums(ledger, all(), &[]).await[0].calls, 250);
}

/// Each case once for each implementation.
macro_rules! contract {
    ($($case:ident)+) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&super::MemoryUsage::default()).await;
            })+
        }
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                let dir = tempfile::tempdir().expect("a directory");
                super::$case(&super::open(&dir.path().join("usage.db")).await).await;
            })+
        }
    };
}

contract! {
    a_row_is_found_as_it_was_added
    a_row_is_added_once
    sums_are_those_of_the_rows_by_whatever_group
    a_span_begins_and_ends_on_the_millisecond
    filters_hold_for_sums_and_rows
    rows_come_oldest_first_in_pages
    groups_are_at_most_as_many_as_asked_for
    sums_saturate
    a_sweep_takes_whole_days_and_nothing_else
    of_many_who_append_the_same_each_row_is_there_once
}

async fn open(path: &Path) -> EmbeddedUsage {
    EmbeddedUsage::open(path).await.expect("a usable ledger")
}

#[tokio::test]
async fn two_who_have_the_file_open_see_one_another() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("usage.db");
    let (one, other) = (open(&path).await, open(&path).await);
    append(&one, (0..100).map(row).collect()).await;
    assert_eq!(append(&other, (50..150).map(row).collect()).await, 50);
    assert_eq!(sums(&one, all(), &[]).await[0].calls, 150);
    // The names one of them remembers are swept by the other.
    assert_eq!(other.sweep(TODAY + 2 * DAY).await.expect("an answer"), 150);
    append(&one, vec![row(7)]).await;
    assert_eq!(sums(&other, all(), &[UsageBy::Agent]).await[0].group, [some("ci")]);
    assert_eq!(rows(&other, all()).await, [row(7)]);
}

#[tokio::test]
async fn a_ledger_outlives_its_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("usage.db");
    append(&open(&path).await, (0..5).map(row).collect()).await;
    assert_eq!(rows(&open(&path).await, all()).await.len(), 5);
}

#[tokio::test]
async fn the_file_of_identity_is_no_ledger_and_the_other_way_round() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, usage) = (dir.path().join("store.db"), dir.path().join("usage.db"));
    Embedded::open(&store).await.expect("a store");
    drop(open(&usage).await);
    assert!(matches!(EmbeddedUsage::open(&store).await, Err(OpenError::Foreign { .. })));
    assert!(matches!(Embedded::open(&usage).await, Err(OpenError::Foreign { .. })));
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_summed_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger: Arc<dyn UsageLedger> = Arc::new(open(&dir.path().join("usage.db")).await);
    for batch in 0..100_u64 {
        let of = |number: u64| UsageRow {
            agent: format!("agent-{}", number % 50).into(),
            item: Some(format!("tool-{}", number % 40).into()),
            ..row(number)
        };
        append(&*ledger, (batch * 1_000..(batch + 1) * 1_000).map(of).collect()).await;
    }
    let began = std::time::Instant::now();
    let found = sums(&*ledger, all(), &[UsageBy::Agent, UsageBy::Tool]).await;
    let took = began.elapsed();
    assert_eq!(found.iter().map(|sums| sums.calls).sum::<i64>(), 100_000);
    assert!(took.as_millis() < 500, "{took:?}");
}
