//! F1, F6, F7 and CF #4205: a session of a hub has a leg at each upstream it called, and at no other.
//! Legs are opened when they are needed, belong to one session only, end with it, and are lost one
//! at a time.

use crate::GATE;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::client::ask;
use testkit::{
    Agent, Configuration, DEADLINE, GateProcess, Hub, Member, Post, Recorded, Recorder, Reply,
    legacy_bodyless, legacy_initialize,
};

/// `initialize` of a client with capabilities, and with members nobody knows.
fn capable() -> Post {
    legacy_initialize("2025-11-25").replace(
        "\"capabilities\":{}",
        r#""capabilities":{"sampling":{},"elicitation":{"url":{}},"x-odd":{"b":1,"a":2.50}}"#,
    )
}

/// The agent's own `initialize` requests, without those of the gate's sessions.
fn legs(peer: &Recorder) -> Vec<Recorded> {
    let mut all = peer.calls_of("initialize");
    all.retain(|seen| seen.json()["params"]["clientInfo"]["name"] == "testkit");
    all
}

/// The upstream sessions that calls were made in, in order.
fn called_in(peer: &Recorder) -> Vec<String> {
    let calls = peer.calls_of("tools/call");
    calls.iter().map(|call| call.header("mcp-session-id").unwrap_or("-").to_owned()).collect()
}

async fn pair(change: fn(Configuration) -> Configuration) -> (Hub, Arc<Member>, Arc<Member>) {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], change).await;
    (hub, one, two)
}

#[tokio::test]
async fn a_leg_is_opened_by_the_first_call_with_what_the_agent_said() {
    let (hub, ..) = pair(|file| file).await;
    let agent = Agent::open_by(hub.gate.address, capable()).await;
    agent.names("tools/list").await;
    assert_eq!(hub.peers.iter().map(|peer| legs(peer).len()).sum::<usize>(), 0);
    assert_eq!(agent.called("two__b").await, "b");
    assert_eq!(agent.called("two__b").await, "b");
    assert_eq!((legs(&hub.peers[0]).len(), legs(&hub.peers[1]).len()), (0, 1));
    assert_eq!(legs(&hub.peers[1])[0].body, capable().body, "byte for byte");
    // The leg's story: introduced, made ready, called.
    let session = called_in(&hub.peers[1])[0].clone();
    let mut story = hub.peers[1].requests();
    story.retain(|seen| seen.header("mcp-session-id") == Some(&session));
    let methods: Vec<Option<String>> = story.iter().map(Recorded::rpc_method).collect();
    let expected = ["notifications/initialized", "tools/call", "tools/call"];
    assert_eq!(methods, expected.map(|method| Some(method.to_owned())));
}

