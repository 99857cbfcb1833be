//! The ledger says what was served: one row for each call that reached an upstream, to the last one,
//! whatever became of it; and none for what the gate refused.

use crate::GATE;
use crate::http_sse;
use crate::identity_house::{Voucher, by, guarded};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{
    Act, Configuration, DEADLINE, Feed, GateProcess, House, Hub, Member, Post, RawClient, Recorded,
    Recorder, Reply, legacy_bodyless, legacy_post, modern_call,
};
use tollgate_backends::embedded::EmbeddedUsage;
use tollgate_core::stores::{Outcome, UsageFilter, UsageLedger as _, UsageRow};

fn metered(file: Configuration) -> Configuration {
    file.section("usage: {}")
}

/// The rows of a gate, once it has written all it has to write.
async fn rows(gate: &GateProcess) -> Vec<UsageRow> {
    gate.wait_for_status(|status| status["usage"]["pending"] == 0).await;
    let ledger = EmbeddedUsage::open(&gate.beside("tollgate-usage.db")).await.expect("a ledger");
    let rows = ledger.rows(UsageFilter::default(), 0, 100_000).await;
    let mut rows = rows.expect("rows");
    // Those of one millisecond are in no order.
    rows.sort_by(|one, other| (&one.agent, about(one)).cmp(&(&other.agent, about(other))));
    rows
}

/// What a row is about.
fn about(row: &UsageRow) -> (&str, Option<&str>, Outcome) {
    (&row.method, row.item.as_deref(), row.outcome)
}

fn named(name: &str) -> Post {
    modern_call("tools/call", &json!({ "name": name, "arguments": { "text": "12345678" } }))
}

/// A server that does as the tool is called.
async fn obedient() -> Recorder {
    let peer = testkit::peer::Peer::default();
    Recorder::scripted(move |request: &Recorded| {
        let message = request.json();
        let name = message["params"]["name"].as_str().unwrap_or_default();
        let result = |is_error: bool| {
            let content = json!([{ "type": "text", "text": "x".repeat(400) }]);
            let result =
                json!({ "content": content, "isError": is_error, "resultType": "complete" });
            json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })
        };
        match name.split('-').next().unwrap_or_default() {
            "fails" => Reply::json(&result(true)),
            "error" => Reply::json(&json!({ "jsonrpc": "2.0", "id": message["id"],
                "error": { "code": -32000, "message": "no" } })),
            "status" => Reply::status(500, &[], b"no"),
            "reset" => Reply::reset(),
            "hangs" => Reply::hang(),
            "breaks" => Reply::stream().then(Act::Reset),
            "events" => Reply::stream().event(&result(false).to_string()).end(),
            "works" => Reply::json(&result(false)),
            _ => peer.answer(request),
        }
    })
    .await
}

async fn house() -> House {
    // Calls that fail must not keep those that follow from the upstream.
    House::around(GATE, obedient().await, |file| metered(file.http_key("ejection: off"))).await
}

#[tokio::test]
async fn each_call_leaves_one_row_that_says_how_it_ended() {
    let house = house().await;
    for name in ["works", "events", "fails", "error", "status", "reset", "breaks"] {
        drop(house.ask(&named(name)).await);
    }
    drop(house.ask(&modern_call("tools/list", &json!({}))).await);
    let rows = rows(&house.gate).await;
    let expected = [
        ("tools/call", Some("breaks"), Outcome::Error),
        ("tools/call", Some("error"), Outcome::Error),
        ("tools/call", Some("events"), Outcome::Done),
        ("tools/call", Some("fails"), Outcome::ToolError),
        ("tools/call", Some("reset"), Outcome::Error),
        ("tools/call", Some("status"), Outcome::Error),
        ("tools/call", Some("works"), Outcome::Done),
        ("tools/list", None, Outcome::Done),
    ];
    assert_eq!(rows.iter().map(about).collect::<Vec<_>>(), expected);
    let works = &rows[6];
    assert_eq!((&*works.agent, &*works.route, &*works.upstream), ("anonymous", "/mcp", "peer"));
    // `{"text":"12345678"}` has 19 bytes.
    assert_eq!((works.calls, works.tokens_in), (1, 5));
    assert!((100..130).contains(&works.tokens_out), "{}", works.tokens_out);
    let ids: std::collections::HashSet<_> = rows.iter().map(|row| row.call).collect();
    assert_eq!(ids.len(), rows.len());
}

