//! Row 117 and F1, F3 and F7: upstreams whose lists are endless, huge, malformed, late or missing.
//! The others are served as if nothing was, memory stays bounded, the last good list stays, and
//! `/status` says what is wrong.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::client::ask;
use testkit::member::item;
use testkit::{
    Act, Agent, Configuration, DEADLINE, GateProcess, Hub, Member, RawClient, Recorded, Recorder,
    Reply,
};

const TOOLS: &str = "tools/list";
/// Longer than any wait of the gate's for a list.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a hostile list may cost the gate, in KiB, whatever its size.
const MEMORY_KIB_MAX: u64 = 160 * 1024;

/// A hub of a healthy member and one that answers `tools/list` as told.
async fn beside(list: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Hub {
    let (healthy, hostile) = (Member::with_tools(&["fine"]), Member::with_tools(&["kept"]));
    let hub = Hub::open(GATE, &[("hostile", &hostile), ("healthy", &healthy)]).await;
    hub.peers[0].follow(poisoned(&hostile, list));
    hub
}

fn poisoned(
    member: &Arc<Member>,
    list: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Recorded) -> Reply + Send + Sync + 'static {
    let member = member.clone();
    move |request| match request.rpc_method().as_deref() {
        Some(TOOLS) => list(request),
        _ => member.answer(request),
    }
}

fn result(request: &Recorded, result: &Value) -> Reply {
    Reply::json(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result }))
}

async fn names(agent: &Agent) -> Vec<String> {
    let mut client = RawClient::connect(agent.address).await;
    let answer = client.ask_within(&agent.post(TOOLS, &json!({})), PATIENCE).await;
    let tools = answer.json()["result"]["tools"].clone();
    let tools = tools.as_array().unwrap_or_else(|| panic!("{}", answer.text())).clone();
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

/// What `/status` says is wrong with the hostile upstream's lists, once it says something.
async fn trouble(hub: &Hub) -> String {
    let of = |status: &Value, at: usize| status["upstreams"][at]["lists_trouble"].clone();
    let status = hub.gate.wait_for_status(|status| of(status, 0).is_string()).await;
    assert!(of(&status, 1).is_null(), "{status:#}");
    of(&status, 0).as_str().expect("just seen").to_owned()
}

#[tokio::test] // Row 117.
async fn endless_pages_end() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let hub = beside(move |request| {
        let page = count.fetch_add(1, Ordering::Relaxed);
        let tools = [item(TOOLS, &format!("t{page}"))];
        result(request, &json!({ "tools": tools, "nextCursor": format!("{page}") }))
    })
    .await;
    let agent = hub.agent().await;
    let seen = names(&agent).await;
    assert_eq!(seen.len(), 101, "a hundred pages are read, no more");
    assert!(seen.contains(&"healthy__fine".to_owned()));
    assert!(trouble(&hub).await.contains("too many pages"));
    assert_eq!(asked.load(Ordering::Relaxed), 100);
    assert_eq!(agent.called("healthy__fine").await, "fine");
    // What was cut off can still be called: the cut protects the gate, it is no policy.
    assert_eq!(agent.called("hostile__t5000").await, "t5000");
}

#[tokio::test] // Row 117.
async fn cursors_that_go_round_end_the_reading() {
    for cursors in [&["a"][..], &["a", "b"], &["", "x", "y"]] {
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        let hub = beside(move |request| {
            let page = count.fetch_add(1, Ordering::Relaxed);
            let next = cursors[usize::try_from(page).expect("few") % cursors.len()];
            result(request, &json!({ "tools": [item(TOOLS, "same")], "nextCursor": next }))
        })
        .await;
        let agent = hub.agent().await;
        assert_eq!(names(&agent).await, ["hostile__same", "healthy__fine"]);
        assert!(asked.load(Ordering::Relaxed) <= 5, "{cursors:?}");
        assert!(trouble(&hub).await.contains("circle"), "{cursors:?}");
    }
}