#[tokio::test] // CF #4205: two clients on a stateful server never see each other's state.
async fn two_agents_never_share_a_leg() {
    let (hub, ..) = pair(|file| file).await;
    let agents = [hub.agent().await, hub.agent().await, hub.agent().await];
    for _ in 0..3 {
        for agent in &agents {
            agent.called("one__a").await;
        }
    }
    let sessions = called_in(&hub.peers[0]);
    let unique: HashSet<&String> = sessions.iter().collect();
    assert_eq!((sessions.len(), unique.len()), (9, 3), "{sessions:?}");
    assert!(sessions.chunks(3).all(|round| round == &sessions[..3]), "{sessions:?}");
    // Nor do they share the session in which the gate reads lists.
    agents[0].names("tools/list").await;
    let reader = hub.peers[0].calls_of("tools/list").remove(0);
    let reader = reader.header("mcp-session-id").expect("a session").to_owned();
    assert!(!unique.contains(&reader));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_calls_at_once_open_one_leg() {
    let (hub, one, _) = pair(|file| file).await;
    let member = one.clone();
    hub.peers[0].follow(move |request| {
        let mut reply = member.answer(request);
        if request.rpc_method().as_deref() == Some("initialize") {
            reply.acts.insert(0, testkit::Act::Pause(Duration::from_millis(200)));
        }
        reply
    });
    let agent = Arc::new(hub.agent().await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let agent = agent.clone();
        calls.spawn(async move { agent.called("one__a").await });
    }
    while let Some(called) = calls.join_next().await {
        assert_eq!(called.expect("a call"), "a");
    }
    assert_eq!(legs(&hub.peers[0]).len(), 1);
    assert_eq!(called_in(&hub.peers[0]).iter().collect::<HashSet<_>>().len(), 1);
}

#[tokio::test] // L8.
async fn ending_a_session_ends_every_leg_upstream_and_no_other() {
    let (hub, ..) = pair(|file| file).await;
    let (leaving, staying) = (hub.agent().await, hub.agent().await);
    for agent in [&leaving, &staying] {
        agent.called("one__a").await;
        agent.called("two__b").await;
    }
    let ended: Vec<String> = hub.peers.iter().map(|peer| called_in(peer)[0].clone()).collect();
    assert_eq!(leaving.end().await, 204);
    for (peer, session) in hub.peers.iter().zip(&ended) {
        peer.wait_until(DEADLINE, |peer| !peer.with_http_method("DELETE").is_empty()).await;
        let deleted = peer.with_http_method("DELETE");
        assert_eq!(deleted.len(), 1);
        assert_eq!(deleted[0].header("mcp-session-id"), Some(session.as_str()));
    }
    assert_eq!(leaving.call("one__a").await.status, 404);
    assert_eq!(staying.called("one__a").await, "a");
    assert_eq!(legs(&hub.peers[0]).len(), 2);
}

#[tokio::test] // D6.
async fn the_legs_of_an_idle_session_end_with_it() {
    let (hub, ..) = pair(|file| file.section("sessions: { idle: 1s }")).await;
    let agent = hub.agent().await;
    agent.called("one__a").await;
    // The leg that is not called stays as long as the session is used.
    let until = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < until {
        agent.called("two__b").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(hub.peers.iter().all(|peer| peer.with_http_method("DELETE").is_empty()));
    assert_eq!(agent.called("one__a").await, "a");
    assert_eq!(legs(&hub.peers[0]).len(), 1);
    for peer in &hub.peers {
        peer.wait_until(3 * DEADLINE, |peer| !peer.with_http_method("DELETE").is_empty()).await;
        let deleted = peer.with_http_method("DELETE").remove(0);
        assert_eq!(deleted.header("mcp-session-id"), Some(called_in(peer)[0].as_str()));
    }
    assert_eq!(agent.call("one__a").await.status, 404);
    hub.gate.wait_for_status(|status| status["gate"]["sessions"] == 0).await;
}

#[tokio::test] // F6.
async fn a_strict_leg_that_is_lost_says_so_once_and_leaves_the_others() {
    let (hub, one, two) = pair(|file| file).await;
    let agent = hub.agent().await;
    agent.called("one__a").await;
    agent.called("two__b").await;
    one.forget();
    let answer = agent.call("one__a").await;
    assert_ne!(answer.status, 404, "the agent's own session is fine");
    let said = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains("`one`") && said.contains("next call"), "{said}");
    assert_eq!(agent.called("two__b").await, "b");
    assert_eq!(agent.called("one__a").await, "a");
    assert_eq!((legs(&hub.peers[0]).len(), legs(&hub.peers[1]).len()), (2, 1));
    assert_eq!(called_in(&hub.peers[0]).iter().collect::<HashSet<_>>().len(), 2);
    assert_eq!(two.sessions(), 2, "the leg, and the session in which the gate reads");
}

#[tokio::test] // F6: never silently lost state, whatever was said before the next call.
async fn a_lost_leg_is_told_of_by_the_next_call_and_not_swallowed_by_what_came_before() {
    for before in ["stream", "level", "roots", "answer"] {
        let (hub, one, _) = pair(|file| file).await;
        one.declare(json!({ "tools": { "listChanged": true }, "logging": {} }));
        let agent = hub.agent().await;
        agent.called("one__a").await;
        one.forget();
        let seen = hub.peers[0].requests().len();
        let changed = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
        let answer = json!({ "jsonrpc": "2.0", "id": "one__1", "result": {} });
        match before {
            "stream" => drop(agent.stream().await),
            "level" => drop(agent.ask("logging/setLevel", &json!({ "level": "info" })).await),
            "roots" => drop(agent.send(&changed).await),
            _ => drop(agent.send(&answer).await),
        }
        hub.peers[0].wait_until(DEADLINE, |peer| peer.requests().len() > seen).await;
        let told = agent.call("one__a").await.json()["error"]["message"].clone();
        assert!(told.as_str().is_some_and(|text| text.contains("lost")), "{before}: {told}");
        assert_eq!(agent.called("one__a").await, "a", "{before}");
    }
}

#[tokio::test]
async fn a_recoverable_leg_that_is_lost_goes_on_without_a_word() {
    let (hub, one, _) = pair(|file| file.upstream_key("sessions: recoverable")).await;
    let agent = hub.agent().await;
    // The key is that of the last upstream.
    agent.called("two__b").await;
    agent.called("one__a").await;
    agent.ask("logging/setLevel", &json!({ "level": "debug" })).await;
    agent.ask("resources/subscribe", &json!({ "uri": "tollgate+two:x://y" })).await;
    hub.members[1].forget();
    assert_eq!(agent.called("two__b").await, "b");
    let recovered = called_in(&hub.peers[1]).pop().expect("a call");
    let mut told = hub.peers[1].requests();
    told.retain(|seen| seen.header("mcp-session-id") == Some(&recovered));
    let uris: Vec<Value> = told
        .iter()
        .filter(|seen| seen.rpc_method().as_deref() == Some("resources/subscribe"))
        .map(|seen| seen.json()["params"]["uri"].clone())
        .collect();
    assert_eq!(uris, ["x://y"]);
    assert!(told.iter().any(|seen| seen.json()["params"]["level"] == "debug"));
    assert_eq!(legs(&hub.peers[0]).len(), 1);
    assert_eq!(one.sessions(), 2, "the leg, and the session in which the gate reads");
}

#[tokio::test] // F1 and F7.
async fn only_the_calls_of_an_upstream_that_is_down_fail_and_fast() {
    let (mut hub, ..) = pair(|file| file).await;
    let agent = hub.agent().await;
    agent.called("one__a").await;
    agent.called("two__b").await;
    agent.names("tools/list").await;
    drop(hub.peers.remove(0));
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = agent.call("one__a").await;
        assert!([502, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
        assert!(answer.json()["error"]["message"].is_string());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(agent.called("two__b").await, "b");
    }
    let begun = Instant::now();
    assert!(agent.names("tools/list").await.contains(&"two__b".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(agent.greeting["capabilities"]["tools"].is_object());
    hub.agent().await;
}

#[tokio::test] // F1: never sent again.
async fn a_call_whose_upstream_breaks_off_is_not_repeated() {
    let (hub, one, _) = pair(|file| file).await;
    let agent = hub.agent().await;
    agent.called("one__a").await;
    hub.peers[0].follow(move |request| match request.rpc_method().as_deref() {
        Some("tools/call") => Reply::reset(),
        _ => one.answer(request),
    });
    let answer = agent.call("one__a").await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["id"], agent_id(&hub.peers[0]));
    assert_eq!(hub.counts("tools/call"), [2, 0]);
}

/// The id of the last call.
fn agent_id(peer: &Recorder) -> Value {
    peer.calls_of("tools/call").pop().expect("a call").json()["id"].clone()
}

#[tokio::test]
async fn legs_do_not_count_towards_the_caps_on_sessions() {
    let (hub, ..) = pair(|file| file.section("sessions: { max: 2, max_per_caller: 2 }")).await;
    let agents = [hub.agent().await, hub.agent().await];
    for agent in &agents {
        agent.called("one__a").await;
        agent.called("two__b").await;
        agent.names("tools/list").await;
    }
    assert_eq!(hub.gate.status().await["gate"]["sessions"], 2);
    let third = ask(hub.gate.address, &legacy_initialize("2025-11-25")).await;
    assert!([429, 503].contains(&third.status), "{}", third.status);
    agents[0].end().await;
    hub.agent().await;
}

#[tokio::test]
async fn an_upstream_without_sessions_is_called_without_one() {
    let (plain, other) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    plain.keep_no_sessions();
    let hub = Hub::open(GATE, &[("plain", &plain), ("other", &other)]).await;
    let agent = hub.agent().await;
    for _ in 0..2 {
        assert_eq!(agent.called("plain__a").await, "a");
        assert_eq!(agent.called("other__b").await, "b");
    }
    assert_eq!(called_in(&hub.peers[0]), ["-", "-"]);
    assert_eq!(agent.names("tools/list").await, ["plain__a", "other__b"]);
    assert_eq!(agent.end().await, 204);
    assert!(hub.peers[0].with_http_method("DELETE").is_empty());
}

#[tokio::test] // Row 54.
async fn a_session_of_a_hub_is_unknown_elsewhere_and_the_other_way_round() {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], |file| {
        file.route("/one", "one").route("/both", "one, two")
    })
    .await;
    let agent = hub.agent().await;
    agent.called("one__a").await;
    let upstreams = called_in(&hub.peers[0]);
    let alone = ask(hub.gate.address, &legacy_initialize("2025-11-25").to("/one")).await;
    let alone = alone.header("mcp-session-id").expect("a session").to_owned();
    let before = hub.peers[0].requests().len();
    for (path, session) in [
        ("/one", agent.session.as_str()),
        ("/both", &agent.session),
        ("/mcp", &alone),
        ("/mcp", &upstreams[0]),
        ("/mcp", "*"),
    ] {
        let ping = testkit::legacy_post(session, "ping", &json!({})).to(path);
        assert_eq!(ask(hub.gate.address, &ping).await.status, 404, "{path} {session}");
        let mut client = testkit::RawClient::connect(hub.gate.address).await;
        let get = legacy_bodyless("GET", session, &[]);
        client.send(&String::from_utf8_lossy(&get).replace("/mcp", path).into_bytes()).await;
        assert_eq!(client.response().await.expect("an answer").status, 404, "{path} {session}");
    }
    assert_eq!(hub.peers[0].requests().len(), before);
}

#[tokio::test]
async fn an_upstream_that_refuses_the_agent_fails_its_own_calls_only() {
    let (hub, one, _) = pair(|file| file).await;
    hub.peers[0].follow(move |request| match request.rpc_method().as_deref() {
        Some("initialize") => Reply::status(401, &[("www-authenticate", "Bearer")], b""),
        _ => one.answer(request),
    });
    let agent = hub.agent().await;
    let answer = agent.call("one__a").await;
    assert!(answer.status >= 400 && answer.status != 404, "{} {}", answer.status, answer.text());
    assert_eq!(agent.called("two__b").await, "b");
    assert_eq!(hub.counts("tools/call"), [0, 1]);
}

#[tokio::test]
async fn requests_without_a_session_are_told_to_open_one() {
    let (hub, ..) = pair(|file| file).await;
    let agent = hub.agent().await;
    let ping = agent.post("ping", &json!({})).without("mcp-session-id");
    assert_eq!(ask(hub.gate.address, &ping).await.status, 400);
    let file = Configuration::hub(&[("one", hub.peers[0].address), ("two", hub.peers[1].address)]);
    let other = GateProcess::start(GATE, &file.text()).await;
    assert_eq!(ask(other.address, &agent.post("ping", &json!({}))).await.status, 404);
}
