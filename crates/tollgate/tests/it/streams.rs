//! What passes between agents and upstreams in both eras: events as they come, bytes as they are,
//! questions and their answers, and the errors of eras that do not meet.

use crate::GATE;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::peer::Peer;
use testkit::post::good_call;
use testkit::{
    Act, DEADLINE, House, Post, RawClient, Recorded, Recorder, Reply, legacy_bodyless,
    legacy_initialize, legacy_post, modern_call,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

const LATEST: &str = "2025-11-25";

/// An upstream that answers tool calls by this reply, and everything else as usual.
async fn calling(reply: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Recorder {
    let peer = Peer::default();
    Recorder::scripted(move |request: &Recorded| match request.rpc_method().as_deref() {
        Some("tools/call") => reply(request),
        _ => peer.answer(request),
    })
    .await
}

fn call(session: &str) -> Post {
    let params = json!({ "name": "echo", "arguments": {}, "_meta": { "progressToken": 1 } });
    legacy_post(session, "tools/call", &params)
}

fn progress(step: u32) -> String {
    json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": 1, "progress": step } })
    .to_string()
}

fn result(id: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } }).to_string()
}

/// Sends a request whose answer is a stream, and reads the head.
async fn begin(house: &House, post: &Post) -> RawClient {
    let mut client = house.connect().await;
    client.send(&post.bytes()).await;
    let head = client.head().await.expect("a stream");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    client
}

