//! What goes both ways in the sessions of a hub: requests of upstreams to the agent, answers,
//! cancellation, progress, log levels, batches and streams. Each reaches the one it is for.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{
    Agent, DEADLINE, Hub, Member, RawClient, Recorded, Recorder, Reply, legacy_initialize,
};
use tokio::sync::watch;

/// Makes the member's tools ask the agent, under `id`, before they answer.
fn asking(
    peer: &Recorder,
    member: &Arc<Member>,
    id: Value,
    method: &'static str,
) -> watch::Sender<bool> {
    let answered = watch::Sender::new(false);
    let (member, opened) = (member.clone(), answered.clone());
    peer.follow(move |request| {
        let message = request.json();
        if message["method"] != "tools/call" {
            return member.answer(request);
        }
        let asks = json!({ "jsonrpc": "2.0", "id": id, "method": method,
                           "params": { "message": "who?", "messages": [] } });
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": message["params"]["_meta"]["progressToken"], "progress": 1 } });
        let content = json!({ "content": [{ "type": "text", "text": message["params"]["name"] }] });
        let result = json!({ "jsonrpc": "2.0", "id": message["id"], "result": content });
        let mut reply = Reply::stream().event(&asks.to_string());
        if !progress["params"]["progressToken"].is_null() {
            reply = reply.event(&progress.to_string());
        }
        reply
            .then(testkit::Act::Wait(opened.subscribe()))
            .event(&result.to_string())
            .end()
    });
    answered
}

async fn pair() -> (Hub, Arc<Member>, Arc<Member>) {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    for member in [&one, &two] {
        member.declare(json!({ "tools": {}, "logging": {}, "resources": {} }));
    }
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    (hub, one, two)
}

