//! Faults F1 to F5 of the fault table: upstreams that break, and the end of the gate itself.
//!
//! Whatever happens behind the gate, the caller gets a JSON-RPC error with its own id, soon, and a
//! call that may have been processed is never sent twice.

use crate::GATE;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{Act, DEADLINE, House, Post, Recorded, Recorder, Reply, legacy_post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// An upstream that answers calls with `bad` in them by this reply.
async fn breaking(reply: Reply) -> Recorder {
    let peer = testkit::peer::Peer::default();
    Recorder::scripted(move |request: &Recorded| match request.text().contains("bad") {
        true => reply.clone(),
        false => peer.answer(request),
    })
    .await
}

fn bad_call() -> Post {
    good_call().replace("good", "bad")
}

fn is_error_for(answer: &Value, id: i64) -> bool {
    answer["id"] == id && answer["error"]["code"].is_i64() && answer["error"]["message"].is_string()
}

#[tokio::test] // F1.
async fn a_call_lost_before_its_answer_is_an_error_and_never_repeated() {
    let replies = [
        Reply::reset(),
        Reply { acts: vec![Act::Close] },
        Reply::raw(b"HTTP/1.1 200 x\r\ncontent-type: appl".as_slice()).then(Act::Reset),
        Reply::raw(
            b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
                .as_slice(),
        )
        .then(Act::Reset),
    ];
    for reply in replies {
        let house = House::around(GATE, breaking(reply.clone()).await, |c| c).await;
        let answer = house.ask(&bad_call()).await;
        assert!(is_error_for(&answer.json(), 7), "{reply:?}: {} {}", answer.status, answer.text());
        assert!([200, 502].contains(&answer.status), "{reply:?}: {}", answer.status);
        assert_eq!(house.peer.calls_of("tools/call").len(), 1, "{reply:?}");
        house.still_serves().await;
    }
}

#[tokio::test] // F2.
async fn a_stream_that_breaks_ends_in_an_error_event() {
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    for end in [Act::Reset, Act::Close, Act::Send(b"0\r\n\r\n".to_vec())] {
        let reply = Reply::stream().event(progress).then(end.clone());
        let house = House::around(GATE, breaking(reply).await, |c| c).await;
        let post = bad_call().replace("\"_meta\":{", "\"_meta\":{\"progressToken\":1,");
        let mut client = house.connect().await;
        client.send(&post.bytes()).await;
        assert_eq!(client.head().await.expect("a stream").status, 200, "{end:?}");
        let mut events = Vec::new();
        while let Some(event) = client.event().await {
            events.push(event.json());
        }
        assert!(events.last().is_some_and(|last| is_error_for(last, 7)), "{end:?}: {events:?}");
    }
}

#[tokio::test] // F3.
async fn an_upstream_that_hangs_is_given_up() {
    let change = |c: testkit::Configuration| c.http_key("timeouts: { first_byte: 1s, total: 2s }");
    let house = House::around(GATE, breaking(Reply::hang()).await, change).await;
    let answer = house.ask(&bad_call()).await;
    assert!(is_error_for(&answer.json(), 7), "{}", answer.text());
    assert!([200, 504].contains(&answer.status), "{}", answer.status);
    house.peer.wait_for_hangup("tools/call", DEADLINE).await;
    house.still_serves().await;
}

#[tokio::test] // The upstream is not to be trusted with the shape of an answer.
async fn answers_that_are_not_mcp_are_errors() {
    let replies = [
        Reply::raw(b"SSH-2.0-x\r\n".as_slice()).then(Act::Close),
        Reply::status(200, &[("content-type", "text/html")], b"<html>"),
        Reply::status(200, &[("content-type", "application/json")], b"{\"jsonrpc\":"),
        Reply::status(200, &[("content-type", "application/json")], b"[]"),
        Reply::status(200, &[], b""),
        Reply::status(202, &[], b""),
        Reply::status(500, &[("content-type", "text/plain")], b"stack trace"),
        Reply::status(302, &[("location", "http://169.254.169.254/")], b""),
        Reply::status(
            401,
            &[("www-authenticate", "Bearer resource_metadata=\"http://evil\"")],
            b"",
        ),
        Reply::status(101, &[("upgrade", "websocket"), ("connection", "upgrade")], b""),
    ];
    for reply in replies {
        let house = House::around(GATE, breaking(reply.clone()).await, |c| c).await;
        let answer = house.ask(&bad_call()).await;
        let shown = format!("{reply:?}: {} {}", answer.status, answer.text());
        assert!(is_error_for(&answer.json(), 7), "{shown}");
        // Neither the downgrade signals of the modern era nor a challenge that is not ours.
        assert!([200, 502].contains(&answer.status), "{shown}");
        assert_eq!(answer.header("www-authenticate"), None, "{shown}");
        house.still_serves().await;
    }
}

#[tokio::test] // N12: closing the connection is the cancellation of the modern era.
async fn a_modern_caller_that_leaves_cancels_its_call() {
    let house = House::around(GATE, breaking(Reply::hang()).await, |c| c).await;
    let mut client = house.connect().await;
    client.send(&bad_call().bytes()).await;
    house.peer.wait_for_call("tools/call").await;
    drop(client);
    house.peer.wait_for_hangup("tools/call", DEADLINE).await;
}

#[tokio::test] // L15: in a session it is not.
async fn a_legacy_caller_that_leaves_cancels_nothing() {
    let (open, kept) = watch::channel(false);
    let reply = Reply::json(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} })).after(&open);
    drop(kept);
    let house = House::around(GATE, breaking(reply).await, |c| c).await;
    let session = house.session("2025-11-25").await;
    let params = json!({ "name": "echo", "arguments": { "text": "bad" } });
    let mut client = house.connect().await;
    client.send(&legacy_post(&session, "tools/call", &params).bytes()).await;
    house.peer.wait_for_call("tools/call").await;
    drop(client);
    house.still_serves().await;
    let hung_up = tokio::time::timeout(
        Duration::from_secs(1),
        house.peer.wait_for_hangup("tools/call", DEADLINE),
    );
    assert!(hung_up.await.is_err(), "the call was given up");
    open.send_replace(true);
}