#[tokio::test]
async fn what_the_gate_refuses_or_answers_itself_leaves_no_row() {
    let file =
        |file: Configuration| metered(file.section("limits: { per_agent: { requests: 3/h } }"));
    let house = House::around(GATE, obedient().await, file).await;
    drop(house.ask(&legacy_post("forged", "tools/list", &json!({}))).await);
    drop(house.ask(&named("works").replace("jsonrpc", "jsonrcp")).await);
    for _ in 0..5 {
        drop(house.ask(&named("works")).await);
    }
    let rows = rows(&house.gate).await;
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert_eq!(house.peer.calls_of("tools/call").len(), 2);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_was_not_used() {
    let house =
        House::open_with(GATE, |_| metered(Configuration::of(&[([127, 0, 0, 1], 9).into()]))).await;
    assert_eq!(house.ask(&good_call()).await.status, 503);
    assert!(rows(&house.gate).await.is_empty());
}

#[tokio::test]
async fn rows_name_who_called_and_the_team_it_is_put_down_to() {
    let voucher = Voucher::start().await;
    let lines = [voucher.line("login")];
    let house = House::around(GATE, obedient().await, |file| {
        let teams = "teams: { build: { agents: [\"ci-*\"] } }";
        guarded(metered(file).section(teams), &lines)
    })
    .await;
    for agent in ["ci-1", "web"] {
        let token = voucher.token("u1", agent);
        assert_eq!(house.ask(&by(&token, named("works"))).await.status, 200);
    }
    let rows = rows(&house.gate).await;
    let who: Vec<_> = rows.iter().map(|row| (&*row.agent, row.team.as_deref())).collect();
    assert_eq!(who, [("ci-1", Some("build")), ("web", None)]);
    assert!(rows.iter().all(|row| row.issuer.as_deref() == Some(&*voucher.url)), "{rows:#?}");
    assert!(rows.iter().all(|row| row.user.as_deref() == Some("u1")), "{rows:#?}");
}

#[tokio::test]
async fn rows_name_upstreams_and_their_own_names_whatever_a_route_shows() {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], |file| {
        http_sse::with_sse(metered(file))
    })
    .await;
    let agent = hub.agent().await;
    assert_eq!(agent.called("one__a").await, "a");
    assert_eq!(agent.called("two__b").await, "b");
    drop(agent.names("tools/list").await);
    let mut old = http_sse::Agent::start(hub.gate.address).await;
    let call = http_sse::request(1, "tools/call", &json!({ "name": "one__a", "arguments": {} }));
    assert!(old.ask(&call).await["result"].is_object());
    let rows = rows(&hub.gate).await;
    let called: Vec<_> = rows.iter().map(|row| (&*row.upstream, row.item.as_deref())).collect();
    assert_eq!(called, [("one", Some("a")), ("one", Some("a")), ("two", Some("b"))]);
}

#[tokio::test]
async fn a_stream_without_an_end_leaves_a_row_of_what_it_carried() {
    let (pen, feed) = Feed::new();
    let peer = testkit::peer::Peer::default();
    let peer = Recorder::scripted(move |request: &Recorded| match request.method.as_str() {
        "GET" => Reply::stream().then(Act::Follow(feed.clone())),
        _ => peer.answer(request),
    })
    .await;
    let house = House::around(GATE, peer, metered).await;
    let session = house.session("2025-11-25").await;
    let mut stream = RawClient::connect(house.gate.address).await;
    stream.send(&legacy_bodyless("GET", &session, &[])).await;
    assert_eq!(stream.head().await.expect("a stream").status, 200);
    let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {
        "level": "info", "data": "y".repeat(4_000) } });
    pen.event(&log.to_string());
    stream.event().await.expect("an event");
    drop(stream);
    house.gate.wait_for_status(|status| status["usage"]["noted"] == 2).await;
    let rows = rows(&house.gate).await;
    assert_eq!(about(&rows[0]), ("GET", None, Outcome::Done));
    assert!((1_000..1_100).contains(&rows[0].tokens_out), "{}", rows[0].tokens_out);
    assert_eq!(about(&rows[1]), ("initialize", None, Outcome::Done));
}