/// Sends a call and reads the head of its stream.
async fn begin(agent: &Agent, params: &Value) -> RawClient {
    let mut client = RawClient::connect(agent.address).await;
    client.send(&agent.post("tools/call", params).bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    client
}

/// The next message of a stream.
async fn next(client: &mut RawClient) -> Value {
    loop {
        let event = client.event().await.expect("an event");
        if !event.data.is_empty() {
            return event.json();
        }
    }
}

/// The answers of agents that reached the upstream, and the sessions they came in.
fn answers(peer: &Recorder) -> Vec<(String, Value)> {
    let is_answer = |seen: &Recorded| {
        let message = seen.json();
        seen.method == "POST" && (message["result"].is_object() || message["error"].is_object())
    };
    let mut all = peer.requests();
    all.retain(is_answer);
    let session = |seen: &Recorded| seen.header("mcp-session-id").unwrap_or("-").to_owned();
    all.iter().map(|seen| (session(seen), seen.json())).collect()
}

#[tokio::test] // Row 61: elicitation, sampling and roots through the aggregate.
async fn questions_of_two_upstreams_with_one_id_are_answered_apart() {
    let (hub, one, two) = pair().await;
    for (id, methods) in [
        (json!(7), ["elicitation/create", "sampling/createMessage"]),
        (json!("7"), ["roots/list", "roots/list"]),
        (json!(0), ["sampling/createMessage", "elicitation/create"]),
    ] {
        let open = [
            asking(&hub.peers[0], &one, id.clone(), methods[0]),
            asking(&hub.peers[1], &two, id.clone(), methods[1]),
        ];
        let agent = hub.agent().await;
        let mut calls = [
            begin(&agent, &json!({ "name": "one__a" })).await,
            begin(&agent, &json!({ "name": "two__b" })).await,
        ];
        let mut asked = Vec::new();
        for call in &mut calls {
            asked.push(next(call).await);
        }
        assert_eq!([&asked[0]["method"], &asked[1]["method"]], methods);
        assert_ne!(asked[0]["id"], asked[1]["id"]);
        // Answered the other way round.
        for (at, said) in [(1, "for two"), (0, "for one")] {
            let answer =
                json!({ "jsonrpc": "2.0", "id": asked[at]["id"], "result": { "x": said } });
            assert_eq!(agent.send(&answer).await.status, 202);
        }
        for (at, said) in [(0, "for one"), (1, "for two")] {
            let got = answers(&hub.peers[at]).pop().expect("an answer").1;
            assert_eq!(got, json!({ "jsonrpc": "2.0", "id": id, "result": { "x": said } }));
            open[at].send_replace(true);
            let text = next(&mut calls[at]).await["result"]["content"][0]["text"].clone();
            assert_eq!(text, ["a", "b"][at]);
        }
    }
}

#[tokio::test] // Rows 56 and 61.
async fn answers_under_ids_nobody_gave_reach_nobody() {
    let (hub, one, _) = pair().await;
    let open = asking(&hub.peers[0], &one, json!(7), "elicitation/create");
    let agent = hub.agent().await;
    let mut call = begin(&agent, &json!({ "name": "one__a" })).await;
    let asked = next(&mut call).await["id"].clone();
    let text = asked.as_str().expect("a string").to_owned();
    let forged = [
        json!(7),
        json!("7"),
        json!(text.replace("one", "two")),
        json!(text.replace("one", "three")),
        json!(format!(" {text}")),
        json!(text.replace('7', "07")),
        json!(text.replace('7', "7.0")),
        json!(text.replace('7', "{}")),
        json!(text.replace('7', "")),
        json!(text.to_uppercase()),
    ];
    for id in forged {
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": {} });
        let status = agent.send(&answer).await.status;
        assert!([202, 400].contains(&status), "{id}: {status}");
    }
    for peer in &hub.peers {
        assert_eq!(answers(peer), []);
    }
    // Another agent knows the id, but its leg is not the one that asked.
    let other = hub.agent().await;
    let answer = json!({ "jsonrpc": "2.0", "id": asked, "result": { "of": "other" } });
    assert_eq!(other.send(&answer).await.status, 202);
    assert_eq!(answers(&hub.peers[0]), [], "it has no leg there");
    let mut own = begin(&other, &json!({ "name": "one__a" })).await;
    next(&mut own).await;
    other.send(&answer).await;
    let mine = hub.peers[0].calls_of("tools/call")[0].header("mcp-session-id").map(str::to_owned);
    for (session, answer) in answers(&hub.peers[0]) {
        assert_ne!(Some(session), mine, "{answer}");
    }
    open.send_replace(true);
    assert!(next(&mut call).await["result"].is_object());
}

#[tokio::test]
async fn cancellation_reaches_the_upstream_that_has_the_call_and_no_other() {
    let (hub, one, two) = pair().await;
    let open = [
        asking(&hub.peers[0], &one, json!(1), "elicitation/create"),
        asking(&hub.peers[1], &two, json!(1), "elicitation/create"),
    ];
    let agent = hub.agent().await;
    let mut calls = [
        begin(&agent, &json!({ "name": "one__a" })).await,
        begin(&agent, &json!({ "name": "two__b" })).await,
    ];
    for call in &mut calls {
        next(call).await;
    }
    let cancel = |id: &Value| {
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
                "params": { "requestId": id, "reason": "changed my mind" } })
    };
    for unknown in [json!(4711), json!("1"), json!("one__1")] {
        assert_eq!(agent.send(&cancel(&unknown)).await.status, 202);
    }
    // Another agent cannot cancel it.
    let id = hub.peers[1].calls_of("tools/call")[0].json()["id"].clone();
    assert_eq!(hub.agent().await.send(&cancel(&id)).await.status, 202);
    assert_eq!(hub.counts("notifications/cancelled"), [0, 0]);
    assert_eq!(agent.send(&cancel(&id)).await.status, 202);
    assert_eq!(hub.counts("notifications/cancelled"), [0, 1]);
    let seen = hub.peers[1].calls_of("notifications/cancelled").remove(0);
    assert_eq!(seen.json(), cancel(&id));
    for open in open {
        open.send_replace(true);
    }
    for call in &mut calls {
        next(call).await;
    }
    // What was answered cannot be cancelled any more.
    let deadline = Instant::now() + DEADLINE;
    drop(calls);
    while Instant::now() < deadline {
        let before = hub.counts("notifications/cancelled");
        agent.send(&cancel(&id)).await;
        if hub.counts("notifications/cancelled") == before {
            return;
        }
    }
    panic!("an answered call is still known");
}

