//! Hubs whose upstreams come and go while agents work: no call fails, sessions stay, agents are told,
//! and what was with one upstream is never mistaken for another's because the order changed.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::{
    Act, Agent, Configuration, DEADLINE, GateProcess, Member, RawClient, Recorder, Reply,
};

const TOOLS: &str = "tools/list";
const CHANGED: &str = "notifications/tools/list_changed";

/// Four recorded upstreams, of which configurations offer some.
struct Yard {
    members: [Arc<Member>; 4],
    peers: [Recorder; 4],
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl Yard {
    async fn new() -> Self {
        let members = NAMES.map(|_| {
            let member = Member::with_tools(&["x"]);
            member.declare(json!({ "tools": { "listChanged": true }, "logging": {} }));
            member
        });
        let [a, b, c, d] = &members;
        let peers = [
            Recorder::of_member(a).await,
            Recorder::of_member(b).await,
            Recorder::of_member(c).await,
            Recorder::of_member(d).await,
        ];
        Self { members, peers }
    }

    /// A configuration whose hub offers these.
    fn file(&self, offered: &[&str]) -> Configuration {
        let at = |name: &&str| NAMES.iter().position(|known| known == name).expect("a name");
        let members: Vec<_> =
            offered.iter().map(|name| (*name, self.peers[at(name)].address)).collect();
        Configuration::hub(&members)
    }

    /// The upstream session the last call came in.
    fn session(&self, at: usize) -> String {
        let call = self.peers[at].calls_of("tools/call").pop().expect("a call");
        call.header("mcp-session-id").expect("a session").to_owned()
    }

    /// Waits for the stream of the session of the last call, and says something on it.
    async fn say(&self, at: usize, data: &str) {
        let session = self.session(at);
        let deadline = Instant::now() + DEADLINE;
        while !self.members[at].streams().contains(&session) {
            assert!(Instant::now() < deadline, "the stream of {} is never opened", NAMES[at]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let log = json!({ "jsonrpc": "2.0", "method": "notifications/message",
                          "params": { "level": "info", "logger": "l", "data": data } });
        self.members[at].say_in(&session, &log);
    }
}

async fn apply(gate: &GateProcess, file: &Configuration) {
    let version = gate.status().await["configuration"].clone();
    gate.rewrite(&file.text());
    gate.wait_for_status(|status| status["configuration"] != version).await;
}

/// The messages of the next second.
async fn heard(stream: &mut RawClient) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), stream.event()).await {
        if !event.data.is_empty() {
            all.push(event.json());
        }
    }
    all
}

fn words(heard: &[Value]) -> usize {
    heard.iter().filter(|message| message["method"] == CHANGED).count()
}

