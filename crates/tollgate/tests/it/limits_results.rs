//! Results that are longer than an operator allows: refused or cut, in both eras, as JSON and as an
//! event stream, straight and on a hub.

use crate::GATE;
use serde_json::{Value, json};
use testkit::{
    Act, Configuration, GateProcess, House, Post, Recorded, Recorder, Reply, Response, legacy_post,
    modern_call,
};

/// A server whose tool `read` says more than 1,000 tokens, as JSON or as an event stream, and whose
/// tool `brief` says little.
async fn talkative() -> Recorder {
    let peer = testkit::peer::Peer::default();
    Recorder::scripted(move |request: &Recorded| {
        let message = request.json();
        if message["method"] != "tools/call" {
            return peer.answer(request);
        }
        let text = match message["params"]["name"].as_str() {
            Some("brief") => "short".to_owned(),
            _ => "é\"\n".repeat(2_000),
        };
        let result = json!({
            "content": [
                { "type": "text", "text": "first" },
                { "type": "text", "text": text },
                { "type": "image", "data": "A".repeat(text.len()), "mimeType": "image/png" },
            ],
            "structuredContent": { "text": text },
            "resultType": "complete",
        });
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        match message["params"]["arguments"]["as"].as_str() {
            Some("events") => Reply::stream().event(&answer.to_string()).end(),
            _ => Reply::json(&answer),
        }
    })
    .await
}

fn limits(oversize: &str) -> String {
    format!(
        "limits: {{ max_result_tokens: [{{ tools: [\"peer__read\"], tokens: 200, oversize: {oversize} }}] }}"
    )
}

async fn house(oversize: &str) -> House {
    let section = limits(oversize);
    House::around(GATE, talkative().await, |file: Configuration| file.section(&section)).await
}

/// A call of a tool in every era and form of answer.
async fn calls(house: &House, tool: &str) -> Vec<(String, Post)> {
    let session = house.session("2025-11-25").await;
    let mut calls = Vec::new();
    for form in ["json", "events"] {
        let params = json!({ "name": tool, "arguments": { "as": form } });
        calls.push((format!("modern {form}"), modern_call("tools/call", &params)));
        calls.push((format!("legacy {form}"), legacy_post(&session, "tools/call", &params)));
    }
    calls
}

fn only(answer: &Response) -> Value {
    let messages = answer.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages[0].clone()
}

fn is_cut(message: &Value, what: &str) {
    let result = &message["result"];
    let content = result["content"].as_array().unwrap_or_else(|| panic!("{what}: {message}"));
    assert_eq!(content[0]["text"], "first", "{what}");
    let text = content[1]["text"].as_str().expect("a text");
    let (shown, mark) = text.rsplit_once('\n').expect("a mark");
    assert!(mark.starts_with("[cut by the gate: 200 of "), "{what}: {mark}");
    assert!("é\"\n".repeat(2_000).starts_with(shown), "{what}: cut within a character");
    assert!(shown.len() > 300, "{what}: as much as there is room for: {}", shown.len());
    assert_eq!(content.len(), 2, "{what}: the image has no room");
    assert!(result.get("structuredContent").is_none(), "{what}");
    assert_eq!(result["_meta"]["tollgate/cut"]["allowed"], 200, "{what}");
    assert!(result.to_string().len() <= 800, "{what}: {}", result.to_string().len());
}

#[tokio::test]
async fn a_result_that_is_too_long_is_cut_and_says_so() {
    let house = house("truncate").await;
    for (what, post) in calls(&house, "read").await {
        let answer = house.ask(&post).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        is_cut(&only(&answer), &what);
    }
}

#[tokio::test]
async fn a_result_that_is_too_long_is_refused_and_says_what_to_do() {
    let house = house("refuse").await;
    for (what, post) in calls(&house, "read").await {
        let answer = house.ask(&post).await;
        let message = only(&answer);
        assert_eq!(Some(message["id"].clone()), post.id(), "{what}");
        assert_eq!(message["error"]["code"], -31011, "{what}: {message}");
        let sentence = message["error"]["message"].as_str().expect("a sentence");
        assert!(sentence.starts_with("the result has about "), "{what}: {sentence}");
        let end = "more than the 200 allowed for tool `read`: ask for less";
        assert!(sentence.ends_with(end), "{what}: {sentence}");
    }
}

#[tokio::test]
async fn what_has_its_room_and_what_is_not_meant_passes_byte_for_byte() {
    let house = house("truncate").await;
    for (what, post) in calls(&house, "brief").await {
        let message = only(&house.ask(&post).await);
        assert_eq!(message["result"]["structuredContent"]["text"], "short", "{what}");
    }
    for (what, post) in calls(&house, "other").await {
        let message = only(&house.ask(&post).await);
        assert!(message["result"]["structuredContent"]["text"].is_string(), "{what}");
        assert_eq!(message["result"]["content"].as_array().map(Vec::len), Some(3), "{what}");
    }
}

#[tokio::test]
async fn tools_of_a_hub_are_meant_by_their_own_names_and_batches_by_each_answer() {
    let peer = talkative().await;
    let file = Configuration::of(&[peer.address])
        .upstream("second", &[peer.address])
        .upstream_key("era: both")
        .route("/more", "peer, second")
        .section(&limits("truncate"));
    let gate = GateProcess::start(GATE, &file.text()).await;
    let house = House { gate, peer };
    let params = json!({ "name": "peer__read", "arguments": {} });
    let answer = house.ask(&modern_call("tools/call", &params).to("/more")).await;
    is_cut(&only(&answer), "hub");
    let session = house.session("2025-03-26").await;
    let one = |id: u32, tool: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool } });
    house.peer.follow(|request: &Recorded| {
        let long = "x".repeat(4_000);
        let answer = |message: &Value| {
            let content =
                json!([{ "type": "text", "text": "first" }, { "type": "text", "text": long }]);
            json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": content } })
        };
        let asked = request.json();
        Reply::json(&Value::from(
            asked.as_array().into_iter().flatten().map(answer).collect::<Vec<_>>(),
        ))
        .then(Act::Close)
    });
    let batch = legacy_post(&session, "-", &Value::Null)
        .set("mcp-protocol-version", "2025-03-26")
        .body(json!([one(1, "read"), one(2, "other")]).to_string());
    let answer = house.ask(&batch).await;
    let messages = answer.messages();
    let of = |id: u32| messages.iter().find(|message| message["id"] == id).expect("an answer");
    let text =
        |id: u32| of(id)["result"]["content"][1]["text"].as_str().expect("a text").to_owned();
    assert!(text(1).ends_with("tokens]"), "{}", text(1));
    assert_eq!(text(2).len(), 4_000);
}
