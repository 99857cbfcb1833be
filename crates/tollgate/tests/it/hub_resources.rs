//! Resources on a hub: their URIs carry their upstream wherever the protocol names one, lead back to
//! it under the original, and stay its own whatever it calls them (row 122).

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{Agent, DEADLINE, Hub, Member, RawClient, Recorder, Reply};

const LIST: &str = "resources/list";
const TEMPLATES: &str = "resources/templates/list";
const ODD: &str = "odd:\u{fc}?a=1&b=%20#\"\\x y";

/// A member with resources, templates, prompts and completion.
fn library(uris: &[&str]) -> Arc<Member> {
    let member = Member::with_tools(&["t"]);
    member.declare(json!({ "tools": {}, "prompts": {}, "completions": {},
                           "resources": { "subscribe": true, "listChanged": true } }));
    member.offer(LIST, uris);
    member.offer(TEMPLATES, &["file:///{path}", "{+all}"]);
    member.offer("prompts/list", &["p"]);
    member
}

async fn pair() -> Hub {
    let (one, two) = (library(&["file:///a", ODD]), library(&["file:///a", "ui://card/x"]));
    Hub::open(GATE, &[("one", &one), ("two", &two)]).await
}

/// Has a method answered with this result.
fn answering(hub: &Hub, at: usize, method: &'static str, outcome: Value) {
    let member = hub.members[at].clone();
    hub.peers[at].follow(move |request| match request.rpc_method().as_deref() {
        Some(name) if name == method => {
            let mut answer = outcome.clone();
            answer["jsonrpc"] = json!("2.0");
            answer["id"] = request.json()["id"].clone();
            Reply::json(&answer)
        }
        _ => member.answer(request),
    });
}

fn params(peer: &Recorder, method: &str) -> Value {
    peer.calls_of(method).pop().expect("a call").json()["params"].clone()
}

#[tokio::test]
async fn uris_and_templates_are_listed_under_their_upstream() {
    let agent = pair().await;
    let hub = agent;
    let agent = hub.agent().await;
    let odd = format!("tollgate+one:{ODD}");
    let expected = ["tollgate+one:file:///a", &odd, "tollgate+two:file:///a", "ui://two__card/x"];
    assert_eq!(agent.names(LIST).await, expected);
    let expected = [
        "tollgate+one:file:///{path}",
        "tollgate+one:{+all}",
        "tollgate+two:file:///{path}",
        "tollgate+two:{+all}",
    ];
    assert_eq!(agent.names(TEMPLATES).await, expected);
}

#[tokio::test]
async fn reading_and_subscribing_reach_the_upstream_under_its_own_uri() {
    let hub = pair().await;
    let agent = hub.agent().await;
    for (uri, at, original) in [
        (format!("tollgate+one:{ODD}"), 0, ODD),
        ("tollgate+two:file:///a".to_owned(), 1, "file:///a"),
        ("ui://two__card/x".to_owned(), 1, "ui://card/x"),
        ("tollgate+two:file:///made/from/a/template".to_owned(), 1, "file:///made/from/a/template"),
    ] {
        for method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
            let before = hub.counts(method)[1 - at];
            let answer = agent.ask(method, &json!({ "uri": uri })).await;
            assert!(answer.json()["result"].is_object(), "{method} {uri}: {}", answer.text());
            assert_eq!(params(&hub.peers[at], method)["uri"], original, "{method}");
            assert_eq!(hub.counts(method)[1 - at], before, "{method} {uri}");
            if method == "resources/read" {
                assert_eq!(answer.json()["result"]["contents"][0]["uri"], json!(uri));
            }
        }
    }
}

