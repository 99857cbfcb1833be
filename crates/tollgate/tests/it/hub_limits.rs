//! Rows 117 and 120, F3 and the lesson of unifi #173 and executor #1684: what agents and upstreams of
//! a hub can make the gate hold, wait for and ask.

use crate::GATE;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::client::ask;
use testkit::{
    Act, Agent, Configuration, DEADLINE, GateProcess, Hub, Member, RawClient, Recorder, Reply,
    legacy_initialize, modern_call,
};

const TOOLS: &str = "tools/list";
/// Longer than any wait of the gate's for a list.
const PATIENCE: Duration = Duration::from_secs(30);

async fn pair(change: fn(Configuration) -> Configuration) -> (Hub, Arc<Member>, Arc<Member>) {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], change).await;
    (hub, one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // F3.
async fn calls_that_wait_for_one_leg_fail_together_when_it_hangs() {
    let (hub, ..) = pair(|file| file.http_key("timeouts: { first_byte: 1s }")).await;
    let agent = Arc::new(hub.agent().await);
    // The key is that of the last upstream.
    hub.peers[1].follow(|_| Reply::hang());
    let begun = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let agent = agent.clone();
        calls.spawn(async move {
            let post = agent.post("tools/call", &json!({ "name": "two__b" }));
            RawClient::connect(agent.address).await.ask_within(&post, PATIENCE).await.status
        });
    }
    while let Some(status) = calls.join_next().await {
        let status = status.expect("a call");
        assert!([502, 503, 504].contains(&status), "{status}");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(agent.called("one__a").await, "a");
    let member = hub.members[1].clone();
    hub.peers[1].follow(move |request| member.answer(request));
    let deadline = Instant::now() + DEADLINE;
    while agent.call("two__b").await.status != 200 {
        assert!(Instant::now() < deadline, "the leg is never opened");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test] // F3, row 120.
async fn an_upstream_of_unknown_era_that_hangs_delays_modern_agents_for_a_while_only() {
    let healthy = Member::with_tools(&["fine"]);
    let peer = Recorder::of_member(&healthy).await;
    let hanging = Recorder::scripted(|_| Reply::hang()).await;
    let file = Configuration::default()
        .upstream("hangs", &[hanging.address])
        .upstream("healthy", &[peer.address])
        .upstream_key("era: both")
        .route("/mcp", "hangs, healthy");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let begun = Instant::now();
    let mut client = RawClient::connect(gate.address).await;
    let answer = client.ask_within(&modern_call(TOOLS, &json!({})), PATIENCE).await;
    assert_eq!(answer.json()["result"]["tools"][0]["name"], "healthy__fine", "{}", answer.text());
    assert!(begun.elapsed() < Duration::from_secs(26), "{:?}", begun.elapsed());
    let call = modern_call("tools/call", &json!({ "name": "healthy__fine" }));
    let begun = Instant::now();
    assert_eq!(ask(gate.address, &call).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test] // Lists are read for each kind of agent; kinds are many, what is kept is not.
async fn agents_of_many_kinds_hold_few_sessions_of_the_gates_own() {
    let (hub, one, two) = pair(|file| file).await;
    for kind in 0..40 {
        let capabilities = format!("\"capabilities\":{{\"x-{kind}\":{{}}}}");
        let post = legacy_initialize("2025-11-25").replace("\"capabilities\":{}", capabilities);
        let agent = Agent::open_by(hub.gate.address, post).await;
        assert_eq!(agent.names(TOOLS).await, ["one__a", "two__b"]);
    }
    let deadline = Instant::now() + DEADLINE;
    while one.sessions() > 8 || two.sessions() > 8 {
        assert!(Instant::now() < deadline, "{} {}", one.sessions(), two.sessions());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test] // unifi #173, executor #1684, obot #7929: 1 M `initialize` without DELETE.
async fn sessions_of_a_hub_that_nobody_ends_cost_little() {
    let (hub, ..) = pair(|file| file.section("sessions: { max: 50, max_per_caller: 50 }")).await;
    let mut client = RawClient::connect(hub.gate.address).await;
    let initialize = legacy_initialize("2025-11-25");
    for _ in 0..50 {
        assert_eq!(client.ask(&initialize).await.status, 200);
    }
    let (memory, asked) = (hub.gate.memory_kib(), hub.counts("initialize"));
    for _ in 0..2_000 {
        let status = client.ask(&initialize).await.status;
        assert!([429, 503].contains(&status), "{status}");
    }
    assert_eq!(hub.counts("initialize"), asked, "an agent that only greets costs no upstream");
    assert!(hub.gate.memory_kib() < memory + 16 * 1024);
    assert_eq!(hub.gate.status().await["gate"]["sessions"], 50);
}

#[tokio::test] // Row 117: a line without an end.
async fn an_endless_event_is_no_list_and_costs_bounded_memory() {
    let (hub, one, _) = pair(|file| file).await;
    hub.peers[0].follow(move |request| match request.rpc_method().as_deref() {
        Some(TOOLS) => {
            let line = vec![b'x'; 1024 * 1024];
            let begun = Reply::stream().chunk(b"data: \"");
            (0..200).fold(begun, |reply, _| reply.chunk(&line)).then(Act::Hang)
        }
        _ => one.answer(request),
    });
    let agent = hub.agent().await;
    let before = hub.gate.memory_kib();
    let mut client = RawClient::connect(hub.gate.address).await;
    let answer = client.ask_within(&agent.post(TOOLS, &json!({})), PATIENCE).await;
    assert_eq!(answer.json()["result"]["tools"].as_array().map(Vec::len), Some(1));
    let grown = hub.gate.memory_kib().saturating_sub(before);
    assert!(grown < 160 * 1024, "{grown} KiB");
    assert_eq!(agent.called("two__b").await, "b");
}

#[tokio::test] // Row 117: what an upstream says by itself is bounded, too.
async fn an_endless_event_on_the_stream_of_changes_costs_bounded_memory() {
    let (hub, one, _) = pair(|file| file).await;
    one.declare(json!({ "tools": { "listChanged": true } }));
    let member = one.clone();
    hub.peers[0].follow(move |request| match request.method.as_str() {
        "GET" => {
            let line = vec![b'x'; 1024 * 1024];
            let begun = Reply::stream().chunk(b"data: \"");
            (0..200).fold(begun, |reply, _| reply.chunk(&line)).then(Act::Hang)
        }
        _ => member.answer(request),
    });
    let agent = hub.agent().await;
    let before = hub.gate.memory_kib();
    for _ in 0..5 {
        assert_eq!(agent.names(TOOLS).await, ["one__a", "two__b"]);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let grown = hub.gate.memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
}

#[tokio::test]
async fn word_of_changes_in_a_flood_asks_for_few_lists() {
    let (hub, one, _) = pair(|file| file).await;
    one.declare(json!({ "tools": { "listChanged": true } }));
    let agent = hub.agent().await;
    agent.names(TOOLS).await;
    let deadline = Instant::now() + DEADLINE;
    while one.streams().is_empty() {
        assert!(Instant::now() < deadline, "nobody listens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        one.say(&changed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = hub.counts(TOOLS);
    assert!(asked[0] <= 12 && asked[1] == 1, "{asked:?}");
    assert_eq!(agent.names(TOOLS).await, ["one__a", "two__b"]);
}

#[tokio::test]
async fn an_upstream_without_log_levels_is_called_all_the_same() {
    let (hub, one, two) = pair(|file| file).await;
    one.declare(json!({ "tools": {}, "logging": {} }));
    hub.peers[1].follow(move |request| match request.rpc_method().as_deref() {
        Some("logging/setLevel") => Reply::status(400, &[], b"no such method"),
        _ => two.answer(request),
    });
    let agent = hub.agent().await;
    let set = agent.ask("logging/setLevel", &json!({ "level": "debug" })).await;
    assert_eq!(set.json()["result"], json!({}));
    assert_eq!(agent.called("one__a").await, "a");
    assert_eq!(agent.called("two__b").await, "b");
}

#[tokio::test]
async fn the_newest_stream_of_a_session_is_the_one_that_hears() {
    let (hub, one, _) = pair(|file| file).await;
    one.declare(json!({ "tools": { "listChanged": true } }));
    let agent = hub.agent().await;
    let mut first = agent.stream().await;
    agent.called("one__a").await;
    let leg = hub.peers[0].calls_of("tools/call").remove(0);
    let leg = leg.header("mcp-session-id").expect("a session").to_owned();
    let mut second = agent.stream().await;
    while let Some(event) = first.event().await {
        assert!(event.data.is_empty(), "{event:?}");
    }
    let heard = |member: &Member| member.streams().iter().filter(|of| **of == leg).count();
    let asked = || hub.peers[0].with_http_method("GET").len();
    let deadline = Instant::now() + DEADLINE;
    while asked() < 2 || heard(&one) != 1 {
        assert!(Instant::now() < deadline, "{:?}", one.streams());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = json!({ "jsonrpc": "2.0", "method": "notifications/message",
                      "params": { "level": "info", "data": "x" } });
    one.say_in(&leg, &log);
    loop {
        let event = second.event().await.expect("an event");
        if !event.data.is_empty() {
            assert_eq!(event.json()["params"]["data"], "x");
            break;
        }
    }
}

#[tokio::test] // Gates stand behind gates: a name carries as many fronts as there are hubs.
async fn a_hub_behind_a_hub_leads_to_the_right_upstream() {
    let (inner, one, _) = pair(|file| file).await;
    one.declare(json!({ "tools": {}, "resources": {} }));
    one.offer("resources/list", &["file:///a"]);
    let other = Recorder::of_member(&Member::with_tools(&["z"])).await;
    let file = Configuration::default()
        .upstream("inner", &[inner.gate.address])
        .upstream_key("era: both")
        .upstream("other", &[other.address])
        .upstream_key("era: both")
        .route("/mcp", "inner, other");
    let outer = GateProcess::start(GATE, &file.text()).await;
    let agent = Agent::open(outer.address).await;
    assert_eq!(agent.names(TOOLS).await, ["inner__one__a", "inner__two__b", "other__z"]);
    assert_eq!(agent.called("inner__two__b").await, "b");
    let uri = "tollgate+inner:tollgate+one:file:///a";
    assert_eq!(agent.names("resources/list").await, [uri]);
    let read = agent.ask("resources/read", &json!({ "uri": uri })).await.json();
    assert_eq!(read["result"]["contents"][0]["uri"], uri);
    let answered = tokio::sync::watch::Sender::new(false);
    let opened = answered.clone();
    inner.peers[0].follow(move |request| {
        let message = request.json();
        if message["method"] != "tools/call" {
            return one.answer(request);
        }
        let asks = json!({ "jsonrpc": "2.0", "id": "7\"_", "method": "roots/list" });
        let result = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [] } });
        let reply = Reply::stream().event(&asks.to_string());
        reply.then(Act::Wait(opened.subscribe())).event(&result.to_string()).end()
    });
    let mut call = RawClient::connect(outer.address).await;
    call.send(&agent.post("tools/call", &json!({ "name": "inner__one__a" })).bytes()).await;
    assert_eq!(call.head().await.expect("a stream").status, 200);
    let asked = call.event().await.expect("a question").json();
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "roots": [] } });
    assert_eq!(agent.send(&answer).await.status, 202);
    let is_answered = |peer: &Recorder| {
        peer.requests().iter().any(|seen| {
            let message: Value = seen.json();
            message["id"] == "7\"_" && message["result"]["roots"].is_array()
        })
    };
    inner.peers[0].wait_until(DEADLINE, is_answered).await;
    answered.send_replace(true);
    assert!(call.event().await.expect("the answer").json()["result"].is_object());
}

/// One session of an agent: calls of both upstreams, perhaps a list and a stream, perhaps an end.
async fn visit(address: std::net::SocketAddr, number: usize) {
    let agent = Agent::open(address).await;
    let stream = if number.is_multiple_of(3) { Some(agent.stream().await) } else { None };
    for tool in ["one__a", "two__b", "one__a"] {
        let arguments = json!({ "agent": agent.session });
        let answer =
            agent.ask("tools/call", &json!({ "name": tool, "arguments": arguments })).await;
        let message = answer.json();
        // Either the call was made, or its own upstream had forgotten the leg.
        let text = message["result"]["content"][0]["text"].as_str();
        let said = message["error"]["message"].as_str().unwrap_or_default();
        let upstream = tool.split("__").next().expect("a name");
        let is_right = match text {
            Some(text) => tool.ends_with(text),
            None => said.contains(&format!("`{upstream}` lost its session")),
        };
        assert!(is_right, "{tool}: {} {message}", answer.status);
    }
    if number.is_multiple_of(2) {
        assert_eq!(agent.names(TOOLS).await.len(), 2);
    }
    // Some end in good order, some just leave.
    match number % 4 {
        0 => drop(stream),
        _ => assert_eq!(agent.end().await, 204),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // CF #4205, F6; I9.
async fn nothing_is_left_behind_and_nothing_mixed_up_when_agents_come_and_go() {
    let (hub, one, two) = pair(|file| file.section("sessions: { idle: 2s }")).await;
    for member in [&one, &two] {
        member.declare(json!({ "tools": { "listChanged": true }, "logging": {} }));
    }
    let address = hub.gate.address;
    let over = Arc::new(AtomicBool::new(false));
    let mut agents = tokio::task::JoinSet::new();
    for number in 0..12_usize {
        let over = over.clone();
        agents.spawn(async move {
            let mut visits = 0_usize;
            while !over.load(Ordering::Relaxed) {
                visits += 1;
                visit(address, number + visits).await;
            }
            visits
        });
    }
    for round in 0..20 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let member = [&one, &two][round % 2];
        if round % 5 == 0 {
            member.forget();
        }
        member.say(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    }
    over.store(true, Ordering::Relaxed);
    let mut visits = 0;
    while let Some(done) = agents.join_next().await {
        visits += done.expect("an agent that was served");
    }
    assert!(visits > 24, "{visits}");
    let deadline = Instant::now() + 3 * DEADLINE;
    let is_clean =
        |status: &Value| status["gate"]["sessions"] == 0 && status["gate"]["streams"] == 0;
    // One session of each upstream is the gate's own.
    while !is_clean(&hub.gate.status().await) || one.sessions() > 1 || two.sessions() > 1 {
        let sessions = (one.sessions(), two.sessions());
        assert!(Instant::now() < deadline, "{sessions:?} {:#}", hub.gate.status().await["gate"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(hub.gate.status().await["gate"]["panics"], 0);
    for peer in &hub.peers {
        let mut owners = HashMap::new();
        for call in peer.calls_of("tools/call") {
            let session = call.header("mcp-session-id").expect("a session").to_owned();
            let agent = call.json()["params"]["arguments"]["agent"].clone();
            let owner = owners.entry(session).or_insert_with(|| agent.clone());
            assert_eq!(*owner, agent, "two agents in one session of an upstream");
        }
        assert!(owners.len() >= visits);
    }
}

#[tokio::test] // F3: a server that hangs is given its time once, not three times.
async fn a_first_call_waits_for_a_hanging_upstream_no_longer_than_its_deadline() {
    let (hub, ..) = pair(|file| file.http_key("timeouts: { first_byte: 2s }")).await;
    let agent = hub.agent().await;
    // The key is that of the last upstream.
    hub.peers[1].follow(|_| Reply::hang());
    let begun = Instant::now();
    let answer = agent.call("two__b").await;
    assert!([502, 503, 504].contains(&answer.status), "{} {}", answer.status, answer.text());
    assert!(begun.elapsed() < Duration::from_millis(3_500), "{:?}", begun.elapsed());
    let own = hub.peers[1].calls_of("initialize");
    let own = own.iter().filter(|seen| seen.json()["params"]["clientInfo"]["name"] == "testkit");
    assert_eq!(own.count(), 1, "it may have been processed");
}
