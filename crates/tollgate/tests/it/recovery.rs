//! Sessions whose home is lost: `recoverable` ones go on elsewhere under the id the client holds,
//! `strict` ones end with 404 and never continue with silently lost state.
//!
//! What the new home was told, and in which order, is read from the recording upstreams.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::peer::Peer;
use testkit::{
    Act, Configuration, DEADLINE, GateProcess, House, Post, RawClient, Recorded, Recorder, Reply,
    legacy_bodyless, legacy_initialize, legacy_post,
};
use tokio::sync::watch;

const LATEST: &str = "2025-11-25";

/// `initialize` of a client with capabilities, and with members nobody knows.
fn capable() -> Post {
    legacy_initialize(LATEST).replace(
        "\"capabilities\":{}",
        r#""capabilities":{"sampling":{},"elicitation":{"url":{}},"x-odd":{"b":1,"a":2.50}}"#,
    )
}

fn recoverable(configuration: Configuration) -> Configuration {
    configuration
        .upstream_key("sessions: recoverable")
        .http_key("health: { every: 200ms, timeout: 200ms }")
}

/// A house around one upstream that can be told to forget.
async fn forgetful(change: fn(Configuration) -> Configuration) -> (House, Arc<Peer>) {
    let peer = Arc::new(Peer::default());
    (House::around(GATE, Recorder::of(peer.clone()).await, change).await, peer)
}

/// A gate in front of two upstreams; the session lives on the first of those returned.
async fn pair(
    change: fn(Configuration) -> Configuration,
) -> (GateProcess, String, Recorder, Recorder) {
    let (one, two) = (Recorder::start().await, Recorder::start().await);
    let file = change(Configuration::of(&[one.address, two.address]));
    let house = House { gate: GateProcess::start(GATE, &file.text()).await, peer: one };
    let id = house.session_by(capable(), LATEST).await;
    let House { gate, peer: one } = house;
    let is_home = |recorder: &Recorder| !recorder.calls_of("initialize").is_empty();
    assert_ne!(is_home(&one), is_home(&two));
    if is_home(&one) { (gate, id, one, two) } else { (gate, id, two, one) }
}

fn echo(session: &str, text: &str) -> Post {
    let params = json!({ "name": "echo", "arguments": { "text": text } });
    legacy_post(session, "tools/call", &params)
}

/// What the recorder saw: the JSON-RPC method, or the HTTP method, and the upstream session.
fn story(requests: &[Recorded]) -> Vec<(String, String)> {
    let line = |request: &Recorded| {
        let session = request.header("mcp-session-id").unwrap_or("-").to_owned();
        (request.rpc_method().unwrap_or_else(|| request.method.clone()), session)
    };
    requests.iter().map(line).collect()
}

