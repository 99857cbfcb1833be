//! How sessions end: by idleness, by age, by caps, and that none of them leaves anything behind.
//!
//! Lifetimes are configured in seconds. A session that must live on is held against another that
//! began later and has ended, so that no test depends on how long it slept.

use crate::GATE;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::peer::Peer;
use testkit::{
    DEADLINE, House, Post, RawClient, Recorded, Recorder, legacy_bodyless, legacy_initialize,
    legacy_post,
};
use tokio::sync::watch;

const LATEST: &str = "2025-11-25";
const BRIEF: &str = "sessions: { idle: 1s, absolute: 1h }";

fn ping(session: &str) -> Post {
    legacy_post(session, "ping", &json!({}))
}

/// The upstream sessions that were ended by DELETE.
fn deleted(recorder: &Recorder) -> Vec<String> {
    let deletes = recorder.with_http_method("DELETE");
    deletes.iter().filter_map(|delete| delete.header("mcp-session-id").map(str::to_owned)).collect()
}

async fn wait_for_delete(house: &House, session: &str) {
    let is_deleted = |recorder: &Recorder| deleted(recorder).iter().any(|one| one == session);
    house.peer.wait_until(2 * DEADLINE, is_deleted).await;
}

#[tokio::test]
async fn an_idle_session_ends_here_and_upstream() {
    let house = House::open_with(GATE, |c| c.section(BRIEF)).await;
    let id = house.session(LATEST).await;
    assert_eq!(house.ask(&ping(&id)).await.status, 200);
    wait_for_delete(&house, "peer-0").await;
    assert_eq!(house.ask(&ping(&id)).await.status, 404);
    assert_eq!(house.gate.status().await["gate"]["sessions"], 0);
}

