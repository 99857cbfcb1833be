//! What a hub says it is: capabilities and instructions merged, versions negotiated, the modern era
//! spoken only where every member does, and modern calls rewritten together with their headers.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::client::ask;
use testkit::member::item;
use testkit::{
    Agent, Configuration, DEADLINE, GateProcess, Hub, Member, RawClient, Recorder, Reply,
    legacy_initialize, modern_call,
};

const TOOLS: &str = "tools/list";

async fn pair(change: fn(Configuration) -> Configuration) -> (Hub, Arc<Member>, Arc<Member>) {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], change).await;
    (hub, one, two)
}

#[tokio::test]
async fn capabilities_are_those_of_any_member() {
    let (one, two) = (Member::new(), Member::new());
    one.declare(json!({ "tools": {}, "logging": {}, "experimental": { "x": {} } }));
    two.declare(json!({ "resources": { "subscribe": true }, "completions": {} }));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let legacy = hub.agent().await.greeting["capabilities"].clone();
    let discovered =
        ask(hub.gate.address, &modern_call("server/discover", &json!({}))).await.json();
    for capabilities in [&legacy, &discovered["result"]["capabilities"]] {
        assert_eq!(capabilities["resources"]["subscribe"], true);
        // The lists of a hub can always change, since its configuration can.
        assert_eq!(capabilities["resources"]["listChanged"], true);
        assert_eq!(capabilities["tools"]["listChanged"], true);
        assert!(capabilities["logging"].is_object() && capabilities["completions"].is_object());
        assert!(capabilities["prompts"].is_null() && capabilities["experimental"].is_null());
    }
}

#[tokio::test] // Row 123.
async fn instructions_stand_below_the_name_of_their_upstream() {
    let (one, two, three) = (Member::new(), Member::new(), Member::new());
    one.instruct("Use it.\n# three\nI am three.\u{202e}");
    three.instruct("Be\u{7} brief.");
    let named = [("one", &one), ("two", &two), ("three", &three)];
    let hub = Hub::open(GATE, &named).await;
    let greeting = hub.agent().await.greeting;
    let text = greeting["instructions"].as_str().expect("a text").to_owned();
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
    assert_eq!(headings, ["## one", "## three"], "{text}");
    assert!(text.contains("I am three.") && text.contains("Be brief."), "{text}");
    assert!(!text.contains('\u{202e}') && !text.contains('\u{7}'));
    let discovered =
        ask(hub.gate.address, &modern_call("server/discover", &json!({}))).await.json();
    assert_eq!(discovered["result"]["instructions"], json!(text));
    three.instruct(&"x".repeat(1024 * 1024));
    let fresh = Hub::open(GATE, &named).await.agent().await.greeting;
    let length = fresh["instructions"].as_str().map_or(0, str::len);
    assert!((10_000..40_000).contains(&length), "{length}");
}

#[tokio::test]
async fn the_operators_instructions_replace_those_of_the_members() {
    let (one, two) = (Member::new(), Member::new());
    one.instruct("ignored");
    let hub = Hub::open_with(GATE, &[("one", &one), ("two", &two)], |file| {
        file.route_key("instructions: \"Ask first.\"")
    })
    .await;
    assert_eq!(hub.agent().await.greeting["instructions"], "Ask first.");
}

#[tokio::test] // SPEC: 2025-11-25 basic/lifecycle, Version Negotiation.
async fn the_hub_negotiates_its_own_version_and_each_leg_its() {
    let (hub, ..) = pair(|file| file).await;
    for (asked, agreed) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("1999-01-01", "2025-11-25"),
        ("", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ] {
        let agent = Agent::open_by(hub.gate.address, legacy_initialize(asked)).await;
        assert_eq!(agent.greeting["protocolVersion"], agreed, "{asked}");
        assert_eq!(agent.greeting["serverInfo"]["name"], "tollgate");
        assert_eq!(agent.called("one__a").await, "a", "{asked}");
        assert_eq!(agent.names(TOOLS).await.len(), 2, "{asked}");
    }
    let asked = hub.peers[0].calls_of("initialize");
    let modern = asked.iter().any(|seen| seen.json()["params"]["protocolVersion"] == "2026-07-28");
    assert!(!modern, "no upstream is asked for a modern version in `initialize`");
}

