//! Rows 54, 56, 57, 60 and 61: sessions, and what a hostile upstream streams.

use crate::GATE;
use serde_json::{Value, json};
use testkit::post::good_call;
use testkit::{
    Act, Configuration, DEADLINE, GateProcess, House, Post, RawClient, Recorded, Recorder, Reply,
    legacy_initialize, legacy_post,
};

const LATEST: &str = "2025-11-25";

/// A ping in this session.
fn ping(session: &str) -> Post {
    legacy_post(session, "ping", &json!({}))
}

/// GET or DELETE in this session.
fn bodyless(method: &str, session: &str) -> Vec<u8> {
    let accept = "Accept: text/event-stream";
    format!(
        "{method} /mcp HTTP/1.1\r\nHost: localhost\r\n{accept}\r\nMcp-Session-Id: {session}\r\n\r\n"
    )
    .into_bytes()
}

#[tokio::test] // Row 54.
async fn a_session_is_unknown_on_another_route() {
    let (here, there) = (Recorder::start().await, Recorder::start().await);
    let file = Configuration::of(&[here.address])
        .upstream("other", &[there.address])
        .upstream_key("era: both")
        .route("/other", "other");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let house = House { gate, peer: here };
    let session = house.session(LATEST).await;
    let before = there.bytes_seen();
    house.refuses(&ping(&session).to("/other"), &[404], &[]).await;
    assert_eq!(there.bytes_seen(), before);
    assert_eq!(house.ask(&ping(&session)).await.status, 200);
}

#[tokio::test] // Row 56.
async fn a_client_cannot_choose_its_session() {
    let house = House::open(GATE).await;
    let answer = house.ask(&legacy_initialize(LATEST).with("mcp-session-id", "fixed")).await;
    // Either the id is ignored or the request is refused; it never becomes a session.
    assert!([200, 400, 404].contains(&answer.status), "{}", answer.status);
    assert_ne!(answer.header("mcp-session-id"), Some("fixed"));
    house.refuses(&ping("fixed"), &[404], &[]).await;
}

