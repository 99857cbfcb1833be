//! Calls to a server on stdio: both eras, requests of the server, cancellation, the end of sessions.

use crate::GATE;
use serde_json::{Value, json};
use std::time::Instant;
use testkit::stdio::{last_message, messages, modern_tool, text_of, tool_call};
use testkit::{DEADLINE, StdioHouse, legacy_post, modern_call};

async fn house(keys: &str) -> StdioHouse {
    StdioHouse::open(GATE, &[], keys).await
}

fn is(method: &str) -> impl Fn(&Value) -> bool {
    move |message| message["method"] == method
}

#[tokio::test]
async fn a_session_calls_and_gets_its_own_ids_back() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    for id in [json!("one"), json!(9_007_199_254_740_993_u64), json!("\u{e9}\"\n")] {
        let call = tool_call(&session, id.clone(), "echo", json!({ "text": "x\ny" }));
        let answer = house.ask(&call).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!((&answer.json()["id"], text_of(&answer.json())), (&id, "x\ny".into()));
    }
    let ids: Vec<Value> = house.received().iter().map(|message| message["id"].clone()).collect();
    assert!(ids.iter().all(|id| id.is_null() || id.is_u64()), "{ids:?}");
}

#[tokio::test]
async fn a_body_on_several_lines_reaches_the_server_on_one() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    let body = "{\"jsonrpc\":\"2.0\",\r\n\"id\":1,\n\"method\":\"tools/call\",\n\"params\":{\"name\":\"echo\",\n\"arguments\":{\"text\":\"a\\nb\"}}}";
    let post = legacy_post(&session, "-", &Value::Null).body(body);
    assert_eq!(text_of(&last_message(&house.ask(&post).await)), "a\nb");
}

#[tokio::test]
async fn progress_comes_before_the_answer_under_the_clients_token() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    let answer = house.ask(&tool_call(&session, json!("tok"), "progress", json!({}))).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let messages = messages(&answer);
    let tokens: Vec<&Value> =
        messages.iter().map(|message| &message["params"]["progressToken"]).collect();
    assert_eq!(tokens, [&json!("tok"), &json!("tok"), &Value::Null]);
    assert_eq!(messages[2]["id"], "tok");
}

#[tokio::test]
async fn a_question_of_the_server_is_answered_within_the_call() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({ "elicitation": {} })).await;
    let mut client = house.connect().await;
    client.send(&tool_call(&session, json!(1), "ask", json!({})).bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let question = client.event().await.expect("a question").json();
    assert_eq!(question["method"], "elicitation/create");
    let reply = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept" } });
    let post = legacy_post(&session, "-", &Value::Null).body(reply.to_string());
    assert_eq!(house.ask(&post).await.status, 202);
    let answer = client.event().await.expect("an answer").json();
    assert!(text_of(&answer).contains("accept"), "{answer}");
}

#[tokio::test]
async fn a_ping_of_the_server_is_answered_by_the_gate() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    assert!(house.call(&session, "ping", json!({})).await.contains("\"result\": {}"));
}

#[tokio::test]
async fn what_comes_by_itself_comes_on_the_stream_and_a_second_stream_takes_it_over() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    let mut first = house.stream(&session).await;
    assert_eq!(house.call(&session, "changed", json!({})).await, "changed");
    let event = first.event().await.expect("an event").json();
    assert_eq!(event["method"], "notifications/tools/list_changed");
    let mut second = house.stream(&session).await;
    assert!(first.event().await.is_none(), "the first stream goes on");
    assert_eq!(house.call(&session, "changed", json!({})).await, "changed");
    let event = second.event().await.expect("an event").json();
    assert_eq!(event["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn modern_calls_need_no_session_and_carry_their_era() {
    let house = house("stop: 300ms").await;
    let answer = house.ask(&modern_tool("echo", json!({ "text": "modern" }))).await;
    let message = last_message(&answer);
    assert_eq!((text_of(&message), &message["id"]), ("modern".into(), &json!(7)));
    let discovered = last_message(&house.ask(&modern_call("server/discover", &json!({}))).await);
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
}

#[tokio::test]
async fn a_modern_client_that_leaves_has_its_call_cancelled_at_the_server() {
    let house = house("stop: 300ms").await;
    let mut client = house.connect().await;
    client.send(&modern_tool("sleep", json!({ "seconds": 30 })).bytes()).await;
    let call = house.wait_for_received(is("tools/call")).await;
    drop(client);
    let cancelled = house.wait_for_received(is("notifications/cancelled")).await;
    assert_eq!(cancelled["params"]["requestId"], call["id"]);
}

#[tokio::test]
async fn a_legacy_client_that_leaves_has_cancelled_nothing() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    let mut client = house.connect().await;
    client.send(&tool_call(&session, json!(1), "sleep", json!({ "seconds": 1 })).bytes()).await;
    house.wait_for_received(is("tools/call")).await;
    drop(client);
    assert_eq!(house.call(&session, "echo", json!({ "text": "on" })).await, "on");
    let cancelled = house.received().into_iter().find(is("notifications/cancelled"));
    assert_eq!(cancelled, None);
}