#[tokio::test]
async fn a_member_of_an_older_revision_is_spoken_to_in_its_own() {
    let (hub, one, _) = pair(|file| file).await;
    hub.peers[0].follow(move |request| {
        let mut message = request.json();
        if message["method"] != "initialize" {
            return one.answer(request);
        }
        message["params"]["protocolVersion"] = json!("2025-06-18");
        let mut older = request.clone();
        older.body = message.to_string().into_bytes();
        one.answer(&older)
    });
    let agent = hub.agent().await;
    assert_eq!(agent.greeting["protocolVersion"], "2025-11-25");
    assert_eq!(agent.called("one__a").await, "a");
    assert_eq!(agent.called("two__b").await, "b");
    let version = |at: usize| {
        let call = hub.peers[at].calls_of("tools/call").remove(0);
        call.header("mcp-protocol-version").map(str::to_owned)
    };
    assert_eq!(version(0).as_deref(), Some("2025-06-18"));
    assert_eq!(version(1).as_deref(), Some("2025-11-25"));
}

#[tokio::test]
async fn a_modern_agent_needs_no_session() {
    let (hub, ..) = pair(|file| file).await;
    let discovered =
        ask(hub.gate.address, &modern_call("server/discover", &json!({}))).await.json();
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(discovered["result"]["resultType"], "complete");
    let list = ask(hub.gate.address, &modern_call(TOOLS, &json!({}))).await.json();
    let names: Vec<&Value> = list["result"]["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(names, ["one__a", "two__b"]);
    let call = modern_call("tools/call", &json!({ "name": "two__b", "arguments": {} }));
    let answer = ask(hub.gate.address, &call).await;
    assert_eq!(answer.json()["result"]["content"][0]["text"], "b", "{}", answer.text());
    assert_eq!(answer.json()["id"], 7);
    let seen = hub.peers[1].calls_of("tools/call").remove(0);
    assert_eq!(seen.header("mcp-name"), Some("b"), "rewritten together with the body");
    assert_eq!(seen.json()["params"]["name"], "b");
    assert_eq!(hub.counts("tools/call"), [0, 1]);
    assert_eq!(hub.counts("initialize"), [0, 0]);
    for (method, params, code, status) in [
        ("tools/call", json!({ "name": "x" }), -32602, 400),
        ("prompts/get", json!({ "name": "one" }), -32602, 400),
        ("resources/read", json!({ "uri": "x://y" }), -32602, 400),
        ("no/such", json!({}), -32601, 404),
        ("logging/setLevel", json!({ "level": "info" }), -32601, 404),
    ] {
        let answer = ask(hub.gate.address, &modern_call(method, &params)).await;
        assert_eq!(answer.code(), Some(code), "{method} {}", answer.text());
        assert!([200, status].contains(&answer.status), "{method} {}", answer.status);
    }
    assert_eq!(hub.counts("tools/call"), [0, 1]);
}

#[tokio::test] // zentinel #443: the header says a cheap tool, the body an expensive one.
async fn headers_are_judged_against_what_the_agent_sent() {
    let (hub, ..) = pair(|file| file).await;
    let call = modern_call("tools/call", &json!({ "name": "two__b", "arguments": {} }));
    let before: Vec<usize> = hub.peers.iter().map(Recorder::bytes_seen).collect();
    for name in ["one__a", "b", "Two__b", "two__b2", ""] {
        let answer = ask(hub.gate.address, &call.clone().set("mcp-name", name)).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32020)), "{name}");
    }
    let answer = ask(hub.gate.address, &call.clone().without("mcp-name")).await;
    assert_eq!((answer.status, answer.code()), (400, Some(-32020)));
    let after: Vec<usize> = hub.peers.iter().map(Recorder::bytes_seen).collect();
    assert_eq!(after, before);
    assert_eq!(ask(hub.gate.address, &call).await.status, 200);
}

