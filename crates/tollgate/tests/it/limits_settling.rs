//! What was reserved is settled by what was taken: large answers are paid for by waiting, streams count
//! while they flow, and places among calls are free again however a call ends, and not before.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{
    Act, Configuration, DEADLINE, Feed, GateProcess, House, Post, RawClient, Recorded, Recorder,
    Reply, legacy_bodyless, modern_call,
};
use tokio::sync::watch;

async fn house(peer: Recorder, limits: &str) -> House {
    let section = format!("limits: {limits}");
    // Calls that fail must not keep those that follow from the upstream.
    House::around(GATE, peer, |file| file.http_key("ejection: off").section(&section)).await
}

fn result(request: &Recorded, text: &str) -> Value {
    let content = json!([{ "type": "text", "text": text }]);
    let result = json!({ "content": content, "resultType": "complete" });
    json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result })
}

/// Waits until everything that was done has been settled.
async fn settled(house: &House) {
    house.gate.wait_for_status(|status| status["usage"]["pending"] == 0).await;
}

fn under_way(status: &Value) -> u64 {
    status["limits"][0]["under_way"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_large_answer_is_paid_for_by_waiting_exactly_as_long_as_is_said() {
    let peer =
        Recorder::scripted(|request| Reply::json(&result(request, &"x".repeat(12_000)))).await;
    // About 3,000 tokens, where 500 are expected of a tool that nobody has called yet.
    let house =
        house(peer, "{ per_agent: { tokens: { rate: 1k/s, burst: 1k, debt: 10k } } }").await;
    assert_eq!(house.ask(&good_call()).await.status, 200);
    settled(&house).await;
    let mut refusals = 0;
    let begun = Instant::now();
    let answer = house.ask(&good_call()).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.json()["error"]["data"]["dimension"], "tokens");
    let millis = answer.json()["error"]["data"]["retryAfterMs"].as_u64().expect("a wait");
    // 3,000 tokens are paid in 3 s, and the next call, of which as many are expected, needs a burst.
    assert!((1_500..=3_100).contains(&millis), "{millis}");
    while begun.elapsed() + Duration::from_millis(200) < Duration::from_millis(millis) {
        assert_eq!(house.ask(&good_call()).await.status, 429, "after {:?}", begun.elapsed());
        refusals += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(refusals > 5, "{refusals}");
    tokio::time::sleep_until((begun + Duration::from_millis(millis + 5)).into()).await;
    assert_eq!(house.ask(&good_call()).await.status, 200, "what was said is enough");
    assert_eq!(house.peer.calls_of("tools/call").len(), 2);
}

#[tokio::test]
async fn a_small_answer_gives_back_what_was_reserved_for_it() {
    let peer = Recorder::scripted(|request| Reply::json(&result(request, "x"))).await;
    let house = house(peer, "{ per_agent: { tokens: { rate: 1k/h, burst: 1k } } }").await;
    // Were 500 kept for each, the third would have no room.
    for turn in 0..12 {
        assert_eq!(house.ask(&good_call()).await.status, 200, "turn {turn}");
        settled(&house).await;
    }
}

#[tokio::test]
async fn what_flows_in_a_stream_is_used_up_while_it_flows() {
    let (pen, feed) = Feed::new();
    let peer = Recorder::scripted(move |request| match request.json()["params"]["name"].as_str() {
        Some("stream") => Reply::stream().then(Act::Follow(feed.clone())),
        _ => Reply::json(&result(request, "x")),
    })
    .await;
    let limits = "{ per_agent: { tokens: { rate: 5k/h, burst: 5k, debt: 5k } } }";
    let house = house(peer, limits).await;
    let params = json!({ "name": "stream", "arguments": {}, "_meta": { "progressToken": 1 } });
    let mut client = house.connect().await;
    client.send(&modern_call("tools/call", &params).bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    assert_eq!(house.ask(&good_call()).await.status, 200, "nothing has flowed");
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {
        "progressToken": 1, "progress": 1, "message": "y".repeat(4_000) } });
    for _ in 0..5 {
        pen.event(&progress.to_string());
        client.event().await.expect("an event");
    }
    settled(&house).await;
    let before = house.peer.bytes_seen();
    let answer = house.ask(&good_call()).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(house.peer.bytes_seen(), before);
    // Leaving does not undo it.
    drop(client);
    house.gate.wait_for_status(|status| under_way(status) == 0).await;
    settled(&house).await;
    assert_eq!(house.ask(&good_call()).await.status, 429);
}

#[tokio::test]
async fn a_stream_without_an_end_holds_no_place_and_counts_what_it_carries() {
    let (pen, feed) = Feed::new();
    let peer = testkit::peer::Peer::default();
    let peer = Recorder::scripted(move |request| match request.method.as_str() {
        "GET" => Reply::stream().then(Act::Follow(feed.clone())),
        _ => peer.answer(request),
    })
    .await;
    let limits = "{ per_agent: { concurrent: 1, tokens: { rate: 5k/h, burst: 5k, debt: 5k } } }";
    let house = house(peer, limits).await;
    let session = house.session("2025-11-25").await;
    let mut stream = RawClient::connect(house.gate.address).await;
    stream.send(&legacy_bodyless("GET", &session, &[])).await;
    assert_eq!(stream.head().await.expect("a stream").status, 200);
    let mut listening = house.connect().await;
    listening
        .send(&modern_call("subscriptions/listen", &json!({ "notifications": {} })).bytes())
        .await;
    assert_eq!(listening.head().await.expect("a stream").status, 200);
    assert_eq!(house.ask(&good_call()).await.status, 200, "streams are in no call's way");
    let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {
        "level": "info", "data": "y".repeat(4_000) } });
    for _ in 0..6 {
        pen.event(&log.to_string());
        stream.event().await.expect("an event");
    }
    settled(&house).await;
    assert_eq!(house.ask(&good_call()).await.status, 429, "what it carried is used up");
}