#[tokio::test]
async fn an_explicit_cancellation_names_the_call_as_the_server_knows_it() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    let mut client = house.connect().await;
    client
        .send(&tool_call(&session, json!("mine"), "sleep", json!({ "seconds": 2 })).bytes())
        .await;
    let call = house.wait_for_received(is("tools/call")).await;
    for id in [json!("not mine"), json!("mine")] {
        let body = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
        let post = legacy_post(&session, "-", &Value::Null).body(body.to_string());
        assert_eq!(house.ask(&post).await.status, 202);
    }
    let cancelled = house.wait_for_received(is("notifications/cancelled")).await;
    assert_eq!(cancelled["params"]["requestId"], call["id"]);
}

#[tokio::test]
async fn a_subscription_lasts_under_the_clients_id_and_ends_at_the_server() {
    let house = house("stop: 300ms").await;
    let params = json!({ "notifications": { "toolsListChanged": true } });
    let mut client = house.connect().await;
    client.send(&modern_call("subscriptions/listen", &params).bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    for method in ["notifications/subscriptions/acknowledged", "notifications/tools/list_changed"] {
        let event = client.event().await.expect("an event").json();
        assert_eq!(event["method"], method);
        let id = &event["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(id, &json!(7));
    }
    let listen = house.wait_for_received(is("subscriptions/listen")).await;
    drop(client);
    let cancelled = house.wait_for_received(is("notifications/cancelled")).await;
    assert_eq!(cancelled["params"]["requestId"], listen["id"]);
}

#[tokio::test]
async fn a_server_that_knows_no_discovery_is_taken_for_a_legacy_one() {
    let house = StdioHouse::open(GATE, &["legacy"], "stop: 300ms\n    era: auto").await;
    let answer = house.ask(&modern_tool("echo", json!({ "text": "x" }))).await;
    assert_eq!((answer.status, answer.code()), (400, Some(-32022)), "{}", answer.text());
    // The process that was asked is of no more use.
    house.wait_for_processes(0, DEADLINE).await;
    let session = house.session("a", &json!({})).await;
    assert_eq!(house.call(&session, "echo", json!({ "text": "x" })).await, "x");
}

#[tokio::test]
async fn a_crash_fails_its_calls_at_once_and_ends_its_sessions() {
    let house = house("stop: 300ms").await;
    let session = house.session("a", &json!({})).await;
    let other = house.session("b", &json!({})).await;
    let mut waiting = house.connect().await;
    waiting.send(&tool_call(&session, json!(1), "sleep", json!({ "seconds": 60 })).bytes()).await;
    house.wait_for_received(is("tools/call")).await;
    let begun = Instant::now();
    let lost = house.ask(&tool_call(&session, json!(2), "exit", json!({}))).await;
    assert_eq!(lost.status, 502, "{}", lost.text());
    assert_eq!(waiting.response().await.expect("an answer").status, 502);
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    let gone = house.ask(&tool_call(&session, json!(3), "echo", json!({ "text": "x" }))).await;
    assert_eq!(gone.status, 404);
    assert_eq!(house.call(&other, "echo", json!({ "text": "on" })).await, "on");
    let again = house.session("a", &json!({})).await;
    assert_eq!(house.call(&again, "count", json!({})).await, "1");
}

#[tokio::test]
async fn a_recoverable_session_goes_on_in_a_new_process() {
    let house = house("stop: 300ms\n    sessions: recoverable").await;
    let session = house.session("a", &json!({})).await;
    assert_eq!(house.call(&session, "count", json!({})).await, "1");
    let lost = house.ask(&tool_call(&session, json!(2), "exit", json!({}))).await;
    assert_eq!(lost.status, 502, "{}", lost.text());
    assert_eq!(house.call(&session, "count", json!({})).await, "1");
}

#[tokio::test]
async fn deadlines_hold_and_leave_the_process_to_others() {
    let house = house("stop: 300ms\n      timeouts: { first_byte: 2s }").await;
    let session = house.session("a", &json!({})).await;
    let late = house.ask(&tool_call(&session, json!(1), "sleep", json!({ "seconds": 6 }))).await;
    assert_eq!(late.status, 504, "{}", late.text());
    assert_eq!(house.call(&session, "echo", json!({ "text": "on" })).await, "on");
}

#[tokio::test]
async fn a_batch_goes_as_single_lines_and_every_answer_comes_back() {
    let house = house("stop: 300ms").await;
    let initialize = testkit::legacy_initialize("2025-03-26");
    let answer = house.ask(&initialize).await;
    let session = answer.header("mcp-session-id").expect("a session").to_owned();
    let call = |id: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo", "arguments": { "text": id } } });
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let batch = json!([initialized, call("a"), call("b")]).to_string();
    let post = legacy_post(&session, "-", &Value::Null).without("mcp-protocol-version").body(batch);
    let answer = house.ask(&post).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut answered: Vec<String> = messages(&answer)
        .iter()
        .map(|message| format!("{} {}", message["id"], text_of(message)))
        .collect();
    answered.sort();
    assert_eq!(answered, ["\"a\" a", "\"b\" b"]);
    assert_eq!(house.received().len(), 4);
}

#[tokio::test]
async fn a_server_that_says_nothing_to_a_discovery_is_taken_for_a_legacy_one() {
    let house = StdioHouse::open(GATE, &["silent"], "stop: 300ms\n    era: auto").await;
    let answer = house.ask(&modern_tool("echo", json!({ "text": "x" }))).await;
    assert_eq!((answer.status, answer.code()), (400, Some(-32022)), "{}", answer.text());
    let session = house.session("a", &json!({})).await;
    assert_eq!(house.call(&session, "echo", json!({ "text": "x" })).await, "x");
}