#[tokio::test]
async fn progress_comes_with_the_token_of_the_agent() {
    let (hub, one, _) = pair().await;
    let open = asking(&hub.peers[0], &one, json!(1), "elicitation/create");
    let agent = hub.agent().await;
    let meta = json!({ "progressToken": "two__t" });
    let mut call = begin(&agent, &json!({ "name": "one__a", "_meta": meta })).await;
    assert_eq!(next(&mut call).await["method"], "elicitation/create");
    assert_eq!(next(&mut call).await["params"]["progressToken"], "two__t");
    open.send_replace(true);
    assert!(next(&mut call).await["result"].is_object());
}

#[tokio::test]
async fn the_log_level_reaches_open_legs_and_those_that_come() {
    let (hub, ..) = pair().await;
    let agent = hub.agent().await;
    agent.called("one__a").await;
    let set = agent.ask("logging/setLevel", &json!({ "level": "debug" })).await;
    assert_eq!(set.json()["result"], json!({}));
    assert_eq!(hub.counts("logging/setLevel"), [1, 0]);
    agent.called("two__b").await;
    assert_eq!(hub.counts("logging/setLevel"), [1, 1]);
    let told = hub.peers[1].calls_of("logging/setLevel").remove(0);
    assert_eq!(told.json()["params"]["level"], "debug");
    // Before the call, in the session of the call.
    let story: Vec<Option<String>> =
        hub.peers[1].requests().iter().map(Recorded::rpc_method).collect();
    let at = |method: &str| story.iter().position(|seen| seen.as_deref() == Some(method));
    assert!(at("logging/setLevel") < at("tools/call"), "{story:?}");
}

#[tokio::test]
async fn word_of_changed_roots_reaches_open_legs() {
    let (hub, ..) = pair().await;
    let agent = hub.agent().await;
    agent.called("two__b").await;
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    assert_eq!(agent.send(&changed).await.status, 202);
    assert_eq!(hub.counts("notifications/roots/list_changed"), [0, 1]);
}