#[tokio::test]
async fn a_busy_session_ends_at_its_age() {
    let house = House::open_with(GATE, |c| c.section("sessions: { idle: 2s, absolute: 3s }")).await;
    let begun = Instant::now();
    let id = house.session(LATEST).await;
    while house.ask(&ping(&id)).await.status == 200 {
        assert!(begun.elapsed() < DEADLINE, "it does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(2_900), "{:?}", begun.elapsed());
    assert_eq!(house.ask(&ping(&id)).await.status, 404);
    wait_for_delete(&house, "peer-0").await;
}

#[tokio::test]
async fn a_session_with_an_open_stream_is_not_idle() {
    let house = House::open_with(GATE, |c| c.section(BRIEF)).await;
    let id = house.session(LATEST).await;
    let stream = house.stream(&id).await;
    house.session(LATEST).await;
    wait_for_delete(&house, "peer-1").await;
    assert_eq!(house.ask(&ping(&id)).await.status, 200);
    drop(stream);
    wait_for_delete(&house, "peer-0").await;
}

#[tokio::test]
async fn a_session_with_a_call_in_progress_is_not_idle() {
    let (open, _kept) = watch::channel(false);
    let (opened, peer) = (open.clone(), Peer::default());
    let recorder =
        Recorder::scripted(move |request: &Recorded| match request.rpc_method().as_deref() {
            Some("tools/call") => peer.answer(request).after(&opened),
            _ => peer.answer(request),
        });
    let house = House::around(GATE, recorder.await, |c| c.section(BRIEF)).await;
    let id = house.session(LATEST).await;
    let params = json!({ "name": "echo", "arguments": { "text": "x" } });
    let mut client = house.connect().await;
    client.send(&legacy_post(&id, "tools/call", &params).bytes()).await;
    house.peer.wait_for_call("tools/call").await;
    house.session(LATEST).await;
    wait_for_delete(&house, "peer-1").await;
    assert_eq!(deleted(&house.peer), ["peer-1"], "ended in the middle of a call");
    open.send_replace(true);
    assert_eq!(client.response().await.expect("an answer").status, 200);
    assert_eq!(house.ask(&ping(&id)).await.status, 200);
}

#[tokio::test] // Whatever its upstream does with the stream.
async fn a_stream_ends_with_its_session() {
    let house = House::open_with(GATE, |c| c.section("sessions: { idle: 2s, absolute: 2s }")).await;
    let id = house.session(LATEST).await;
    let mut ended = house.stream(&id).await;
    let mut client = house.connect().await;
    client.send(&legacy_bodyless("DELETE", &id, &[])).await;
    assert_eq!(client.response().await.expect("an answer").status, 204);
    while ended.event().await.is_some() {}
    let mut aged = house.stream(&house.session(LATEST).await).await;
    while aged.event().await.is_some() {}
    house.gate.wait_for_status(|status| status["gate"]["streams"] == 0).await;
}

#[tokio::test] // Nobody holds the id of a session whose client left before it was answered.
async fn the_session_of_a_client_that_left_is_ended_upstream() {
    let (open, _kept) = watch::channel(false);
    let (opened, peer) = (open.clone(), Peer::default());
    let recorder =
        Recorder::scripted(move |request: &Recorded| peer.answer(request).after(&opened));
    let house = House::around(GATE, recorder.await, |c| c).await;
    let mut client = house.connect().await;
    client.send(&legacy_initialize(LATEST).bytes()).await;
    house.peer.wait_for_call("initialize").await;
    drop(client);
    house.gate.wait_for_status(|status| status["gate"]["connections"] == 0).await;
    open.send_replace(true);
    wait_for_delete(&house, "peer-0").await;
    assert_eq!(house.gate.status().await["gate"]["sessions"], 0);
}

#[tokio::test] // Row 114: however many ask at once.
async fn caps_hold_for_sessions_that_open_at_the_same_moment() {
    for (section, refused) in [
        ("sessions: { max: 5, max_per_caller: 5 }", 503),
        ("sessions: { max: 50, max_per_caller: 5 }", 429),
    ] {
        let (open, _kept) = watch::channel(false);
        let (opened, peer) = (open.clone(), Peer::default());
        let recorder =
            Recorder::scripted(move |request: &Recorded| match request.rpc_method().as_deref() {
                Some("initialize") => peer.answer(request).after(&opened),
                _ => peer.answer(request),
            });
        let house = House::around(GATE, recorder.await, |c| c.section(section)).await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let mut client = house.connect().await;
            client.send(&legacy_initialize(LATEST).bytes()).await;
            waiting.push(client);
        }
        house.peer.wait_for(5, DEADLINE).await;
        for _ in 0..5 {
            let answer = house.connect().await.ask(&legacy_initialize(LATEST)).await;
            assert_eq!(answer.status, refused, "{section}: {}", answer.text());
            assert!(answer.header("retry-after").is_some());
        }
        open.send_replace(true);
        for client in &mut waiting {
            assert_eq!(client.response().await.expect("an answer").status, 200);
        }
        assert_eq!(house.peer.calls_of("initialize").len(), 5, "{section}");
    }
}

#[tokio::test]
async fn an_initialize_that_fails_gives_its_place_back() {
    let peer = Peer::default();
    let recorder =
        Recorder::scripted(move |request: &Recorded| match request.text().contains("bad") {
            true => testkit::Reply::reset(),
            false => peer.answer(request),
        });
    let section = "sessions: { max: 1, max_per_caller: 1 }";
    let house = House::around(GATE, recorder.await, |c| c.section(section)).await;
    for _ in 0..3 {
        let bad = legacy_initialize(LATEST).replace("testkit", "bad");
        assert_eq!(house.ask(&bad).await.status, 502);
    }
    let id = house.session(LATEST).await;
    assert_eq!(house.ask(&legacy_initialize(LATEST)).await.status, 503);
    let mut client = house.connect().await;
    client.send(&legacy_bodyless("DELETE", &id, &[])).await;
    assert_eq!(client.response().await.expect("an answer").status, 204);
    house.session(LATEST).await;
}

#[tokio::test]
async fn health_checks_open_no_session() {
    for check in ["connect", "GET /healthz"] {
        let health = format!("health: {{ check: \"{check}\", every: 100ms, timeout: 100ms }}");
        let peer = Peer::default();
        let recorder = Recorder::scripted(move |request: &Recorded| match &*request.path {
            "/healthz" => testkit::Reply::status(200, &[], b"ok"),
            _ => peer.answer(request),
        });
        let house = House::around(GATE, recorder.await, |c| c.http_key(&health)).await;
        let checked = |recorder: &Recorder| recorder.connections() >= 5;
        house.peer.wait_until(DEADLINE, checked).await;
        let asked = house.peer.requests();
        let is_check = |request: &Recorded| request.method == "GET" && request.path == "/healthz";
        assert!(asked.iter().all(is_check), "{check}: {asked:?}");
        assert_eq!(asked.is_empty(), check == "connect");
        house.session(LATEST).await;
        assert_eq!(house.peer.calls_of("initialize").len(), 1);
    }
}

/// Opens sessions and never uses them, on some connections at once.
async fn abandon(house: &House, sessions: usize) {
    const CONNECTIONS: usize = 16;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client: RawClient = house.connect().await;
        opening.spawn(async move {
            for _ in 0..sessions / CONNECTIONS {
                assert_eq!(client.ask(&legacy_initialize(LATEST)).await.status, 200);
            }
        });
    }
    while let Some(opened) = opening.join_next().await {
        opened.expect("sessions");
    }
    house.gate.wait_for_status(|status| status["gate"]["sessions"] == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // A million would be no different.
async fn abandoned_sessions_leave_memory_flat() {
    // Remembers no sessions: what is measured is the gate.
    let recorder = Recorder::scripted(|request: &Recorded| match &*request.method {
        "DELETE" => testkit::Reply::status(204, &[], b""),
        _ => Peer::default().answer(request),
    });
    let change = |c: testkit::Configuration| c.section(BRIEF);
    let house = House::around(GATE, recorder.await, change).await;
    abandon(&house, 10_000).await;
    let first = house.gate.memory_kib();
    abandon(&house, 20_000).await;
    let second = house.gate.memory_kib();
    abandon(&house, 20_000).await;
    let third = house.gate.memory_kib();
    println!("KiB after 10,000, 30,000 and 50,000 abandoned sessions: {first}, {second}, {third}");
    assert!(third < first + 8 * 1024, "{first} KiB became {third} KiB");
}
