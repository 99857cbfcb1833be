//! Rows 41 to 44: batches, responses and methods of the wrong era.

use crate::GATE;
use serde_json::{Value, json};
use testkit::post::good_call;
use testkit::{Act, House, Post, Recorded, Recorder, Reply, legacy_post};

fn ping(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "ping" })
}

/// A batch within a session of 2025-03-26, whose clients send no version header.
fn batch(session: &str, body: &Value) -> Post {
    legacy_post(session, "ping", &json!({})).without("mcp-protocol-version").body(body.to_string())
}

#[tokio::test] // Row 41.
async fn batches_ended_with_2025_03_26() {
    let house = House::open(GATE).await;
    for version in ["2025-06-18", "2025-11-25"] {
        let session = house.session(version).await;
        let post =
            batch(&session, &json!([ping(1), ping(2)])).with("mcp-protocol-version", version);
        house.refuses(&post, &[400], &[-32600]).await;
    }
    let good: Value = serde_json::from_slice(&good_call().body).expect("JSON");
    let modern = good_call().body(json!([good]).to_string());
    house.refuses(&modern, &[400], &[-32600]).await;
}

#[tokio::test] // Row 42.
async fn a_batch_is_answered_element_by_element() {
    let house = House::open(GATE).await;
    let session = house.session("2025-03-26").await;
    let answer = house.ask(&batch(&session, &json!([ping(1), ping(2)]))).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.contains("\"id\":1") && text.contains("\"id\":2"), "{text}");
}

#[tokio::test] // Row 42.
async fn malformed_batches_are_refused_whole() {
    let house = House::open(GATE).await;
    let session = house.session("2025-03-26").await;
    let many: Vec<Value> = (0..101).map(ping).collect();
    let initialize = json!({ "jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {} });
    let modern: Value = serde_json::from_slice(&good_call().body).expect("JSON");
    let bodies = [
        json!([]),
        json!([[ping(1)]]),
        json!([ping(1), 7]),
        json!(many),
        json!([ping(1), initialize]),
        json!([ping(1), modern]),
        json!([ping(1), { "jsonrpc": "2.0", "id": null, "method": "ping" }]),
    ];
    for body in bodies {
        house.refuses(&batch(&session, &body), &[400], &[-32600]).await;
    }
}

/// An upstream that answers every call with a question on the call's stream.
async fn asking() -> Recorder {
    let peer = testkit::peer::Peer::default();
    Recorder::scripted(move |request: &Recorded| {
        if request.rpc_method().as_deref() != Some("tools/call") || request.json()["id"] != 1 {
            return peer.answer(request);
        }
        let question = json!({ "jsonrpc": "2.0", "id": "ask-0", "method": "elicitation/create",
                               "params": { "message": "?", "requestedSchema": {} } });
        Reply::stream().event(&question.to_string()).then(Act::Hang)
    })
    .await
}

#[tokio::test] // Row 43.
async fn an_answer_goes_only_to_the_session_it_was_sent_in() {
    let house = House::around(GATE, asking().await, |c| c).await;
    let asked = house.session("2025-11-25").await;
    let other = house.session("2025-11-25").await;
    let mut client = house.connect().await;
    client.send(&legacy_post(&asked, "tools/call", &json!({ "name": "echo" })).bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let question = client.event().await.expect("a question").json();
    assert_eq!(question["method"], "elicitation/create");
    let answer =
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept" } });
    let before = house.peer.requests().len();
    let post = legacy_post(&other, "-", &Value::Null).body(answer.to_string());
    let status = house.ask(&post).await.status;
    assert!([202, 400, 404].contains(&status), "{status}");
    let leaked: Vec<Recorded> = house
        .peer
        .requests()
        .split_off(before)
        .into_iter()
        .filter(|seen| seen.header("mcp-session-id") == Some("peer-0"))
        .collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
    let post = legacy_post(&asked, "-", &Value::Null).body(answer.to_string());
    assert_eq!(house.ask(&post).await.status, 202);
    let seen = house.peer.requests().pop().expect("the answer");
    assert_eq!(seen.header("mcp-session-id"), Some("peer-0"));
    assert_eq!(seen.json()["id"], "ask-0");
}

#[tokio::test] // Row 43.
async fn responses_are_not_part_of_the_modern_era() {
    let house = House::open(GATE).await;
    let response = json!({ "jsonrpc": "2.0", "id": 7, "result": {} }).to_string();
    let post = good_call().body(response);
    let before = house.peer.bytes_seen();
    let status = house.ask(&post).await.status;
    assert!([202, 400].contains(&status), "{status}");
    assert_eq!(house.peer.bytes_seen(), before);
    house.still_serves().await;
}

#[tokio::test] // Row 44.
async fn methods_nobody_has_are_not_found() {
    let house = House::open(GATE).await;
    for method in ["no/such", "initialize", "ping", "logging/setLevel", "resources/subscribe"] {
        let post = testkit::modern_call(method, &json!({}));
        let answer = house.ask(&post).await;
        assert_eq!((answer.status, answer.code()), (404, Some(-32601)), "{method}");
        assert_eq!(answer.json()["id"], 7);
    }
}

#[tokio::test] // Row 44: in a session, 404 would say that the session is gone.
async fn unknown_methods_in_a_session_do_not_end_it() {
    let house = House::open(GATE).await;
    let session = house.session("2025-11-25").await;
    let answer = house.ask(&legacy_post(&session, "no/such", &json!({}))).await;
    assert_eq!((answer.status, answer.code()), (200, Some(-32601)));
}
