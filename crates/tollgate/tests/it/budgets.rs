//! Budgets in the whole house: a killed gate forgets nothing that is in the ledger, a changed file keeps
//! what was used, and whoever should know of a threshold is told.

use crate::GATE;
use serde_json::{Value, json};
use std::path::Path;
use testkit::post::good_call;
use testkit::{Configuration, DEADLINE, GateProcess, House, Recorder, Reply};

/// A house's file with these limits and a ledger in this folder.
fn file(peer: &Recorder, folder: &Path, limits: &str) -> String {
    let ledger = folder.join("usage.db");
    Configuration::of(&[peer.address])
        .section(&format!("stores: {{ usage: \"{}\" }}", ledger.display()))
        .section(&format!("limits: {limits}"))
        .text()
}

/// What was used of the first counter of the first budget.
fn used(status: &Value) -> &Value {
    &status["budgets"][0]["used"][0]
}

#[tokio::test]
async fn a_killed_gate_knows_at_once_what_was_used_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits =
        "{ budgets: [{ name: monthly, per: [agent, tool], calls: 5/month, tokens: 1M/month }] }";
    let peer = Recorder::start().await;
    let text = file(&peer, folder.path(), limits);
    let mut house = House { gate: GateProcess::start(GATE, &text).await, peer };
    for _ in 0..3 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    let before = house.gate.wait_for_status(|status| status["usage"]["written"] == 3).await;
    house.gate.signal("KILL");
    house.gate.ended(DEADLINE).await;

    house.gate = GateProcess::start(GATE, &text).await;
    let after = house.gate.status().await;
    assert_eq!(used(&after), used(&before));
    assert_eq!(after["budgets"][0]["is_incomplete"], false);
    for _ in 0..2 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    let seen = house.peer.bytes_seen();
    let answer = house.ask(&good_call()).await;
    assert_eq!((answer.status, answer.code()), (429, Some(-31010)), "{}", answer.text());
    assert_eq!(house.peer.bytes_seen(), seen, "it reached the upstream");
}

#[tokio::test]
async fn a_budget_that_is_new_in_the_file_counts_what_the_ledger_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Recorder::start().await;
    let one = "{ name: one, calls: 100/month }";
    let text = file(&peer, folder.path(), &format!("{{ budgets: [{one}] }}"));
    let house = House { gate: GateProcess::start(GATE, &text).await, peer };
    for _ in 0..3 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    house.gate.wait_for_status(|status| status["usage"]["written"] == 3).await;
    let both = format!("{{ budgets: [{{ name: new, calls: 4/month }}, {one}] }}");
    house.gate.rewrite(&file(&house.peer, folder.path(), &both));
    let is_there = |status: &Value| {
        let budgets = &status["budgets"];
        budgets[0]["name"] == "new" && budgets[0]["is_incomplete"] == false
    };
    let status = house.gate.wait_for_status(is_there).await;
    assert_eq!(used(&status)["calls"], 3);
    assert_eq!(status["budgets"][1]["used"][0]["calls"], 3);
    assert_eq!(house.ask(&good_call()).await.status, 200);
    assert_eq!(house.ask(&good_call()).await.status, 429);
}

#[tokio::test]
async fn thresholds_are_told_to_the_log_and_to_the_webhook_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let hook = Recorder::scripted(|_| Reply::json(&json!({}))).await;
    let limits = format!(
        "{{ budgets: [{{ name: watched, calls: 4/month, warn: [50], hard: false }}], notify: {{ webhook: \"http://{}/s3cret\" }} }}",
        hook.address
    );
    let peer = Recorder::start().await;
    let text = file(&peer, folder.path(), &limits);
    let house = House { gate: GateProcess::start(GATE, &text).await, peer };
    for _ in 0..6 {
        assert_eq!(house.ask(&good_call()).await.status, 200, "it only watches");
    }
    let is_written = |status: &Value| status["usage"]["written"] == 6;
    house.gate.wait_for_status(is_written).await;
    let told = hook.wait_for(2, DEADLINE).await;
    let letters: Vec<Value> = told.iter().map(testkit::Recorded::json).collect();
    assert_eq!(
        (&letters[0]["percent"], &letters[0]["type"]),
        (&json!(50), &json!("budget.threshold"))
    );
    assert_eq!(
        (&letters[1]["percent"], &letters[1]["type"]),
        (&json!(100), &json!("budget.exhausted"))
    );
    assert_eq!(told[0].path, "/s3cret");
    house.gate.wait_for_log("the budget `watched` is used to 50 %").await;
    house.gate.wait_for_log("the budget `watched` is used up: calls are still made").await;
    assert!(!house.gate.stderr().contains("s3cret"));
    assert_eq!(hook.requests().len(), 2);
}