/// Waits until the gate takes no new work: no connection, or 503 on it.
async fn takes_no_more(house: &House) {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        let Ok(mut socket) = TcpStream::connect(house.gate.address).await else {
            return;
        };
        let mut answer = Vec::new();
        // Either fails where the gate closed the connection, and the next round looks again.
        let _closed = socket.write_all(&good_call().with("connection", "close").bytes()).await;
        let _closed = socket.read_to_end(&mut answer).await;
        if answer.starts_with(b"HTTP/1.1 503") {
            return;
        }
    }
    panic!("still takes new work");
}

#[tokio::test] // Drain: not ready at once, calls finish, exit 0.
async fn calls_in_flight_finish_after_sigterm() {
    let (open, _kept) = watch::channel(false);
    let result = json!({ "jsonrpc": "2.0", "id": 7, "result": { "resultType": "complete" } });
    let reply = Reply::json(&result).after(&open);
    let mut house = House::around(GATE, breaking(reply).await, |c| c).await;
    let mut client = house.connect().await;
    client.send(&bad_call().bytes()).await;
    house.peer.wait_for_call("tools/call").await;
    house.gate.signal("TERM");
    takes_no_more(&house).await;
    open.send_replace(true);
    assert_eq!(client.response().await.expect("an answer").json()["id"], 7);
    assert!(house.gate.ended(DEADLINE).await.success());
}

#[tokio::test] // Drain: a stream ends properly, not by a broken connection.
async fn open_streams_end_in_good_order_after_sigterm() {
    let mut house = House::open(GATE).await;
    let listen = testkit::modern_call("subscriptions/listen", &json!({ "notifications": {} }));
    let mut client = house.connect().await;
    client.send(&listen.bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let first = client.event().await.expect("an acknowledgement").json();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    house.gate.signal("TERM");
    let mut last = Value::Null;
    while let Some(event) = client.event().await {
        last = event.json();
    }
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7, "{last}");
    assert!(house.gate.ended(4 * DEADLINE).await.success());
}