#[tokio::test]
async fn a_forgotten_session_is_told_everything_again_and_goes_on() {
    let (house, peer) = forgetful(recoverable).await;
    let id = house.session_by(capable(), LATEST).await;
    for (method, params) in [
        ("logging/setLevel", json!({ "level": "info" })),
        ("logging/setLevel", json!({ "level": "debug" })),
        ("resources/subscribe", json!({ "uri": "x://gone" })),
        ("resources/subscribe", json!({ "uri": "x://\u{fc}/\"quoted\"" })),
        ("resources/unsubscribe", json!({ "uri": "x://gone" })),
    ] {
        assert_eq!(house.ask(&legacy_post(&id, method, &params)).await.status, 200);
    }
    let before = house.peer.requests().len();
    peer.forget();
    let answer = house.ask(&echo(&id, "on")).await;
    assert_eq!(answer.json()["result"]["content"][0]["text"], r#"{"text":"on"}"#);
    let seen = house.peer.requests().split_off(before);
    let expected = [
        ("tools/call", "peer-0"),
        ("initialize", "-"),
        ("notifications/initialized", "peer-1"),
        ("logging/setLevel", "peer-1"),
        ("resources/subscribe", "peer-1"),
        ("tools/call", "peer-1"),
    ];
    assert_eq!(story(&seen), expected.map(|(method, id)| (method.to_owned(), id.to_owned())));
    assert_eq!(seen[1].body, capable().body, "the client's own `initialize`, byte for byte");
    assert_eq!(seen[3].json()["params"]["level"], "debug");
    assert_eq!(seen[4].json()["params"]["uri"], "x://\u{fc}/\"quoted\"");
    assert_eq!(seen[0].body, seen[5].body);
    assert_eq!(house.ask(&echo(&id, "and on")).await.status, 200);
}

#[tokio::test]
async fn a_session_moves_to_a_live_endpoint_when_its_own_dies() {
    let (gate, id, home, other) = pair(recoverable).await;
    drop(home);
    for text in ["one", "two"] {
        let answer = testkit::client::ask(gate.address, &echo(&id, text)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let methods: Vec<String> = story(&other.requests()).into_iter().map(|(m, _)| m).collect();
    let expected = ["initialize", "notifications/initialized", "tools/call", "tools/call"];
    assert_eq!(methods, expected);
    assert_eq!(other.calls_of("initialize")[0].body, capable().body);
}

#[tokio::test]
async fn a_strict_session_ends_with_its_endpoint_and_never_moves() {
    let (gate, id, home, other) = pair(|configuration| configuration).await;
    drop(home);
    for _ in 0..3 {
        let answer = testkit::client::ask(gate.address, &echo(&id, "x")).await;
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
    assert_eq!(other.bytes_seen(), 0);
}

#[tokio::test]
async fn a_strict_session_that_was_forgotten_is_unknown() {
    let (house, peer) = forgetful(|configuration| configuration).await;
    let id = house.session(LATEST).await;
    peer.forget();
    assert_eq!(house.ask(&echo(&id, "x")).await.status, 404);
    let asked = house.peer.requests().len();
    assert_eq!(house.ask(&echo(&id, "x")).await.status, 404);
    assert_eq!(house.peer.requests().len(), asked, "the gate knows by now");
    assert_eq!(house.peer.calls_of("initialize").len(), 1);
}

#[tokio::test]
async fn a_call_that_may_have_been_processed_is_not_sent_again() {
    let (gate, id, home, other) = pair(recoverable).await;
    home.follow(|_| Reply::reset());
    let answer = testkit::client::ask(gate.address, &echo(&id, "once")).await;
    assert_eq!((answer.status, answer.json()["id"].as_i64()), (502, Some(1)), "{}", answer.text());
    assert_eq!(home.calls_of("tools/call").len(), 1);
    assert_eq!(other.bytes_seen(), 0);
    drop(home);
    assert_eq!(testkit::client::ask(gate.address, &echo(&id, "twice")).await.status, 200);
    let calls = other.calls_of("tools/call");
    assert!(calls.len() == 1 && calls[0].text().contains("twice"));
}

#[tokio::test]
async fn a_new_home_that_speaks_another_version_is_not_taken() {
    let (house, peer) = forgetful(recoverable).await;
    let id = house.session(LATEST).await;
    peer.forget();
    house.peer.follow(move |request| {
        let older = request.text().replace(LATEST, "2025-06-18").into_bytes();
        peer.answer(&Recorded { body: older, ..request.clone() })
    });
    assert_eq!(house.ask(&echo(&id, "x")).await.status, 404);
    let is_deleted = |recorder: &Recorder| !recorder.with_http_method("DELETE").is_empty();
    house.peer.wait_until(DEADLINE, is_deleted).await;
    let deleted = house.peer.with_http_method("DELETE");
    assert_eq!(deleted[0].header("mcp-session-id"), Some("peer-1"));
    assert_eq!(house.peer.calls_of("tools/call").len(), 1);
}

#[tokio::test] // Not with the modern version its client had asked for.
async fn a_new_home_is_asked_for_what_the_first_one_was_asked_for() {
    let (house, peer) = forgetful(recoverable).await;
    let modern = capable().replace(LATEST, "2026-07-28");
    let id = house.session_by(modern, LATEST).await;
    peer.forget();
    assert_eq!(house.ask(&echo(&id, "x")).await.status, 200);
    let asked = house.peer.calls_of("initialize");
    assert_eq!((asked[0].text(), asked.len()), (asked[1].text(), 2));
}

#[tokio::test]
async fn a_new_home_that_cannot_be_told_everything_is_ended_again() {
    let (house, peer) = forgetful(recoverable).await;
    let id = house.session(LATEST).await;
    let level = legacy_post(&id, "logging/setLevel", &json!({ "level": "info" }));
    assert_eq!(house.ask(&level).await.status, 200);
    peer.forget();
    house.peer.follow(move |request| match request.rpc_method().as_deref() {
        Some("logging/setLevel") => Reply::status(500, &[], b"not now"),
        _ => peer.answer(request),
    });
    assert_eq!(house.ask(&echo(&id, "x")).await.status, 404);
    let is_deleted = |recorder: &Recorder| !recorder.with_http_method("DELETE").is_empty();
    house.peer.wait_until(DEADLINE, is_deleted).await;
    let deleted = house.peer.with_http_method("DELETE");
    assert_eq!(deleted[0].header("mcp-session-id"), Some("peer-1"));
    assert_eq!(house.peer.calls_of("tools/call").len(), 1);
}

#[tokio::test]
async fn two_calls_on_a_lost_session_end_in_one_new_session() {
    let (house, peer) = forgetful(recoverable).await;
    let id = house.session(LATEST).await;
    peer.forget();
    let (open, _kept) = watch::channel(false);
    let opened = open.clone();
    house.peer.follow(move |request| match request.rpc_method().as_deref() {
        Some("initialize") => peer.answer(request).after(&opened),
        _ => peer.answer(request),
    });
    let (mut one, mut two) = (house.connect().await, house.connect().await);
    one.send(&echo(&id, "one").bytes()).await;
    two.send(&echo(&id, "two").bytes()).await;
    let both_reopen = |recorder: &Recorder| recorder.calls_of("initialize").len() == 3;
    house.peer.wait_until(DEADLINE, both_reopen).await;
    open.send_replace(true);
    for client in [&mut one, &mut two] {
        assert_eq!(client.response().await.expect("an answer").status, 200);
    }
    let is_deleted = |recorder: &Recorder| !recorder.with_http_method("DELETE").is_empty();
    house.peer.wait_until(DEADLINE, is_deleted).await;
    assert_eq!(house.ask(&echo(&id, "three")).await.status, 200);
    let calls = story(&house.peer.calls_of("tools/call"));
    let kept = &calls.last().expect("calls").1;
    assert_eq!(calls.iter().filter(|(_, session)| session == kept).count(), 3, "{calls:?}");
    let deleted = story(&house.peer.with_http_method("DELETE"));
    assert!(deleted.len() == 1 && deleted[0].1 != *kept, "{deleted:?} but {kept} lives");
    assert_eq!(house.gate.status().await["gate"]["sessions"], 1);
}

#[tokio::test]
async fn everything_said_at_the_same_moment_is_said_again() {
    let (house, peer) = forgetful(recoverable).await;
    let id = house.session(LATEST).await;
    let (open, _kept) = watch::channel(false);
    let (opened, answering) = (open.clone(), peer.clone());
    house.peer.follow(move |request| match request.rpc_method().as_deref() {
        Some("resources/subscribe") => answering.answer(request).after(&opened),
        _ => answering.answer(request),
    });
    let mut clients = Vec::new();
    for number in 0..8 {
        let mut client = house.connect().await;
        let params = json!({ "uri": format!("x://{number}") });
        client.send(&legacy_post(&id, "resources/subscribe", &params).bytes()).await;
        clients.push(client);
    }
    let all_in_flight = |recorder: &Recorder| recorder.calls_of("resources/subscribe").len() == 8;
    house.peer.wait_until(DEADLINE, all_in_flight).await;
    open.send_replace(true);
    for client in &mut clients {
        assert_eq!(client.response().await.expect("an answer").status, 200);
    }
    peer.forget();
    assert_eq!(house.ask(&echo(&id, "x")).await.status, 200);
    let told = house.peer.calls_of("resources/subscribe").split_off(8);
    let mut uris: Vec<Value> =
        told.iter().map(|call| call.json()["params"]["uri"].clone()).collect();
    uris.sort_by_key(ToString::to_string);
    assert_eq!(uris, (0..8).map(|number| json!(format!("x://{number}"))).collect::<Vec<_>>());
}

/// Opens the GET stream of a session after an event; returns it, and the event id that went upstream.
async fn resume(house: &House, id: &str, last: &str) -> (RawClient, Option<String>) {
    let before = house.peer.with_http_method("GET").len();
    let mut client = house.connect().await;
    client.send(&legacy_bodyless("GET", id, &[("last-event-id", last)])).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let gets = house.peer.with_http_method("GET");
    assert!(gets.len() > before);
    let sent = gets.last().and_then(|get| get.header("last-event-id")).map(str::to_owned);
    (client, sent)
}

#[tokio::test]
async fn event_ids_of_an_earlier_home_are_not_sent_to_the_new_one() {
    let (house, peer) = forgetful(recoverable).await;
    let answering = peer.clone();
    house.peer.follow(move |request| {
        let reply = answering.answer(request);
        let is_stream = matches!(reply.acts.last(), Some(Act::Hang)) && request.method == "GET";
        match is_stream {
            true => Reply::stream()
                .chunk(b"id: 5\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n")
                .then(Act::Hang),
            false => reply,
        }
    });
    let id = house.session(LATEST).await;
    let (mut client, sent) = resume(&house, &id, "4").await;
    assert_eq!(sent.as_deref(), Some("4"), "ids pass while the session lives where it began");
    assert_eq!(client.event().await.expect("an event").id.as_deref(), Some("5"));
    peer.forget();
    let (mut client, sent) = resume(&house, &id, "5").await;
    assert_eq!(sent, None, "the new home never gave this id");
    let marked = client.event().await.expect("an event").id.expect("an id");
    assert_ne!(marked, "5");
    let (_client, sent) = resume(&house, &id, &marked).await;
    assert_eq!(sent.as_deref(), Some("5"), "its own ids come back to it");
}

#[tokio::test]
async fn a_recoverable_session_outlives_a_time_without_any_endpoint() {
    let (house, _) = forgetful(recoverable).await;
    let id = house.session(LATEST).await;
    let House { gate, peer } = house;
    let address = peer.address;
    drop(peer);
    assert_eq!(testkit::client::ask(gate.address, &echo(&id, "x")).await.status, 503);
    let listener = loop {
        // The old listener closes a moment after it was dropped.
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let back = Peer::default();
    let _peer = Recorder::on(listener, move |request| back.answer(request));
    gate.wait_for_status(|s| s["upstreams"][0]["endpoints"][0]["state"] == "healthy").await;
    assert_eq!(testkit::client::ask(gate.address, &echo(&id, "x")).await.status, 200);
}