#[tokio::test]
async fn each_event_arrives_before_the_next_one_is_sent() {
    let (second, third) = (watch::Sender::new(false), watch::Sender::new(false));
    let (wait_second, wait_third) = (second.clone(), third.clone());
    let peer = calling(move |request| {
        Reply::stream()
            .event(&progress(1))
            .then(Act::Wait(wait_second.subscribe()))
            .event(&progress(2))
            .then(Act::Wait(wait_third.subscribe()))
            .event(&result(&request.json()["id"]))
            .end()
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let session = house.session(LATEST).await;
    let mut client = begin(&house, &call(&session)).await;
    assert_eq!(client.event().await.expect("the first").json()["params"]["progress"], 1);
    second.send_replace(true);
    assert_eq!(client.event().await.expect("the second").json()["params"]["progress"], 2);
    third.send_replace(true);
    assert_eq!(client.event().await.expect("the answer").json()["id"], 1);
    assert_eq!(client.event().await, None);
}

#[tokio::test]
async fn a_silent_answer_carries_comments() {
    let open = watch::Sender::new(false);
    let opened = open.clone();
    let peer = calling(move |request| {
        Reply::stream()
            .event(&progress(1))
            .then(Act::Wait(opened.subscribe()))
            .event(&result(&request.json()["id"]))
            .end()
    });
    let change = |c: testkit::Configuration| c.gate("timeouts: { stream_keepalive: 1s }");
    let house = House::around(GATE, peer.await, change).await;
    let session = house.session(LATEST).await;
    let mut client = begin(&house, &call(&session)).await;
    let begun = Instant::now();
    assert!(!client.event().await.expect("progress").is_comment);
    for _ in 0..2 {
        assert!(client.event().await.expect("a comment").is_comment);
    }
    assert!(begun.elapsed() > Duration::from_millis(1_500), "{:?}", begun.elapsed());
    open.send_replace(true);
    assert_eq!(client.event().await.expect("the answer").json()["id"], 1);
}

#[tokio::test] // F4, row 115: what is not read is not asked for.
async fn a_slow_reader_slows_the_upstream_and_gets_everything() {
    const EVENTS: usize = 1_000;
    let filler = "x".repeat(64 * 1024);
    let mut note: Value = serde_json::from_str(&progress(1)).expect("JSON");
    note["params"]["message"] = json!(filler);
    let note = note.to_string();
    let (tell, mut told) = watch::channel(false);
    let peer = calling(move |request| {
        let whole = (0..EVENTS).fold(Reply::stream(), |reply, _| reply.event(&note));
        let whole = whole.event(&result(&request.json()["id"])).end();
        whole.then(Act::Tell(tell.clone()))
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let session = house.session(LATEST).await;
    ping(&house, &session).await;
    let memory = house.gate.memory_kib();
    let mut client = begin(&house, &call(&session)).await;
    // Nothing is read: more than the sockets hold cannot be taken from the upstream, others are
    // served, and the gate holds little of it.
    let taken =
        tokio::time::timeout(Duration::from_secs(2), told.wait_for(|told| *told)).await.is_ok();
    assert!(!taken, "the upstream could send 64 MiB that nobody reads");
    ping(&house, &session).await;
    let mut most = house.gate.memory_kib();
    for read in 0..EVENTS {
        assert!(client.event().await.expect("an event").data.contains("progress"));
        if read % 100 == 0 {
            most = most.max(house.gate.memory_kib());
        }
    }
    assert_eq!(client.event().await.expect("the answer").json()["id"], 1);
    assert!(*told.wait_for(|told| *told).await.expect("the upstream lives"));
    println!("{memory} KiB before, at most {most} KiB while 64 MiB passed");
    assert!(most < memory + 8 * 1024, "{memory} KiB became {most} KiB");
}

/// A ping, while something else goes on.
async fn ping(house: &House, session: &str) {
    assert_eq!(house.ask(&legacy_post(session, "ping", &json!({}))).await.status, 200);
}

#[tokio::test] // F5, L15.
async fn a_legacy_answer_is_read_to_its_end_for_a_client_that_left() {
    let open = watch::Sender::new(false);
    let opened = open.clone();
    let peer = calling(move |request| {
        Reply::stream()
            .event(&progress(1))
            .then(Act::Wait(opened.subscribe()))
            .event(&result(&request.json()["id"]))
            .end()
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let session = house.session(LATEST).await;
    let mut client = begin(&house, &call(&session)).await;
    client.event().await.expect("progress");
    drop(client);
    house.gate.wait_for_status(|status| status["gate"]["orphans"] == 1).await;
    open.send_replace(true);
    house.gate.wait_for_status(|status| status["gate"]["orphans"] == 0).await;
    // Read to its end, the upstream's connection is as good as new.
    let before = house.peer.connections();
    ping(&house, &session).await;
    assert_eq!(house.peer.connections(), before);
}

#[tokio::test] // F5, N12.
async fn a_modern_client_that_leaves_closes_its_upstream_connection_within_a_second() {
    let house = House::around(
        GATE,
        calling(|_| Reply::stream().event(&progress(1)).then(Act::Hang)).await,
        |c| c,
    )
    .await;
    let post = good_call().replace("\"_meta\":{", "\"_meta\":{\"progressToken\":1,");
    let mut client = begin(&house, &post).await;
    client.event().await.expect("progress");
    drop(client);
    house.peer.wait_for_hangup("tools/call", Duration::from_secs(1)).await;
    assert_eq!(house.gate.status().await["gate"]["orphans"], 0);
}

#[tokio::test]
async fn a_stream_is_resumed_with_the_id_its_client_has() {
    let peer = Peer::default();
    let recorder = Recorder::scripted(move |request: &Recorded| match &*request.method {
        "GET" => Reply::stream()
            .chunk(
                format!("id: e/7:\u{fc}\nretry: 1500\ndata: {}\n\n", result(&json!(1))).as_bytes(),
            )
            .then(Act::Hang),
        _ => peer.answer(request),
    });
    let house = House::around(GATE, recorder.await, |c| c).await;
    let session = house.session(LATEST).await;
    let mut client = house.connect().await;
    client.send(&legacy_bodyless("GET", &session, &[("last-event-id", "e/6:x")])).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let event = client.event().await.expect("the missed answer");
    assert_eq!((event.id.as_deref(), &event.json()["id"]), (Some("e/7:\u{fc}"), &json!(1)));
    let get = house.peer.with_http_method("GET").remove(0);
    assert_eq!(get.header("last-event-id"), Some("e/6:x"));
    assert_eq!(get.header("mcp-session-id"), Some("peer-0"));
}

fn batch(session: &str, version: &str) -> Post {
    let ping = |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let note = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    Post::new(format!("[{},{note},{}]", ping(1), ping(2)))
        .with("mcp-session-id", session)
        .with("mcp-protocol-version", version)
}

#[tokio::test]
async fn batches_are_answered_in_one_array_or_one_stream() {
    let house = House::open(GATE).await;
    let session = house.session("2025-03-26").await;
    let post = batch(&session, "2025-03-26");
    let answer = house.ask(&post).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ids: Vec<Value> =
        answer.json().as_array().expect("an array").iter().map(|m| m["id"].clone()).collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!(house.peer.requests().last().expect("a request").body, post.body);
    let peer = Peer::default();
    house.peer.follow(move |request| match request.text().starts_with('[') {
        true => Reply::stream().event(&result(&json!(2))).event(&result(&json!(1))).end(),
        false => peer.answer(request),
    });
    let mut client = begin(&house, &post).await;
    let mut ids = Vec::new();
    while let Some(event) = client.event().await {
        ids.push(event.json()["id"].clone());
    }
    assert_eq!(ids, [2, 1]);
    for version in ["2025-06-18", LATEST] {
        let house = House::open(GATE).await;
        let session = house.session(version).await;
        house.refuses(&batch(&session, version), &[400], &[-32600]).await;
    }
}

#[tokio::test]
async fn a_question_of_the_upstream_reaches_the_agent_and_its_answer_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let instance = tollgate_demo::Instance { name: "demo".to_owned() };
    let demo = tokio::spawn(tollgate_demo::serve(listener, instance, std::future::pending()));
    let file = testkit::Configuration::default().upstream("demo", &[address]).route("/mcp", "demo");
    let gate = testkit::GateProcess::start(GATE, &file.text()).await;
    let house = House { gate, peer: Recorder::start().await };
    let initialize = legacy_initialize(LATEST)
        .replace("\"capabilities\":{}", r#""capabilities":{"elicitation":{}}"#);
    let session = house.session_by(initialize, LATEST).await;
    let ask = legacy_post(&session, "tools/call", &json!({ "name": "ask_name", "arguments": {} }));
    let mut client = begin(&house, &ask).await;
    let question = client.event().await.expect("a question").json();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let content = json!({ "action": "accept", "content": { "name": "J\u{fc}rgen" } });
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": content });
    let post = legacy_post(&session, "-", &Value::Null).body(answer.to_string());
    assert_eq!(house.ask(&post).await.status, 202);
    let said = client.event().await.expect("the result").json();
    assert_eq!(said["result"]["content"][0]["text"], "hello, J\u{fc}rgen", "{said}");
    assert_eq!(client.event().await, None);
    demo.abort();
}

/// JSON that any re-serialization would change: order, spaces, numbers, escapes, unknown members.
const ODD: &str = r#""zz": {"b":1,  "a":[1.0,-0,1e400,12345678901234567890123456789,0.10]},"x\u006f":"\u00fc \ud83d\ude00 ü 😀 \/ \u2028","_meta":{"x.y/z":null,"progressToken":9007199254740993}"#;

#[tokio::test] // D4.
async fn legacy_bodies_pass_byte_for_byte_both_ways() {
    let peer = calling(|request| {
        let id = if request.text().contains("stream") { "2" } else { "1" };
        let text = format!(r#"{{ "result":{{"content":[],{ODD}}}, "jsonrpc":"2.0","id":{id} }}"#);
        match id {
            "1" => Reply::json_text(&[], &text),
            _ => Reply::stream().event(&text).end(),
        }
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let session = house.session(LATEST).await;
    for (id, name) in [(1, "whole"), (2, "stream")] {
        let body = format!(
            " {{\"params\":{{\"name\":\"{name}\",\"arguments\":{{{}}},{ODD}}} ,\"id\":{id},\n\"method\":\"tools/call\",\"jsonrpc\":\"2.0\",\"unknown\":[]}}",
            ODD.replace("_meta", "meta"),
        );
        let post = legacy_post(&session, "-", &Value::Null).body(body.clone());
        let answer = house.ask(&post).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = house.peer.calls_of("tools/call").pop().expect("a call");
        assert_eq!(sent.text(), body);
        let expected =
            format!(r#"{{ "result":{{"content":[],{ODD}}}, "jsonrpc":"2.0","id":{id} }}"#);
        let came = answer.text();
        let came = came
            .strip_prefix("event: message\ndata: ")
            .map_or(&*came, |data| data.trim_end_matches('\n'));
        assert_eq!(came, expected);
    }
}

#[tokio::test] // D4.
async fn modern_bodies_pass_byte_for_byte_both_ways() {
    let text = format!(
        r#"{{ "result":{{"resultType":"complete","content":[],{ODD}}}, "jsonrpc":"2.0","id":7 }}"#
    );
    let reply = text.clone();
    let house =
        House::around(GATE, calling(move |_| Reply::json_text(&[], &reply)).await, |c| c).await;
    let odd = ODD.replace("_meta", "meta");
    let post = good_call().replace(r#"{"text":"good"}"#, format!("{{{odd}}}"));
    let post = post.replace("\"jsonrpc\"", format!("\"y\":{{{odd}}}, \"jsonrpc\""));
    let answer = house.ask(&post).await;
    assert_eq!((answer.status, answer.text()), (200, text));
    assert_eq!(house.peer.wait_for_call("tools/call").await.body, post.body);
}

#[tokio::test]
async fn a_modern_client_of_a_legacy_upstream_is_told_the_versions() {
    for era in ["legacy", "auto"] {
        let peer = Peer::default();
        let peer = Recorder::scripted(move |request: &Recorded| {
            match request.header("mcp-protocol-version") {
                Some("2026-07-28") => Reply::status(400, &[], b"Bad Request: unknown version"),
                _ => peer.answer(request),
            }
        })
        .await;
        let file = testkit::Configuration::default()
            .upstream("peer", &[peer.address])
            .upstream_key(&format!("era: {era}"))
            .route("/mcp", "peer");
        let gate = testkit::GateProcess::start(GATE, &file.text()).await;
        let house = House { gate, peer };
        // Clients that try both eras take this for a legacy server, and go on with `initialize`.
        let discovered = house.ask(&modern_call("server/discover", &json!({}))).await;
        assert_eq!((discovered.status, discovered.code()), (404, Some(-32601)));
        for post in [good_call(), modern_call("tools/list", &json!({}))] {
            let answer = house.ask(&post).await;
            assert_eq!((answer.status, answer.code()), (400, Some(-32022)), "{}", answer.text());
            let data = &answer.json()["error"]["data"];
            let supported = data["supported"].as_array().expect("versions");
            assert!(
                supported.contains(&json!(LATEST)) && !supported.contains(&json!("2026-07-28"))
            );
            assert_eq!(
                (&answer.json()["id"], &data["requested"]),
                (&json!(7), &json!("2026-07-28"))
            );
        }
        assert!(house.peer.calls_of("tools/call").is_empty(), "{era}: a modern call reached it");
        house.session(LATEST).await;
    }
}

#[tokio::test]
async fn a_legacy_client_of_a_modern_upstream_is_told_so() {
    let peer = Recorder::start().await;
    let file = testkit::Configuration::default()
        .upstream("peer", &[peer.address])
        .upstream_key("era: modern")
        .route("/mcp", "peer");
    let gate = testkit::GateProcess::start(GATE, &file.text()).await;
    let house = House { gate, peer };
    let answer = house.ask(&legacy_initialize(LATEST)).await;
    assert_eq!((answer.status, answer.code()), (400, Some(-32022)), "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert_eq!(error["data"]["supported"], json!(["2026-07-28"]));
    assert!(error["message"].as_str().is_some_and(|text| text.contains("2026-07-28")));
    assert_eq!(house.peer.bytes_seen(), 0);
    house.still_serves().await;
}

#[tokio::test]
async fn an_initialize_for_the_modern_version_asks_for_the_latest_that_has_it() {
    let house = House::open(GATE).await;
    let odd =
        legacy_initialize("2026-07-28").replace("\"clientInfo\"", format!("{ODD}, \"clientInfo\""));
    let answer = house.ask(&odd).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["result"]["protocolVersion"], LATEST);
    let sent = house.peer.wait_for_call("initialize").await;
    assert_eq!(sent.text(), String::from_utf8_lossy(&odd.body).replace("2026-07-28", LATEST));
}

#[tokio::test] // A stream with nothing to say must not look dead, nor a dead one alive.
async fn a_session_stream_ends_when_its_upstream_does() {
    let house = House::open(GATE).await;
    let session = house.session(LATEST).await;
    let mut client = house.stream(&session).await;
    let House { gate, peer } = house;
    drop(peer);
    let begun = Instant::now();
    while client.event().await.is_some() {}
    assert!(begun.elapsed() < DEADLINE);
    gate.wait_for_status(|status| status["gate"]["streams"] == 0).await;
}