#[tokio::test] // SPEC: 2025-03-26 basic, Batching.
async fn each_message_of_a_batch_goes_where_it_belongs() {
    let (hub, ..) = pair().await;
    let agent = Agent::open_by(hub.gate.address, legacy_initialize("2025-03-26")).await;
    let ask = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let batch = json!([
        ask(11, "tools/call", json!({ "name": "one__a" })),
        ask(12, "tools/call", json!({ "name": "two__b" })),
        { "jsonrpc": "2.0", "method": "notifications/roots/list_changed" },
        ask(13, "tools/list", json!({})),
        ask(14, "tools/call", json!({ "name": "three__c" })),
        ask(15, "ping", json!({})),
    ]);
    let mut answers = agent.send(&batch).await.messages();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [11, 12, 13, 14, 15], "{answers:?}");
    assert_eq!(answers[0]["result"]["content"][0]["text"], "a");
    assert_eq!(answers[1]["result"]["content"][0]["text"], "b");
    assert_eq!(answers[2]["result"]["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(answers[3]["error"]["code"], -32602);
    assert_eq!(answers[4]["result"], json!({}));
    assert_eq!(hub.counts("tools/call"), [1, 1]);
    let notes = json!([{ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }]);
    assert_eq!(agent.send(&notes).await.status, 202);
    // Later revisions have no batches.
    let newer = hub.agent().await;
    assert_eq!(newer.send(&batch).await.status, 400);
    assert_eq!(hub.counts("tools/call"), [1, 1]);
}

#[tokio::test] // F2.
async fn the_stream_of_a_call_is_resumed_at_its_own_upstream() {
    let (hub, one, two) = pair().await;
    for (peer, member) in hub.peers.iter().zip([&one, &two]) {
        let member = member.clone();
        peer.follow(move |request| {
            match (request.method.as_str(), request.rpc_method().as_deref()) {
                ("POST", Some("tools/call")) => {
                    Reply::stream().chunk(b"id: e/6:x\ndata:\n\n").then(testkit::Act::Hang)
                }
                ("GET", _) if request.header("last-event-id").is_some() => {
                    let answer =
                        json!({ "jsonrpc": "2.0", "id": 4711, "result": { "content": [] } });
                    Reply::stream()
                        .chunk(format!("id: e/7:x\ndata: {answer}\n\n").as_bytes())
                        .then(testkit::Act::Hang)
                }
                _ => member.answer(request),
            }
        });
    }
    let agent = hub.agent().await;
    let params = json!({ "name": "two__b" });
    let post = agent.post_of(
        &json!({ "jsonrpc": "2.0", "id": 4711, "method": "tools/call", "params": params }),
    );
    agent.ask("resources/subscribe", &json!({ "uri": "tollgate+one:x://y" })).await;
    let mut call = RawClient::connect(agent.address).await;
    call.send(&post.bytes()).await;
    assert_eq!(call.head().await.expect("a stream").status, 200);
    let id = call.event().await.expect("an event").id.expect("an id");
    drop(call);
    let mut stream = agent.resume(&[("last-event-id", &id)]).await;
    assert_eq!(next(&mut stream).await["id"], 4711);
    let resumed = |peer: &Recorder| {
        let gets = peer.with_http_method("GET");
        gets.iter()
            .filter_map(|get| get.header("last-event-id").map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(resumed(&hub.peers[1]), ["e/6:x"], "the upstream's own id");
    assert!(resumed(&hub.peers[0]).is_empty(), "an event id of another upstream");
    for forged in ["e/6:x", &id.replace("two", "one"), &id.replace("two", "three"), "tg0:"] {
        drop(agent.resume(&[("last-event-id", forged)]).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!resumed(&hub.peers[1]).contains(&"tg0:".to_owned()));
    let of_one = resumed(&hub.peers[0]);
    assert!(of_one.iter().all(|id| id == "e/6:x"), "{of_one:?}");
}

#[tokio::test]
async fn what_legs_say_by_themselves_comes_on_the_one_stream_of_the_session() {
    let (hub, one, two) = pair().await;
    let (agent, other) = (hub.agent().await, hub.agent().await);
    agent.called("one__a").await;
    let mut stream = agent.stream().await;
    let mut others = other.stream().await;
    // A leg that opens later is heard, too.
    agent.called("two__b").await;
    let mine = |peer: &Recorder| {
        let call = peer.calls_of("tools/call").remove(0);
        call.header("mcp-session-id").expect("a session").to_owned()
    };
    let sessions = [mine(&hub.peers[0]), mine(&hub.peers[1])];
    let deadline = Instant::now() + DEADLINE;
    while !one.streams().contains(&sessions[0]) || !two.streams().contains(&sessions[1]) {
        assert!(Instant::now() < deadline, "{:?} {:?}", one.streams(), two.streams());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = |data: &str| {
        json!({ "jsonrpc": "2.0", "method": "notifications/message",
                "params": { "level": "info", "logger": "x", "data": data } })
    };
    one.say_in(&sessions[0], &log("of one"));
    let said = next(&mut stream).await;
    assert_eq!(
        (&said["params"]["data"], &said["params"]["logger"]),
        (&json!("of one"), &json!("one/x"))
    );
    let asks = json!({ "jsonrpc": "2.0", "id": 3, "method": "elicitation/create", "params": {} });
    two.say_in(&sessions[1], &asks);
    let asked = next(&mut stream).await;
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "cancel" } });
    assert_eq!(agent.send(&answer).await.status, 202);
    assert_eq!(
        answers(&hub.peers[1]),
        [(
            sessions[1].clone(),
            json!({
        "jsonrpc": "2.0", "id": 3, "result": { "action": "cancel" } })
        )]
    );
    // Nothing of this was the other agent's.
    let heard = tokio::time::timeout(Duration::from_millis(300), others.event()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert_eq!(agent.end().await, 204);
    assert!(stream.event().await.is_none(), "a session's stream ends with it");
}