#[tokio::test]
async fn a_uri_of_no_upstream_is_not_found_and_reaches_nobody() {
    let hub = pair().await;
    let agent = hub.agent().await;
    let before: Vec<usize> = hub.peers.iter().map(|peer| peer.requests().len()).collect();
    for uri in [
        "file:///a",
        "tollgate+three:file:///a",
        "tollgate+ONE:file:///a",
        "TOLLGATE+one:file:///a",
        "tollgate+one",
        "tollgate+:file:///a",
        " tollgate+one:file:///a",
        "tollgate+two:ui://card/x",
        "ui://card/x",
        "ui://three__card/x",
        "",
    ] {
        for method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
            let answer = agent.ask(method, &json!({ "uri": uri })).await;
            assert_eq!(answer.code(), Some(-32002), "{method} {uri}: {}", answer.text());
        }
        let reference = json!({ "ref": { "type": "ref/resource", "uri": uri },
                                "argument": { "name": "path", "value": "" } });
        assert!(agent.ask("completion/complete", &reference).await.code().is_some(), "{uri}");
    }
    let after: Vec<usize> = hub.peers.iter().map(|peer| peer.requests().len()).collect();
    assert_eq!(after, before);
}

#[tokio::test]
async fn links_and_embedded_resources_in_results_lead_back() {
    let hub = pair().await;
    let agent = hub.agent().await;
    let content = json!([
        { "type": "text", "text": "see file:///a" },
        { "type": "resource_link", "uri": "file:///a", "name": "a" },
        { "type": "resource", "resource": { "uri": ODD, "text": "file:///a" } },
    ]);
    let structured = json!({ "uri": "file:///a" });
    answering(
        &hub,
        0,
        "tools/call",
        json!({ "result": {
        "content": content, "structuredContent": structured } }),
    );
    let result = agent.call("one__t").await.json()["result"].clone();
    assert_eq!(result["content"][0]["text"], "see file:///a", "text stays text");
    assert_eq!(result["content"][1]["uri"], "tollgate+one:file:///a");
    assert_eq!(result["content"][2]["resource"]["uri"], format!("tollgate+one:{ODD}"));
    assert_eq!(result["content"][2]["resource"]["text"], "file:///a");
    assert_eq!(result["structuredContent"], structured);
    for at in 1..3 {
        let uri = &result["content"][at]["uri"];
        let uri = if uri.is_null() { &result["content"][at]["resource"]["uri"] } else { uri };
        agent.ask("resources/read", &json!({ "uri": uri })).await;
        let original = [json!("file:///a"), json!(ODD)];
        assert_eq!(params(&hub.peers[0], "resources/read")["uri"], original[at - 1]);
    }
    let message = json!({ "role": "user", "content": {
        "type": "resource", "resource": { "uri": "file:///a", "text": "x" } } });
    answering(&hub, 1, "prompts/get", json!({ "result": { "messages": [message] } }));
    let prompt = agent.ask("prompts/get", &json!({ "name": "two__p" })).await.json();
    let embedded = &prompt["result"]["messages"][0]["content"]["resource"]["uri"];
    assert_eq!(embedded, "tollgate+two:file:///a");
    assert_eq!(params(&hub.peers[1], "prompts/get")["name"], "p");
}

#[tokio::test]
async fn errors_name_resources_as_agents_know_them() {
    let hub = pair().await;
    let agent = hub.agent().await;
    let error =
        json!({ "code": -32002, "message": "no file:///a", "data": { "uri": "file:///a" } });
    answering(&hub, 1, "resources/read", json!({ "error": error }));
    let uri = "tollgate+two:file:///a";
    let answer = agent.ask("resources/read", &json!({ "uri": uri })).await.json();
    assert_eq!(answer["error"]["data"]["uri"], uri);
    assert_eq!(answer["error"]["message"], "no file:///a");
}

