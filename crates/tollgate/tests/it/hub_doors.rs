//! Hubs whose upstreams speak over different transports, and agents that come in by other doors:
//! programs on stdio and servers on HTTP+SSE are members as any, and agents without session ids are
//! served (envoyproxy/ai-gateway#1958, docker #483, CF #4205, F37).

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::client::ask;
use testkit::sse_peer::SsePeer;
use testkit::stdio::processes;
use testkit::{
    Agent, Configuration, DEADLINE, GateProcess, Member, RawClient, Recorder, legacy_initialize,
    legacy_post,
};

const TOOLS: &str = "tools/list";

/// A hub of a program, a server on HTTP+SSE and one on Streamable HTTP.
struct Mixed {
    gate: GateProcess,
    web: Recorder,
    elder: Recorder,
    mark: tempfile::TempDir,
}

impl Mixed {
    async fn open() -> Self {
        let web = Recorder::of_member(&Member::with_tools(&["a"])).await;
        let peer = Arc::new(SsePeer::default());
        let elder = Recorder::scripted(move |request| peer.answer(request)).await;
        let mark = tempfile::tempdir().expect("a folder");
        let file = Configuration::default()
            .stdio_upstream("pipe", &mark.path().to_string_lossy())
            .sse_upstream("elder", elder.address)
            .upstream("web", &[web.address])
            .upstream_key("era: both")
            .route("/mcp", "pipe, elder, web");
        let gate = GateProcess::start(GATE, &file.text()).await;
        Self { gate, web, elder, mark }
    }

    fn running(&self) -> usize {
        processes(&self.mark.path().to_string_lossy(), self.gate.id()).len()
    }
}

async fn text(agent: &Agent, tool: &str, arguments: Value) -> String {
    let asked = json!({ "name": tool, "arguments": arguments });
    let answer = agent.ask("tools/call", &asked).await;
    let last = answer.messages().pop().unwrap_or_default();
    let text = last["result"]["content"][0]["text"].as_str().map(str::to_owned);
    text.unwrap_or_else(|| panic!("{tool}: {} {}", answer.status, answer.text()))
}

