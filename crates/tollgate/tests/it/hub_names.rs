//! Rows 117, 122 and 123, and the lesson of claude-code #19882: names on a route with several
//! upstreams. Each shown name is unique, fits every model provider, and leads back to exactly one
//! upstream under the name that upstream gave; a name that leads nowhere reaches nobody.

use crate::GATE;
use serde_json::{Value, json};
use std::collections::HashSet;
use testkit::client::ask;
use testkit::member::item;
use testkit::post::good_call;
use testkit::{Agent, Configuration, GateProcess, Hub, Member, Recorded, Recorder, modern_call};

const TOOLS: &str = "tools/list";

/// The names the upstream was called by.
fn called_by(peer: &Recorder) -> Vec<Value> {
    peer.calls_of("tools/call").iter().map(|call| call.json()["params"]["name"].clone()).collect()
}

#[tokio::test] // claude-code #19882, row 122.
async fn two_servers_with_the_same_tool_are_told_apart() {
    let (one, two) = (Member::with_tools(&["search"]), Member::with_tools(&["search"]));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let agent = hub.agent().await;
    assert_eq!(agent.names(TOOLS).await, ["one__search", "two__search"]);
    assert_eq!(agent.called("two__search").await, "search");
    assert_eq!(hub.counts("tools/call"), [0, 1]);
    assert_eq!(agent.called("one__search").await, "search");
    assert_eq!(hub.counts("tools/call"), [1, 1]);
    assert_eq!(called_by(&hub.peers[0]), ["search"]);
}

#[tokio::test] // claude-code #19882: a 63-character tool on a 20-character server.
async fn long_names_are_shortened_to_64_characters_and_lead_back() {
    let upstream = "a-server-of-20-chars";
    let long: Vec<String> = ["a", "b"].map(|end| format!("{}{end}", "long_tool_".repeat(6))).into();
    let long: Vec<String> = long.into_iter().map(|name| format!("{name:_<63}")).collect();
    assert!(long.iter().all(|name| name.len() == 63) && upstream.len() == 20);
    let names: Vec<&str> = long.iter().map(String::as_str).collect();
    let (here, other) = (Member::with_tools(&names), Member::with_tools(&names));
    let hub = Hub::open(GATE, &[(upstream, &here), ("other", &other)]).await;
    let agent = hub.agent().await;
    let shown = agent.names(TOOLS).await;
    let unique: HashSet<&String> = shown.iter().collect();
    assert_eq!((shown.len(), unique.len()), (4, 4), "{shown:?}");
    assert!(shown.iter().all(|name| name.len() <= 64), "{shown:?}");
    for (name, original) in shown.iter().zip(long.iter().cycle()) {
        assert_eq!(agent.called(name).await, *original);
    }
    assert_eq!(called_by(&hub.peers[0]), names);
    assert_eq!(called_by(&hub.peers[1]), names);
}

#[tokio::test] // A `tools/call` never triggers a list of every upstream.
async fn a_call_asks_no_upstream_for_its_list_except_for_one_shortened_name() {
    let long = "long_tool_".repeat(6) + "end";
    let members = [(); 3].map(|()| Member::with_tools(&["search", &long]));
    let named = [("one", &members[0]), ("two", &members[1]), ("three", &members[2])];
    // Another gate with the same names tells what the shortened name is.
    let shown = Hub::open(GATE, &named).await.agent().await.names(TOOLS).await;
    let shown = shown.iter().find(|name| name.starts_with("two__long")).expect("shown").clone();
    let hub = Hub::open(GATE, &named).await;
    let agent = hub.agent().await;
    for name in ["one__search", "two__search", "three__search", "one__no_such"] {
        agent.call(name).await;
    }
    assert_eq!(hub.counts(TOOLS), [0, 0, 0]);
    let both = tokio::join!(agent.called(&shown), agent.called(&shown));
    assert_eq!(both, (long.clone(), long.clone()));
    assert_eq!(agent.called(&shown).await, long);
    assert_eq!(hub.counts(TOOLS), [0, 1, 0], "one upstream, once");
    assert_eq!(agent.call("four__search").await.code(), Some(-32602));
    assert_eq!(hub.counts("tools/call"), [2, 4, 1]);
}

#[tokio::test]
async fn odd_but_visible_names_are_shown_fit_and_lead_back() {
    let odd = ["get data", "größe", "a/b.c:d", "数据", "x__y", "_", "__", "a.b-c_d", "_a0000000"];
    let (here, other) = (Member::with_tools(&odd), Member::new());
    let hub = Hub::open(GATE, &[("odd", &here), ("other", &other)]).await;
    let agent = hub.agent().await;
    let shown = agent.names(TOOLS).await;
    assert_eq!(shown.iter().collect::<HashSet<_>>().len(), odd.len(), "{shown:?}");
    for name in &shown {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        assert!(name.len() <= 64 && name.chars().all(fits), "{name}");
    }
    for (name, original) in shown.iter().zip(odd) {
        assert_eq!(agent.called(name).await, original);
    }
    assert!(shown.contains(&"odd__x__y".to_owned()) && shown.contains(&"odd__a.b-c_d".to_owned()));
    assert_eq!(called_by(&hub.peers[0]), odd);
}