#[tokio::test]
async fn completion_reaches_the_upstream_of_its_prompt_or_template() {
    let hub = pair().await;
    let agent = hub.agent().await;
    let argument = json!({ "name": "path", "value": "s" });
    for (shown, at, original) in [
        (
            json!({ "type": "ref/prompt", "name": "two__p" }),
            1,
            json!({ "type": "ref/prompt", "name": "p" }),
        ),
        (
            json!({ "type": "ref/resource", "uri": "tollgate+one:file:///{path}" }),
            0,
            json!({ "type": "ref/resource", "uri": "file:///{path}" }),
        ),
    ] {
        let asked = json!({ "ref": shown, "argument": argument, "context": { "arguments": {} } });
        let answer = agent.ask("completion/complete", &asked).await;
        assert!(answer.json()["result"]["completion"].is_object(), "{}", answer.text());
        let got = params(&hub.peers[at], "completion/complete");
        assert_eq!((&got["ref"], &got["argument"]), (&original, &argument));
    }
    assert_eq!(hub.counts("completion/complete"), [1, 1]);
    let nothing = json!({ "ref": { "type": "ref/else" }, "argument": argument });
    assert_eq!(agent.ask("completion/complete", &nothing).await.code(), Some(-32602));
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

/// The upstream session of the agent's leg, once its stream is open.
async fn heard_leg(hub: &Hub, at: usize) -> String {
    let seen = hub.peers[at].calls_of("resources/subscribe").pop().expect("a subscription");
    let session = seen.header("mcp-session-id").expect("a session").to_owned();
    let deadline = Instant::now() + DEADLINE;
    while !hub.members[at].streams().contains(&session) {
        assert!(Instant::now() < deadline, "the leg's stream is never opened");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    session
}

#[tokio::test]
async fn updates_name_the_resource_as_the_agent_knows_it() {
    let hub = pair().await;
    let agent: Agent = hub.agent().await;
    let mut stream = agent.stream().await;
    for (at, uri) in [(0, "tollgate+one:file:///a"), (1, "tollgate+two:file:///a")] {
        let asked = agent.ask("resources/subscribe", &json!({ "uri": uri })).await;
        assert!(asked.json()["result"].is_object());
        let session = heard_leg(&hub, at).await;
        let updated = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated",
                              "params": { "uri": "file:///a", "title": "file:///a" } });
        hub.members[at].say_in(&session, &updated);
        let heard = next(&mut stream).await;
        assert_eq!(heard["params"], json!({ "uri": uri, "title": "file:///a" }));
    }
}

#[tokio::test] // Row 122: shadowing.
async fn an_upstream_that_speaks_of_anothers_resources_speaks_of_its_own() {
    let foreign = "tollgate+victim:file:///secret";
    let (evil, victim) = (library(&[foreign, "ui://victim__card"]), library(&["file:///secret"]));
    let hub = Hub::open(GATE, &[("evil", &evil), ("victim", &victim)]).await;
    let agent = hub.agent().await;
    let expected = [&format!("tollgate+evil:{foreign}"), "ui://evil__victim__card", foreign];
    let listed = agent.names(LIST).await;
    assert_eq!(listed, expected);
    for (uri, original) in [(&listed[0], foreign), (&listed[1], "ui://victim__card")] {
        agent.ask("resources/read", &json!({ "uri": uri })).await;
        assert_eq!(params(&hub.peers[0], "resources/read")["uri"], original);
    }
    let content = json!([{ "type": "resource_link", "uri": foreign, "name": "x" }]);
    answering(&hub, 0, "tools/call", json!({ "result": { "content": content } }));
    let result = agent.call("evil__t").await.json()["result"].clone();
    assert_eq!(result["content"][0]["uri"], format!("tollgate+evil:{foreign}"));
    // In every spelling of the key and of the URI.
    let member = evil.clone();
    hub.peers[0].follow(move |request| match request.rpc_method().as_deref() {
        Some("tools/call") => {
            let id = request.json()["id"].clone();
            let link = r#"{"\u0074ype":"resource_link","\u0075ri":"t\u006fllgate+victim:x","uri":"tollgate+victim:y"}"#;
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{link}]}}}}"#);
            Reply::json_text(&[], &text)
        }
        _ => member.answer(request),
    });
    let text = agent.call("evil__t").await.text();
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(shown["result"]["content"][0]["uri"], "tollgate+evil:tollgate+victim:y");
    assert!(
        !text.contains(r#":"t\u006fllgate"#) && !text.contains(r#":"tollgate+victim"#),
        "{text}"
    );
    assert_eq!(hub.counts("resources/read"), [2, 0]);
}
