//! Instances that fail: which calls are tried elsewhere, how soon the rest is refused, and how an
//! instance leaves and returns.

use crate::GATE;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::peer::Peer;
use testkit::post::good_call;
use testkit::{
    Act, Configuration, DEADLINE, GateProcess, House, RawClient, Recorded, Recorder, Reply,
    legacy_initialize,
};

/// An address where nothing listens.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// A gate in front of these endpoints.
async fn gate(endpoints: &[SocketAddr], http_key: &str) -> GateProcess {
    let file = Configuration::of(endpoints).http_key(http_key);
    GateProcess::start(GATE, &file.text()).await
}

fn endpoint(status: &Value, address: SocketAddr) -> Value {
    let endpoints = status["upstreams"][0]["endpoints"].as_array().expect("endpoints");
    let is_it = |one: &&Value| one["address"] == address.to_string();
    endpoints.iter().find(is_it).cloned().unwrap_or_default()
}

#[tokio::test]
async fn calls_that_reached_nobody_are_made_elsewhere() {
    let (peer, dead) = (Recorder::start().await, [nobody(), nobody()]);
    let house = House { gate: gate(&[dead[0], peer.address, dead[1]], "health: off").await, peer };
    for _ in 0..30 {
        house.still_serves().await;
        assert_eq!(house.ask(&legacy_initialize("2025-11-25")).await.status, 200);
    }
    assert_eq!(house.peer.calls_of("tools/call").len(), 30);
}

#[tokio::test] // Node.js and uvicorn close idle connections when they like.
async fn connections_that_the_upstream_closed_meanwhile_cost_no_call() {
    let peer = Peer::default();
    let closing = move |request: &Recorded| peer.answer(request).then(Act::Close);
    let house = House::around(GATE, Recorder::scripted(closing).await, |c| c).await;
    for _ in 0..50 {
        house.still_serves().await;
    }
    assert_eq!(house.peer.calls_of("tools/call").len(), 50);
}

#[tokio::test] // F7.
async fn calls_are_refused_at_once_while_all_endpoints_are_down() {
    let peer = Recorder::start().await;
    let address = peer.address;
    let gate = gate(&[address, nobody()], "health: { every: 200ms, timeout: 200ms }").await;
    let house = House { gate, peer };
    house.still_serves().await;
    let House { gate, peer } = house;
    drop(peer);
    let is_down = |status: &Value| endpoint(status, address)["state"] == "unhealthy";
    let mut client = RawClient::connect(gate.address).await;
    assert_eq!(client.ask(&good_call()).await.status, 503);
    gate.wait_for_status(is_down).await;
    for post in [good_call(), legacy_initialize("2025-11-25")] {
        let begun = Instant::now();
        let answer = client.ask(&post).await;
        let took = begun.elapsed();
        assert_eq!((answer.status, answer.json()["id"].clone()), (503, post.id().expect("an id")));
        assert!(answer.header("retry-after").is_some_and(|secs| secs.parse::<u32>().is_ok()));
        assert!(took < Duration::from_millis(50), "{took:?}");
    }
    let listener = loop {
        // The old listener closes a moment after it was dropped.
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let back = Peer::default();
    let _peer = Recorder::on(listener, move |request| back.answer(request));
    gate.wait_for_status(|status| endpoint(status, address)["state"] == "healthy").await;
    assert_eq!(client.ask(&good_call()).await.status, 200);
}

#[tokio::test]
async fn an_endpoint_that_fails_calls_is_left_out_and_returns() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let (ill, peer) = (is_ill.clone(), Peer::default());
    let failing = move |request: &Recorded| match ill.load(Ordering::Relaxed) {
        true => Reply::reset(),
        false => peer.answer(request),
    };
    let (bad, good) = (Recorder::scripted(failing).await, Recorder::start().await);
    let keys = "health: off, ejection: { failures: 3, for: 1s }";
    let house = House { gate: gate(&[bad.address, good.address], keys).await, peer: good };
    let mut failures = 0;
    for _ in 0..60 {
        let status = house.ask(&good_call()).await.status;
        assert!([200, 502].contains(&status), "{status}");
        failures += usize::from(status == 502);
    }
    // Three until it is out; then at most the trial of each second.
    assert!((3..=6).contains(&failures), "{failures} calls failed");
    assert_eq!(failures, bad.calls_of("tools/call").len(), "a lost call was repeated");
    let out = house.gate.wait_for_status(|s| endpoint(s, bad.address)["state"] == "ejected").await;
    let why = endpoint(&out, bad.address)["why"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("in a row")), "{why}");
    is_ill.store(false, Ordering::Relaxed);
    let begun = Instant::now();
    while endpoint(&house.gate.status().await, bad.address)["state"] != "healthy" {
        house.still_serves().await;
        assert!(begun.elapsed() < DEADLINE, "it does not return");
    }
}

#[tokio::test] // F28.
async fn host_names_are_resolved() {
    let peer = Recorder::start().await;
    let text = Configuration::of(&[peer.address]).text();
    let text = text.replace("http://127.0.0.1:", "http://localhost:");
    let house = House { gate: GateProcess::start(GATE, &text).await, peer };
    let port = house.peer.address.port();
    let found = |status: &Value| endpoint(status, house.peer.address)["state"] == "healthy";
    house.gate.wait_for_status(found).await;
    // `localhost` may stand for two addresses, of which one has no listener.
    for _ in 0..10 {
        house.still_serves().await;
    }
    let call = house.peer.wait_for_call("tools/call").await;
    assert_eq!(call.header("host"), Some(&*format!("localhost:{port}")));
}

#[tokio::test] // F29.
async fn a_full_descriptor_table_is_survived_without_spinning() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("gate");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -n 64\nexec '{GATE}' \"$@\"\n"))
        .expect("a file");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a script");
    let peer = Recorder::start().await;
    let text = Configuration::of(&[peer.address]).http_key("health: off").text();
    let gate = GateProcess::start(script.to_str().expect("a name"), &text).await;
    let house = House { gate, peer };
    house.still_serves().await;
    house.gate.wait_for_status(|status| status["gate"]["connections"] == 0).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(house.connect().await);
    }
    house.gate.wait_for_status(|status| status["gate"]["connections_refused"] != 0).await;
    // Those beyond what the table holds are closed, and the operator still gets in.
    let mut late = house.connect().await;
    assert!(late.until_closed(DEADLINE).await.is_empty());
    assert_eq!(testkit::client::get(house.gate.admin, "/healthz").await.status, 200);
    // Those that hold a place have room for their calls.
    assert_eq!(held[0].ask(&good_call()).await.status, 200);
    let (used, since) = (house.gate.cpu_time(), Instant::now());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = house.gate.cpu_time().saturating_sub(used);
    assert!(used < since.elapsed() / 3, "{used:?} of a second spent on nothing");
    held.clear();
    house.gate.wait_for_status(|status| status["gate"]["connections"] == 0).await;
    house.still_serves().await;
    let lines = house.gate.stderr().lines().count();
    assert!(lines < 200, "{lines} lines of log");
    let status = house.gate.status().await;
    assert_eq!(status["gate"]["panics"], json!(0));
}
