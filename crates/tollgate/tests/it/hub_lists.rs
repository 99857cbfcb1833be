//! Rows 48 and 120: the lists of a hub. Their order is that of the configuration, their pages are
//! carried by sealed cursors, and upstreams are asked as seldom as they allow.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::client::ask;
use testkit::member::item;
use testkit::{DEADLINE, Hub, Member, RawClient, Recorder, Reply, modern_call};
use tokio::task::JoinSet;

const TOOLS: &str = "tools/list";
const CHANGED: &str = "notifications/tools/list_changed";

fn changed() -> Value {
    json!({ "jsonrpc": "2.0", "method": CHANGED })
}

/// A member with so many tools, which it tells of.
fn many(count: usize) -> Arc<Member> {
    let member = Member::new();
    let tools = (0..count).map(|n| item(TOOLS, &format!("tool_{n}"))).collect();
    member.offer_items(TOOLS, tools);
    member
}

/// A member that says when its tools change.
fn telling(names: &[&str]) -> Arc<Member> {
    let member = Member::with_tools(names);
    member.declare(json!({ "tools": { "listChanged": true } }));
    member
}

#[tokio::test]
async fn the_order_is_that_of_the_configuration_and_then_the_upstreams_own() {
    let (b, a) = (Member::with_tools(&["z", "m"]), Member::with_tools(&["y", "a", "x"]));
    let hub = Hub::open(GATE, &[("b", &b), ("a", &a)]).await;
    let agent = hub.agent().await;
    let expected = ["b__z", "b__m", "a__y", "a__a", "a__x"];
    for _ in 0..3 {
        assert_eq!(agent.names(TOOLS).await, expected);
    }
    assert_eq!(hub.agent().await.names(TOOLS).await, expected);
}

#[tokio::test] // SPEC: pagination: cursors are opaque, so an empty one is one.
async fn all_pages_of_an_upstream_are_read_even_empty_ones_behind_an_empty_cursor() {
    let member = Member::new();
    let answers = member.clone();
    let peer = Recorder::scripted(move |request| {
        let message = request.json();
        if message["method"] != TOOLS {
            return answers.answer(request);
        }
        let (names, next) = match message["params"]["cursor"].as_str() {
            None => (vec!["one"], Some("")),
            Some("") => (vec![], Some("\u{fc}\"\\ odd")),
            Some("\u{fc}\"\\ odd") => (vec![], Some("last")),
            Some("last") => (vec!["two"], None),
            Some(_) => (vec!["wrong"], None),
        };
        let tools: Vec<Value> = names.into_iter().map(|name| item(TOOLS, name)).collect();
        // Some servers spell out that there is no next page.
        let result = json!({ "tools": tools, "nextCursor": next });
        Reply::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    })
    .await;
    let mut hub = Hub::open(GATE, &[("other", &Member::with_tools(&["x"]))]).await;
    let file =
        testkit::Configuration::hub(&[("paged", peer.address), ("other", hub.peers[0].address)]);
    hub.gate = testkit::GateProcess::start(GATE, &file.text()).await;
    assert_eq!(hub.agent().await.names(TOOLS).await, ["paged__one", "paged__two", "other__x"]);
    assert_eq!(peer.calls_of(TOOLS).len(), 4);
}

#[tokio::test]
async fn thousands_of_tools_come_in_pages_each_once() {
    let members = [many(700), many(3), many(900), many(500)];
    members[2].page(100);
    let named: Vec<_> = ["a", "b", "c", "d"].into_iter().zip(&members).collect();
    let hub = Hub::open(GATE, &named).await;
    let agent = hub.agent().await;
    let first = agent.page(TOOLS, None).await;
    assert!(first["nextCursor"].is_string());
    let size = first["tools"].as_array().map_or(0, Vec::len);
    assert!((100..=1_000).contains(&size), "{size}");
    let counts = [("a", 700), ("b", 3), ("c", 900), ("d", 500)];
    let expected: Vec<String> = counts
        .into_iter()
        .flat_map(|(name, count)| (0..count).map(move |n| format!("{name}__tool_{n}")))
        .collect();
    assert_eq!(agent.names(TOOLS).await, expected);
    assert_eq!(hub.counts(TOOLS), [1, 1, 9, 1], "pages of the merged list cost no upstream call");
}

