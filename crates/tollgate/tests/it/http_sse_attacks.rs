//! Attacks on the HTTP+SSE front: forged, foreign and ended streams, messages out of turn, floods,
//! and clients that do not read. Rows 52 to 60 of group F, and F4.

use crate::GATE;
use crate::http_sse::{Agent, call, house, initialize, open, post, request, with_sse};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use testkit::peer::Peer;
use testkit::{
    Act, Configuration, DEADLINE, GateProcess, House, RawClient, Recorded, Recorder, Reply,
};
use tokio::sync::watch;

#[tokio::test] // Rows 54, 57.
async fn a_forged_foreign_or_repeated_stream_name_is_unknown_and_reaches_nobody() {
    let recorder = Recorder::start().await;
    let file = Configuration::of(&[recorder.address])
        .route_key("sse: true")
        .route("/other", "peer")
        .route_key("sse: true");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let house = House { gate, peer: recorder };
    let mut agent = Agent::start(house.gate.address).await;
    let (path, sealed) = agent.url.split_once('=').expect("a sealed name");
    let flipped = if sealed.starts_with('A') { "B" } else { "A" }.to_owned() + &sealed[1..];
    let session = house.session("2025-11-25").await;
    house.peer.wait_until(DEADLINE, |peer| peer.with_http_method("GET").len() == 1).await;
    for url in [
        format!("{path}={flipped}"),
        format!("{path}={}", &sealed[..sealed.len() - 1]),
        format!("{path}="),
        format!("{path}={}", "A".repeat(8_000)),
        // A session's sealed id is of another purpose.
        format!("{path}={session}"),
        agent.url.replace("/mcp/", "/other/"),
        format!("{path}={sealed}&sessionId={sealed}"),
    ] {
        house.turns_away(&post(&url, &call(1)), &[404], &[-32600]).await;
    }
    house.turns_away(&post("/mcp/messages", &call(1)), &[400], &[-32600]).await;
    // And the name of a stream is no session.
    let as_session = testkit::legacy_post(sealed, "tools/call", &json!({ "name": "echo" }));
    house.refuses(&as_session, &[404], &[-32600]).await;
    assert_eq!(agent.ask(&call(2)).await["id"], 2);
}

#[tokio::test]
async fn messages_are_judged_as_strictly_as_anywhere() {
    let house = house(Recorder::start().await).await;
    let agent = Agent::start(house.gate.address).await;
    house.peer.wait_until(DEADLINE, |peer| peer.with_http_method("GET").len() == 1).await;
    let body = |text: &str| post(&agent.url, &Value::Null).body(text);
    for (text, code) in [
        ("{", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
    ] {
        house.turns_away(&body(text), &[400], &[code]).await;
    }
    let text = call(1).to_string();
    house.turns_away(&body(&text).set("content-type", "text/plain"), &[415], &[-32600]).await;
    house.turns_away(&body(&text).with("origin", "https://evil.example"), &[403], &[]).await;
    house.turns_away(&body(&text).set("host", "evil.example"), &[403], &[]).await;
    house.refuses(&body(&"x".repeat(5 * 1024 * 1024)), &[413], &[-32600]).await;
}

#[tokio::test]
async fn a_call_before_initialize_is_refused_on_the_stream_and_reaches_nobody() {
    let house = house(Recorder::start().await).await;
    let mut agent = Agent::connect(house.gate.address).await;
    let refused = agent.ask(&call(1)).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32600)));
    assert_eq!(house.peer.bytes_seen(), 0);
    assert!(agent.ask(&initialize()).await["result"].is_object());
    let again = agent.ask(&initialize()).await;
    assert_eq!(again["error"]["code"], -32600, "{again}");
    assert_eq!(house.peer.calls_of("initialize").len(), 1);
}

#[tokio::test]
async fn only_get_opens_a_stream_and_only_post_takes_messages() {
    let house = house(Recorder::start().await).await;
    // What newer clients take for the sign of this transport.
    house.refuses(&post("/mcp/sse", &initialize()), &[405], &[-32600]).await;
    let mut client = house.connect().await;
    client.send(&open("/mcp/messages?sessionId=x")).await;
    assert_eq!(client.response().await.expect("an answer").status, 405);
    let json_only = String::from_utf8(open("/mcp/sse")).expect("text");
    let mut client = house.connect().await;
    client.send(json_only.replace("text/event-stream", "application/json").as_bytes()).await;
    assert_eq!(client.response().await.expect("an answer").status, 406);
}

