//! The modern era: every request alone, judged against its own `_meta` and headers.

use crate::client::{Answer, Server, modern_body};
use http::StatusCode;
use serde_json::{Value, json};

const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

/// What an error answer says: status, code and the echoed id.
async fn verdict(answer: Answer) -> (u16, Value, Value) {
    let status = answer.status.as_u16();
    let body = answer.json().await;
    (status, body["error"]["code"].clone(), body["id"].clone())
}

fn refused(status: u16, code: i64) -> (u16, Value, Value) {
    (status, json!(code), json!(7))
}

#[tokio::test]
async fn discover_names_versions_and_how_long_they_hold() {
    let server = Server::start("a").await;
    let result = server.modern("server/discover", json!({})).await.json().await["result"].clone();
    assert_eq!(result["supportedVersions"][0], "2026-07-28");
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["cacheScope"], "public");
    assert!(result["ttlMs"].is_u64());
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "tollgate-demo");
}

#[tokio::test]
async fn missing_meta_members_are_named() {
    let server = Server::start("a").await;
    let headers = [VERSION, ("mcp-method", "tools/list")];
    let full = modern_body("tools/list", json!({}));
    for key in ["protocolVersion", "clientCapabilities"] {
        let mut body = full.clone();
        let meta = body["params"]["_meta"].as_object_mut().expect("an object");
        meta.remove(&format!("io.modelcontextprotocol/{key}"));
        assert_eq!(verdict(server.post(&headers, &body).await).await, refused(400, -32602));
    }
    let bare = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
    assert_eq!(verdict(server.post(&headers, &bare).await).await, refused(400, -32602));
}

#[tokio::test]
async fn headers_must_mirror_the_body() {
    let server = Server::start("a").await;
    let body = modern_body("tools/call", json!({ "name": "echo", "arguments": { "text": "" } }));
    let method = ("mcp-method", "tools/call");
    let name = ("mcp-name", "echo");
    let wrong: [&[(&str, &str)]; 7] = [
        &[VERSION, ("mcp-method", "tools/list"), name],
        &[VERSION, ("mcp-method", "TOOLS/CALL"), name],
        &[VERSION, method, ("mcp-name", "count")],
        &[VERSION, method, name, ("mcp-name", "count")],
        &[VERSION, method],
        &[VERSION, method, ("mcp-name", "=?base64?ZWNobw?=")],
        &[("mcp-protocol-version", "2025-11-25"), method, name],
    ];
    for headers in wrong {
        let answer = server.post(headers, &body).await;
        let (status, code, _) = verdict(answer).await;
        assert_eq!((status, code), (400, json!(-32020)), "{headers:?}");
    }
    let encoded = [VERSION, method, ("mcp-name", "=?base64?ZWNobw==?=")];
    assert_eq!(server.post(&encoded, &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn other_versions_are_answered_with_those_that_work() {
    let server = Server::start("a").await;
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "1900-01-01" });
    let body = modern_body("tools/list", json!({ "_meta": meta }));
    let headers = [("mcp-protocol-version", "1900-01-01"), ("mcp-method", "tools/list")];
    let answer = server.post(&headers, &body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.json().await["error"].clone();
    assert_eq!(error["code"], -32022);
    assert_eq!(error["data"]["requested"], "1900-01-01");
    assert_eq!(error["data"]["supported"][0], "2026-07-28");
}

#[tokio::test]
async fn legacy_methods_do_not_exist_here() {
    let server = Server::start("a").await;
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/such"] {
        let answer = server.modern(method, json!({})).await;
        assert_eq!(verdict(answer).await, refused(404, -32601), "{method}");
    }
}

#[tokio::test]
async fn the_counter_travels_in_the_handle_to_any_instance() {
    let (first, second) = (Server::start("a").await, Server::start("b").await);
    let params = json!({ "name": "count", "arguments": { "by": 41 } });
    let counted = first.modern("tools/call", params).await.json().await;
    let handle = counted["result"]["structuredContent"]["handle"].clone();
    let params = json!({ "name": "count", "arguments": { "handle": handle } });
    let counted = second.modern("tools/call", params).await.json().await;
    assert_eq!(counted["result"]["structuredContent"]["value"], 42);
    assert_eq!(counted["result"]["structuredContent"]["instance"], "b");
    assert_eq!(counted["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_handle_of_somebody_elses_making_is_refused() {
    let server = Server::start("a").await;
    let params = json!({ "name": "count", "arguments": { "handle": "NDI.AAAA" } });
    let answer = server.modern("tools/call", params).await;
    assert_eq!(verdict(answer).await, refused(200, -32602));
}

#[tokio::test]
async fn ask_name_takes_two_rounds() {
    let server = Server::start("a").await;
    let meta = json!({ "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } });
    let mut params = json!({ "name": "ask_name", "_meta": meta });
    let asked = server.modern("tools/call", params.clone()).await.json().await["result"].clone();
    assert_eq!(asked["resultType"], "input_required");
    assert_eq!(asked["inputRequests"]["name"]["method"], "elicitation/create");
    params["requestState"] = asked["requestState"].clone();
    params["inputResponses"] =
        json!({ "name": { "action": "accept", "content": { "name": "Ada" } } });
    let answer = server.modern("tools/call", params.clone()).await.json().await;
    assert_eq!(answer["result"]["content"][0]["text"], "hello, Ada");
    params["arguments"] = json!({ "other": 1 });
    let answer = server.modern("tools/call", params).await;
    assert_eq!(verdict(answer).await, refused(200, -32602), "the state is bound to its call");
}

#[tokio::test]
async fn ask_name_needs_a_client_that_can_ask() {
    let server = Server::start("a").await;
    let answer = server.modern("tools/call", json!({ "name": "ask_name" })).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.json().await["error"].clone();
    assert_eq!(error["code"], -32021);
    assert_eq!(error["data"]["requiredCapabilities"], json!({ "elicitation": {} }));
}

#[tokio::test]
async fn slow_count_streams_progress_and_then_its_result() {
    let server = Server::start("a").await;
    let meta = json!({ "progressToken": 5, "io.modelcontextprotocol/logLevel": "debug" });
    let params = json!({ "name": "slow_count", "arguments": { "n": 2, "ms": 1 }, "_meta": meta });
    let answer = server.modern("tools/call", params).await;
    assert_eq!(answer.headers["x-accel-buffering"], "no");
    let events = answer.events().await;
    assert_eq!(events[0]["method"], "notifications/message");
    assert_eq!(events[1]["params"]["progressToken"], 5);
    assert_eq!(events[3]["result"]["resultType"], "complete");
    assert_eq!(events.len(), 4);
}

#[tokio::test]
async fn listen_acknowledges_first_and_ends_with_a_result() {
    let mut server = Server::start("a").await;
    let params = json!({ "notifications": { "toolsListChanged": true } });
    let mut stream = server.modern("subscriptions/listen", params).await;
    let first = stream.event().await.expect("an acknowledgement");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    server.tell_to_stop();
    let last = stream.event().await.expect("a result");
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn stopping_ends_the_server_with_calls_in_progress() {
    let server = Server::start("a").await;
    let params = json!({ "name": "slow_count", "arguments": { "n": 1000, "ms": 10000 } });
    let call = server.modern("tools/call", params).await;
    server.stop().await;
    assert!(call.events().await.is_empty());
}

#[tokio::test]
async fn responses_are_not_part_of_this_era() {
    let server = Server::start("a").await;
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    assert_eq!(server.post(&[VERSION], &answer).await.status, StatusCode::BAD_REQUEST);
}