#[tokio::test] // CF #4205: two clients on a stateful server never see each other's state.
async fn upstreams_of_all_transports_are_one_server() {
    let hub = Mixed::open().await;
    let (one, two) = (Agent::open(hub.gate.address).await, Agent::open(hub.gate.address).await);
    let names = one.names(TOOLS).await;
    for name in ["pipe__count", "elder__echo", "web__a"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    let order: Vec<&str> = names.iter().filter_map(|name| name.split("__").next()).collect();
    assert!(order.is_sorted_by_key(|name| ["pipe", "elder", "web"].iter().position(|n| n == name)));
    for count in ["1", "2"] {
        assert_eq!(text(&one, "pipe__count", json!({})).await, count);
    }
    assert_eq!(text(&two, "pipe__count", json!({})).await, "1");
    assert_eq!(one.called("web__a").await, "a");
    assert!(text(&one, "elder__echo", json!({ "text": "x" })).await.contains('x'));
    assert_eq!(hub.web.calls_of("tools/call").len(), 1);
    assert_eq!(hub.elder.calls_of("tools/call").len(), 1);
}

#[tokio::test] // docker #483, metamcp #336.
async fn ending_a_session_ends_the_programs_of_its_legs() {
    let hub = Mixed::open().await;
    let agent = Agent::open(hub.gate.address).await;
    assert_eq!(text(&agent, "pipe__count", json!({})).await, "1");
    let kept = Agent::open(hub.gate.address).await;
    assert_eq!(text(&kept, "pipe__count", json!({})).await, "1");
    let before = hub.running();
    assert_eq!(agent.end().await, 204);
    let deadline = Instant::now() + 2 * DEADLINE;
    while hub.running() >= before {
        assert!(Instant::now() < deadline, "{before} processes stay");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(text(&kept, "pipe__count", json!({})).await, "2");
}

#[tokio::test] // F37.
async fn a_program_that_dies_fails_its_own_call_and_comes_back() {
    let hub = Mixed::open().await;
    let agent = Agent::open(hub.gate.address).await;
    assert_eq!(text(&agent, "pipe__count", json!({})).await, "1");
    let begun = Instant::now();
    let answer = agent.call("pipe__exit").await;
    let last = answer.messages().pop().unwrap_or_default();
    assert!(last["error"]["message"].is_string(), "{} {}", answer.status, answer.text());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(agent.called("web__a").await, "a");
    let deadline = Instant::now() + 2 * DEADLINE;
    loop {
        let answer = agent.call("pipe__count").await;
        let text =
            answer.messages().pop().unwrap_or_default()["result"]["content"][0]["text"].clone();
        if text == "1" {
            break;
        }
        assert!(Instant::now() < deadline, "{} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(agent.called("web__a").await, "a");
}

#[tokio::test]
async fn a_program_asks_the_agent_and_is_answered() {
    let hub = Mixed::open().await;
    let agent = Agent::open(hub.gate.address).await;
    let mut call = RawClient::connect(hub.gate.address).await;
    call.send(&agent.post("tools/call", &json!({ "name": "pipe__ask" })).bytes()).await;
    assert_eq!(call.head().await.expect("a stream").status, 200);
    let asked = loop {
        let event = call.event().await.expect("a question");
        if !event.data.is_empty() {
            break event.json();
        }
    };
    assert_eq!(asked["method"], "elicitation/create");
    let id = asked["id"].as_str().expect("an id of the hub's");
    assert!(id.starts_with("pipe__"), "{id}");
    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept" } });
    assert_eq!(agent.send(&answer).await.status, 202);
    let told = loop {
        let event = call.event().await.expect("the answer");
        if !event.data.is_empty() {
            break event.json();
        }
    };
    let text = told["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("accept"), "{text}");
}

#[tokio::test] // envoyproxy/ai-gateway#1958.
async fn agents_without_session_ids_have_legs_of_their_own() {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let peers = [Recorder::of_member(&one).await, Recorder::of_member(&two).await];
    let file = Configuration::hub(&[("one", peers[0].address), ("two", peers[1].address)])
        .route_key("soft_sessions: true");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let call = |user_agent: &str, tool: &str| {
        legacy_post("-", "tools/call", &json!({ "name": tool }))
            .without("mcp-session-id")
            .with("user-agent", user_agent)
    };
    for user_agent in ["x", "y"] {
        let initialize = legacy_initialize("2025-11-25").with("user-agent", user_agent);
        assert_eq!(ask(gate.address, &initialize).await.status, 200);
    }
    for _ in 0..2 {
        for user_agent in ["x", "y"] {
            let answer = ask(gate.address, &call(user_agent, "one__a")).await;
            assert_eq!(answer.json()["result"]["content"][0]["text"], "a", "{}", answer.text());
        }
    }
    let sessions: Vec<Option<String>> = peers[0]
        .calls_of("tools/call")
        .iter()
        .map(|call| call.header("mcp-session-id").map(str::to_owned))
        .collect();
    assert_eq!((&sessions[0], &sessions[1]), (&sessions[2], &sessions[3]));
    assert_ne!(sessions[0], sessions[1]);
    assert_eq!(ask(gate.address, &call("z", "one__a")).await.status, 400);
    assert_eq!(peers[0].calls_of("tools/call").len(), 4);
}

#[tokio::test]
async fn the_one_upstream_of_a_curated_route_asks_under_its_own_ids() {
    let member = Member::with_tools(&["a"]);
    let peer = Recorder::of_member(&member).await;
    let file =
        Configuration::hub(&[("only", peer.address)]).route_key("tools: { rename: { a: find } }");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let (answered, wait) = tokio::sync::watch::channel(false);
    peer.follow(move |request| {
        let message = request.json();
        if message["method"] != "tools/call" {
            return member.answer(request);
        }
        let asks = json!({ "jsonrpc": "2.0", "id": 7, "method": "roots/list" });
        let content = json!([{ "type": "resource_link", "uri": "x://y", "name": "x" }]);
        let result =
            json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": content } });
        testkit::Reply::stream()
            .event(&asks.to_string())
            .then(testkit::Act::Wait(wait.clone()))
            .event(&result.to_string())
            .end()
    });
    let agent = Agent::open(gate.address).await;
    let mut call = RawClient::connect(gate.address).await;
    call.send(&agent.post("tools/call", &json!({ "name": "find" })).bytes()).await;
    assert_eq!(call.head().await.expect("a stream").status, 200);
    assert_eq!(call.event().await.expect("a question").json()["id"], 7);
    let answer = json!({ "jsonrpc": "2.0", "id": 7, "result": { "roots": [] } });
    assert_eq!(agent.send(&answer).await.status, 202);
    let is_answered = |peer: &Recorder| {
        peer.requests().iter().any(|seen| seen.json()["result"]["roots"].is_array())
    };
    peer.wait_until(DEADLINE, is_answered).await;
    answered.send_replace(true);
    let told = call.event().await.expect("the answer").json();
    assert_eq!(told["result"]["content"][0]["uri"], "x://y");
    assert_eq!(peer.calls_of("tools/call")[0].json()["params"]["name"], "a");
}
