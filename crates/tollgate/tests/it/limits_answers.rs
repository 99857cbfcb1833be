//! What a caller at a limit is told, in every form there is; that the upstream sees nothing of it; and
//! that waiting exactly as long as was said is enough.

use crate::GATE;
use crate::http_sse;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{
    Agent, Configuration, House, Hub, Member, Post, Recorder, Response, legacy_bodyless,
    legacy_post, modern_call,
};

/// A house with these limits.
pub(crate) async fn house(limits: &str) -> House {
    let section = format!("limits: {limits}");
    House::open_with(GATE, |file| file.section(&section)).await
}

fn call(arguments: &Value) -> Post {
    modern_call("tools/call", &json!({ "name": "echo", "arguments": arguments }))
}

/// The refusal of a request, which reached nobody.
async fn refused(house: &House, post: &Post, status: u16) -> Response {
    let before = house.peer.bytes_seen();
    let answer = house.ask(post).await;
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(house.peer.bytes_seen(), before, "it reached the upstream");
    answer
}

#[tokio::test]
async fn a_request_too_many_is_a_429_that_says_when_to_come_back() {
    let house = house("{ per_agent: { requests: 3/min } }").await;
    for _ in 0..3 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    let answer = refused(&house, &good_call(), 429).await;
    let json = answer.json();
    assert_eq!(json["id"], 7);
    assert_eq!(json["error"]["code"], -31009);
    let data = &json["error"]["data"];
    assert_eq!(data["type"], "quota-exceeded");
    assert_eq!((&data["dimension"], &data["scope"]), (&json!("requests"), &json!("agent")));
    assert_eq!((&data["limit"], &data["remaining"]), (&json!(3), &json!(0)));
    assert_eq!(data["violatedPolicies"], json!(["per_agent"]));
    let millis = data["retryAfterMs"].as_u64().expect("a wait");
    let secs = answer.header("retry-after").expect("a wait").parse::<u64>().expect("seconds");
    assert_eq!(secs, millis.div_ceil(1_000));
    assert!((19..=20).contains(&secs), "{secs}");
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""per_agent";q=3;w=60;qu="requests""#));
    let state = format!(r#""per_agent";r=0;t={secs}"#);
    assert_eq!(answer.header("ratelimit"), Some(state.as_str()));
    let sentence = json["error"]["message"].as_str().expect("a sentence");
    let start = format!("wait {secs} s: agent `anonymous` has used 3 requests per minute");
    assert!(sentence.starts_with(&start), "{sentence}");
}

#[tokio::test]
async fn waiting_exactly_as_long_as_was_said_is_enough_and_less_is_not() {
    let house = house("{ per_agent: { requests: { rate: 1/s, burst: 2 } } }").await;
    for _ in 0..2 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = refused(&house, &good_call(), 429).await;
        let secs = answer.header("retry-after").expect("a wait").parse().expect("seconds");
        let millis = answer.json()["error"]["data"]["retryAfterMs"].as_u64().expect("a wait");
        // Well before its time it is refused again, which costs nothing.
        tokio::time::sleep_until((begun + Duration::from_millis(millis / 2)).into()).await;
        refused(&house, &good_call(), 429).await;
        tokio::time::sleep_until((begun + Duration::from_secs(secs)).into()).await;
        assert_eq!(house.ask(&good_call()).await.status, 200, "after {secs} s");
    }
}

#[tokio::test]
async fn the_exact_wait_in_milliseconds_is_enough_too() {
    let house = house("{ per_agent: { requests: { rate: 4/s, burst: 1 } } }").await;
    let mut client = house.connect().await;
    assert_eq!(client.ask(&good_call()).await.status, 200);
    for _ in 0..8 {
        let answer = client.ask(&good_call()).await;
        let received = Instant::now();
        assert_eq!(answer.status, 429);
        let millis = answer.json()["error"]["data"]["retryAfterMs"].as_u64().expect("a wait");
        tokio::time::sleep_until((received + Duration::from_millis(millis)).into()).await;
        assert_eq!(client.ask(&good_call()).await.status, 200, "after {millis} ms");
    }
}

#[tokio::test]
async fn a_call_that_can_never_fit_is_told_so_and_not_to_wait() {
    let house = house("{ per_agent: { tokens: { rate: 100/s, burst: 100 } } }").await;
    let answer = refused(&house, &call(&json!({ "text": "x".repeat(1_000) })), 422).await;
    assert_eq!(answer.json()["error"]["code"], -31011);
    assert_eq!(answer.header("retry-after"), None);
    assert!(answer.json()["error"]["data"].get("retryAfterMs").is_none());
    let sentence = answer.json()["error"]["message"].to_string();
    assert!(sentence.contains("make it smaller"), "{sentence}");
}

#[tokio::test]
async fn a_used_up_budget_is_a_429_until_the_period_ends() {
    let limits = "{ budgets: [{ name: day, calls: 2/day }] }";
    let section = format!("limits: {limits}");
    let house = House::open_with(GATE, |file| file.section(&section)).await;
    for _ in 0..2 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    let answer = refused(&house, &good_call(), 429).await;
    assert_eq!(answer.json()["error"]["code"], -31010);
    let secs: u64 = answer.header("retry-after").expect("a wait").parse().expect("seconds");
    let now = crate::identity_house::now();
    let left = 86_400 - now % 86_400;
    assert!(secs.abs_diff(left) <= 2 || left <= 2, "{secs} instead of {left}");
}