#[tokio::test] // Rows 117 and 123.
async fn tools_with_hidden_characters_in_their_names_are_left_out_alone() {
    let hidden = [
        "nul\0l",
        "line\nbreak",
        "esc\u{1b}[31m",
        "zero\u{200b}width",
        "bidi\u{202e}lave",
        "tag\u{e0041}",
        "bom\u{feff}",
        "",
    ];
    let mut names = vec!["first"];
    names.extend(hidden);
    names.push("last");
    let (odd, other) = (Member::with_tools(&names), Member::with_tools(&["fine"]));
    let hub = Hub::open(GATE, &[("odd", &odd), ("other", &other)]).await;
    let agent = hub.agent().await;
    assert_eq!(agent.names(TOOLS).await, ["odd__first", "odd__last", "other__fine"]);
    let is_told = |status: &Value| {
        status["upstreams"][0]["lists_trouble"].as_str().is_some_and(|why| why.contains('8'))
            && status["upstreams"][1]["lists_trouble"].is_null()
    };
    hub.gate.wait_for_status(is_told).await;
    assert!(!hub.gate.stderr().contains('\u{202e}'), "a log line is not turned round");
    assert_eq!(agent.called("odd__last").await, "last");
}

#[tokio::test] // Row 122: the first of two keeps its name, as it does for clients without the gate.
async fn of_duplicates_within_an_upstream_the_first_stays() {
    let here = Member::new();
    let tool = |name: &str, text: &str| {
        let mut tool = item(TOOLS, name);
        tool["description"] = json!(text);
        tool
    };
    let tools = vec![tool("same", "first"), tool("else", "-"), tool("same", "second")];
    here.offer_items(TOOLS, tools);
    let hub = Hub::open(GATE, &[("one", &here), ("two", &Member::with_tools(&["same"]))]).await;
    let agent = hub.agent().await;
    let listed = agent.list(TOOLS).await;
    let names: Vec<&str> = listed.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["one__same", "one__else", "two__same"]);
    assert_eq!(listed[0]["description"], "first");
    // On another page, too.
    here.page(1);
    here.declare(json!({ "tools": { "listChanged": true } }));
    let fresh = Hub::open(GATE, &[("one", &here), ("two", &Member::new())]).await;
    assert_eq!(fresh.agent().await.names(TOOLS).await, ["one__same", "one__else"]);
    let status = fresh.gate.status().await;
    assert!(status["upstreams"][0]["lists_trouble"].is_string(), "{status:#}");
}

#[tokio::test]
async fn a_route_with_one_upstream_changes_no_byte() {
    let peer = Recorder::start().await;
    let other = Recorder::start().await;
    let file = Configuration::hub(&[("peer", peer.address), ("other", other.address)])
        .route("/alone", "peer");
    let gate = GateProcess::start(GATE, &file.text()).await;
    let odd =
        good_call().replace("{\"text\":\"good\"}", "{ \"text\" :\t\"g\\u006fod\", \"n\":1.0 }");
    let direct = ask(peer.address, &odd).await;
    let through = ask(gate.address, &odd.clone().to("/alone")).await;
    assert_eq!(through.body, direct.body);
    let [first, second] = peer.calls_of("tools/call").try_into().expect("two calls");
    assert_eq!(first.body, second.body);
    // Also lists, and names that look like those of a hub.
    let list = modern_call(TOOLS, &json!({}));
    let direct = ask(peer.address, &list).await;
    assert_eq!(ask(gate.address, &list.to("/alone")).await.body, direct.body);
    let dressed = good_call().replace("\"echo\"", "\"peer__echo\"").set("mcp-name", "peer__echo");
    ask(gate.address, &dressed.to("/alone")).await;
    assert_eq!(called_by(&peer).last(), Some(&json!("peer__echo")));
}

/// A hub with every kind of curation.
async fn curated() -> Hub {
    let github = Member::with_tools(&["search", "get", "delete", "drop"]);
    github.declare(json!({ "tools": {}, "prompts": {}, "resources": {} }));
    github.offer("prompts/list", &["review", "purge"]);
    github.offer("resources/list", &["file:///open", "file:///secret"]);
    let jira = Member::with_tools(&["search"]);
    Hub::open_with(GATE, &[("github", &github), ("jira", &jira)], |file| {
        file.route_key(
            "tools: { rename: { github__search: find }, describe: { find: \"Finds \\\"it\\\".\" }, \
             include: [find, \"github__*\", jira__search], exclude: [\"*__delete\", \"github__dr?p\"] }",
        )
        .route_key("prompts: { exclude: [\"*purge\"] }")
        .route_key("resources: { exclude: [\"*secret*\"] }")
    })
    .await
}

#[tokio::test]
async fn curation_holds_in_lists() {
    let hub = curated().await;
    let agent = hub.agent().await;
    let tools = agent.list(TOOLS).await;
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["find", "github__get", "jira__search"]);
    assert_eq!(tools[0]["description"], "Finds \"it\".");
    assert_eq!(agent.names("prompts/list").await, ["github__review"]);
    assert_eq!(agent.names("resources/list").await, ["tollgate+github:file:///open"]);
}

