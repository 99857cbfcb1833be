//! I8 and finding 2: what a hub passes on are the judged bytes with one name changed, and what it
//! passes back are the upstream's bytes. What is read for one kind of agent is not shown to another.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::client::ask;
use testkit::member::item;
use testkit::{Hub, Member, Post, Recorded, Recorder, Reply, modern_call};

const TOOLS: &str = "tools/list";

async fn pair() -> (Hub, Arc<Member>, Arc<Member>) {
    let (one, two) = (Member::with_tools(&["a"]), Member::with_tools(&["b"]));
    let hub = Hub::open(GATE, &[("one", &one), ("two", &two)]).await;
    (hub, one, two)
}

#[tokio::test]
async fn a_call_reaches_the_upstream_as_the_bytes_that_were_sent_but_for_the_name() {
    let (hub, ..) = pair().await;
    let agent = hub.agent().await;
    let odd = concat!(
        "{ \"jsonrpc\":\"2.0\",\t\"method\" : \"tools/call\", \"x-odd\":[1,2.50,1e2],\r\n",
        "\"params\":{\"arguments\":{\"n\":12345678901234567890123.0,\"t\":\"\\u00fc/\\/\",\"\u{fc}\":null},",
        "\"name\" : \"two__\\u0062\", \"_meta\":{ } }, \"id\":\"i\\u0064\" }"
    );
    let answer = ask(agent.address, &agent.post_of(&json!({})).body(odd)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = hub.peers[1].calls_of("tools/call").remove(0);
    assert_eq!(seen.text(), odd.replace("\"two__\\u0062\"", "\"b\""));
    assert_eq!(answer.json()["id"], "id");
    // The modern era, too.
    let post = modern_call("tools/call", &json!({ "name": "two__b", "arguments": { "n": 1 } }));
    let post = post.replace("\"n\":1", "\"n\": 1.0e0");
    assert_eq!(ask(hub.gate.address, &post).await.status, 200);
    let seen = hub.peers[1].calls_of("tools/call").pop().expect("a call");
    assert_eq!(seen.body, post.replace("\"two__b\"", "\"b\"").body);
}

#[tokio::test]
async fn an_answer_without_names_comes_as_the_bytes_the_upstream_sent() {
    let (hub, one, _) = pair().await;
    let result = r#"{ "content":[ {"type":"text" , "text":"\u00fc one__a tollgate+one:x"} ],"x":1.50, "structuredContent":{"uri":"x://y"}}"#;
    hub.peers[0].follow(move |request| match request.rpc_method().as_deref() {
        Some("tools/call") => {
            let id = request.json()["id"].clone();
            Reply::json_text(&[], &format!(r#"{{"result": {result},"id":{id}, "jsonrpc":"2.0"}}"#))
        }
        _ => one.answer(request),
    });
    let agent = hub.agent().await;
    let text = agent.call("one__a").await.text();
    assert!(text.starts_with(&format!(r#"{{"result": {result},"id":"#)), "{text}");
}

#[tokio::test]
async fn ids_come_back_as_the_text_they_were() {
    let (hub, ..) = pair().await;
    let agent = hub.agent().await;
    for id in ["0", "-1", "12345678901234567890123", "\"\"", "\"\\u00fc\\\"__\"", "\"one__1\""] {
        for (method, params) in [
            ("ping", "{}"),
            (TOOLS, "{}"),
            ("tools/call", r#"{"name":"three__a"}"#),
            ("no/such", "{}"),
            ("resources/read", r#"{"uri":"x"}"#),
        ] {
            let body = [
                r#"{"jsonrpc":"2.0","id":"#,
                id,
                r#","method":""#,
                method,
                r#"","params":"#,
                params,
                "}",
            ]
            .concat();
            let text = ask(agent.address, &agent.post_of(&json!({})).body(body)).await.text();
            assert!(text.contains(&format!("\"id\":{id}")), "{method} {id}: {text}");
        }
    }
}

/// A call with another text in place of its `params`.
fn with_params(post: &Post, params: &str) -> Post {
    post.clone().replace("\"params\":{}", format!("\"params\":{params}"))
}

#[tokio::test] // Findings 1 to 3: what two parsers could read differently reaches nobody.
async fn calls_that_could_be_read_in_two_ways_reach_nobody() {
    let (hub, ..) = pair().await;
    let agent = hub.agent().await;
    let post = agent.post("tools/call", &json!({}));
    for params in [
        r#"{"name":"one__a","name":"two__b"}"#,
        r#"{"name":"one__a","\u006eame":"two__b"}"#,
        r#"{"name":"one__a","Name":"two__b"}"#,
        r#"{"name":"one__a\ud800"}"#,
        "{\"name\":\"one__a\",}",
        "{\"name\":\"one__\u{0}a\"}",
    ] {
        let answer = ask(agent.address, &with_params(&post, params)).await;
        assert!(answer.status == 400 || answer.code().is_some(), "{params}: {}", answer.text());
    }
    let counts = hub.counts("tools/call");
    assert_eq!(counts, [0, 0]);
}

#[tokio::test] // Row 48: what is read for one kind of agent is not shown to another.
async fn lists_are_kept_apart_for_agents_that_declare_other_capabilities() {
    let (hub, one, _) = pair().await;
    one.cache(60_000, "private");
    hub.members[1].cache(60_000, "private");
    let member = one.clone();
    hub.peers[0].follow(move |request: &Recorded| {
        let message = request.json();
        let declared = &message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        if message["method"] != TOOLS || declared["elicitation"].is_null() {
            return member.answer(request);
        }
        let tools = [item(TOOLS, "a"), item(TOOLS, "asks")];
        let result = json!({ "tools": tools, "resultType": "complete", "ttlMs": 60_000,
                             "cacheScope": "private" });
        Reply::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    });
    let list = async |capabilities: Value| {
        let key = "io.modelcontextprotocol/clientCapabilities";
        let post = modern_call(TOOLS, &json!({ "_meta": { key: capabilities } }));
        let answer = ask(hub.gate.address, &post).await.json();
        let tools = answer["result"]["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(list(json!({})).await, ["one__a", "two__b"]);
        assert_eq!(list(json!({ "elicitation": {} })).await, ["one__a", "one__asks", "two__b"]);
    }
    assert_eq!(hub.counts(TOOLS), [2, 2], "once for each kind");
    assert_eq!(hub.agent().await.names(TOOLS).await, ["one__a", "two__b"]);
}

#[tokio::test]
async fn tasks_lead_back_to_the_upstream_that_began_them() {
    let (hub, _, two) = pair().await;
    let member = two.clone();
    hub.peers[1].follow(move |request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("tools/call") => {
                json!({ "resultType": "task", "taskId": "t__1", "status": "working",
                                          "ttlMs": 1, "createdAt": "x", "lastUpdatedAt": "x" })
            }
            Some("tasks/get") => {
                let content = json!([{ "type": "resource_link", "uri": "x://y", "name": "x" }]);
                json!({ "resultType": "complete", "taskId": message["params"]["taskId"],
                        "status": "completed", "result": { "content": content } })
            }
            _ => return member.answer(request),
        };
        Reply::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    });
    let call = modern_call("tools/call", &json!({ "name": "two__b" }));
    let task = ask(hub.gate.address, &call).await.json()["result"]["taskId"].clone();
    assert_eq!(task, "two__t__1");
    let get = |id: &str| modern_call("tasks/get", &json!({ "taskId": id })).set("mcp-name", id);
    let answer = ask(hub.gate.address, &get("two__t__1")).await.json();
    assert_eq!(answer["result"]["taskId"], task, "{answer}");
    assert_eq!(answer["result"]["result"]["content"][0]["uri"], "tollgate+two:x://y");
    let asked = |peer: &Recorder| {
        let asked = peer.calls_of("tasks/get");
        asked.iter().map(|seen| seen.json()["params"]["taskId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(asked(&hub.peers[1]), ["t__1"]);
    let seen = hub.peers[1].calls_of("tasks/get").remove(0);
    assert_eq!(seen.header("mcp-name"), Some("t__1"), "rewritten together with the body");
    for unknown in ["t__1", "three__t", "t1"] {
        let answer = ask(hub.gate.address, &get(unknown)).await;
        assert_eq!(answer.code(), Some(-32602), "{unknown}: {}", answer.text());
    }
    assert!(asked(&hub.peers[0]).is_empty() && asked(&hub.peers[1]).len() == 1);
}
