//! Rows 111 to 115: slow, large and many.
//!
//! Deadlines and caps are configured small, so that a test crosses them in seconds. (Row 116, the
//! floods of HTTP/2, is in `http2.rs`.)

use crate::GATE;
use serde_json::json;
use std::time::Duration;
use testkit::post::good_call;
use testkit::{
    Act, DEADLINE, House, RawClient, Recorded, Recorder, Reply, legacy_initialize, legacy_post,
    modern_call,
};

const LATEST: &str = "2025-11-25";
const IMPATIENT: &str = "timeouts: { head: 1s, body: 3s, body_pause: 1s, write_stall: 1s }";

/// The bytes the gate sends before it closes the connection, which must be soon.
async fn verdict(client: &mut RawClient) -> String {
    String::from_utf8_lossy(&client.until_closed(DEADLINE).await).into_owned()
}

fn is_timeout(verdict: &str) -> bool {
    verdict.is_empty() || verdict.starts_with("HTTP/1.1 408")
}

#[tokio::test] // Row 111.
async fn slow_heads_are_cut_off_and_others_served_meanwhile() {
    let house = House::open_with(GATE, |c| c.gate(IMPATIENT)).await;
    let head = good_call().head();
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = house.connect().await;
        client.send(&head[..20]).await;
        slow.push(client);
    }
    house.still_serves().await;
    // A byte now and then must not extend the deadline of the whole head.
    for at in 20..26 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for client in &mut slow {
            // It may have been cut off already, which is the point.
            let _closed = client.try_send(&head[at..=at]).await;
        }
    }
    for client in &mut slow {
        let verdict = verdict(client).await;
        assert!(is_timeout(&verdict), "{verdict}");
    }
    assert_eq!(house.peer.calls_of("tools/call").len(), 1);
}

