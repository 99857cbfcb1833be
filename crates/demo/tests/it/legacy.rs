//! The legacy era: sessions, streams, questions and batches.

use crate::client::{Server, request};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const LATEST: &str = "2025-11-25";

#[tokio::test]
async fn initialize_negotiates_the_version() {
    let server = Server::start("a").await;
    let cases = [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2026-07-28", LATEST),
        ("1900-01-01", LATEST),
    ];
    for (asked, given) in cases {
        let params = json!({ "protocolVersion": asked, "capabilities": {} });
        let answer = server.post(&[], &request(0, "initialize", params)).await.json().await;
        assert_eq!(answer["result"]["protocolVersion"], given);
    }
}

#[tokio::test]
async fn each_session_has_its_own_counter() {
    let server = Server::start("a").await;
    let first = server.initialize(LATEST, json!({})).await;
    let second = server.initialize(LATEST, json!({})).await;
    server.call(&first, "count", json!({ "by": 5 })).await;
    let counted = server.call(&first, "count", json!({})).await.json().await;
    assert_eq!(counted["result"]["structuredContent"], json!({ "value": 6, "instance": "a" }));
    let counted = server.call(&second, "count", json!({})).await.json().await;
    assert_eq!(counted["result"]["structuredContent"]["value"], 1);
}

#[tokio::test]
async fn requests_need_a_known_session() {
    let server = Server::start("a").await;
    let ping = request(3, "ping", json!({}));
    let missing = server.post(&[], &ping).await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST);
    assert_eq!(missing.json().await["id"], 3);
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let answer = server.send(method, &[("mcp-session-id", "forged")], &ping.to_string()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn unknown_versions_in_the_header_are_refused() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let headers = [("mcp-session-id", id.as_str()), ("mcp-protocol-version", "1900-01-01")];
    let answer = server.post(&headers, &request(1, "ping", json!({}))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn notifications_and_answers_are_accepted_without_a_body() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let messages = [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": "nobody-asked", "result": {} }),
    ];
    for message in messages {
        let answer = server.post(&[("mcp-session-id", &id)], &message).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.headers.get("content-length").map(|l| l.as_bytes()), Some(&b"0"[..]));
    }
}

#[tokio::test]
async fn a_deleted_session_is_gone() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let headers = [("mcp-session-id", id.as_str())];
    assert_eq!(server.send(Method::DELETE, &headers, "").await.status, StatusCode::NO_CONTENT);
    let answer = server.post(&headers, &request(1, "ping", json!({}))).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_methods_and_tools_are_json_rpc_errors() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let cases = [
        ("no/such", json!({}), -32601),
        ("tools/call", json!({ "name": "COUNT" }), -32602),
        ("logging/setLevel", json!({ "level": "loud" }), -32602),
    ];
    for (method, params, code) in cases {
        let answer = server.post(&[("mcp-session-id", &id)], &request(1, method, params)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json().await["error"]["code"], code);
    }
}

#[tokio::test]
async fn log_messages_arrive_on_the_get_stream_once_asked_for() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let headers = [("mcp-session-id", id.as_str())];
    let mut stream = server.send(Method::GET, &headers, "").await;
    server.call(&id, "count", json!({})).await;
    server.post(&headers, &request(1, "logging/setLevel", json!({ "level": "info" }))).await;
    server.call(&id, "count", json!({})).await;
    let message = stream.event().await.expect("a message");
    assert_eq!(message["method"], "notifications/message");
    assert_eq!(message["params"]["data"], "the counter is 2");
}

#[tokio::test]
async fn slow_count_reports_its_progress() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let params = json!({ "name": "slow_count", "arguments": { "n": 3, "ms": 1 },
                         "_meta": { "progressToken": "p" } });
    let answer = server.post(&[("mcp-session-id", &id)], &request(9, "tools/call", params)).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let events = answer.events().await;
    let progress: Vec<&Value> = events.iter().map(|event| &event["params"]["progress"]).collect();
    assert_eq!(progress, [&json!(1), &json!(2), &json!(3), &Value::Null]);
    assert_eq!(events[3]["id"], 9);
}

#[tokio::test]
async fn a_cancelled_call_ends_without_an_answer() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let mut call = server.call(&id, "slow_count", json!({ "n": 1000, "ms": 10000 })).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
                         "params": { "requestId": 1 } });
    server.post(&[("mcp-session-id", &id)], &cancel).await;
    assert_eq!(call.event().await, None);
}

#[tokio::test]
async fn ask_name_waits_for_the_posted_answer() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({ "elicitation": {} })).await;
    let mut call = server.call(&id, "ask_name", json!({})).await;
    let question = call.event().await.expect("a question");
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"],
                         "result": { "action": "accept", "content": { "name": "Ada" } } });
    server.post(&[("mcp-session-id", &id)], &answer).await;
    let result = call.event().await.expect("a result");
    assert_eq!(result["result"]["content"][0]["text"], "hello, Ada");
}

#[tokio::test]
async fn another_session_cannot_answer_the_question() {
    let server = Server::start("a").await;
    let asked = server.initialize(LATEST, json!({ "elicitation": {} })).await;
    let other = server.initialize(LATEST, json!({ "elicitation": {} })).await;
    let mut call = server.call(&asked, "ask_name", json!({})).await;
    let question = call.event().await.expect("a question");
    for (session, name) in [(other, "Eve"), (asked, "Ada")] {
        let answer = json!({ "jsonrpc": "2.0", "id": question["id"],
                             "result": { "action": "accept", "content": { "name": name } } });
        server.post(&[("mcp-session-id", &session)], &answer).await;
    }
    let result = call.event().await.expect("a result");
    assert_eq!(result["result"]["content"][0]["text"], "hello, Ada");
}

#[tokio::test]
async fn a_client_without_elicitation_is_not_asked() {
    let server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let events = server.call(&id, "ask_name", json!({})).await.events().await;
    assert_eq!(events[0]["result"]["isError"], true);
}

#[tokio::test]
async fn batches_are_served_where_they_existed() {
    let server = Server::start("a").await;
    let batch = json!([
        request(1, "ping", json!({})),
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        request(2, "tools/call", json!({ "name": "count" })),
    ]);
    let old = server.initialize("2025-03-26", json!({})).await;
    let events = server.post(&[("mcp-session-id", &old)], &batch).await.events().await;
    assert_eq!(events.iter().map(|event| &event["id"]).collect::<Vec<_>>(), [1, 2]);
    let new = server.initialize(LATEST, json!({})).await;
    let refused = server.post(&[("mcp-session-id", &new)], &batch).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn stopping_ends_open_streams() {
    let mut server = Server::start("a").await;
    let id = server.initialize(LATEST, json!({})).await;
    let mut stream = server.send(Method::GET, &[("mcp-session-id", &id)], "").await;
    server.tell_to_stop();
    assert_eq!(stream.event().await, None);
}