#[tokio::test] // Rows 95, 97.
async fn only_pages_of_allowed_origins_may_use_the_transport() {
    let change = |c: Configuration| with_sse(c).gate("origins: [\"https://app.example\"]");
    let house = House::around(GATE, Recorder::start().await, change).await;
    for (origin, status) in [("https://app.example", 204), ("https://evil.example", 403)] {
        for path in ["/mcp/sse", "/mcp/messages"] {
            let mut client = house.connect().await;
            let preflight = format!(
                "OPTIONS {path} HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n\
                 access-control-request-method: POST\r\n\r\n"
            );
            client.send(preflight.as_bytes()).await;
            let answer = client.response().await.expect("an answer");
            assert_eq!(answer.status, status, "{origin} {path}");
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, (status == 204).then_some(origin));
        }
    }
}

#[tokio::test]
async fn a_thousand_calls_at_once_are_all_answered_and_few_are_in_progress() {
    const CALLS: u32 = 1_000;
    let house = house(Recorder::start().await).await;
    let mut agent = Agent::start(house.gate.address).await;
    let (gate, url) = (agent.gate, agent.url.clone());
    let posting = tokio::spawn(async move {
        let mut posts = tokio::task::JoinSet::new();
        for first in (0..CALLS).step_by(50) {
            let url = url.clone();
            posts.spawn(async move {
                let mut client = RawClient::connect(gate).await;
                for id in first..first + 50 {
                    assert_eq!(client.ask(&post(&url, &call(id))).await.status, 202);
                }
            });
        }
        while let Some(posted) = posts.join_next().await {
            posted.expect("posted");
        }
    });
    let mut answered = HashSet::new();
    while answered.len() < CALLS as usize {
        let answer = agent.hear().await.expect("an answer");
        assert!(answer["result"].is_object(), "{answer}");
        assert!(answered.insert(answer["id"].as_u64()), "answered twice: {answer}");
    }
    posting.await.expect("posted");
    assert!(house.peer.connections() < 100, "{} connections", house.peer.connections());
}

#[tokio::test] // F4: what is not read is not asked for.
async fn a_client_that_never_reads_is_bounded_and_then_cut() {
    let large = json!({ "content": [{ "type": "text", "text": "x".repeat(1024 * 1024) }] });
    let peer = Peer::default();
    let recorder = Recorder::scripted(move |request: &Recorded| {
        if request.rpc_method().as_deref() != Some("tools/call") {
            return peer.answer(request);
        }
        let id = &request.json()["id"];
        Reply::json(&json!({ "jsonrpc": "2.0", "id": id, "result": large }))
    })
    .await;
    let change = |c: Configuration| with_sse(c).gate("timeouts: { write_stall: 3s }");
    let house = House::around(GATE, recorder, change).await;
    let agent = Agent::start(house.gate.address).await;
    let memory = house.gate.memory_kib();
    let mut most = 0;
    let mut posts = tokio::task::JoinSet::new();
    for id in 0..300 {
        let (gate, url) = (agent.gate, agent.url.clone());
        posts.spawn(async move { testkit::client::ask(gate, &post(&url, &call(id))).await.status });
    }
    let mut statuses = HashSet::new();
    while let Some(status) = posts.join_next().await {
        statuses.insert(status.expect("an answer"));
        most = most.max(house.gate.memory_kib());
    }
    // Accepted while there was room, and then the stream was gone.
    assert!(statuses.iter().all(|status| [202, 404, 429].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&404), "{statuses:?}");
    house.gate.wait_for_status(|status| status["gate"]["streams"] == 0).await;
    println!("{memory} KiB before, at most {most} KiB");
    assert!(most < memory + 100 * 1024, "{memory} KiB became {most} KiB");
    let mut agent = Agent::start(house.gate.address).await;
    assert!(agent.ask(&request(1, "ping", &json!({}))).await["result"].is_object());
}

#[tokio::test]
async fn a_call_whose_upstream_breaks_is_answered_by_an_error() {
    let peer = Peer::default();
    let recorder =
        Recorder::scripted(move |request: &Recorded| match request.rpc_method().as_deref() {
            Some("tools/call") if request.text().contains("\"n\":1") => Reply::stream()
                .event(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#)
                .then(Act::Reset),
            Some("tools/call") => Reply::reset(),
            _ => peer.answer(request),
        })
        .await;
    let house = house(recorder).await;
    let mut agent = Agent::start(house.gate.address).await;
    let first = agent.ask(&call(1)).await;
    let error =
        if first["method"].is_string() { agent.hear().await.expect("an error") } else { first };
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!(-32603)), "{error}");
    let error = agent.ask(&call(2)).await;
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(2), &json!(-32603)), "{error}");
    assert!(agent.ask(&request(3, "ping", &json!({}))).await["result"].is_object());
}

