//! How fast the embedded ledger takes rows, and how long a bill of them takes.
//! `cargo run --release -p tollgate-backends --example ledger_time -- FILE [ROWS]`

#![expect(clippy::expect_used, reason = "it is to fail loudly")]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::path::Path;
use std::time::Instant;
use tollgate_backends::embedded::EmbeddedUsage;
use tollgate_core::party::ItemKind;
use tollgate_core::stores::{CountedBy, Outcome, UsageBy, UsageFilter, UsageLedger as _, UsageRow};

const BATCH: u64 = 1_000;
/// 2026-11-01.
const START: u64 = 20_758 * 86_400_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let path = words.first().expect("FILE [ROWS]");
    let rows: u64 = words.get(1).map_or(1_000_000, |rows| rows.parse().expect("a number"));
    let ledger = EmbeddedUsage::open(Path::new(path)).await.expect("a ledger");
    let began = Instant::now();
    for batch in 0..rows / BATCH {
        let some = (batch * BATCH..(batch + 1) * BATCH).map(|number| row(number, rows)).collect();
        ledger.append(some).await.expect("room");
    }
    let took = began.elapsed();
    println!("{rows} rows in {took:?}: {:.0} a second", rows as f64 / took.as_secs_f64());
    for (what, since_millis) in [("whole days", 0), ("from noon of a day", START + 43_200_000)] {
        let filter = UsageFilter { since_millis, ..UsageFilter::default() };
        let began = Instant::now();
        let by = vec![UsageBy::Agent, UsageBy::Tool];
        let groups = ledger.sums(filter, by, 100_000).await.expect("an answer");
        let calls: i64 = groups.iter().map(|sums| sums.calls).sum();
        println!("{what}: {} groups of {calls} calls in {:?}", groups.len(), began.elapsed());
    }
    let bytes = std::fs::metadata(path).map_or(0, |about| about.len());
    println!("{} bytes a row", bytes / rows.max(1));
}

/// Fifty agents call forty tools, over twenty days.
fn row(number: u64, rows: u64) -> UsageRow {
    let mut call = [0; 16];
    call[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    call[8..].copy_from_slice(&number.to_be_bytes());
    UsageRow {
        call,
        part: 0,
        at_millis: START + number * (20 * 86_400_000 / rows.max(1)),
        agent: format!("agent-{}", number % 50).into(),
        issuer: Some("https://id.example".into()),
        user: Some("user-1".into()),
        team: Some("platform".into()),
        route: "/mcp".into(),
        upstream: "github".into(),
        method: "tools/call".into(),
        kind: Some(ItemKind::Tool),
        item: Some(format!("tool-{}", number / 50 % 40).into()),
        calls: 1,
        tokens_in: 10,
        tokens_out: 100,
        counted_by: CountedBy::Bytes,
        bytes: 440,
        millis: 7,
        outcome: Outcome::Done,
        price: Some("search@2026-01-01#0badcafe".into()),
        cost_micros: 2_500,
    }
}