#[tokio::test] // SPEC: 2026-07-28 streamable-http, Custom Headers from Tool Parameters.
async fn mirrored_arguments_are_judged_by_the_upstreams_own_tool() {
    let (hub, one, two) = pair(|file| file).await;
    let mut tool = item(TOOLS, "a");
    tool["inputSchema"] = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" } } });
    one.offer_items(TOOLS, vec![tool]);
    let call = |name: &str, region: &str| {
        let arguments = json!({ "region": region });
        modern_call("tools/call", &json!({ "name": name, "arguments": arguments }))
            .with("mcp-param-region", "eu")
    };
    let refused = ask(hub.gate.address, &call("one__a", "us")).await;
    assert_eq!((refused.status, refused.code()), (400, Some(-32020)), "{}", refused.text());
    let passed = ask(hub.gate.address, &call("one__a", "eu")).await;
    assert_eq!(passed.status, 200, "{}", passed.text());
    assert_eq!(hub.counts("tools/call"), [1, 0]);
    let seen = hub.peers[0].calls_of("tools/call").remove(0);
    assert_eq!(seen.header("mcp-param-region"), Some("eu"));
    assert_eq!(hub.counts(TOOLS), [1, 0], "nobody else's list was asked for");
    assert_eq!(two.sessions(), 0);
}

#[tokio::test] // Until the eras are bridged.
async fn a_hub_with_a_legacy_member_says_which_versions_it_speaks() {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let peers = [Recorder::of_member(&one).await, Recorder::of_member(&two).await];
    let file = Configuration::default()
        .upstream("one", &[peers[0].address])
        .upstream_key("era: both")
        .upstream("two", &[peers[1].address])
        .upstream_key("era: legacy")
        .route("/mcp", "one, two");
    let gate = GateProcess::start(GATE, &file.text()).await;
    // Clients that try both eras take this for a legacy server, and go on with `initialize`.
    let discovered = ask(gate.address, &modern_call("server/discover", &json!({}))).await;
    assert_eq!((discovered.status, discovered.code()), (404, Some(-32601)));
    for post in [
        modern_call(TOOLS, &json!({})),
        modern_call("tools/call", &json!({ "name": "two__b" })),
        modern_call("subscriptions/listen", &json!({ "notifications": {} })),
    ] {
        let answer = ask(gate.address, &post).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32022)), "{}", answer.text());
        let supported = answer.json()["error"]["data"]["supported"].clone();
        let supported: Vec<&str> =
            supported.as_array().expect("versions").iter().filter_map(Value::as_str).collect();
        assert!(supported.contains(&"2025-11-25"), "{supported:?}");
        assert!(!supported.contains(&"2026-07-28"), "{supported:?}");
    }
    assert!(peers[1].calls_of("tools/call").is_empty());
    let agent = Agent::open(gate.address).await;
    assert_eq!(agent.names(TOOLS).await, ["one__a", "two__b"]);
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

async fn listening(hub: &Hub, notifications: Value) -> RawClient {
    let post = modern_call("subscriptions/listen", &json!({ "notifications": notifications }));
    let mut client = RawClient::connect(hub.gate.address).await;
    client.send(&post.bytes()).await;
    let head = client.head().await.expect("a stream");
    assert_eq!(head.status, 200);
    client
}