#[tokio::test]
async fn a_session_that_the_upstream_forgot_ends_the_stream() {
    let peer = std::sync::Arc::new(Peer::default());
    let house = house(Recorder::of(peer.clone()).await).await;
    let mut agent = Agent::start(house.gate.address).await;
    peer.forget();
    let error = agent.ask(&call(1)).await;
    assert_eq!(error["error"]["data"]["reason"], "session_unknown", "{error}");
    assert_eq!(agent.hear().await, None);
    house.refuses(&post(&agent.url, &call(2)), &[404], &[-32600]).await;
}

#[tokio::test]
async fn streams_of_one_caller_are_capped() {
    let change = |c: Configuration| with_sse(c).gate("limits: { streams_per_caller: 2 }");
    let house = House::around(GATE, Recorder::start().await, change).await;
    let _first = Agent::connect(house.gate.address).await;
    let second = Agent::connect(house.gate.address).await;
    let mut third = house.connect().await;
    third.send(&open("/mcp/sse")).await;
    assert_eq!(third.response().await.expect("an answer").status, 429);
    drop(second);
    house.gate.wait_for_status(|status| status["gate"]["streams"] == 1).await;
    Agent::connect(house.gate.address).await;
}

#[tokio::test]
async fn after_a_restart_of_the_gate_the_old_url_is_unknown_and_a_new_stream_works() {
    let recorder = Recorder::start().await;
    let key = "sessions: { keys: [ \"HOI/lfTeVqKevKS9kCuSykXZ4ukQGxOeFSxjxZHfkvw=\" ] }";
    let file = with_sse(Configuration::of(&[recorder.address])).section(key).text();
    let gate = GateProcess::start(GATE, &file).await;
    let mut agent = Agent::start(gate.address).await;
    drop(gate);
    while agent.hear().await.is_some() {}
    let house = House { gate: GateProcess::start(GATE, &file).await, peer: recorder };
    house.refuses(&post(&agent.url, &call(1)), &[404], &[-32600]).await;
    let mut agent = Agent::start(house.gate.address).await;
    assert_eq!(agent.ask(&call(2)).await["id"], 2);
}

#[tokio::test]
async fn a_notification_is_not_held_up_by_calls_that_hang() {
    let go = watch::Sender::new(false);
    let (opened, peer) = (go.clone(), Peer::default());
    let recorder = Recorder::scripted(move |request: &Recorded| {
        let reply = peer.answer(request);
        let is_call = request.rpc_method().as_deref() == Some("tools/call");
        if is_call { reply.after(&opened) } else { reply }
    })
    .await;
    let house = house(recorder).await;
    let mut agent = Agent::start(house.gate.address).await;
    for id in 0..128 {
        assert_eq!(agent.post(&call(id)).await.status, 202);
    }
    house.peer.wait_until(DEADLINE, |it| it.calls_of("tools/call").len() >= 64).await;
    let params = json!({ "requestId": 5, "reason": "enough" });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    let posted = tokio::time::timeout(Duration::from_secs(5), agent.post(&note)).await;
    assert_eq!(posted.expect("at once").status, 202);
    house.peer.wait_for_call("notifications/cancelled").await;
    assert!(house.peer.calls_of("tools/call").len() <= 65, "more calls in progress than allowed");
    go.send_replace(true);
    for _ in 0..128 {
        assert!(agent.hear().await.expect("an answer")["result"].is_object());
    }
}

#[tokio::test]
async fn a_hub_is_served_the_same_way() {
    let (one, two) = (Recorder::start().await, Recorder::start().await);
    let file = Configuration::default()
        .upstream("one", &[one.address])
        .upstream("two", &[two.address])
        .route("/mcp", "one, two")
        .route_key("sse: true");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let mut agent = Agent::start(gate.address).await;
    let listed = agent.ask(&request(1, "tools/list", &json!({}))).await;
    let names: Vec<_> = listed["result"]["tools"].as_array().expect("tools").iter().collect();
    assert_eq!(
        names.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(),
        ["one__echo", "two__echo"]
    );
    let params = json!({ "name": "two__echo", "arguments": { "n": 1 } });
    let answer = agent.ask(&request(2, "tools/call", &params)).await;
    assert_eq!(answer["result"]["content"][0]["text"], r#"{"n":1}"#, "{answer}");
    assert!(one.calls_of("tools/call").is_empty() && two.calls_of("tools/call").len() == 1);
    drop(agent);
    two.wait_until(DEADLINE, |peer| !peer.with_http_method("DELETE").is_empty()).await;
    gate.wait_for_status(|status| status["gate"]["sessions"] == 0).await;
}