#[tokio::test] // Row 56, and D6: what the client holds says nothing about the upstream's id.
async fn session_ids_are_long_visible_and_never_the_upstreams() {
    let house = House::open(GATE).await;
    let (one, two) = (house.session(LATEST).await, house.session(LATEST).await);
    assert_ne!(one, two);
    for id in [one, two] {
        assert!(id.len() >= 22 && id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
        assert!(!id.contains("peer-"), "{id}");
    }
}

#[tokio::test] // Row 57.
async fn a_session_id_with_any_change_is_unknown() {
    let house = House::open(GATE).await;
    let id = house.session(LATEST).await;
    let other = house.session(LATEST).await;
    let half = id.len() / 2;
    let mut forged: Vec<String> = (0..id.len())
        .flat_map(|at| [1, 2, 32].map(|bit| (at, bit)))
        .filter_map(|(at, bit)| {
            let mut bytes = id.clone().into_bytes();
            bytes[at] ^= bit;
            String::from_utf8(bytes).ok().filter(|id| id.bytes().all(|b| b.is_ascii_graphic()))
        })
        .collect();
    forged.extend((1..id.len()).step_by(7).map(|len| id[..len].to_owned()));
    forged.push(format!("{}{}", &id[..half], &other[half..]));
    forged.push(format!("{}{}", &other[..half], &id[half..]));
    forged.push(format!("{id}A"));
    forged.push(format!("{id}="));
    forged.push("x".repeat(8 * 1024));
    forged.push("peer-0".to_owned());
    let before = house.peer.bytes_seen();
    for forged in forged {
        let status = house.ask(&ping(&forged)).await.status;
        assert!([400, 404].contains(&status), "{forged}: {status}");
    }
    assert_eq!(house.peer.bytes_seen(), before);
    assert_eq!(house.ask(&ping(&id)).await.status, 200);
}

#[tokio::test] // Row 57.
async fn unknown_expired_and_forged_ids_get_one_answer() {
    let house = House::open(GATE).await;
    let ended = house.session(LATEST).await;
    let mut client = house.connect().await;
    client.send(&bodyless("DELETE", &ended)).await;
    let status = client.response().await.expect("an answer").status;
    assert!([200, 202, 204].contains(&status), "{status}");
    let mut bytes = ended.clone().into_bytes();
    let last = bytes.len() - 2;
    bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(bytes).expect("ascii");
    let mut answers = Vec::new();
    for id in [ended.as_str(), forged.as_str(), "unknown"] {
        let answer = house.ask(&ping(id)).await;
        assert_eq!(answer.status, 404, "{id}");
        answers.push(answer.text());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test] // Row 57: a restarted gate has another key.
async fn a_session_of_another_gate_is_unknown() {
    let house = House::open(GATE).await;
    let session = house.session(LATEST).await;
    let other = House::open(GATE).await;
    other.refuses(&ping(&session), &[404], &[]).await;
}

#[tokio::test] // L6 and L7.
async fn requests_that_need_a_session_say_so() {
    let house = House::open(GATE).await;
    // An upstream may do without sessions, so this refusal may be the upstream's own.
    let without = ping("x").without("mcp-session-id");
    assert_eq!(house.ask(&without).await.status, 400);
    for method in ["GET", "DELETE"] {
        let mut client = house.connect().await;
        client.send(&bodyless(method, "forged")).await;
        assert_eq!(client.response().await.expect("an answer").status, 404, "{method}");
    }
}

#[tokio::test] // L8.
async fn ending_a_session_ends_it_upstream() {
    let house = House::open(GATE).await;
    let session = house.session(LATEST).await;
    let mut client = house.connect().await;
    client.send(&bodyless("DELETE", &session)).await;
    client.response().await.expect("an answer");
    let is_deleted = |peer: &Recorder| !peer.with_http_method("DELETE").is_empty();
    house.peer.wait_until(DEADLINE, is_deleted).await;
    let seen = house.peer.with_http_method("DELETE").remove(0);
    assert_eq!(seen.header("mcp-session-id"), Some("peer-0"));
    house.refuses(&ping(&session), &[404], &[]).await;
}

#[tokio::test] // D6.
async fn idle_sessions_end_here_and_upstream() {
    let house = House::open_with(GATE, |c| c.section("sessions: { idle: 1s }")).await;
    let session = house.session(LATEST).await;
    let is_deleted = |peer: &Recorder| !peer.with_http_method("DELETE").is_empty();
    house.peer.wait_until(3 * DEADLINE, is_deleted).await;
    house.refuses(&ping(&session), &[404], &[]).await;
}

/// An upstream that answers `tools/call` with this.
async fn answering(reply: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Recorder {
    let peer = testkit::peer::Peer::default();
    Recorder::scripted(move |request: &Recorded| {
        let is_poisoned = request.rpc_method().as_deref() == Some("tools/call")
            && !request.text().contains("good");
        if is_poisoned { reply(request) } else { peer.answer(request) }
    })
    .await
}

/// A call that the upstreams of this file answer badly.
fn bad_call() -> Post {
    good_call().replace("good", "bad")
}

fn result(id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete", "content": [] } })
}

/// All messages of the answer to the bad call, whether it is a stream or one object.
async fn messages(house: &House, post: &Post) -> Vec<Value> {
    let mut client: RawClient = house.connect().await;
    client.send(&post.bytes()).await;
    let head = client.head().await.expect("an answer");
    let is_stream =
        head.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    if !is_stream {
        return vec![house.ask(post).await.json()];
    }
    let mut messages = Vec::new();
    while let Some(event) = client.event().await {
        if !event.data.is_empty() {
            messages.push(event.json());
        }
    }
    messages
}

#[tokio::test] // Row 60.
async fn text_that_looks_like_events_stays_text() {
    let evil =
        "\r\n\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\r\n\r\n";
    let peer = answering(move |request| {
        let mut result = result(&request.json()["id"]);
        result["result"]["content"] = json!([{ "type": "text", "text": evil }]);
        Reply::stream().event(&result.to_string()).end()
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let messages = messages(&house, &bad_call()).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["result"]["content"][0]["text"], evil);
}

#[tokio::test] // Row 60.
async fn odd_but_legal_event_streams_arrive_whole() {
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                           "params": { "progressToken": 1, "progress": 1 } })
    .to_string();
    for ends in ["\n", "\r\n", "\r"] {
        let progress = progress.clone();
        let peer = answering(move |request| {
            let result = result(&request.json()["id"]).to_string();
            let (a, b) = result.split_at(result.find(',').expect("a comma") + 1);
            let lines = [
                ": comment",
                "",
                "retry: 0",
                &format!("data: {progress}"),
                "",
                "event: message",
                &format!("data: {a}"),
                &format!("data:{b}"),
                "",
                "",
            ];
            Reply::stream().chunk(lines.join(ends).as_bytes()).end()
        });
        let house = House::around(GATE, peer.await, |c| c).await;
        let post = bad_call().replace("\"_meta\":{", "\"_meta\":{\"progressToken\":1,");
        let messages = messages(&house, &post).await;
        assert_eq!(messages.len(), 2, "{ends:?}: {messages:?}");
        assert_eq!(messages[1]["id"], 7, "{ends:?}");
    }
}

#[tokio::test] // Row 60.
async fn malformed_event_streams_end_in_an_error() {
    let poisons: [&[u8]; 3] = [b"data: \xff\xfe\n\n", b"data: not json\n\n", b"data: {\"a\":1\n\n"];
    for poison in poisons {
        let peer = answering(move |_| Reply::stream().chunk(poison).end());
        let house = House::around(GATE, peer.await, |c| c).await;
        let messages = messages(&house, &bad_call()).await;
        let last = messages.last().expect("an answer");
        assert!(last["error"]["code"].is_i64(), "{messages:?}");
        assert_eq!(last["id"], 7);
        house.still_serves().await;
    }
}

#[tokio::test] // Row 60, CVE-2026-63119.
async fn endless_lines_cost_no_memory() {
    let peer = answering(|_| {
        let line = vec![b'x'; 1024 * 1024];
        let begun = Reply::stream().chunk(b"data: \"");
        (0..100).fold(begun, |reply, _| reply.chunk(&line)).then(Act::Hang)
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    house.still_serves().await;
    let memory = house.gate.memory_kib();
    let messages = messages(&house, &bad_call()).await;
    assert!(messages.last().is_some_and(|last| last["error"].is_object()), "{messages:?}");
    assert!(house.gate.memory_kib() < memory + 64 * 1024);
    house.still_serves().await;
}

#[tokio::test] // Row 61.
async fn answers_to_other_questions_are_not_delivered() {
    let peer = answering(|request| {
        let id = request.json()["id"].clone();
        Reply::stream()
            .event(&result(&json!(4711)).to_string())
            .event(&result(&json!("7")).to_string())
            .event(&result(&id).to_string())
            .event(&result(&id).to_string())
            .end()
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let messages = messages(&house, &bad_call()).await;
    let ids: Vec<&Value> = messages.iter().map(|message| &message["id"]).collect();
    assert_eq!(ids, [7]);
}

#[tokio::test] // Row 61.
async fn one_object_with_another_id_is_not_an_answer() {
    let peer = answering(|_| Reply::json(&result(&json!(4711))));
    let house = House::around(GATE, peer.await, |c| c).await;
    let answer = house.ask(&bad_call()).await.json();
    assert_eq!(answer["id"], 7);
    assert!(answer["error"].is_object(), "{answer}");
}

#[tokio::test] // Row 61, N11.
async fn modern_streams_carry_no_questions_and_no_foreign_progress() {
    let peer = answering(|request| {
        let note = |method: &str, params: Value| {
            json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
        };
        let question = json!({ "jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage",
                               "params": {} });
        let foreign = json!({ "progressToken": "somebody-elses", "progress": 1 });
        Reply::stream()
            .event(&question.to_string())
            .event(&note("notifications/progress", foreign))
            .event(&note("notifications/message", json!({ "level": "info", "data": "x" })))
            .event(&result(&request.json()["id"]).to_string())
            .end()
    });
    let house = House::around(GATE, peer.await, |c| c).await;
    let messages = messages(&house, &bad_call()).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0]["result"].is_object());
}
