//! Servers on stdio that write what they must not (attack rows 103 and 104): the messages between
//! still arrive, memory stays bounded, and others notice nothing.

use crate::GATE;
use serde_json::json;
use std::time::Instant;
use testkit::stdio::{messages, text_of, tool_call};
use testkit::{DEADLINE, StdioHouse};

async fn house(habits: &[&str], keys: &str) -> StdioHouse {
    StdioHouse::open(GATE, habits, &format!("stop: 300ms\n      {keys}")).await
}

#[tokio::test]
async fn noise_between_messages_is_skipped_and_reported_within_bounds() {
    let house = house(&["junk"], "idle: 1m").await;
    let session = house.session("a", &json!({})).await;
    for _ in 0..20 {
        assert_eq!(house.call(&session, "junk", json!({})).await, "junk");
    }
    assert_eq!(house.call(&session, "half", json!({})).await, "half");
    let log = house.gate.stderr();
    assert!(log.contains("stderr: a line \\u{1b}[31m for people"), "{log}");
    assert!(!log.contains('\x1b'), "control characters reach the log: {log}");
    let reports = log.matches("what is no message").count();
    assert!((1..20).contains(&reports), "{reports} reports of 101 lines");
}

#[tokio::test]
async fn an_endless_line_ends_its_process_and_costs_no_more_than_one_message() {
    let house = house(&[], "idle: 1m").await;
    let other = house.session("other", &json!({})).await;
    let session = house.session("a", &json!({})).await;
    let before = house.gate.memory_kib();
    let lost =
        house.ask(&tool_call(&session, json!(1), "flood", json!({ "megabytes": 200 }))).await;
    assert_eq!(lost.status, 502, "{}", lost.text());
    let grown = house.gate.memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB for a line that may have 16 MiB");
    assert_eq!(house.call(&other, "echo", json!({ "text": "on" })).await, "on");
    // The other's two: a guard and a server.
    house.wait_for_processes(2, DEADLINE).await;
    assert!(house.gate.stderr().contains("without a line break"), "{}", house.gate.stderr());
}

#[tokio::test]
async fn a_reader_that_does_not_read_stalls_nobody_else_on_the_line() {
    let house = house(&[], "isolation: shared").await;
    let slow = house.session("slow", &json!({})).await;
    let quick = house.session("quick", &json!({})).await;
    let mut client = house.connect().await;
    let flood = json!({ "messages": 8_000, "bytes": 20_000 });
    client.send(&tool_call(&slow, json!(1), "many", flood).bytes()).await;
    // Its head arrives, and then it reads nothing of some 160 MB: more than the kernel takes for it.
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(house.call(&quick, "echo", json!({ "text": "on" })).await, "on");
    }
    while !house.call(&quick, "state", json!({})).await.contains("\"many\": true") {
        assert!(begun.elapsed() < 4 * DEADLINE, "the server is stalled");
    }
    assert!(house.gate.memory_kib() < 256 * 1024, "{} KiB", house.gate.memory_kib());
    // What it gets, when it reads at last, breaks off without an answer.
    let mut events = 0;
    while let Some(event) = client.event().await {
        assert!(event.json()["result"].is_null(), "it missed nothing");
        events += 1;
    }
    assert!(events < 8_000, "{events}");
}

#[tokio::test]
async fn many_messages_reach_a_reader_that_keeps_up() {
    let house = house(&[], "idle: 1m").await;
    let session = house.session("a", &json!({})).await;
    let answer =
        house.ask(&tool_call(&session, json!(1), "many", json!({ "messages": 500 }))).await;
    let messages = messages(&answer);
    assert_eq!(messages.len(), 501);
    assert_eq!(text_of(&messages[500]), "many");
}

#[tokio::test]
async fn a_server_that_never_answers_is_ended_and_said_to_be() {
    let house = house(&["mute"], "start: 700ms").await;
    let begun = Instant::now();
    let refused = house.initialize("a", &json!({})).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("did not answer within 0.7 s"), "{}", refused.text());
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    house.wait_for_processes(0, DEADLINE).await;
}

#[tokio::test]
async fn a_flood_on_standard_error_is_read_and_not_all_logged() {
    let house = house(&[], "idle: 1m").await;
    let session = house.session("a", &json!({})).await;
    let flood = json!({ "lines": 20_000, "bytes": 3_000 });
    let begun = Instant::now();
    assert_eq!(house.call(&session, "stderr", flood).await, "told");
    assert_eq!(house.call(&session, "echo", json!({ "text": "on" })).await, "on");
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few") + 2;
    let log = house.gate.stderr();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("stderr: line")).collect();
    assert!((1..=seconds * 100).contains(&lines.len()), "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.len() < 1_300), "a line of 3,000 bytes is logged whole");
}

#[tokio::test]
async fn a_server_that_stops_reading_costs_its_callers_their_deadline_and_no_more() {
    let keys = "isolation: shared\n      timeouts: { first_byte: 2s }";
    let house = house(&[], keys).await;
    let session = house.session("a", &json!({})).await;
    assert_eq!(house.call(&session, "deaf", json!({})).await, "deaf");
    let text = "x".repeat(100_000);
    let calls = (0..200).map(|id| {
        let (house, session, text) = (&house, &session, &text);
        async move {
            let call = tool_call(session, json!(id), "echo", json!({ "text": text }));
            house.ask(&call).await.status
        }
    });
    let begun = Instant::now();
    let statuses = futures_util::future::join_all(calls).await;
    assert!(statuses.iter().all(|status| *status == 504), "{statuses:?}");
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    assert_eq!(house.end(&session).await, 204);
    house.reconfigure(&[], "stop: 200ms");
    house.wait_for_processes(0, DEADLINE).await;
}