#[tokio::test]
async fn an_answer_that_comes_when_a_stream_is_resumed_is_put_down_to_its_call() {
    let peer = testkit::peer::Peer::default();
    let peer = Recorder::scripted(move |request: &Recorded| {
        let message = request.json();
        match (request.method.as_str(), message["method"].as_str()) {
            // Asks the client to come back for the answer.
            (_, Some("tools/call")) => Reply::stream().chunk(b"id: e1\nretry: 10\ndata:\n\n").end(),
            ("GET", _) if request.header("last-event-id").is_some() => {
                let content = json!([{ "type": "text", "text": "x".repeat(4_000) }]);
                let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": content } });
                Reply::stream().event(&answer.to_string()).then(Act::Hang)
            }
            _ => peer.answer(request),
        }
    })
    .await;
    let limits = "limits: { per_agent: { concurrent: 1 }, max_result_tokens: \
                  [{ tools: [\"peer__echo\"], tokens: 500, oversize: truncate }] }";
    let house = House::around(GATE, peer, |file| metered(file).section(limits)).await;
    let session = house.session("2025-11-25").await;
    let params = json!({ "name": "echo", "arguments": {} });
    let mut client = house.connect().await;
    client.send(&legacy_post(&session, "tools/call", &params).bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let primed = client.event().await.expect("an event");
    assert!(client.event().await.is_none(), "the answer comes elsewhere");
    let last_id = primed.id.expect("an id");
    let mut stream = house.connect().await;
    stream.send(&legacy_bodyless("GET", &session, &[("last-event-id", &last_id)])).await;
    assert_eq!(stream.head().await.expect("a stream").status, 200);
    let answer = stream.event().await.expect("the answer").json();
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.ends_with("tokens]"), "an answer that is resumed has no more room than others");
    drop(stream);
    let rows = rows(&house.gate).await;
    let row = rows.iter().find(|row| &*row.method == "tools/call").expect("a row");
    assert_eq!(about(row), ("tools/call", Some("echo"), Outcome::Done));
    assert!((400..=600).contains(&row.tokens_out), "{}", row.tokens_out);
    let elsewhere = rows.iter().filter(|row| &*row.method == "GET").map(|row| row.tokens_out);
    assert!(elsewhere.sum::<i64>() < 50, "it counts once: {rows:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_and_served_calls_reconcile_to_the_last_one() {
    let house = Arc::new(house().await);
    let names = ["works", "events", "fails", "error", "status", "reset", "breaks", "hangs"];
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let house = house.clone();
        calls.spawn(async move {
            let kind = names[number % names.len()];
            let name = format!("{kind}-{number}");
            let mut client = house.connect().await;
            client.send(&named(&name).bytes()).await;
            if kind == "hangs" {
                // Leaves once the upstream has it.
                let has_it = |peer: &Recorder| {
                    let has_it = |call: &Recorded| call.json()["params"]["name"] == *name;
                    peer.calls_of("tools/call").iter().any(has_it)
                };
                house.peer.wait_until(DEADLINE, has_it).await;
            } else {
                drop(client.response().await);
            }
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("a call");
    }
    house.gate.wait_for_status(|status| status["usage"]["noted"] == 200).await;
    let rows = rows(&house.gate).await;
    let mut written: Vec<_> = rows.iter().filter_map(|row| row.item.clone()).collect();
    let name = |call: &Recorded| call.json()["params"]["name"].as_str().map(Arc::from);
    let mut served: Vec<Arc<str>> =
        house.peer.calls_of("tools/call").iter().filter_map(name).collect();
    written.sort_unstable();
    served.sort_unstable();
    assert_eq!(written, served);
    assert_eq!(written.len(), 200);
    for row in &rows {
        let kind = row.item.as_deref().and_then(|item| item.split('-').next());
        let expected = match kind.unwrap_or_default() {
            "works" | "events" => Outcome::Done,
            "fails" => Outcome::ToolError,
            "hangs" => Outcome::Unfinished,
            _ => Outcome::Error,
        };
        assert_eq!(row.outcome, expected, "{row:?}");
    }
    let status = house.gate.status().await;
    assert_eq!((&status["usage"]["lost"], &status["usage"]["written"]), (&json!(0), &json!(200)));
}

#[tokio::test]
async fn rows_are_written_before_the_gate_ends() {
    let mut house = house().await;
    for _ in 0..50 {
        assert_eq!(house.ask(&named("works")).await.status, 200);
    }
    let begun = Instant::now();
    house.gate.terminate(DEADLINE).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let file = house.gate.beside("tollgate-usage.db");
    let ledger = EmbeddedUsage::open(&file).await.expect("a ledger");
    let rows = ledger.rows(UsageFilter::default(), 0, 1_000).await.expect("rows");
    assert_eq!(rows.len(), 50);
}
