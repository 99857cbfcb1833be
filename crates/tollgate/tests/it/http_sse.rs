//! HTTP+SSE of 2024-11-05 towards agents: an agent of that revision works through the gate, and what
//! it says reaches a Streamable HTTP upstream as if a newer agent had said it.

use crate::GATE;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::events::Event;
use testkit::peer::Peer;
use testkit::{
    Act, Configuration, DEADLINE, House, Post, RawClient, Recorded, Recorder, Reply, Response,
};
use tokio::sync::watch;

pub(crate) const OLDEST: &str = "2024-11-05";

/// An agent on HTTP+SSE: its stream, and where it was told to post.
pub(crate) struct Agent {
    pub(crate) gate: SocketAddr,
    pub(crate) stream: RawClient,
    pub(crate) url: String,
}

impl Agent {
    /// Opens the stream and reads where to post.
    pub(crate) async fn connect(gate: SocketAddr) -> Self {
        let mut stream = RawClient::connect(gate).await;
        stream.send(&open("/mcp/sse")).await;
        let head = stream.head().await.expect("a stream");
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        let first = stream.event().await.expect("the first event");
        assert_eq!(first.kind.as_deref(), Some("endpoint"));
        Self { gate, stream, url: first.data }
    }

    /// Connects and initializes.
    pub(crate) async fn start(gate: SocketAddr) -> Self {
        let mut agent = Self::connect(gate).await;
        let answer = agent.ask(&initialize()).await;
        assert!(answer["result"]["capabilities"].is_object(), "{answer}");
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(agent.post(&initialized).await.status, 202);
        agent
    }

    /// POSTs a message as clients of that revision do: without a session, without a version.
    pub(crate) async fn post(&self, message: &Value) -> Response {
        testkit::client::ask(self.gate, &post(&self.url, message)).await
    }

    /// POSTs a request, which is accepted, and reads the next message of the stream.
    pub(crate) async fn ask(&mut self, message: &Value) -> Value {
        let accepted = self.post(message).await;
        assert_eq!((accepted.status, &*accepted.text()), (202, "Accepted"));
        self.hear().await.expect("an answer")
    }

    /// The next message of the stream; `None` at its end.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        loop {
            let event: Event = self.stream.event().await?;
            if !event.is_comment {
                assert_eq!((event.kind.as_deref(), event.id), (Some("message"), None));
                return Some(serde_json::from_str(&event.data).expect("a message"));
            }
        }
    }
}

pub(crate) fn open(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
        .into_bytes()
}

pub(crate) fn post(url: &str, message: &Value) -> Post {
    Post::new(message.to_string()).to(url).without("accept")
}

pub(crate) fn request(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

pub(crate) fn initialize() -> Value {
    let client = json!({ "name": "old", "version": "1" });
    let params = json!({ "protocolVersion": OLDEST, "capabilities": {}, "clientInfo": client });
    request(0, "initialize", &params)
}

pub(crate) fn call(id: u32) -> Value {
    request(id, "tools/call", &json!({ "name": "echo", "arguments": { "n": id } }))
}

pub(crate) fn with_sse(configuration: Configuration) -> Configuration {
    configuration.route_key("sse: true")
}

pub(crate) async fn house(peer: Recorder) -> House {
    House::around(GATE, peer, with_sse).await
}

/// An upstream that answers tool calls by this reply, GETs by that one, and everything else as usual.
async fn upstream(
    call: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    get: impl Fn(&Recorded) -> Option<Reply> + Send + Sync + 'static,
) -> Recorder {
    let peer = Peer::default();
    Recorder::scripted(move |request: &Recorded| {
        if request.method == "GET"
            && let Some(reply) = get(request)
        {
            return reply;
        }
        match request.rpc_method().as_deref() {
            Some("tools/call") => call(request),
            _ => peer.answer(request),
        }
    })
    .await
}

fn result(request: &Recorded) -> String {
    json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": { "content": [] } }).to_string()
}

#[tokio::test]
async fn an_agent_of_the_oldest_revision_works_as_a_newer_one_would() {
    let house = house(Recorder::start().await).await;
    let mut agent = Agent::start(house.gate.address).await;
    assert!(agent.url.starts_with("/mcp/messages?sessionId="), "{}", agent.url);
    let answer = agent.ask(&call(7)).await;
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["result"]["content"][0]["text"], r#"{"n":7}"#);
    let listed = agent.ask(&request(8, "tools/list", &json!({}))).await;
    assert_eq!(listed["result"]["tools"][0]["name"], "echo");
    let sent = house.peer.wait_for_call("tools/call").await;
    assert_eq!(sent.text(), call(7).to_string(), "the body passes byte for byte");
    assert_eq!(sent.header("mcp-session-id"), Some("peer-0"));
    assert_eq!(sent.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(sent.path, "/mcp");
    house.peer.wait_until(DEADLINE, |peer| !peer.with_http_method("GET").is_empty()).await;
}

#[tokio::test]
async fn closing_the_stream_ends_the_session_upstream() {
    let house = house(Recorder::start().await).await;
    let mut agent = Agent::start(house.gate.address).await;
    agent.ask(&call(1)).await;
    let url = agent.url.clone();
    drop(agent);
    house.peer.wait_until(DEADLINE, |peer| !peer.with_http_method("DELETE").is_empty()).await;
    let ended = house.peer.with_http_method("DELETE").remove(0);
    assert_eq!(ended.header("mcp-session-id"), Some("peer-0"));
    let closed = |status: &Value| status["gate"]["sessions"] == 0 && status["gate"]["streams"] == 0;
    house.gate.wait_for_status(closed).await;
    house.refuses(&post(&url, &call(2)), &[404], &[-32600]).await;
}

#[tokio::test]
async fn progress_comes_before_the_answer_and_the_ids_of_events_do_not() {
    let go = watch::Sender::new(false);
    let opened = go.clone();
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                           "params": { "progressToken": 1, "progress": 1 } });
    let note = progress.to_string();
    let call_with = move |request: &Recorded| {
        Reply::stream()
            .chunk(b"id: prime\ndata:\n\n")
            .chunk(format!("id: e-1\ndata: {note}\n\n").as_bytes())
            .then(Act::Wait(opened.subscribe()))
            .chunk(format!("id: e-2\r\ndata: {}\r\n\r\n", result(request)).as_bytes())
            .end()
    };
    let house = house(upstream(call_with, |_| None).await).await;
    let mut agent = Agent::start(house.gate.address).await;
    let mut asking = call(4);
    asking["params"]["_meta"] = json!({ "progressToken": 1 });
    assert_eq!(agent.ask(&asking).await, progress);
    go.send_replace(true);
    assert_eq!(agent.hear().await.expect("the answer")["id"], 4);
}