#[tokio::test] // Row 117.
async fn a_hundred_thousand_tools_cost_bounded_memory() {
    let tools: Vec<Value> = (0..100_000).map(|n| item(TOOLS, &format!("t{n}"))).collect();
    let page = json!({ "tools": tools });
    let hub = beside(move |request| result(request, &page)).await;
    let agent = hub.agent().await;
    let before = hub.gate.memory_kib();
    let first = names(&agent).await;
    assert!(first.len() <= 1_000, "{}", first.len());
    let all = agent.names(TOOLS).await;
    assert_eq!(all.len(), 1_001);
    assert_eq!(all.last().map(String::as_str), Some("healthy__fine"));
    assert!(trouble(&hub).await.contains("not offered"));
    let grown = hub.gate.memory_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB_MAX, "{grown} KiB");
}

#[tokio::test] // Row 117.
async fn a_tool_with_a_description_of_ten_megabytes_is_left_out_alone() {
    let mut huge = item(TOOLS, "huge");
    huge["description"] = json!("x".repeat(10 * 1024 * 1024));
    let page = json!({ "tools": [item(TOOLS, "a"), huge, item(TOOLS, "b")] });
    let hub = beside(move |request| result(request, &page)).await;
    let agent = hub.agent().await;
    let before = hub.gate.memory_kib();
    assert_eq!(names(&agent).await, ["hostile__a", "hostile__b", "healthy__fine"]);
    assert!(trouble(&hub).await.contains("not offered"));
    let grown = hub.gate.memory_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB_MAX, "{grown} KiB");
}

#[tokio::test] // Row 117.
async fn a_page_of_fifty_megabytes_is_not_taken() {
    let hub = beside(|_| {
        let piece = vec![b' '; 1024 * 1024];
        let begun = Reply::raw(
            "HTTP/1.1 200 x\r\ncontent-type: application/json\r\n\
                                content-length: 52428800\r\n\r\n",
        );
        (0..50).fold(begun, |reply, _| reply.then(Act::Send(piece.clone())))
    })
    .await;
    let agent = hub.agent().await;
    let before = hub.gate.memory_kib();
    assert_eq!(names(&agent).await, ["healthy__fine"]);
    assert!(!trouble(&hub).await.is_empty());
    let grown = hub.gate.memory_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB_MAX, "{grown} KiB");
    assert_eq!(agent.called("healthy__fine").await, "fine");
}

/// A tool with a schema of so many levels.
fn deep(levels: usize) -> String {
    let schema = r#"{"properties":{"a":"#.repeat(levels) + "{}" + &"}}".repeat(levels);
    format!(r#"{{"name":"deep{levels}","inputSchema":{schema}}}"#)
}

async fn beside_tools(tools: String) -> Hub {
    beside(move |request| {
        let id = request.json()["id"].clone();
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{tools}]}}}}"#);
        Reply::json_text(&[], &text)
    })
    .await
}

#[tokio::test] // Row 117.
async fn a_schema_that_is_nested_too_deeply_hides_its_tool_only() {
    let hub = beside_tools([deep(10), deep(100), deep(3)].join(",")).await;
    let agent = hub.agent().await;
    assert_eq!(names(&agent).await, ["hostile__deep10", "hostile__deep3", "healthy__fine"]);
    assert!(trouble(&hub).await.contains("not offered"));
    assert_eq!(agent.called("hostile__deep3").await, "deep3");
}

#[tokio::test] // Row 117: nobody walks over such a thing, so nothing behind it is found.
async fn a_schema_without_a_floor_hides_the_tools_of_its_upstream_only() {
    let hub = beside_tools([deep(10), deep(100_000), deep(3)].join(",")).await;
    let agent = hub.agent().await;
    assert_eq!(names(&agent).await, ["healthy__fine"]);
    assert!(trouble(&hub).await.contains("not usable"));
    assert_eq!(agent.called("hostile__deep3").await, "deep3");
}