#[tokio::test] // Kong 3.13.0.1, Envoy v0.7: lists never show what calls deny, nor the other way round.
async fn what_curation_hides_cannot_be_called_and_looks_like_what_does_not_exist() {
    let hub = curated().await;
    let agent = hub.agent().await;
    assert_eq!(agent.called("find").await, "search");
    assert_eq!(agent.called("jira__search").await, "search");
    let before: Vec<usize> = hub.peers.iter().map(|peer| peer.requests().len()).collect();
    let text = |answer: testkit::Response, name: &str| {
        assert_eq!(answer.status, 200);
        let mut message = answer.json();
        message["id"] = Value::Null;
        assert!(message["error"]["code"].is_i64(), "{message}");
        message.to_string().replace(name, "NAME")
    };
    let unknown = text(agent.call("nobody__knows").await, "nobody__knows");
    // `github__search` was renamed away.
    for hidden in ["github__delete", "github__drop", "github__search", "nobody__x", "find2", "x"] {
        assert_eq!(text(agent.call(hidden).await, hidden), unknown, "{hidden}");
    }
    let asked = |name: &str| json!({ "name": name });
    let unknown = agent.ask("prompts/get", &asked("other__purge")).await;
    let hidden = agent.ask("prompts/get", &asked("github__purge")).await;
    assert_eq!(text(hidden, "github__purge"), text(unknown, "other__purge"));
    let secret = "tollgate+github:file:///secret";
    for method in ["resources/read", "resources/subscribe"] {
        let hidden = agent.ask(method, &json!({ "uri": secret })).await;
        assert_eq!(hidden.code(), Some(-32002), "{method}");
    }
    let reference = json!({ "ref": { "type": "ref/prompt", "name": "github__purge" },
                            "argument": { "name": "a", "value": "" } });
    assert_eq!(agent.ask("completion/complete", &reference).await.code(), Some(-32602));
    let after: Vec<usize> = hub.peers.iter().map(|peer| peer.requests().len()).collect();
    assert_eq!(after, before, "nothing reached an upstream");
}

#[tokio::test]
async fn a_route_with_one_curated_upstream_keeps_its_names() {
    let member = Member::with_tools(&["search", "delete", "x__y"]);
    let hub = Hub::open_with(GATE, &[("only", &member)], |file| {
        file.route_key("tools: { exclude: [delete], rename: { search: find } }")
    })
    .await;
    let agent = hub.agent().await;
    assert_eq!(agent.names(TOOLS).await, ["find", "x__y"]);
    assert_eq!(agent.called("find").await, "search");
    assert_eq!(agent.called("x__y").await, "x__y");
    assert_eq!(agent.call("delete").await.code(), Some(-32602));
    assert_eq!(agent.call("search").await.code(), Some(-32602));
    assert_eq!(called_by(&hub.peers[0]), ["search", "x__y"]);
}

#[tokio::test] // Finding 8, ContextForge #3891: an unknown route is never "everything".
async fn an_unknown_route_is_not_found_and_never_everything() {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    let agent = hub.agent().await;
    let before: usize = hub.peers.iter().map(Recorder::bytes_seen).sum();
    for path in ["/", "/mcp/", "/mcp/one", "/one", "/MCP", "/mcp2", "/servers/two/mcp"] {
        let list = agent.post(TOOLS, &json!({})).to(path);
        assert_eq!(ask(hub.gate.address, &list).await.status, 404, "{path}");
        let initialize = testkit::legacy_initialize("2025-11-25").to(path);
        assert_eq!(ask(hub.gate.address, &initialize).await.status, 404, "{path}");
    }
    let after: usize = hub.peers.iter().map(Recorder::bytes_seen).sum();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_name_without_a_known_upstream_reaches_nobody() {
    let (a, ab) = (Member::with_tools(&["x"]), Member::with_tools(&["x"]));
    let hub = Hub::open(GATE, &[("a", &a), ("a-b", &ab)]).await;
    let agent: Agent = hub.agent().await;
    let before: Vec<usize> = hub.peers.iter().map(|peer| peer.requests().len()).collect();
    for name in ["x", "__x", "A__x", "a_x", "c__x", "a-__x", " a__x", "a b__x", "tollgate+a:x", ""]
    {
        assert_eq!(agent.call(name).await.code(), Some(-32602), "{name}");
    }
    for params in [json!({}), json!({ "name": 1 }), json!({ "name": null })] {
        let answer = agent.ask("tools/call", &params).await;
        assert!(answer.code().is_some(), "{}", answer.text());
    }
    let after: Vec<usize> = hub.peers.iter().map(|peer| peer.requests().len()).collect();
    assert_eq!(after, before);
    assert_eq!(agent.called("a-b__x").await, "x");
    let is_call = |seen: &Recorded| seen.rpc_method().as_deref() == Some("tools/call");
    assert!(!hub.peers[0].requests().iter().any(is_call));
}