#[tokio::test]
async fn what_the_upstream_says_by_itself_comes_on_the_stream_and_is_answered_by_a_post() {
    let question = json!({ "jsonrpc": "2.0", "id": "q-1", "method": "roots/list" });
    let text = question.to_string();
    let get = move |_: &Recorded| Some(Reply::stream().event(&text).then(Act::Hang));
    let house = house(upstream(|request| Reply::json_text(&[], &result(request)), get).await).await;
    let mut agent = Agent::start(house.gate.address).await;
    assert_eq!(agent.hear().await.expect("a question"), question);
    let answer = json!({ "jsonrpc": "2.0", "id": "q-1", "result": { "roots": [] } });
    assert_eq!(agent.post(&answer).await.status, 202);
    let said = answer.to_string();
    let came = |peer: &Recorder| peer.requests().iter().any(|it| it.text() == said);
    house.peer.wait_until(DEADLINE, came).await;
}

#[tokio::test]
async fn the_upstreams_own_stream_is_opened_again_after_it_broke() {
    let broken = |request: &Recorded| {
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
        assert_eq!(request.header("last-event-id"), None);
        Some(Reply::stream().event(&note.to_string()).end())
    };
    let house = house(upstream(|_| Reply::accepted(), broken).await).await;
    let mut agent = Agent::start(house.gate.address).await;
    for _ in 0..2 {
        let note = agent.hear().await.expect("a notification");
        assert_eq!(note["method"], "notifications/tools/list_changed");
    }
    assert!(house.peer.with_http_method("GET").len() >= 2);
}

#[tokio::test] // SEP-1699: a server may close a connection in the middle of an answer.
async fn an_answer_that_the_upstream_breaks_off_is_asked_for_again() {
    let begin = |_: &Recorded| {
        Reply::stream()
            .chunk(b"retry: 10\nid: a/1\ndata:\n\n")
            .then(Act::Send(b"0\r\n\r\n".to_vec()))
    };
    let resume = |request: &Recorded| {
        let id = request.header("last-event-id")?;
        let answer = json!({ "jsonrpc": "2.0", "id": 9, "result": { "from": id } });
        Some(Reply::stream().event(&answer.to_string()).then(Act::Hang))
    };
    let house = house(upstream(begin, resume).await).await;
    let mut agent = Agent::start(house.gate.address).await;
    assert_eq!(agent.ask(&call(9)).await["result"]["from"], "a/1");
}

#[tokio::test]
async fn a_silent_stream_carries_comments() {
    let change = |c: Configuration| with_sse(c).gate("timeouts: { stream_keepalive: 1s }");
    let house = House::around(GATE, Recorder::start().await, change).await;
    let mut agent = Agent::connect(house.gate.address).await;
    let begun = Instant::now();
    for _ in 0..2 {
        assert!(agent.stream.event().await.expect("a comment").is_comment);
    }
    assert!(begun.elapsed() > Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_agent_that_tries_modern_revisions_first_is_told_to_use_initialize() {
    let house = house(Recorder::start().await).await;
    let mut agent = Agent::connect(house.gate.address).await;
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                       "io.modelcontextprotocol/clientCapabilities": {} });
    let discover = request(1, "server/discover", &json!({ "_meta": meta }));
    let refused = agent.ask(&discover).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32601)));
    assert_eq!(house.peer.requests().len(), 0);
    assert!(agent.ask(&initialize()).await["result"].is_object());
}

#[tokio::test]
async fn a_route_without_the_key_serves_neither_path() {
    let house = House::open(GATE).await;
    let mut client = house.connect().await;
    client.send(&open("/mcp/sse")).await;
    assert_eq!(client.response().await.expect("an answer").status, 404);
    house.refuses(&post("/mcp/messages?sessionId=x", &initialize()), &[404], &[-32600]).await;
}

#[tokio::test]
async fn calls_in_flight_are_answered_before_a_gate_that_shuts_down_ends_the_stream() {
    let go = watch::Sender::new(false);
    let opened = go.clone();
    let slow = move |request: &Recorded| Reply::json_text(&[], &result(request)).after(&opened);
    let mut house = house(upstream(slow, |_| None).await).await;
    let mut agent = Agent::start(house.gate.address).await;
    assert_eq!(agent.post(&call(5)).await.status, 202);
    house.peer.wait_for_call("tools/call").await;
    house.gate.signal("TERM");
    house.gate.wait_for_log("shutting down").await;
    go.send_replace(true);
    assert_eq!(agent.hear().await.expect("the answer")["id"], 5);
    assert_eq!(agent.hear().await, None);
    assert!(house.gate.ended(DEADLINE).await.success());
}