fn logs(heard: &[Value]) -> Vec<(&str, &str)> {
    let text = |message: &'_ Value, key: &str| message["params"][key].is_string();
    let all = heard.iter().filter(|message| text(message, "data"));
    let all = all.map(|message| {
        let params = &message["params"];
        (params["logger"].as_str().unwrap_or("-"), params["data"].as_str().unwrap_or("-"))
    });
    // Two upstreams are heard in any order.
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn an_upstream_that_is_added_is_told_of_and_served_in_sessions_that_stay() {
    let yard = Yard::new().await;
    let gate = GateProcess::start(GATE, &yard.file(&["b", "c"]).text()).await;
    let agent = Agent::open(gate.address).await;
    let mut stream = agent.stream().await;
    assert_eq!(agent.names(TOOLS).await, ["b__x", "c__x"]);
    agent.called("b__x").await;
    let before = yard.session(1);
    // In front of the others, so that each of them has another place.
    apply(&gate, &yard.file(&["a", "b", "c"])).await;
    assert_eq!(words(&heard(&mut stream).await), 1);
    assert_eq!(agent.names(TOOLS).await, ["a__x", "b__x", "c__x"]);
    agent.called("a__x").await;
    agent.called("b__x").await;
    assert_eq!(yard.session(1), before, "the leg stays");
    yard.say(0, "of a").await;
    yard.say(1, "of b").await;
    let said = heard(&mut stream).await;
    assert_eq!(logs(&said), [("a/l", "of a"), ("b/l", "of b")]);
    assert_eq!(words(&said), 0);
}

#[tokio::test]
async fn an_upstream_that_is_removed_is_heard_of_and_called_no_more() {
    let yard = Yard::new().await;
    let gate = GateProcess::start(GATE, &yard.file(&["a", "b", "c"]).text()).await;
    let agent = Agent::open(gate.address).await;
    let mut stream = agent.stream().await;
    agent.names(TOOLS).await;
    agent.called("a__x").await;
    agent.called("b__x").await;
    yard.say(0, "before").await;
    assert_eq!(logs(&heard(&mut stream).await), [("a/l", "before")]);
    apply(&gate, &yard.file(&["b", "c"])).await;
    assert_eq!(words(&heard(&mut stream).await), 1);
    assert_eq!(agent.names(TOOLS).await, ["b__x", "c__x"]);
    let calls = yard.peers[0].calls_of("tools/call").len();
    assert_eq!(agent.call("a__x").await.code(), Some(-32602));
    assert_eq!(yard.peers[0].calls_of("tools/call").len(), calls);
    // Nobody listens to it any more, neither for the agent nor for the lists.
    let deadline = Instant::now() + DEADLINE;
    while !yard.members[0].streams().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", yard.members[0].streams());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    yard.say(1, "after").await;
    assert_eq!(logs(&heard(&mut stream).await), [("b/l", "after")]);
}

#[tokio::test]
async fn what_is_in_flight_stays_with_its_upstream_when_the_order_changes() {
    let yard = Yard::new().await;
    let open = tokio::sync::watch::Sender::new(false);
    let (member, opened) = (yard.members[1].clone(), open.clone());
    yard.peers[1].follow(move |request| {
        let message = request.json();
        if message["method"] != "tools/call" {
            return member.answer(request);
        }
        let asks =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {} });
        let result = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": [] } });
        Reply::stream()
            .event(&asks.to_string())
            .then(Act::Wait(opened.subscribe()))
            .event(&result.to_string())
            .end()
    });
    let gate = GateProcess::start(GATE, &yard.file(&["b", "c"]).text()).await;
    let agent = Agent::open(gate.address).await;
    let mut call = RawClient::connect(gate.address).await;
    call.send(&agent.post("tools/call", &json!({ "name": "b__x" })).bytes()).await;
    assert_eq!(call.head().await.expect("a stream").status, 200);
    let asked = call.event().await.expect("a question").json();
    apply(&gate, &yard.file(&["a", "b", "c"])).await;
    agent.called("a__x").await;
    let id = yard.peers[1].calls_of("tools/call")[0].json()["id"].clone();
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": {} });
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
                         "params": { "requestId": id } });
    assert_eq!(agent.send(&answer).await.status, 202);
    assert_eq!(agent.send(&cancel).await.status, 202);
    let cancelled = |at: usize| yard.peers[at].calls_of("notifications/cancelled").len();
    assert_eq!((cancelled(0), cancelled(1), cancelled(2)), (0, 1, 0));
    assert!(yard.peers[1].requests().iter().any(|seen| seen.json()["id"] == 1));
    open.send_replace(true);
    assert_eq!(call.event().await.expect("the answer").json()["id"], id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // F22.
async fn upstreams_come_and_go_under_load_without_a_failed_call() {
    let yard = Yard::new().await;
    let (few, many) = (yard.file(&["b", "c"]), yard.file(&["a", "b", "d", "c"]));
    let gate = GateProcess::start(GATE, &few.text()).await;
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut agents = tokio::task::JoinSet::new();
    for number in 0..6 {
        let (over, served) = (over.clone(), served.clone());
        let agent = Agent::open(gate.address).await;
        agents.spawn(async move {
            let mut stream = agent.stream().await;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(agent.called(["b__x", "c__x"][number % 2]).await, "x");
                let names = agent.names(TOOLS).await;
                let is_one_of_both =
                    names == ["b__x", "c__x"] || names == ["a__x", "b__x", "d__x", "c__x"];
                assert!(is_one_of_both, "{names:?}");
                served.fetch_add(1, Ordering::Relaxed);
            }
            let mut words = 0;
            while let Ok(Some(event)) =
                tokio::time::timeout(Duration::from_secs(1), stream.event()).await
            {
                words += usize::from(event.json()["method"] == CHANGED);
            }
            words
        });
    }
    for round in 0..20 {
        gate.rewrite(&if round % 2 == 0 { &many } else { &few }.text());
        gate.signal("HUP");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(words) = agents.join_next().await {
        let words = words.expect("an agent whose calls were all served");
        assert!(words >= 2, "{words}");
    }
    assert!(served.load(Ordering::Relaxed) > 50);
    let status = gate.status().await;
    assert_eq!((&status["gate"]["panics"], &status["gate"]["sessions"]), (&json!(0), &json!(6)));
    // One leg for each agent at the upstream it called, however often things changed.
    for (at, name) in [(1, "b"), (2, "c")] {
        let mut legs = yard.peers[at].calls_of("initialize");
        legs.retain(|seen| seen.json()["params"]["clientInfo"]["name"] == "testkit");
        assert_eq!(legs.len(), 3, "{name}");
    }
}

#[tokio::test]
async fn another_curation_is_told_of_and_another_route_is_not() {
    let yard = Yard::new().await;
    let gate = GateProcess::start(GATE, &yard.file(&["a", "b"]).text()).await;
    let agent = Agent::open(gate.address).await;
    let mut stream = agent.stream().await;
    assert_eq!(agent.names(TOOLS).await, ["a__x", "b__x"]);
    apply(&gate, &yard.file(&["a", "b"]).route("/else", "b")).await;
    assert_eq!(heard(&mut stream).await, [] as [Value; 0]);
    let curated = yard.file(&["a", "b"]).route_key("tools: { rename: { a__x: find } }");
    apply(&gate, &curated).await;
    assert_eq!(words(&heard(&mut stream).await), 1);
    assert_eq!(agent.names(TOOLS).await, ["find", "b__x"]);
    assert_eq!(agent.called("find").await, "x");
    assert_eq!(agent.call("a__x").await.code(), Some(-32602));
    let asked: Vec<usize> =
        [0, 1].into_iter().map(|at: usize| yard.peers[at].calls_of(TOOLS).len()).collect();
    assert_eq!(asked, [1, 1], "the upstreams' own lists did not change");
}

#[tokio::test]
async fn a_route_that_is_no_hub_any_more_ends_its_sessions() {
    let yard = Yard::new().await;
    let gate = GateProcess::start(GATE, &yard.file(&["a", "b"]).text()).await;
    let agent = Agent::open(gate.address).await;
    let mut stream = agent.stream().await;
    agent.called("a__x").await;
    apply(&gate, &yard.file(&["a"])).await;
    assert_eq!(agent.call("a__x").await.status, 404);
    while let Some(event) = stream.event().await {
        assert!(event.data.is_empty(), "{event:?}");
    }
    let alone = Agent::open(gate.address).await;
    assert_eq!(alone.called("x").await, "x");
}

#[tokio::test] // L8.
async fn legs_at_upstreams_that_left_the_route_end_with_the_session() {
    let yard = Yard::new().await;
    let gate = GateProcess::start(GATE, &yard.file(&["a", "b", "c"]).text()).await;
    let agent = Agent::open(gate.address).await;
    for tool in ["a__x", "b__x"] {
        agent.called(tool).await;
    }
    let left = yard.session(0);
    // Still there, but on another route.
    let next = Configuration::default()
        .upstream("a", &[yard.peers[0].address])
        .upstream_key("era: both")
        .upstream("b", &[yard.peers[1].address])
        .upstream_key("era: both")
        .upstream("c", &[yard.peers[2].address])
        .upstream_key("era: both")
        .route("/mcp", "b, c")
        .route("/a", "a");
    apply(&gate, &next).await;
    assert_eq!(agent.end().await, 204);
    for (at, session) in [(0, left), (1, yard.session(1))] {
        let is_ended = |peer: &Recorder| {
            let ended = peer.with_http_method("DELETE");
            ended.iter().any(|seen| seen.header("mcp-session-id") == Some(&session))
        };
        yard.peers[at].wait_until(DEADLINE, is_ended).await;
    }
}
