//! Whose calls share a process, and that those who do take nothing from each other.
//!
//! Agents are told apart by their address and by what their clients can do.

use crate::GATE;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::HashSet;
use testkit::stdio::{last_message, messages, modern_tool, text_of, tool_call};
use testkit::{RawClient, StdioHouse, legacy_post};

async fn house(isolation: &str) -> StdioHouse {
    let keys = format!("stop: 300ms\n      isolation: {isolation}");
    StdioHouse::open(GATE, &[], &keys).await
}

async fn pid(house: &StdioHouse, session: &str) -> Value {
    let state = house.call(session, "state", json!({})).await;
    serde_json::from_str::<Value>(&state).expect("JSON")["pid"].clone()
}

#[tokio::test]
async fn sessions_of_their_own_never_see_each_others_state() {
    let house = house("session").await;
    let (a, b) = (house.session("a", &json!({})).await, house.session("b", &json!({})).await);
    assert_ne!(pid(&house, &a).await, pid(&house, &b).await);
    for expected in ["1", "2"] {
        assert_eq!(house.call(&a, "count", json!({})).await, expected);
        assert_eq!(house.call(&b, "count", json!({})).await, expected);
    }
}

#[tokio::test]
async fn an_agent_has_one_process_and_another_agent_another() {
    let house = house("agent").await;
    let one = house.session("one", &json!({})).await;
    let same = house.session("same", &json!({})).await;
    let other = house.session("other", &json!({ "roots": {} })).await;
    assert_eq!(house.call(&one, "count", json!({})).await, "1");
    assert_eq!(house.call(&same, "count", json!({})).await, "2");
    assert_eq!(house.call(&other, "count", json!({})).await, "1");
    assert_eq!(pid(&house, &one).await, pid(&house, &same).await);
}

#[tokio::test]
async fn modern_agents_of_different_addresses_have_processes_of_their_own() {
    let house = house("agent").await;
    let mut counts = Vec::new();
    for from in [[127, 0, 0, 1], [127, 0, 0, 1], [127, 0, 0, 2]] {
        let mut client = RawClient::connect_from(from.into(), house.gate.address).await;
        let answer = client.ask(&modern_tool("count", json!({}))).await;
        counts.push(text_of(&last_message(&answer)));
    }
    assert_eq!(counts, ["1", "2", "1"]);
}

#[tokio::test]
async fn everybody_shares_one_process_that_is_greeted_once() {
    let house = house("shared").await;
    let sessions = join_all(["a", "b", "c"].map(|name| {
        let house = &house;
        async move { house.session(name, &json!({ "roots": {} })).await }
    }))
    .await;
    let ids: HashSet<&String> = sessions.iter().collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(house.call(&sessions[0], "count", json!({})).await, "1");
    assert_eq!(house.call(&sessions[2], "count", json!({})).await, "2");
    let count = |method: &str| house.received().iter().filter(|m| m["method"] == method).count();
    assert_eq!((count("initialize"), count("notifications/initialized")), (1, 1));
}

#[tokio::test]
async fn equal_ids_and_tokens_of_two_agents_go_home_right() {
    let house = house("shared").await;
    let (a, b) = (house.session("a", &json!({})).await, house.session("b", &json!({})).await);
    let calls = (0..20).map(|n| {
        let (house, session) = (&house, if n % 2 == 0 { &a } else { &b });
        async move {
            let arguments = json!({ "text": format!("for {n}"), "steps": 3, "seconds": 0.2 });
            let echo = house.ask(&tool_call(session, json!(1), "echo", arguments.clone())).await;
            let progress = house.ask(&tool_call(session, json!(1), "progress", arguments)).await;
            (n, last_message(&echo), messages(&progress))
        }
    });
    for (n, echo, progress) in join_all(calls).await {
        assert_eq!((text_of(&echo), &echo["id"]), (format!("for {n}"), &json!(1)));
        let steps: Vec<&Value> = progress.iter().map(|m| &m["params"]["progress"]).collect();
        assert_eq!(steps, [&json!(1), &json!(2), &json!(3), &Value::Null], "{progress:?}");
        assert!(progress[..3].iter().all(|m| m["params"]["progressToken"] == json!(1)));
    }
}