#[tokio::test]
async fn where_the_operator_wants_it_the_answer_is_a_200() {
    let rpc = house("{ per_agent: { requests: 1/min }, answer: jsonrpc }").await;
    assert_eq!(rpc.ask(&good_call()).await.status, 200);
    let answer = refused(&rpc, &good_call(), 200).await;
    assert_eq!((answer.json()["id"].clone(), answer.code()), (json!(7), Some(-31009)));
    let tool = house("{ per_agent: { requests: 1/min }, answer: tool_error }").await;
    assert_eq!(tool.ask(&good_call()).await.status, 200);
    let answer = refused(&tool, &good_call(), 200).await.json();
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["result"]["isError"], true);
    assert_eq!(answer["result"]["resultType"], "complete");
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.starts_with("wait "), "{text}");
    // What calls no tool has no such form.
    let answer = refused(&tool, &modern_call("tools/list", &json!({})), 200).await;
    assert_eq!(answer.code(), Some(-31009));
}

#[tokio::test]
async fn a_batch_is_let_in_whole_or_each_of_its_requests_is_told() {
    // `initialize` and `notifications/initialized` are two.
    let house = house("{ per_agent: { requests: 7/min } }").await;
    let session = house.session("2025-03-26").await;
    let batch = |ids: std::ops::Range<u32>| {
        let one = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
        let mut batch: Vec<Value> = ids.map(one).collect();
        batch.push(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {
            "requestId": 99 } }));
        legacy_post(&session, "-", &Value::Null)
            .set("mcp-protocol-version", "2025-03-26")
            .body(Value::from(batch).to_string())
    };
    // Of six, five have room: none is let in, and none is counted.
    for _ in 0..3 {
        let answer = refused(&house, &batch(1..6), 200).await;
        let Value::Array(messages) = answer.json() else { panic!("{}", answer.text()) };
        let ids: Vec<&Value> = messages.iter().map(|message| &message["id"]).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
        assert!(messages.iter().all(|message| message["error"]["code"] == -31009), "{messages:?}");
    }
    let answer = house.ask(&batch(1..5)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.messages().len(), 4);
    assert!(answer.messages().iter().all(|message| message["result"].is_object()));
    refused(&house, &batch(1..2), 200).await;
}

#[tokio::test]
async fn notifications_and_streams_count_and_are_refused_without_an_id() {
    let house = house("{ per_agent: { requests: 4/min } }").await;
    let session = house.session("2025-11-25").await;
    let stream = house.stream(&session).await;
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    let told = legacy_post(&session, "-", &Value::Null).body(told.to_string());
    assert_eq!(house.ask(&told).await.status, 202);
    let answer = refused(&house, &told, 429).await;
    assert!(answer.json().get("id").is_none(), "{}", answer.text());
    let mut client = house.connect().await;
    client.send(&legacy_bodyless("GET", &session, &[])).await;
    assert_eq!(client.response().await.expect("an answer").status, 429);
    // What an agent answers, and the end of a session, are no requests.
    let response = json!({ "jsonrpc": "2.0", "id": 5, "result": {} });
    let response = legacy_post(&session, "-", &Value::Null).body(response.to_string());
    assert_eq!(house.ask(&response).await.status, 202);
    drop(stream);
    let mut client = house.connect().await;
    client.send(&legacy_bodyless("DELETE", &session, &[])).await;
    assert_eq!(client.response().await.expect("an answer").status, 204);
}

#[tokio::test]
async fn agents_on_the_old_transport_are_told_on_their_stream() {
    let house = House::around(GATE, Recorder::start().await, |file: Configuration| {
        http_sse::with_sse(file).section("limits: { per_agent: { requests: 5/min } }")
    })
    .await;
    // The stream, `initialize` and the notification are three; the gate's own stream to the upstream
    // is none.
    let mut agent = http_sse::Agent::start(house.gate.address).await;
    for id in 1..3 {
        let answer = agent.ask(&http_sse::call(id)).await;
        assert!(answer["result"].is_object(), "{answer}");
    }
    let before = house.peer.calls_of("tools/call").len();
    let answer = agent.ask(&http_sse::call(3)).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(3), &json!(-31009)));
    assert!(answer["error"]["data"]["retryAfterMs"].is_u64());
    assert_eq!(house.peer.calls_of("tools/call").len(), before);
}

#[tokio::test]
async fn a_hub_counts_what_it_answers_itself_and_reaches_no_leg_beyond_a_limit() {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let change = |file: Configuration| file.section("limits: { per_agent: { requests: 6/min } }");
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], change).await;
    let agent: Agent = hub.agent().await;
    assert_eq!(agent.ask("ping", &json!({})).await.status, 200);
    assert_eq!(agent.names("tools/list").await, ["one__a", "two__b"]);
    assert_eq!(agent.called("one__a").await, "a");
    assert_eq!(agent.called("two__b").await, "b");
    for tool in ["one__a", "two__b"] {
        let answer = agent.call(tool).await;
        assert_eq!((answer.status, answer.code()), (429, Some(-31009)), "{}", answer.text());
    }
    assert_eq!(agent.ask("ping", &json!({})).await.status, 429);
    assert_eq!(hub.counts("tools/call"), [1, 1]);
}

#[tokio::test]
async fn two_levels_must_both_have_room_and_what_one_refuses_costs_the_other_nothing() {
    let limits = "{ per_agent: { requests: 5/min }, rules: [{ name: slow, tools: [peer__slow], \
                  requests: 1/min }] }";
    let house = house(limits).await;
    let slow = modern_call("tools/call", &json!({ "name": "slow", "arguments": {} }));
    assert_eq!(house.ask(&slow).await.status, 200);
    for _ in 0..10 {
        let answer = refused(&house, &slow, 429).await;
        assert_eq!(answer.json()["error"]["data"]["violatedPolicies"], json!(["slow"]));
    }
    for _ in 0..4 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    let answer = refused(&house, &good_call(), 429).await;
    assert_eq!(answer.json()["error"]["data"]["violatedPolicies"], json!(["per_agent"]));
}