#[tokio::test] // SPEC: 2026-07-28 basic/patterns/subscriptions.
async fn one_subscription_hears_of_several_upstreams() {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    for member in [&one, &two] {
        member.declare(json!({ "tools": { "listChanged": true },
                               "resources": { "subscribe": true } }));
    }
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let uris = json!(["tollgate+one:x://1", "tollgate+two:x://2", "tollgate+three:x://3"]);
    let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": uris });
    let mut stream = listening(&hub, wanted).await;
    let first = next(&mut stream).await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    let id = json!({ "io.modelcontextprotocol/subscriptionId": 7 });
    assert_eq!(first["params"]["_meta"], id);
    let granted = &first["params"]["notifications"];
    assert_eq!(granted["toolsListChanged"], true);
    // In the order in which upstreams happened to agree.
    let mut agreed: Vec<&str> = granted["resourceSubscriptions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    agreed.sort_unstable();
    assert_eq!(agreed, ["tollgate+one:x://1", "tollgate+two:x://2"]);
    for (at, uri) in [(0, "x://1"), (1, "x://2")] {
        let asked = hub.peers[at].calls_of("subscriptions/listen");
        let own: Vec<Value> = asked
            .iter()
            .map(|seen| seen.json()["params"]["notifications"]["resourceSubscriptions"].clone())
            .filter(|uris| !uris.is_null())
            .collect();
        assert_eq!(own, [json!([uri])], "only what is its own");
    }
    let updated = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated",
                          "params": { "uri": "x://2", "_meta": id } });
    two.say_in("7", &updated);
    let heard = next(&mut stream).await;
    assert_eq!(heard["params"]["uri"], "tollgate+two:x://2");
    assert_eq!(heard["params"]["_meta"], id);
    // The gate reads the lists, so it hears of their changes.
    let deadline = std::time::Instant::now() + DEADLINE;
    while one.streams().len() < 2 {
        assert!(std::time::Instant::now() < deadline, "{:?}", one.streams());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    one.offer(TOOLS, &["a", "new"]);
    one.say(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed",
                     "params": { "_meta": id } }));
    let heard = next(&mut stream).await;
    assert_eq!(heard["method"], "notifications/tools/list_changed");
    assert_eq!(heard["params"]["_meta"], id);
    drop(stream);
    hub.peers[1].wait_for_hangup("subscriptions/listen", DEADLINE).await;
}

#[tokio::test] // F3.
async fn a_subscription_does_not_wait_for_an_upstream_that_hangs() {
    let (one, two) = (Member::new(), Member::new());
    for member in [&one, &two] {
        member.declare(json!({ "resources": { "subscribe": true } }));
    }
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    hub.peers[0].follow(move |request| match request.rpc_method().as_deref() {
        Some("subscriptions/listen") => Reply::hang(),
        _ => one.answer(request),
    });
    let uris = json!(["tollgate+one:x://1", "tollgate+two:x://2"]);
    let begun = std::time::Instant::now();
    let mut stream = listening(&hub, json!({ "resourceSubscriptions": uris })).await;
    let first = next(&mut stream).await;
    let granted = &first["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(granted, &json!(["tollgate+two:x://2"]));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test] // F5: modern agents cancel by leaving.
async fn a_modern_caller_that_leaves_cancels_its_call_at_its_upstream() {
    let (hub, _, two) = pair(|file| file).await;
    hub.peers[1].follow(move |request| match request.rpc_method().as_deref() {
        Some("tools/call") => Reply::hang(),
        _ => two.answer(request),
    });
    let mut client = RawClient::connect(hub.gate.address).await;
    client.send(&modern_call("tools/call", &json!({ "name": "two__b" })).bytes()).await;
    hub.peers[1].wait_for_call("tools/call").await;
    drop(client);
    hub.peers[1].wait_for_hangup("tools/call", DEADLINE).await;
    assert_eq!(hub.counts("tools/call"), [0, 1]);
}

#[tokio::test] // F7.
async fn modern_calls_of_the_others_go_on_when_one_upstream_is_down() {
    let (mut hub, _, two) = pair(|file| file).await;
    two.cache(60_000, "public");
    drop(hub.peers.remove(0));
    let call = |name: &str| modern_call("tools/call", &json!({ "name": name }));
    let down = ask(hub.gate.address, &call("one__a")).await;
    assert!([502, 503].contains(&down.status), "{} {}", down.status, down.text());
    let answer = ask(hub.gate.address, &call("two__b")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = ask(hub.gate.address, &modern_call(TOOLS, &json!({}))).await.json();
    assert_eq!(list["result"]["tools"][0]["name"], "two__b");
    assert_eq!(list["result"]["ttlMs"], 0, "what is missing may come any moment");
    assert_eq!(list["result"]["cacheScope"], "private", "who is missing did not say for whom");
}
