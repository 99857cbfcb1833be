//! Hundreds of agents with sessions on two instances of a stateful server, one of which is killed
//! and returns empty, several times: no call ever lands in a session that is not its agent's.
//!
//! Every agent knows which value its counter must have next and on which instance. `TOLLGATE_CALLS`
//! sets how many calls are made in all.

use crate::GATE;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::{
    Configuration, DEADLINE, GateProcess, RawClient, legacy_bodyless, legacy_initialize,
    legacy_post,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tollgate_demo::{Instance, serve};

const AGENTS: u64 = 250;
const CALLS: u64 = 20_000;
/// Calls after which an agent ends its session and starts another, which may live elsewhere.
const CALLS_PER_SESSION: u64 = 25;
/// How often the first instance is killed.
const KILLS: u64 = 4;

/// Starts an instance. Aborting the task closes its listener and cuts its connections.
async fn start(name: String, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let deadline = Instant::now() + DEADLINE;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let address = listener.local_addr().expect("an address");
    let serving = serve(listener, Instance { name }, std::future::pending());
    (address, tokio::spawn(async move { serving.await.expect("the instance serves") }))
}

/// What all agents share.
#[derive(Debug, Default)]
struct Tally {
    counted: AtomicU64,
    lost_calls: AtomicU64,
    lost_sessions: AtomicU64,
    moved_sessions: AtomicU64,
    misrouted: AtomicU64,
    /// Calls counted by the killed instance after one of its returns.
    counted_by_returned: AtomicU64,
}

impl Tally {
    fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// One agent: its session, where that lives, and how far it has counted.
struct Agent {
    number: u64,
    gate: SocketAddr,
    client: RawClient,
    session: String,
    home: Option<String>,
    value: i64,
    tally: Arc<Tally>,
    /// Whether its sessions move, with a new counter, instead of ending.
    moves: bool,
}

impl Agent {
    async fn begin(number: u64, gate: SocketAddr, tally: Arc<Tally>, moves: bool) -> Self {
        let client = RawClient::connect(gate).await;
        let (session, home) = (String::new(), None);
        let mut agent = Self { number, gate, client, session, home, value: 0, tally, moves };
        agent.initialize().await;
        agent
    }

    async fn initialize(&mut self) {
        (self.home, self.value) = (None, 0);
        loop {
            let answer = self.client.ask(&legacy_initialize("2025-11-25")).await;
            if answer.status == 200 {
                answer.header("mcp-session-id").expect("a session").clone_into(&mut self.session);
                break;
            }
            // Only the kill in the very moment of the call is an excuse.
            assert!([502, 503].contains(&answer.status), "{}", answer.text());
            Tally::add(&self.tally.lost_calls);
        }
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let post = legacy_post(&self.session, "-", &Value::Null).body(note.to_string());
        // Where the instance died in between, the next call finds out.
        let status = self.client.ask(&post).await.status;
        assert!([202, 404, 502, 503].contains(&status), "{status}");
    }

    async fn count(&mut self) {
        let params = json!({ "name": "count", "arguments": {} });
        let post = legacy_post(&self.session, "tools/call", &params);
        let post = post.replace("\"id\":1", format!("\"id\":{}", self.number));
        let answer = self.client.ask(&post).await;
        match answer.status {
            200 => self.check(&answer.json()),
            404 if !self.moves => {
                Tally::add(&self.tally.lost_sessions);
                self.must_have_been_killed();
                self.initialize().await;
            }
            502 => {
                Tally::add(&self.tally.lost_calls);
                self.must_have_been_killed();
                // Whatever became of the call, its session is gone there.
                if !self.moves {
                    assert_eq!(self.client.ask(&post).await.status, 404);
                    self.initialize().await;
                }
            }
            // Not made, the gate says: the next call must find the counter as it was, or no session.
            503 => {
                Tally::add(&self.tally.lost_calls);
                self.must_have_been_killed();
            }
            other => panic!("agent {} got {other}: {}", self.number, answer.text()),
        }
    }

    fn check(&mut self, answer: &Value) {
        let counted = &answer["result"]["structuredContent"];
        let instance = counted["instance"].as_str().expect("an instance").to_owned();
        if self.moves && self.home.as_ref().is_some_and(|home| *home != instance) {
            self.must_have_been_killed();
            Tally::add(&self.tally.moved_sessions);
            (self.home, self.value) = (None, 0);
        }
        let home = self.home.get_or_insert_with(|| instance.clone());
        self.value += 1;
        if home.starts_with("a-") && home != "a-0" {
            Tally::add(&self.tally.counted_by_returned);
        }
        if answer["id"] != self.number || counted["value"] != self.value || *home != instance {
            Tally::add(&self.tally.misrouted);
            eprintln!("agent {} at {home} expected {}: {answer}", self.number, self.value);
            self.value = counted["value"].as_i64().unwrap_or_default();
        }
        Tally::add(&self.tally.counted);
    }

    /// Sessions of the instance that stays are never lost.
    fn must_have_been_killed(&self) {
        let home = self.home.as_deref().unwrap_or("a-unknown");
        assert!(home.starts_with("a-"), "agent {} lost its session at {home}", self.number);
    }

    async fn end_session(&mut self) {
        self.client.send(&legacy_bodyless("DELETE", &self.session, &[])).await;
        let answer = self.client.response().await.expect("an answer");
        assert!([204, 404].contains(&answer.status), "{}", answer.status);
        let params = json!({ "name": "count", "arguments": {} });
        let post = legacy_post(&self.session, "tools/call", &params);
        assert_eq!(self.client.ask(&post).await.status, 404, "an ended session lives on");
        self.client = RawClient::connect(self.gate).await;
        self.initialize().await;
    }
}

async fn work(mut agent: Agent, calls: u64) {
    while Tally::get(&agent.tally.counted) < calls {
        for _ in 0..CALLS_PER_SESSION {
            agent.count().await;
        }
        agent.end_session().await;
    }
}

/// Lets all agents count until they have made so many calls, while the first instance is killed and
/// returns; returns what happened to them.
async fn run(calls: u64, sessions: &str) -> Arc<Tally> {
    let moves = sessions == "recoverable";
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let (a, mut first) = start("a-0".to_owned(), anywhere).await;
    let (b, _second) = start("b".to_owned(), anywhere).await;
    let file = Configuration::default()
        .upstream("counter", &[a, b])
        .upstream_key("era: legacy")
        .upstream_key(&format!("sessions: {sessions}"))
        .http_key("health: { every: 200ms, timeout: 200ms }")
        .route("/mcp", "counter");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let tally = Arc::new(Tally::default());
    let begun = Instant::now();
    let mut agents = tokio::task::JoinSet::new();
    for number in 0..AGENTS {
        let (address, tally) = (gate.address, tally.clone());
        agents.spawn(async move {
            work(Agent::begin(number, address, tally, moves).await, calls).await;
        });
    }
    for life in 1..=KILLS {
        reach(&tally, calls * (2 * life - 1) / (2 * KILLS + 2)).await;
        first.abort();
        reach(&tally, calls * 2 * life / (2 * KILLS + 2)).await;
        first = start(format!("a-{life}"), a).await.1;
    }
    while let Some(ended) = agents.join_next().await {
        ended.expect("an agent that got what it must");
    }
    println!("{AGENTS} agents with {sessions} sessions in {:?}: {tally:?}", begun.elapsed());
    assert_eq!(Tally::get(&tally.misrouted), 0);
    assert!(Tally::get(&tally.counted) >= calls);
    let status = gate.status().await;
    assert_eq!(
        (&status["gate"]["panics"], &status["gate"]["sessions"]),
        (&json!(0), &json!(AGENTS))
    );
    let endpoints = status["upstreams"][0]["endpoints"].as_array().expect("endpoints");
    assert!(endpoints.iter().all(|endpoint| endpoint["state"] == "healthy"), "{status:#}");
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_misrouted_while_an_instance_dies_and_returns() {
    let calls = std::env::var("TOLLGATE_CALLS").ok().and_then(|calls| calls.parse().ok());
    let calls: u64 = calls.unwrap_or(CALLS);
    let tally = run(calls, "strict").await;
    let get = Tally::get;
    assert!(get(&tally.lost_sessions) + get(&tally.lost_calls) >= KILLS, "nothing was killed");
    assert!(get(&tally.counted_by_returned) > calls / 10, "the instance did not really return");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recoverable_sessions_move_and_no_call_is_misrouted() {
    let tally = run(CALLS / 2, "recoverable").await;
    assert!(Tally::get(&tally.moved_sessions) >= KILLS, "nothing was killed");
    assert_eq!(Tally::get(&tally.lost_sessions), 0);
}

/// Waits until so many calls were counted; fails if the agents make no headway.
async fn reach(tally: &Tally, goal: u64) {
    let (mut seen, mut since) = (0, Instant::now());
    while seen < goal {
        let now = Tally::get(&tally.counted);
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < 2 * DEADLINE, "stuck after {seen} calls");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