#[tokio::test] // Row 111.
async fn slow_bodies_are_cut_off() {
    let house = House::open_with(GATE, |c| c.gate(IMPATIENT)).await;
    let post = good_call();
    let mut paused = house.connect().await;
    paused.send(&post.head()).await;
    paused.send(&post.body[..10]).await;
    let mut dripping = house.connect().await;
    dripping.send(&post.head()).await;
    for byte in post.body[..20].chunks(1) {
        // It is cut off somewhere on the way.
        let _closed = dripping.try_send(byte).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for mut client in [paused, dripping] {
        let verdict = verdict(&mut client).await;
        assert!(is_timeout(&verdict), "{verdict}");
    }
    assert_eq!(house.peer.calls_of("tools/call").len(), 0);
    house.still_serves().await;
}

#[tokio::test] // F34: the same results byte for byte, however the bytes are cut.
async fn single_byte_segments_are_put_together() {
    let house = House::open(GATE).await;
    let bytes = good_call().bytes();
    let segments: Vec<&[u8]> = bytes.chunks(1).collect();
    let mut client = house.connect().await;
    client.send_in_segments(&segments, Duration::from_micros(100)).await;
    assert_eq!(client.response().await.expect("an answer").status, 200);
    assert_eq!(house.peer.wait_for_call("tools/call").await.body, good_call().body);
}

#[tokio::test] // Row 112.
async fn bodies_beyond_the_cap_are_refused_by_count() {
    let house = House::open_with(GATE, |c| c.gate("limits: { request_bytes: 64KiB }")).await;
    let announced = good_call().with("content-length", "10737418240").head();
    house.refuses_bytes(&announced, &[413]).await;
    let mut counted = good_call().with("transfer-encoding", "chunked").head();
    let chunk = [b"1000\r\n".as_slice(), &[b' '; 4096], b"\r\n"].concat();
    counted.extend(chunk.repeat(64));
    let before = house.peer.bytes_seen();
    let mut client = house.connect().await;
    client.send(&counted).await;
    assert_eq!(client.response().await.map(|answer| answer.status), Some(413));
    assert_eq!(house.peer.bytes_seen(), before);
    house.still_serves().await;
}

#[tokio::test] // Row 112.
async fn heads_beyond_the_cap_are_refused() {
    let house = House::open(GATE).await;
    let long = good_call().with("x-long", &"x".repeat(64 * 1024));
    house.refuses_bytes(&long.head(), &[431]).await;
    let many = (0..200).fold(good_call(), |post, n| post.with(&format!("x-{n}"), "x"));
    house.refuses_bytes(&many.head(), &[431]).await;
    let target = good_call().to(&format!("/mcp?{}", "x".repeat(64 * 1024)));
    house.refuses_bytes(&target.head(), &[414, 431]).await;
}

#[tokio::test] // Row 113.
async fn compressed_requests_are_refused() {
    let house = House::open(GATE).await;
    for coding in ["gzip", "zstd", "br", "deflate", "identity, gzip"] {
        house.refuses(&good_call().with("content-encoding", coding), &[415], &[]).await;
    }
}

#[tokio::test] // Row 113.
async fn upstreams_are_not_asked_to_compress() {
    let house = House::open(GATE).await;
    let post = good_call().with("accept-encoding", "gzip, zstd, br");
    assert_eq!(house.ask(&post).await.status, 200);
    let seen = house.peer.wait_for_call("tools/call").await;
    assert!(seen.header("accept-encoding").is_none_or(|coding| coding == "identity"));
}

#[tokio::test] // Row 113.
async fn compressed_answers_are_not_taken() {
    let peer = Recorder::scripted(|request: &Recorded| match request.text().contains("good") {
        true => testkit::peer::Peer::default().answer(request),
        false => Reply::status(
            200,
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        ),
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let answer = house.ask(&good_call().replace("good", "bad")).await.json();
    assert_eq!(answer["id"], 7);
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    house.still_serves().await;
}

#[tokio::test] // Row 114.
async fn sessions_are_capped_for_each_caller_and_in_total() {
    for (section, statuses) in [
        ("sessions: { max: 20, max_per_caller: 5 }", [429, 503]),
        ("sessions: { max: 5, max_per_caller: 5 }", [429, 503]),
    ] {
        let house = House::open_with(GATE, |c| c.section(section)).await;
        let mut sessions = Vec::new();
        for _ in 0..5 {
            sessions.push(house.session(LATEST).await);
        }
        let before = house.peer.calls_of("initialize").len();
        let answer = house.ask(&legacy_initialize(LATEST)).await;
        assert!(statuses.contains(&answer.status), "{section}: {}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{section}");
        assert_eq!(house.peer.calls_of("initialize").len(), before, "{section}");
        let mut client = house.connect().await;
        let id = &sessions[0];
        let delete =
            format!("DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: {id}\r\n\r\n");
        client.send(delete.as_bytes()).await;
        client.response().await.expect("an answer");
        house.session(LATEST).await;
    }
}

#[tokio::test] // Row 114: abandoned sessions leave nothing behind.
async fn abandoned_sessions_make_room_when_they_expire() {
    let section = "sessions: { max: 50, max_per_caller: 50, idle: 1s }";
    let house = House::open_with(GATE, |c| c.section(section)).await;
    for _ in 0..50 {
        assert_eq!(house.ask(&legacy_initialize(LATEST)).await.status, 200);
    }
    let all_deleted = |peer: &Recorder| peer.with_http_method("DELETE").len() == 50;
    house.peer.wait_until(3 * DEADLINE, all_deleted).await;
    house.session(LATEST).await;
}

#[tokio::test] // Row 115.
async fn streams_are_capped_for_each_caller() {
    let house = House::open_with(GATE, |c| c.gate("limits: { streams_per_caller: 3 }")).await;
    let listen = modern_call("subscriptions/listen", &json!({ "notifications": {} }));
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = house.connect().await;
        client.send(&listen.bytes()).await;
        assert_eq!(client.head().await.expect("a stream").status, 200);
        open.push(client);
    }
    let session = house.session(LATEST).await;
    let get = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
         Mcp-Session-Id: {session}\r\n\r\n"
    );
    let mut client = house.connect().await;
    client.send(get.as_bytes()).await;
    assert_eq!(client.response().await.expect("an answer").status, 429);
    assert_eq!(house.ask(&listen).await.status, 429);
    drop(open.pop());
    house.peer.wait_for_hangup("subscriptions/listen", DEADLINE).await;
    // The stream's place is free a moment after its upstream leg is gone.
    let mut status = 0;
    for _ in 0..100 {
        let mut client = house.connect().await;
        client.send(&listen.bytes()).await;
        status = client.head().await.expect("an answer").status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200);
}

#[tokio::test] // Row 115, F4.
async fn a_reader_that_stops_is_cut_off_and_costs_little() {
    let event = format!(
        "data: {{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{{\"t\":\"{}\"}}}}\n\n",
        "x".repeat(64 * 1024)
    );
    let peer =
        Recorder::scripted(move |request: &Recorded| match request.rpc_method().as_deref() {
            Some("tools/call") if !request.text().contains("good") => {
                (0..1_000).fold(Reply::stream(), |reply, _| reply.chunk(event.as_bytes()))
            }
            _ => testkit::peer::Peer::default().answer(request),
        });
    let house = House::around(GATE, peer.await, |c| c.gate(IMPATIENT)).await;
    house.still_serves().await;
    let memory = house.gate.memory_kib();
    let mut client = house.connect().await;
    client.send(&good_call().replace("good", "bad").bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    house.peer.wait_for_hangup("tools/call", 2 * DEADLINE).await;
    assert!(house.gate.memory_kib() < memory + 16 * 1024);
    house.still_serves().await;
}

#[tokio::test] // Rows 111 and 115: an open, silent stream is not a slow request.
async fn silent_streams_stay_open_and_carry_comments() {
    let house = House::open_with(GATE, |c| {
        c.gate("timeouts: { head: 1s, body: 2s, body_pause: 1s, write_stall: 1s, stream_keepalive: 1s }")
    })
    .await;
    let session = house.session(LATEST).await;
    let get = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
         Mcp-Session-Id: {session}\r\n\r\n"
    );
    let mut client = house.connect().await;
    client.send(get.as_bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    for _ in 0..4 {
        assert!(client.event().await.expect("still open").is_comment);
    }
    let answer = house.ask(&legacy_post(&session, "ping", &json!({}))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test] // The write deadline must not end a stream that merely has nothing to say.
async fn an_upstream_that_pauses_is_waited_for() {
    let peer = Recorder::scripted(|request: &Recorded| {
        if request.rpc_method().as_deref() != Some("tools/call") {
            return testkit::peer::Peer::default().answer(request);
        }
        let id = request.json()["id"].clone();
        let result = json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete",
            "content": [{ "type": "text", "text": "{\"text\":\"good\"}" }] } });
        Reply::stream()
            .chunk(b": hello\n\n")
            .then(Act::Pause(Duration::from_secs(3)))
            .event(&result.to_string())
            .end()
    });
    let house = House::around(GATE, peer.await, |c| c.gate(IMPATIENT)).await;
    let mut client = house.connect().await;
    client.send(&good_call().bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    loop {
        let event = client.event().await.expect("a result");
        if !event.is_comment {
            assert_eq!(event.json()["id"], 7);
            break;
        }
    }
}