/// A way a list can go wrong, and what `/status` says then.
type Failure = (&'static str, fn(&Recorded) -> Reply);

fn failures() -> Vec<Failure> {
    vec![
        ("usable", |_| Reply::json_text(&[], "not JSON")),
        ("usable", |_| {
            Reply::json_text(&[], r#"{"jsonrpc":"2.0","id":"tollgate-list","result":{"#)
        }),
        ("usable", |request| result(request, &json!({ "tools": 7 }))),
        ("usable", |request| result(request, &json!({}))),
        ("usable", |request| result(request, &json!({ "tools": [], "nextCursor": 7 }))),
        ("usable", |_| Reply::status(200, &[("content-type", "text/html")], b"<html>")),
        ("usable", |_| Reply::stream().event("not JSON").end()),
        ("usable", |_| Reply::stream().end()),
        ("-32603", |request| {
            let error = json!({ "code": -32603, "message": "broken" });
            Reply::json(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "error": error }))
        }),
        ("500", |_| Reply::status(500, &[], b"boom")),
        ("401", |_| Reply::status(401, &[("www-authenticate", "Bearer")], b"")),
        ("403", |_| Reply::status(403, &[], b"")),
        ("429", |_| Reply::status(429, &[("retry-after", "60")], b"")),
        ("forgot", |_| Reply::status(404, &[], b"")),
        ("", |_| Reply::reset()),
    ]
}

#[tokio::test] // Row 117, F1, F7.
async fn a_list_that_fails_leaves_the_others_and_says_why() {
    for (said, failure) in failures() {
        let hub = beside(failure).await;
        let agent = hub.agent().await;
        let begun = Instant::now();
        assert_eq!(names(&agent).await, ["healthy__fine"], "{said}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{said}: {:?}", begun.elapsed());
        let why = trouble(&hub).await;
        assert!(why.contains(said), "{said}: {why}");
        assert_eq!(agent.called("healthy__fine").await, "fine", "{said}");
        assert_eq!(agent.called("hostile__kept").await, "kept", "{said}: calls need no list");
        // A failing upstream is not asked by every agent that wants a list.
        let asked = hub.peers[0].calls_of(TOOLS).len();
        for _ in 0..10 {
            assert_eq!(names(&agent).await, ["healthy__fine"], "{said}");
        }
        assert!(hub.peers[0].calls_of(TOOLS).len() <= asked + 4, "{said}");
    }
}