/// An upstream whose calls of tools wait for the test, but for those that fail.
async fn slow(opened: &watch::Sender<bool>) -> Recorder {
    let opened = opened.clone();
    Recorder::scripted(move |request| match request.json()["params"]["name"].as_str() {
        Some("reset") => Reply::reset(),
        Some("error") => Reply::status(500, &[], b"no"),
        Some("garbage") => Reply::json_text(&[], "{]"),
        _ => Reply::json(&result(request, "x")).after(&opened),
    })
    .await
}

fn named(name: &str) -> Post {
    modern_call("tools/call", &json!({ "name": name, "arguments": {} }))
}

#[tokio::test]
async fn calls_at_once_are_as_many_as_may_be_until_one_is_answered() {
    let (open, _) = watch::channel(false);
    let house = house(slow(&open).await, "{ per_agent: { concurrent: 2 } }").await;
    let mut clients = [house.connect().await, house.connect().await];
    for client in &mut clients {
        client.send(&good_call().bytes()).await;
    }
    house.gate.wait_for_status(|status| under_way(status) == 2).await;
    let answer = house.ask(&good_call()).await;
    assert_eq!((answer.status, answer.code()), (429, Some(-31009)), "{}", answer.text());
    assert_eq!(answer.json()["error"]["data"]["dimension"], "concurrent");
    let policy = r#""per_agent";q=2;qu="concurrent-requests""#;
    assert_eq!(answer.header("ratelimit-policy"), Some(policy));
    open.send_replace(true);
    for client in &mut clients {
        assert_eq!(client.response().await.expect("an answer").status, 200);
    }
    for _ in 0..5 {
        assert_eq!(house.ask(&good_call()).await.status, 200);
    }
    assert_eq!(house.peer.calls_of("tools/call").len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_vanish_leave_no_place_taken() {
    let (open, _) = watch::channel(false);
    let house = Arc::new(house(slow(&open).await, "{ per_agent: { concurrent: 100 } }").await);
    for wave in 0..10_u64 {
        let mut vanishing = tokio::task::JoinSet::new();
        for number in 0..100_u64 {
            let house = house.clone();
            vanishing.spawn(async move {
                let mut client = house.connect().await;
                let name = ["slow", "slow", "reset", "error", "garbage"][number as usize % 5];
                client.send(&named(name).bytes()).await;
                // At all moments: before it arrives, while it waits, and after it failed.
                tokio::time::sleep(Duration::from_millis(number * 7 % (wave * 20 + 1))).await;
            });
        }
        while vanishing.join_next().await.is_some() {}
    }
    house.gate.wait_for_status(|status| under_way(status) == 0).await;
    let reached = house.peer.calls_of("tools/call").len();
    assert!(reached > 200, "only {reached} reached the upstream");
    // As many as ever fit at once, and not one more.
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = house.connect().await;
        client.send(&good_call().bytes()).await;
        clients.push(client);
    }
    house.gate.wait_for_status(|status| under_way(status) == 100).await;
    assert_eq!(house.ask(&good_call()).await.status, 429);
    open.send_replace(true);
    for client in &mut clients {
        assert_eq!(client.response().await.expect("an answer").status, 200);
    }
    house.gate.wait_for_status(|status| under_way(status) == 0).await;
    assert_eq!(house.gate.status().await["gate"]["panics"], 0);
}

#[tokio::test]
async fn counters_outlive_a_reload_and_calls_under_way_settle_where_they_began() {
    let (open, _) = watch::channel(false);
    let peer = slow(&open).await;
    let file = |limits: &str| {
        Configuration::of(&[peer.address]).section(&format!("limits: {limits}")).text()
    };
    let gate = GateProcess::start(GATE, &file("{ per_agent: { requests: 3/h } }")).await;
    let mut client = RawClient::connect(gate.address).await;
    client.send(&good_call().bytes()).await;
    gate.wait_for_status(|status| under_way(status) == 1).await;
    let version = gate.status().await["configuration"].clone();
    gate.rewrite(&file("{ per_agent: { requests: 3/h }, per_address: { concurrent: 1 } }"));
    let status = gate.wait_for_status(|status| status["configuration"] != version).await;
    assert_eq!(status["limits"].as_array().expect("limits").len(), 2);
    open.send_replace(true);
    assert_eq!(client.response().await.expect("an answer").status, 200);
    gate.wait_for_status(|status| under_way(status) == 0).await;
    let address = gate.address;
    let ask = |post: Post| async move { testkit::client::ask(address, &post).await };
    for _ in 0..2 {
        assert_eq!(ask(good_call()).await.status, 200);
    }
    assert_eq!(ask(good_call()).await.status, 429, "the first call is not forgotten");
    let version = gate.status().await["configuration"].clone();
    gate.rewrite(&Configuration::of(&[peer.address]).text());
    gate.wait_for_status(|status| status["configuration"] != version).await;
    let begun = Instant::now();
    while ask(good_call()).await.status != 200 {
        assert!(begun.elapsed() < DEADLINE, "limits that are gone are in force");
    }
    assert!(gate.status().await["usage"].is_null());
}