#[tokio::test]
async fn cursors_are_good_only_where_they_were_given() {
    let (one, two) = (many(700), many(700));
    for member in [&one, &two] {
        member.declare(json!({ "tools": {}, "prompts": {} }));
        let prompts = (0..700).map(|n| item("prompts/list", &format!("p{n}"))).collect();
        member.offer_items("prompts/list", prompts);
    }
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], |file| {
        file.route("/other", "one, two")
    })
    .await;
    let agent = hub.agent().await;
    let cursor = |page: &Value| page["nextCursor"].as_str().expect("a cursor").to_owned();
    let good = cursor(&agent.page(TOOLS, None).await);
    let prompts = cursor(&agent.page("prompts/list", None).await);
    let elsewhere = {
        let post = testkit::legacy_initialize("2025-11-25").to("/other");
        let opened = ask(hub.gate.address, &post).await;
        let session = opened.header("mcp-session-id").expect("a session").to_owned();
        let list = testkit::legacy_post(&session, TOOLS, &json!({})).to("/other");
        cursor(&ask(hub.gate.address, &list).await.json()["result"])
    };
    let mut flipped = good.clone().into_bytes();
    flipped[10] ^= 1;
    let flipped = String::from_utf8_lossy(&flipped).into_owned();
    let forged = ["", "0", "1000", &good[1..], &flipped, &agent.session, &prompts, &elsewhere];
    for cursor in forged {
        let answer = agent.ask(TOOLS, &json!({ "cursor": cursor })).await;
        assert_eq!((answer.status, answer.code()), (200, Some(-32602)), "{cursor}");
    }
    for cursor in [json!(7), json!({}), json!(["x"])] {
        let answer = agent.ask(TOOLS, &json!({ "cursor": cursor })).await;
        assert!(answer.code().is_some(), "{cursor}: {}", answer.text());
    }
    // Another session of the same agent goes on where this one was.
    let last = hub.agent().await.page(TOOLS, Some(&good)).await;
    assert_eq!(last["tools"].as_array().map(Vec::len), Some(400));
    let asked = hub.counts(TOOLS);
    assert_eq!(asked, [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // Row 120.
async fn a_thousand_lists_at_once_ask_each_upstream_once() {
    let (one, two) = (many(20), many(20));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let open = tokio::sync::watch::Sender::new(false);
    for (peer, member) in hub.peers.iter().zip([&one, &two]) {
        let (member, opened) = (member.clone(), open.clone());
        peer.follow(move |request| {
            let reply = member.answer(request);
            let is_list = request.rpc_method().as_deref() == Some(TOOLS);
            if is_list { reply.after(&opened) } else { reply }
        });
    }
    let agent = Arc::new(hub.agent().await);
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let agent = agent.clone();
        asking.spawn(async move {
            let mut client = RawClient::connect(agent.address).await;
            // Ten in a row on each of a hundred connections, all sent before any is answered.
            let posts: Vec<u8> =
                (0..10).flat_map(|_| agent.post(TOOLS, &json!({})).bytes()).collect();
            client.send(&posts).await;
            let mut counts = Vec::new();
            for _ in 0..10 {
                let answer = client.response().await.expect("an answer").json();
                counts.push(answer["result"]["tools"].as_array().map_or(0, Vec::len));
            }
            counts
        });
    }
    for peer in &hub.peers {
        peer.wait_for_call(TOOLS).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    open.send_replace(true);
    while let Some(counts) = asking.join_next().await {
        assert_eq!(counts.expect("a client"), [40; 10]);
    }
    assert_eq!(hub.counts(TOOLS), [1, 1]);
}

/// A modern request for the tools, and its result.
async fn modern_tools(hub: &Hub) -> Value {
    let answer = ask(hub.gate.address, &modern_call(TOOLS, &json!({}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"].clone()
}

#[tokio::test] // SPEC: 2026-07-28 server/utilities/caching.
async fn an_upstream_is_not_asked_again_before_its_list_is_stale() {
    let (brief, long) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    brief.cache(700, "private");
    long.cache(60_000, "private");
    let hub = Hub::open(GATE, &[("brief", &brief), ("long", &long)]).await;
    let begun = Instant::now();
    let first = modern_tools(&hub).await;
    let ttl = first["ttlMs"].as_u64().expect("a ttl");
    assert!(ttl <= 700, "never longer than any part is fresh: {ttl}");
    for _ in 0..5 {
        modern_tools(&hub).await;
    }
    if begun.elapsed() < Duration::from_millis(700) {
        assert_eq!(hub.counts(TOOLS), [1, 1]);
    }
    tokio::time::sleep(Duration::from_millis(800)).await;
    brief.offer(TOOLS, &["a", "new"]);
    let names = modern_tools(&hub).await["tools"].as_array().map_or(0, Vec::len);
    assert_eq!((names, hub.counts(TOOLS)), (3, vec![2, 1]));
}

#[tokio::test] // Row 48.
async fn a_list_is_public_only_if_every_part_is() {
    for (scopes, expected) in [
        (["public", "public"], "public"),
        (["public", "private"], "private"),
        (["private", "public"], "private"),
    ] {
        let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
        one.cache(60_000, scopes[0]);
        two.cache(60_000, scopes[1]);
        let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
        let list = modern_tools(&hub).await;
        assert_eq!(list["cacheScope"], expected, "{scopes:?}");
        assert_eq!(list["resultType"], "complete");
        assert!(list["ttlMs"].as_u64().is_some_and(|ttl| ttl > 50_000));
    }
}

#[tokio::test] // Row 48: legacy agents are told nothing about caching, which their revision lacks.
async fn legacy_lists_carry_no_modern_members() {
    let hub = Hub::open(GATE, &[("a", &Member::with_tools(&["x"])), ("b", &Member::new())]).await;
    let page = hub.agent().await.page(TOOLS, None).await;
    let keys: Vec<&String> = page.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["tools"]);
}

/// How many of the next events, until one second of silence, tell that the tools changed.
async fn words_of_change(stream: &mut RawClient) -> usize {
    let mut words = 0;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), stream.event()).await {
        words += usize::from(event.json()["method"] == CHANGED);
    }
    words
}

#[tokio::test]
async fn a_changed_list_is_read_again_and_told_of_once() {
    let (one, two) = (telling(&["a"]), telling(&["b"]));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let agent = hub.agent().await;
    let mut stream = agent.stream().await;
    assert_eq!(agent.names(TOOLS).await, ["one__a", "two__b"]);
    assert_eq!(words_of_change(&mut stream).await, 0, "nothing has changed yet");
    one.offer(TOOLS, &["a", "new"]);
    two.offer(TOOLS, &["else"]);
    // Servers say it many times in a row.
    for _ in 0..20 {
        one.say(&changed());
        two.say(&changed());
    }
    assert_eq!(words_of_change(&mut stream).await, 1);
    assert_eq!(agent.names(TOOLS).await, ["one__a", "one__new", "two__else"]);
    let asked = hub.counts(TOOLS);
    assert!(asked.iter().all(|asked| (2..=4).contains(asked)), "{asked:?}");
    assert_eq!(words_of_change(&mut stream).await, 0);
}

#[tokio::test]
async fn one_word_of_change_is_told_once_also_on_the_stream_of_a_leg() {
    let (one, two) = (telling(&["a"]), telling(&["b"]));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let agent = hub.agent().await;
    let mut stream = agent.stream().await;
    // The agent has legs with streams of their own now, besides those of the gate.
    assert_eq!(agent.called("one__a").await, "a");
    assert_eq!(agent.called("two__b").await, "b");
    assert_eq!(agent.names(TOOLS).await, ["one__a", "two__b"]);
    let deadline = Instant::now() + DEADLINE;
    while one.streams().len() < 2 || two.streams().len() < 2 {
        assert!(Instant::now() < deadline, "{:?} {:?}", one.streams(), two.streams());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    one.offer(TOOLS, &["a", "new"]);
    one.say(&changed());
    assert_eq!(words_of_change(&mut stream).await, 1);
    two.offer(TOOLS, &["b", "new"]);
    two.say(&changed());
    assert_eq!(words_of_change(&mut stream).await, 1);
    assert_eq!(words_of_change(&mut stream).await, 0);
}

#[tokio::test]
async fn what_was_told_is_not_told_again_with_the_next_change_of_something_else() {
    let (one, two) = (telling(&["a"]), telling(&["b"]));
    two.declare(json!({ "tools": {}, "prompts": { "listChanged": true } }));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let agent = hub.agent().await;
    let mut stream = agent.stream().await;
    agent.called("one__a").await;
    agent.names(TOOLS).await;
    agent.names("prompts/list").await;
    let leg = hub.peers[0].calls_of("tools/call").remove(0);
    let leg = leg.header("mcp-session-id").expect("a session").to_owned();
    let deadline = Instant::now() + DEADLINE;
    while !one.streams().contains(&leg) || two.streams().is_empty() {
        assert!(Instant::now() < deadline, "{:?} {:?}", one.streams(), two.streams());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Only this session's tools change, so nobody else hears of it.
    one.say_in(&leg, &changed());
    assert_eq!(words_of_change(&mut stream).await, 1);
    two.say(&json!({ "jsonrpc": "2.0", "method": "notifications/prompts/list_changed" }));
    let event = stream.event().await.expect("word of the prompts");
    assert_eq!(event.json()["method"], "notifications/prompts/list_changed");
    assert_eq!(words_of_change(&mut stream).await, 0);
}

#[tokio::test]
async fn an_upstream_that_comes_back_is_listed_again_and_told_of() {
    let (steady, lost) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open(GATE, &[("steady", &steady), ("lost", &lost)]).await;
    hub.peers[1].follow(|_| Reply::status(503, &[], b""));
    let agent = hub.agent().await;
    let mut stream = agent.stream().await;
    assert_eq!(agent.names(TOOLS).await, ["steady__a"]);
    let is_told = |status: &Value| status["upstreams"][1]["lists_trouble"].is_string();
    hub.gate.wait_for_status(is_told).await;
    let member = lost.clone();
    hub.peers[1].follow(move |request| member.answer(request));
    let deadline = Instant::now() + 2 * DEADLINE;
    while agent.names(TOOLS).await != ["steady__a", "lost__b"] {
        assert!(Instant::now() < deadline, "it is never asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(words_of_change(&mut stream).await, 1);
    hub.gate.wait_for_status(|status| status["upstreams"][1]["lists_trouble"].is_null()).await;
}

#[tokio::test]
async fn an_upstream_that_forgot_its_sessions_is_read_in_a_new_one() {
    let (steady, other) = (Member::with_tools(&["a"]), telling(&["b"]));
    let hub = Hub::open(GATE, &[("steady", &steady), ("other", &other)]).await;
    let agent = hub.agent().await;
    assert_eq!(agent.names(TOOLS).await, ["steady__a", "other__b"]);
    other.offer(TOOLS, &["c"]);
    // Its streams end with it, so nobody hears of changes until there is a new session.
    other.forget();
    let deadline = Instant::now() + 3 * DEADLINE;
    while agent.names(TOOLS).await != ["steady__a", "other__c"] {
        assert!(Instant::now() < deadline, "the restarted upstream is never read again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(hub.gate.status().await["upstreams"][1]["lists_trouble"].is_null());
}