#[tokio::test] // Row 117, F7: the last good list stays.
async fn the_last_good_list_stays_when_the_next_one_fails() {
    for (said, failure) in failures() {
        let (healthy, hostile) = (Member::with_tools(&["fine"]), Member::with_tools(&["kept"]));
        hostile.cache(1, "private");
        healthy.cache(60_000, "private");
        let hub = Hub::open(GATE, &[("hostile", &hostile), ("healthy", &healthy)]).await;
        let list = testkit::modern_call(TOOLS, &json!({}));
        let before = ask(hub.gate.address, &list).await.json()["result"]["tools"].clone();
        assert_eq!(before.as_array().map(Vec::len), Some(2));
        hub.peers[0].follow(poisoned(&hostile, failure));
        tokio::time::sleep(Duration::from_millis(5)).await;
        for _ in 0..3 {
            let answer = ask(hub.gate.address, &list).await.json();
            assert_eq!(answer["result"]["tools"], before, "{said}");
            // Nobody should take it for fresh.
            assert_eq!(answer["result"]["ttlMs"], 0, "{said}");
        }
        trouble(&hub).await;
        let member = hostile.clone();
        hostile.offer(TOOLS, &["kept", "new"]);
        hub.peers[0].follow(move |request| member.answer(request));
        let deadline = Instant::now() + DEADLINE;
        let count = async || {
            let answer = ask(hub.gate.address, &list).await.json();
            answer["result"]["tools"].as_array().map(Vec::len)
        };
        while count().await != Some(3) {
            assert!(Instant::now() < deadline, "{said}: never read again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_list_in_an_event_stream_is_read() {
    let hub = beside(|request| {
        let tools = json!({ "tools": [item(TOOLS, "a")] });
        let answer = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": tools });
        let log = json!({ "jsonrpc": "2.0", "method": "notifications/message",
                          "params": { "level": "info", "data": "x" } });
        let asks = json!({ "jsonrpc": "2.0", "id": 9, "method": "roots/list" });
        Reply::stream()
            .event(&log.to_string())
            .event(&asks.to_string())
            .event(&answer.to_string())
            .end()
    })
    .await;
    let agent = hub.agent().await;
    assert_eq!(names(&agent).await, ["hostile__a", "healthy__fine"]);
    // The gate's own session says so rather than leave the upstream waiting.
    let answered = |peer: &Recorder| {
        peer.requests()
            .iter()
            .any(|seen| seen.json()["id"] == 9 && seen.json()["result"]["roots"] == json!([]))
    };
    hub.peers[0].wait_until(DEADLINE, answered).await;
}

#[tokio::test] // Row 120, F3.
async fn a_hanging_upstream_delays_lists_for_its_time_only_and_is_told_of_when_it_comes() {
    let (healthy, late) = (Member::with_tools(&["fine"]), Member::with_tools(&["late"]));
    let hub = Hub::open(GATE, &[("late", &late), ("healthy", &healthy)]).await;
    let open = tokio::sync::watch::Sender::new(false);
    let (member, opened) = (late.clone(), open.clone());
    hub.peers[0].follow(move |request| {
        let reply = member.answer(request);
        let is_list = request.rpc_method().as_deref() == Some(TOOLS);
        if is_list { reply.after(&opened) } else { reply }
    });
    let agent = hub.agent().await;
    let mut stream = agent.stream().await;
    let begun = Instant::now();
    assert_eq!(names(&agent).await, ["healthy__fine"]);
    assert!(begun.elapsed() < Duration::from_secs(18), "{:?}", begun.elapsed());
    open.send_replace(true);
    let mut event = stream.event().await.expect("word of the list that came");
    while event.is_comment {
        event = stream.event().await.expect("word of the list that came");
    }
    assert_eq!(event.json()["method"], "notifications/tools/list_changed");
    assert_eq!(names(&agent).await, ["late__late", "healthy__fine"]);
}

#[tokio::test] // F3, F7.
async fn an_upstream_that_is_down_or_hangs_from_the_start_does_not_keep_agents_out() {
    let healthy = Member::with_tools(&["fine"]);
    let peer = Recorder::of_member(&healthy).await;
    let hanging = Recorder::scripted(|_| Reply::hang()).await;
    let down = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = down.local_addr().expect("an address");
    drop(down);
    let file = Configuration::hub(&[("down", nobody), ("healthy", peer.address)]);
    let gate = GateProcess::start(GATE, &file.text()).await;
    let begun = Instant::now();
    let agent = Agent::open(gate.address).await;
    assert_eq!(names(&agent).await, ["healthy__fine"]);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let answer = agent.call("down__x").await;
    assert!([502, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
    let file = Configuration::hub(&[("hangs", hanging.address), ("healthy", peer.address)]);
    let gate = GateProcess::start(GATE, &file.text()).await;
    // Each session waits a while for what its servers can do; for a list, one waits for all.
    for patience in [22, 8] {
        let begun = Instant::now();
        let agent = Agent::open(gate.address).await;
        assert!(agent.greeting["capabilities"]["tools"]["listChanged"].is_boolean());
        assert_eq!(names(&agent).await, ["healthy__fine"]);
        assert!(begun.elapsed() < Duration::from_secs(patience), "{:?}", begun.elapsed());
        assert_eq!(agent.called("healthy__fine").await, "fine");
    }
}

#[tokio::test] // Row 120, F3.
async fn nobody_waits_for_a_list_that_somebody_waited_for_in_vain() {
    let (healthy, late) = (Member::with_tools(&["fine"]), Member::with_tools(&["late"]));
    let hub = Hub::open(GATE, &[("late", &late), ("healthy", &healthy)]).await;
    hub.peers[0].follow(poisoned(&late, |_| Reply::hang()));
    let agent = hub.agent().await;
    assert_eq!(names(&agent).await, ["healthy__fine"]);
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(names(&hub.agent().await).await, ["healthy__fine"]);
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