#[tokio::test]
async fn an_agent_cannot_answer_or_cancel_for_another() {
    let house = house("shared").await;
    let (a, b) = (house.session("a", &json!({})).await, house.session("b", &json!({})).await);
    let mut client = house.connect().await;
    client.send(&tool_call(&a, json!(1), "ask", json!({})).bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let question = client.event().await.expect("a question").json();
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let reply = |text: &str| json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": text } });
    for (session, body) in [(&b, reply("forged")), (&b, cancel), (&a, reply("own"))] {
        let post = legacy_post(session, "-", &Value::Null).body(body.to_string());
        assert_eq!(house.ask(&post).await.status, 202);
    }
    let answer = text_of(&client.event().await.expect("an answer").json());
    assert!(answer.contains("own"), "{answer}");
    let received = house.received();
    assert!(!received.iter().any(|m| m["method"] == "notifications/cancelled"), "{received:?}");
    assert!(!received.iter().any(|m| m["result"]["action"] == "forged"), "{received:?}");
}

#[tokio::test]
async fn a_question_that_might_be_anybodys_is_asked_nobody() {
    let house = house("shared").await;
    let (a, b) = (house.session("a", &json!({})).await, house.session("b", &json!({})).await);
    let mut client = house.connect().await;
    client.send(&tool_call(&b, json!(1), "sleep", json!({ "seconds": 30 })).bytes()).await;
    house.wait_for_received(|message| message["params"]["name"] == "sleep").await;
    let answer = house.call(&a, "ask", json!({})).await;
    assert!(answer.contains("-32601"), "{answer}");
}

#[tokio::test]
async fn changes_are_told_to_every_session_and_updates_to_those_who_subscribed() {
    let house = house("shared").await;
    let (a, b) = (house.session("a", &json!({})).await, house.session("b", &json!({})).await);
    let (mut of_a, mut of_b) = (house.stream(&a).await, house.stream(&b).await);
    let subscribe =
        |session: &str, method: &str| legacy_post(session, method, &json!({ "uri": "file:///x" }));
    assert_eq!(house.ask(&subscribe(&a, "resources/subscribe")).await.status, 200);
    house.call(&b, "updated", json!({ "uri": "file:///x" })).await;
    house.call(&b, "changed", json!({})).await;
    let next = of_a.event().await.expect("an event").json();
    assert_eq!(next["method"], "notifications/resources/updated");
    for stream in [&mut of_a, &mut of_b] {
        let next = stream.event().await.expect("an event").json();
        assert_eq!(next["method"], "notifications/tools/list_changed");
    }
}

#[tokio::test]
async fn a_uri_is_unsubscribed_when_its_last_session_leaves_it() {
    let house = house("shared").await;
    let (a, b) = (house.session("a", &json!({})).await, house.session("b", &json!({})).await);
    let post =
        |session: &str, method: &str| legacy_post(session, method, &json!({ "uri": "file:///x" }));
    for (session, method) in
        [(&a, "resources/subscribe"), (&b, "resources/subscribe"), (&a, "resources/unsubscribe")]
    {
        assert_eq!(last_message(&house.ask(&post(session, method)).await)["result"], json!({}));
    }
    let uris = |state: &str| serde_json::from_str::<Value>(state).expect("JSON")["uris"].clone();
    assert_eq!(uris(&house.call(&b, "state", json!({})).await), json!(["file:///x"]));
    assert_eq!(house.end(&b).await, 204);
    house.wait_for_received(|message| message["method"] == "resources/unsubscribe").await;
    assert_eq!(uris(&house.call(&a, "state", json!({})).await), json!([]));
}

#[tokio::test]
async fn each_session_gets_the_log_level_it_asked_for() {
    let house = house("shared").await;
    let (a, b) = (house.session("a", &json!({})).await, house.session("b", &json!({})).await);
    for (session, level) in [(&a, "debug"), (&b, "warning")] {
        let post = legacy_post(session, "logging/setLevel", &json!({ "level": level }));
        assert_eq!(last_message(&house.ask(&post).await)["result"], json!({}));
    }
    let state = house.call(&a, "state", json!({})).await;
    assert!(state.contains("\"level\": \"debug\""), "{state}");
    for (session, expected) in [(&a, vec!["debug", "warning"]), (&b, vec!["warning"])] {
        let answer = house.ask(&tool_call(session, json!(1), "log", json!({}))).await;
        let messages = messages(&answer);
        let levels: Vec<&str> =
            messages.iter().filter_map(|message| message["params"]["level"].as_str()).collect();
        assert_eq!(levels, expected);
    }
}
