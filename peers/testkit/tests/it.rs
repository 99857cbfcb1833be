//! The peers against each other, without a gate between them.

use serde_json::json;
use std::time::Duration;
use testkit::client::ask;
use testkit::h2::{block, frame, take_frames};
use testkit::post::good_call;
use testkit::{
    Act, Configuration, DEADLINE, RawClient, Recorder, Reply, legacy_initialize, legacy_post,
    modern_call,
};
use tokio::sync::watch;

#[tokio::test]
async fn the_recorder_keeps_what_it_got_byte_for_byte() {
    let peer = Recorder::start().await;
    let post = good_call().with("X-Odd", "  two ,  words ");
    let answer = ask(peer.address, &post).await;
    assert_eq!(answer.json()["result"]["content"][0]["text"], r#"{"text":"good"}"#);
    let seen = peer.requests().remove(0);
    assert_eq!((seen.head, seen.body), (post.head(), post.body.clone()));
}

#[tokio::test]
async fn ids_come_back_as_the_text_they_were() {
    let peer = Recorder::start().await;
    let post = good_call().replace("\"id\":7", "\"id\":12345678901234567890123");
    let answer = ask(peer.address, &post).await;
    assert!(answer.text().contains("\"id\":12345678901234567890123"), "{}", answer.text());
}

#[tokio::test]
async fn sessions_are_known_until_deleted() {
    let peer = Recorder::start().await;
    let opened = ask(peer.address, &legacy_initialize("2025-11-25")).await;
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    assert_eq!(ask(peer.address, &legacy_post(&session, "ping", &json!({}))).await.status, 200);
    assert_eq!(ask(peer.address, &legacy_post("other", "ping", &json!({}))).await.status, 404);
    assert_eq!(peer.calls_of("ping").len(), 2);
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let (open, _kept) = watch::channel(false);
    let reply = Reply::stream().event("1").then(Act::Wait(open.subscribe())).event("2").end();
    let peer = Recorder::scripted(move |_| reply.clone()).await;
    let mut client = RawClient::connect(peer.address).await;
    client.send(&good_call().bytes()).await;
    assert_eq!(client.head().await.expect("a head").status, 200);
    assert_eq!(client.event().await.expect("an event").data, "1");
    open.send_replace(true);
    assert_eq!(client.event().await.expect("an event").data, "2");
    assert_eq!(client.event().await, None);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let peer = Recorder::scripted(|_| Reply::hang()).await;
    let mut client = RawClient::connect(peer.address).await;
    client.send(&good_call().bytes()).await;
    peer.wait_for_call("tools/call").await;
    drop(client);
    peer.wait_for_hangup("tools/call", DEADLINE).await;
}

#[tokio::test]
async fn a_reset_ends_the_connection_without_an_answer() {
    let peer =
        Recorder::scripted(|_| Reply::raw(b"HTTP/1.1 200 x\r\n".as_slice()).then(Act::Reset));
    let peer = peer.await;
    let mut client = RawClient::connect(peer.address).await;
    client.send(&good_call().bytes()).await;
    assert!(client.response().await.is_none());
}

#[tokio::test]
async fn chunked_requests_are_put_together() {
    let peer = Recorder::start().await;
    let post = good_call().with("transfer-encoding", "chunked");
    let mut client = RawClient::connect(peer.address).await;
    let chunk = format!("{:x}\r\n", post.body.len());
    let parts: [&[u8]; 4] = [&post.head(), chunk.as_bytes(), &post.body, b"\r\n0\r\n\r\n"];
    client.send_in_segments(&parts, Duration::from_millis(1)).await;
    assert_eq!(client.response().await.expect("an answer").status, 200);
    assert_eq!(peer.requests()[0].body, post.body);
}

#[test]
fn modern_calls_mirror_their_body() {
    let post = modern_call("tools/call", &json!({ "name": "x" }));
    assert!(post.headers.contains(&("mcp-name".to_owned(), "x".to_owned())));
    assert!(String::from_utf8_lossy(&post.body).contains("clientCapabilities"));
}

#[test]
fn configurations_are_the_text_a_user_writes() {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let text =
        Configuration::of(&[address]).gate("hosts: [a]").section("sessions: { max: 1 }").text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "gate: { listen: \"127.0.0.1:0\", hosts: [a] }");
    assert_eq!(lines[2], "sessions: { max: 1 }");
    assert_eq!(
        lines[4],
        "  peer: { http: { endpoints: [\"http://127.0.0.1:9/mcp\"] }, era: both }"
    );
    assert_eq!(lines[6], "  /mcp: { upstreams: [peer] }");
}

#[test]
fn frames_survive_the_way_to_bytes_and_back() {
    let mut bytes = frame(1, 4, 1, &block(&[(":path", "/")]));
    bytes.push(0);
    let frames = take_frames(&mut bytes);
    assert_eq!((frames[0].kind, frames[0].stream, bytes.len()), (1, 1, 1));
    assert_eq!(frames[0].payload, b"\0\x05:path\x01/");
}
