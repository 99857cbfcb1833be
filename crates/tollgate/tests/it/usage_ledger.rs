//! The ledger as its operator meets it: after a kill, after an orderly end, on the command line and on
//! the operator's listener.

use crate::GATE;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::client::get;
use testkit::{Configuration, DEADLINE, GateProcess, House, Post, modern_call};

const PRICES: &str = "prices: { currency: EUR, entries: [{ name: all, per_call: 0.0025, per_1k_tokens_out: 0.3333 }] }";

async fn metered() -> House {
    let with = |file: Configuration| file.section("usage: { estimator: bytes }").section(PRICES);
    House::open_with(GATE, with).await
}

fn named(name: &str) -> Post {
    modern_call("tools/call", &json!({ "name": name, "arguments": { "text": "12345678" } }))
}

/// What `tollgate usage` prints with these words.
fn usage(gate: &GateProcess, words: &[&str]) -> String {
    let (action, words) = match words {
        ["reprice", rest @ ..] => (Some("reprice"), rest),
        words => (None, words),
    };
    let mut command = Command::new(GATE);
    command.arg("usage").args(action).arg("--config").arg(gate.beside("tollgate.yaml"));
    let output = command.args(words).output().expect("the command runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn sums(gate: &GateProcess, words: &[&str]) -> Value {
    let text = usage(gate, &[words, &["--format", "json"]].concat());
    serde_json::from_str(&text).expect("JSON")
}

fn calls(gate: &GateProcess) -> u64 {
    sums(gate, &[])["total"]["calls"].as_u64().expect("a number")
}

/// Rows are written every 200 ms; a loaded machine takes a while to write.
const LOST_AT_MOST: Duration = Duration::from_millis(1_000);

#[tokio::test]
async fn a_kill_loses_what_was_noted_in_the_last_moment_and_nothing_before() {
    for round in 0..3 {
        let mut house = metered().await;
        let mut line = house.connect().await;
        let mut answered = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1_500 + round * 130) {
            assert_eq!(line.ask(&named("echo")).await.status, 200);
            answered.push(Instant::now());
        }
        let killed = Instant::now();
        house.gate.signal("KILL");
        house.gate.ended(DEADLINE).await;
        let kept = usize::try_from(calls(&house.gate)).expect("a number");
        let safe = answered.iter().filter(|at| killed.duration_since(**at) > LOST_AT_MOST).count();
        let lost = answered.len() - kept.min(answered.len());
        assert!(kept <= answered.len(), "{kept} rows of {} calls", answered.len());
        assert!(kept >= safe, "{lost} of {} rows are lost, {safe} were safe", answered.len());
        let span = answered.get(kept).map_or(Duration::ZERO, |at| killed.duration_since(*at));
        println!("{lost} of {} calls lost, of the last {span:?}", answered.len());
    }
}

#[tokio::test]
async fn an_orderly_end_loses_nothing_and_a_new_start_goes_on() {
    let mut house = metered().await;
    for _ in 0..50 {
        assert_eq!(house.ask(&named("echo")).await.status, 200);
    }
    // At once: nothing was written yet, or not all.
    house.gate.terminate(DEADLINE).await;
    assert_eq!(calls(&house.gate), 50);
}

