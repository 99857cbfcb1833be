//! Servers of the oldest revision as upstreams: agents on Streamable HTTP, and on HTTP+SSE, use them
//! through the gate; what such a server may do to the gate is bounded, and leads nowhere else.

use crate::GATE;
use crate::http_sse::{Agent, call, request};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::sse_peer::SsePeer;
use testkit::{
    Configuration, DEADLINE, GateProcess, House, Recorded, Recorder, Reply, legacy_post,
};

const LATEST: &str = "2025-11-25";

/// A gate before this server, whose calls are answered as the script says.
async fn house(
    peer: Arc<SsePeer>,
    script: impl Fn(&Recorded) -> Option<Reply> + Send + Sync + 'static,
) -> House {
    let answers = move |request: &Recorded| script(request).unwrap_or_else(|| peer.answer(request));
    let recorder = Recorder::scripted(answers).await;
    let file = Configuration::default()
        .sse_upstream("elder", recorder.address)
        .route("/mcp", "elder")
        .route_key("sse: true");
    let gate = GateProcess::start(GATE, &file.text()).await;
    House { gate, peer: recorder }
}

fn echo(session: &str, text: &str) -> testkit::Post {
    legacy_post(session, "tools/call", &json!({ "name": "echo", "arguments": { "text": text } }))
}

async fn session(house: &House) -> String {
    let initialize = testkit::legacy_initialize(LATEST);
    let answer = house.ask(&initialize).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.header("mcp-session-id").expect("a session").to_owned();
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let post = legacy_post(&id, "-", &Value::Null).body(initialized.to_string());
    assert_eq!(house.ask(&post).await.status, 202);
    id
}

#[tokio::test]
async fn an_agent_on_streamable_http_uses_a_server_on_http_sse() {
    let peer = Arc::new(SsePeer::default());
    let house = house(peer.clone(), |_| None).await;
    let session = session(&house).await;
    let answer = house.ask(&echo(&session, "x")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains(r#"{\"text\":\"x\"}"#), "{}", answer.text());
    let called = house.peer.wait_for_call("tools/call").await;
    assert_eq!((&*called.path, called.header("mcp-session-id")), ("/messages?s=0", None));
    assert_eq!(called.header("mcp-protocol-version"), None);
    let mut client = house.connect().await;
    client.send(&testkit::legacy_bodyless("DELETE", &session, &[])).await;
    assert_eq!(client.response().await.expect("an answer").status, 204);
    house.peer.wait_until(DEADLINE, |_| peer.open_streams().is_empty()).await;
}

#[tokio::test]
async fn an_agent_on_http_sse_uses_a_server_on_http_sse() {
    let peer = Arc::new(SsePeer::default());
    let house = house(peer.clone(), |_| None).await;
    let mut agent = Agent::start(house.gate.address).await;
    assert_eq!(agent.ask(&call(3)).await["result"]["content"][0]["text"], r#"{"n":3}"#);
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    peer.say(0, &note.to_string());
    assert_eq!(agent.hear().await.expect("a notification"), note);
    drop(agent);
    house.peer.wait_until(DEADLINE, |_| peer.open_streams().is_empty()).await;
}

#[tokio::test]
async fn two_sessions_have_a_stream_each_and_hear_only_their_own() {
    let peer = Arc::new(SsePeer::default());
    let house = house(peer.clone(), |_| None).await;
    let mut one = Agent::start(house.gate.address).await;
    let mut other = Agent::start(house.gate.address).await;
    assert_eq!(peer.open_streams(), [0, 1]);
    let note = |level: &str| {
        let params = json!({ "level": level, "data": "x" });
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params })
    };
    peer.say(0, &note("info").to_string());
    peer.say(1, &note("error").to_string());
    assert_eq!(one.hear().await.expect("its own"), note("info"));
    assert_eq!(other.hear().await.expect("its own"), note("error"));
}

#[tokio::test]
async fn an_old_server_is_a_member_of_a_hub_as_any_other() {
    let peer = Arc::new(SsePeer::default());
    let answers = peer.clone();
    let old = Recorder::scripted(move |request: &Recorded| answers.answer(request)).await;
    let new = Recorder::start().await;
    let file = Configuration::default()
        .sse_upstream("old", old.address)
        .upstream("new", &[new.address])
        .route("/mcp", "old, new")
        .route_key("sse: true");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let mut agent = Agent::start(gate.address).await;
    for (id, name) in [(1, "old__echo"), (2, "new__echo")] {
        let params = json!({ "name": name, "arguments": { "n": id } });
        let answer = agent.ask(&request(id, "tools/call", &params)).await;
        let text = format!(r#"{{"n":{id}}}"#);
        assert_eq!(answer["result"]["content"][0]["text"], text, "{answer}");
    }
    assert_eq!((old.calls_of("tools/call").len(), new.calls_of("tools/call").len()), (1, 1));
    // One for the agent, and one that the hub keeps to read lists by.
    assert_eq!(peer.open_streams().len(), 2);
    drop(agent);
    let ended = async {
        while peer.open_streams().len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ended).await.expect("the agent's stream is closed");
}

#[tokio::test]
async fn every_waiting_call_gets_an_error_when_the_stream_breaks() {
    let peer = Arc::new(SsePeer::default());
    let is_call = |request: &Recorded| request.rpc_method().as_deref() == Some("tools/call");
    // Calls are accepted and never answered.
    let house =
        house(peer.clone(), move |it| is_call(it).then(|| Reply::status(202, &[], b""))).await;
    let session = session(&house).await;
    let posts: Vec<_> = (0..5).map(|n| echo(&session, &n.to_string())).collect();
    let address = house.gate.address;
    let calls = posts
        .into_iter()
        .map(|post| tokio::spawn(async move { testkit::client::ask(address, &post).await }));
    let calls: Vec<_> = calls.collect();
    house.peer.wait_until(DEADLINE, |it| it.calls_of("tools/call").len() == 5).await;
    peer.cut(0);
    for call in calls {
        let answer = call.await.expect("an answer");
        assert!(answer.text().contains("-32603"), "{} {}", answer.status, answer.text());
    }
    // The session went with its stream; a new one gets a new stream.
    assert_eq!(house.ask(&echo(&session, "y")).await.status, 404);
}

#[tokio::test] // SSRF.
async fn a_url_for_messages_elsewhere_is_never_asked() {
    let inside = Recorder::start().await;
    let named = format!("event: endpoint\ndata: http://{}/messages?s=0\n\n", inside.address);
    let evil = move |request: &Recorded| {
        (request.method == "GET")
            .then(|| Reply::stream().chunk(named.as_bytes()).then(testkit::Act::Hang))
    };
    let house = house(Arc::default(), evil).await;
    let answer = house.ask(&testkit::legacy_initialize(LATEST)).await;
    assert_eq!((answer.status, answer.code()), (503, Some(-32603)), "{}", answer.text());
    assert!(!answer.text().contains(&inside.address.to_string()), "{}", answer.text());
    assert_eq!((inside.connections(), inside.bytes_seen()), (0, 0));
    assert!(house.peer.with_http_method("POST").is_empty());
    house.gate.wait_for_log("another scheme, host or port").await;
}
