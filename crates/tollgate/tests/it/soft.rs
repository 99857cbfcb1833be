//! Agents that never send `Mcp-Session-Id` back, on routes that recognise them without it; and what
//! stays as strict as anywhere.
//!
//! Source: envoyproxy/ai-gateway#1958: a client in wide use drops the header, and every call failed.

use crate::GATE;
use serde_json::json;
use testkit::{
    Configuration, DEADLINE, GateProcess, House, Post, Recorder, legacy_bodyless,
    legacy_initialize, legacy_post,
};

const LATEST: &str = "2025-11-25";

async fn house() -> House {
    House::around(GATE, Recorder::start().await, |c| c.route_key("soft_sessions: true")).await
}

/// A call as such an agent sends it.
fn call(user_agent: &str) -> Post {
    let params = json!({ "name": "echo", "arguments": {} });
    forgetful(legacy_post("-", "tools/call", &params), user_agent)
}

fn forgetful(post: Post, user_agent: &str) -> Post {
    post.without("mcp-session-id").with("user-agent", user_agent)
}

async fn start(house: &House, user_agent: &str) -> String {
    let initialize = legacy_initialize(LATEST).with("user-agent", user_agent);
    let answer = house.ask(&initialize).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("mcp-session-id").expect("a session").to_owned()
}

/// The session that the last call reached the upstream with.
fn last_session(house: &House) -> Option<String> {
    let calls = house.peer.calls_of("tools/call");
    calls.last()?.header("mcp-session-id").map(str::to_owned)
}

#[tokio::test]
async fn calls_without_a_session_id_belong_to_the_agents_latest_session() {
    let house = house().await;
    start(&house, "a").await;
    assert_eq!(house.ask(&call("a")).await.status, 200);
    assert_eq!(last_session(&house).as_deref(), Some("peer-0"));
    start(&house, "a").await;
    assert_eq!(house.ask(&call("a")).await.status, 200);
    assert_eq!(last_session(&house).as_deref(), Some("peer-1"));
    let note = forgetful(legacy_post("-", "-", &json!({})), "a")
        .body(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    assert_eq!(house.ask(&note).await.status, 202);
    let mut client = house.connect().await;
    client.send(&bodyless("GET", "a")).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let stream = house.peer.with_http_method("GET").remove(0);
    assert_eq!(stream.header("mcp-session-id"), Some("peer-1"));
}

fn bodyless(method: &str, user_agent: &str) -> Vec<u8> {
    let request = legacy_bodyless(method, "-", &[("user-agent", user_agent)]);
    String::from_utf8(request).expect("text").replace("mcp-session-id: -\r\n", "").into_bytes()
}

#[tokio::test]
async fn another_user_agent_is_another_agent() {
    let house = house().await;
    start(&house, "a").await;
    start(&house, "b").await;
    assert_eq!(house.ask(&call("a")).await.status, 200);
    assert_eq!(last_session(&house).as_deref(), Some("peer-0"));
    let before = house.peer.calls_of("tools/call").len();
    for stranger in [call("c"), call("a").without("user-agent")] {
        let answer = house.ask(&stranger).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{}", answer.text());
    }
    assert_eq!(house.peer.calls_of("tools/call").len(), before);
}

#[tokio::test]
async fn an_agent_that_sends_its_session_id_is_served_by_that() {
    let house = house().await;
    let first = start(&house, "a").await;
    start(&house, "a").await;
    let with_id = call("a").with("mcp-session-id", &first);
    assert_eq!(house.ask(&with_id).await.status, 200);
    assert_eq!(last_session(&house).as_deref(), Some("peer-0"));
    let forged = call("a").with("mcp-session-id", "forged");
    house.turns_away(&forged, &[404], &[-32600]).await;
}

#[tokio::test]
async fn an_ended_session_is_recognised_no_more() {
    let house = house().await;
    start(&house, "a").await;
    let mut client = house.connect().await;
    client.send(&bodyless("DELETE", "a")).await;
    assert_eq!(client.response().await.expect("an answer").status, 204);
    house.peer.wait_until(DEADLINE, |peer| !peer.with_http_method("DELETE").is_empty()).await;
    house.turns_away(&call("a"), &[400], &[-32600]).await;
}

#[tokio::test]
async fn a_session_that_was_ended_by_its_id_is_told_once_and_then_forgotten() {
    let house = house().await;
    let id = start(&house, "a").await;
    let mut client = house.connect().await;
    client.send(&legacy_bodyless("DELETE", &id, &[("user-agent", "other")])).await;
    assert_eq!(client.response().await.expect("an answer").status, 204);
    house.peer.wait_until(DEADLINE, |peer| !peer.with_http_method("DELETE").is_empty()).await;
    house.turns_away(&call("a"), &[404], &[-32600]).await;
    house.turns_away(&call("a"), &[400], &[-32600]).await;
}

#[tokio::test]
async fn a_hub_recognises_its_agents_the_same_way() {
    let (one, two) = (Recorder::start().await, Recorder::start().await);
    let file = Configuration::default()
        .upstream("one", &[one.address])
        .upstream("two", &[two.address])
        .route("/mcp", "one, two")
        .route_key("soft_sessions: true");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let house = House { gate, peer: one };
    start(&house, "a").await;
    let params = json!({ "name": "one__echo", "arguments": {} });
    let post = forgetful(legacy_post("-", "tools/call", &params), "a");
    let answer = house.ask(&post).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Which of the hub's sessions there it is, is the hub's business.
    assert!(last_session(&house).is_some());
    house.turns_away(&call("b"), &[400], &[-32600]).await;
}

#[tokio::test]
async fn without_the_key_nothing_changes() {
    let house = House::open(GATE).await;
    start(&house, "a").await;
    house.refuses(&call("a"), &[400], &[-32600]).await;
}