/// The cells of a column of CSV, whose other cells hold no line ends.
fn column(csv: &str, name: &str) -> Vec<String> {
    let cells = |line: &str| {
        let (mut cells, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
        for one in line.chars() {
            match one {
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => cells.push(std::mem::take(&mut cell)),
                _ => cell.push(one),
            }
        }
        cells.push(cell);
        cells
    };
    let mut lines = csv.lines();
    let heads = cells(lines.next().expect("heads"));
    let at = heads.iter().position(|head| head == name).expect("a column");
    lines.map(|line| cells(line)[at].clone()).collect()
}

/// Decimals of at most six digits after the point, summed in millionths.
fn micros(decimals: &[String]) -> i64 {
    let one = |text: &String| {
        let (whole, fraction) = text.split_once('.').expect("a decimal");
        let fraction: i64 = format!("{fraction:0<6}").parse().expect("digits");
        let whole: i64 = whole.parse().expect("digits");
        whole * 1_000_000 + if text.starts_with('-') { -fraction } else { fraction }
    };
    decimals.iter().map(one).sum()
}

#[tokio::test]
async fn every_form_says_the_same() {
    let house = metered().await;
    for number in 0..20 {
        let name = ["echo", "search", "=cmd|x"][number % 3];
        assert_eq!(house.ask(&named(name)).await.status, 200);
    }
    house.gate.wait_for_status(|status| status["usage"]["written"] == 20).await;
    let by_tool = sums(&house.gate, &["--by", "tool"]);
    assert_eq!(by_tool["groups"].as_array().expect("groups").len(), 3, "{by_tool:#}");
    let total = micros(&[by_tool["total"]["cost"].as_str().expect("money").to_owned()]);
    assert!(total > 20 * 2_500, "{total}");
    // Each call was rounded by itself; the same sums in every form.
    let focus = usage(&house.gate, &["--format", "focus"]);
    assert_eq!(micros(&column(&focus, "BilledCost")), total);
    assert_eq!(micros(&column(&focus, "EffectiveCost")), total);
    let quantities = column(&focus, "SkuMeter").into_iter().zip(column(&focus, "ConsumedQuantity"));
    let counted: u64 = quantities
        .filter(|(meter, _)| meter == "calls")
        .map(|(_, calls)| calls.parse::<u64>().expect("digits"))
        .sum();
    assert_eq!(counted, 20);
    let csv = usage(&house.gate, &["--by", "team,tool,agent", "--format", "csv"]);
    assert_eq!(micros(&column(&csv, "cost_estimated")), total);
    assert!(csv.contains("unallocated,peer__echo,anonymous,"), "{csv}");
    let table = usage(&house.gate, &["--by", "tool"]);
    assert!(table.contains("peer__echo") && table.contains("estimated from bytes"), "{table}");
    // The operator's listener says it too.
    let served = get(house.gate.admin, "/usage?by=tool").await;
    assert_eq!((served.status, served.json()), (200, by_tool));
    assert_eq!(get(house.gate.admin, "/usage?by=color").await.status, 400);
    let served = get(house.gate.admin, "/usage?format=focus").await;
    assert_eq!(served.header("content-type"), Some("text/csv; charset=utf-8"));
}

#[tokio::test]
async fn calls_priced_again_are_corrected_once_by_further_rows() {
    let house = metered().await;
    for _ in 0..10 {
        assert_eq!(house.ask(&named("echo")).await.status, 200);
    }
    house.gate.wait_for_status(|status| status["usage"]["written"] == 10).await;
    let cost = |gate: &GateProcess| {
        micros(&[sums(gate, &[])["total"]["cost"].as_str().expect("money").to_owned()])
    };
    let before = cost(&house.gate);
    let text = std::fs::read_to_string(house.gate.beside("tollgate.yaml")).expect("a file");
    house.gate.rewrite(&text.replace("per_call: 0.0025", "per_call: 0.003"));
    assert!(usage(&house.gate, &["reprice", "--dry-run"]).starts_with("10 of 10 calls would"));
    assert_eq!(cost(&house.gate), before);
    assert!(usage(&house.gate, &["reprice"]).starts_with("10 of 10 calls are corrected"));
    assert!(usage(&house.gate, &["reprice"]).contains("nothing to correct"));
    assert_eq!(cost(&house.gate), before + 10 * 500);
    let focus = usage(&house.gate, &["--format", "focus"]);
    assert!(column(&focus, "ChargeClass").contains(&"Correction".to_owned()));
    assert_eq!(micros(&column(&focus, "BilledCost")), before + 10 * 500);
    assert_eq!(calls(&house.gate), 10, "a correction is no call");
}

#[tokio::test]
async fn without_a_ledger_the_operator_is_told_what_to_do() {
    let house = House::open(GATE).await;
    let served = get(house.gate.admin, "/usage").await;
    assert_eq!(served.status, 404);
    assert!(served.text().contains("add a section `usage`"), "{}", served.text());
    let mut command = Command::new(GATE);
    command.arg("usage").arg("--config").arg(house.gate.beside("tollgate.yaml"));
    let output = command.output().expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("keeps no ledger"));
}
