//! Lists and calls agree: what a list shows can be called, what it does not show is not there, over
//! random policies, pages, eras and routes; and a list nobody can look into is withheld.

use crate::policy_yard::{Caller, OK_ONLY, Yard, located, member, named};
use serde_json::{Value, json};
use testkit::{RawClient, Reply};

#[tokio::test]
async fn lists_show_what_may_be_used_and_nothing_else() {
    let yard = Yard::open(OK_ONLY).await;
    for page in [usize::MAX, 1] {
        yard.members.iter().for_each(|member| member.page(page));
        for caller in Caller::all(&yard).await {
            let shown = |names: &[&str], with: &dyn Fn(&str, &str) -> String| -> Vec<String> {
                let own = names.iter().map(|name| with(caller.route, name));
                let both = own.clone().chain(
                    own.map(|name| name.replacen("a__", "b__", 1).replacen("+a:", "+b:", 1)),
                );
                both.take(if caller.route == "/mcp" { 2 * names.len() } else { names.len() })
                    .collect()
            };
            assert_eq!(caller.names("tools/list").await, shown(&["ok", "ok2"], &named));
            assert_eq!(caller.names("prompts/list").await, shown(&["okp"], &named));
            assert_eq!(caller.names("resources/list").await, shown(&["file:///ok/1"], &located));
            let templates = caller.names("resources/templates/list").await;
            assert_eq!(templates, shown(&["file:///ok/{x}"], &located));
        }
    }
}

#[tokio::test]
async fn a_list_that_is_an_event_is_looked_into_and_one_of_two_readings_is_withheld() {
    let yard = Yard::open(OK_ONLY).await;
    let lists: [(&str, bool); 6] = [
        (r#"{"tools":[{"name":"secret"},{"name":"ok"}]}"#, true),
        (r#"{"tools":[{"name":"ok"},{"name":"ok","name":"secret"}],"x":{"tools":[]}}"#, true),
        (r#"{"tools":[],"tools":[{"name":"secret"}]}"#, false),
        (r#"{"tools":[{"name":"ok"} {"name":"secret"}]}"#, false),
        (r#"{"Tools":[{"name":"secret"}],"tools":[]}"#, false),
        (r#"{"tools":{"0":{"name":"secret"}}}"#, false),
    ];
    for (result, is_good) in lists {
        for as_events in [false, true] {
            let member = yard.members[0].clone();
            yard.peers[0].follow(move |request| {
                let message = request.json();
                if message["method"] != "tools/list" {
                    return member.answer(request);
                }
                let answer =
                    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, message["id"]);
                if as_events {
                    return Reply::stream().event(&answer).end();
                }
                Reply::json_text(&[], &answer)
            });
            for caller in [Caller::legacy(&yard, "/one").await, Caller::modern(&yard, "/one")] {
                let answer = caller.ask("tools/list", &json!({})).await;
                assert!(!answer.text().contains("secret"), "{}", answer.text());
                let said = answer.messages().pop().unwrap_or_else(|| answer.json());
                assert_eq!(
                    said["result"]["tools"].is_array(),
                    is_good,
                    "{result}: {}",
                    answer.text()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_list_of_several_messages_is_withheld() {
    let yard = Yard::open(OK_ONLY).await;
    let member = yard.members[0].clone();
    yard.peers[0].follow(move |request| {
        let message = request.json();
        if message["method"] != "tools/list" {
            return member.answer(request);
        }
        let result = json!({ "tools": [{ "name": "secret", "inputSchema": {} }] });
        Reply::json(&json!([{ "jsonrpc": "2.0", "id": message["id"], "result": result }]))
    });
    let caller = Caller::legacy(&yard, "/one").await;
    let answer = caller.ask("tools/list", &json!({})).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(!answer.text().contains("secret"));
}

#[tokio::test]
async fn a_list_that_a_resumed_stream_brings_is_looked_into() {
    let yard = Yard::open(OK_ONLY).await;
    let member = yard.members[0].clone();
    yard.peers[0].follow(move |request| {
        if request.method != "GET" || request.header("last-event-id").is_none() {
            return member.answer(request);
        }
        let tools = json!({ "tools": [{ "name": "secret" }, { "name": "ok" }] });
        let list = json!({ "jsonrpc": "2.0", "id": 1, "result": tools });
        let both = json!([list, { "jsonrpc": "2.0", "id": 2, "result": tools }]);
        Reply::stream().event(&both.to_string()).event(&list.to_string()).end()
    });
    let caller = Caller::legacy(&yard, "/one").await;
    let session = caller.session.clone().expect("a session");
    let mut client = RawClient::connect(yard.gate.address).await;
    let bytes = testkit::legacy_bodyless("GET", &session, &[("last-event-id", "5")]);
    client.send(String::from_utf8_lossy(&bytes).replacen("/mcp", "/one", 1).as_bytes()).await;
    assert_eq!(client.head().await.expect("a stream").status, 200);
    let said = client.event().await.expect("the list").data;
    assert_eq!(client.event().await, None, "the batch is withheld");
    assert!(said.contains("\"ok\""), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

/// A small generator of its own, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % n
    }

    fn patterns(&mut self) -> String {
        let patterns = ["*", "*__ok*", "a__*", "b__ok2", "*__*et", "a__secret", "*__o*", "b__*"];
        let count = self.below(3);
        let chosen = (0..count).map(|_| format!("\"{}\"", patterns[self.below(patterns.len())]));
        let chosen: Vec<String> = chosen.collect();
        chosen.join(", ")
    }

    fn policy(&mut self) -> String {
        let mut roles = Vec::new();
        let mut bindings = Vec::new();
        for number in 0..=self.below(3) {
            let (allow, deny) = (self.patterns(), self.patterns());
            roles.push(format!(
                "r{number}: {{ tools: [\"c__none\", {allow}], deny: [\"c__none\", {deny}] }}"
            ));
            let who =
                ["", ", addresses: [127.0.0.1]", ", addresses: [127.0.0.9]", ", routes: [/one]"];
            bindings.push(format!("{{ role: r{number}{} }}", who[self.below(who.len())]));
        }
        let text = format!(
            "policy: {{ roles: {{ {} }}, bindings: [ {} ] }}",
            roles.join(", "),
            bindings.join(", ")
        );
        text.replace(", ]", "]")
    }
}

#[tokio::test]
async fn every_listed_tool_can_be_called_and_no_other() {
    let yard = Yard::open(OK_ONLY).await;
    let mut dice = Dice(20_261_120);
    let callers = Caller::all(&yard).await;
    let (mut allowed, mut denied) = (0, 0);
    for _ in 0..12 {
        let policy = dice.policy();
        yard.apply(&policy).await;
        for caller in &callers {
            let listed = caller.names("tools/list").await;
            let owners: &[&str] = if caller.route == "/mcp" { &["a__", "b__"] } else { &[""] };
            for owner in owners {
                for name in ["ok", "secret", "ok2", "nobody"] {
                    let shown = format!("{owner}{name}");
                    let before = yard.reached().len();
                    let answer = caller.call(&shown).await;
                    let is_called = answer.json()["result"]["content"][0]["text"] == json!(name);
                    assert_eq!(
                        is_called,
                        listed.contains(&shown),
                        "{shown}: {policy} {}",
                        answer.text()
                    );
                    assert_eq!(yard.reached().len() - before, usize::from(is_called), "{policy}");
                    if is_called {
                        allowed += 1
                    } else {
                        denied += 1
                    }
                    if !is_called {
                        assert_eq!(answer.json()["error"]["code"], json!(-32602));
                    }
                }
            }
        }
    }
    assert!(allowed > 20 && denied > 20, "{allowed} {denied}");
}

#[tokio::test]
async fn a_tool_that_came_later_is_found_after_its_first_call() {
    let yard = Yard::open(OK_ONLY).await;
    let caller = Caller::modern(&yard, "/one");
    assert_eq!(caller.call("ok3").await.code(), Some(-32602));
    yard.members[0].offer("tools/list", &["ok", "ok3", "secret"]);
    let deadline = std::time::Instant::now() + testkit::DEADLINE;
    while caller.call("ok3").await.json()["result"].is_null() {
        assert!(std::time::Instant::now() < deadline, "never found");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let lists = yard.peers[0].calls_of("tools/list").len();
    assert!(lists <= 8, "{lists} lists for want of a name");
    assert_eq!(caller.call("secret").await.json()["error"]["code"], json!(-32602));
}

#[tokio::test]
async fn without_a_policy_straight_lists_pass_as_they_are() {
    let yard = Yard::open("").await;
    let caller = Caller::modern(&yard, "/one");
    let answer = caller.ask("tools/list", &json!({})).await.json();
    assert_eq!(answer["result"]["tools"].as_array().map(Vec::len), Some(3));
    assert_ne!(answer["result"]["tools"][1]["name"], Value::Null);
    drop(member());
    let answer = caller.call("nobody").await;
    assert_eq!(answer.json()["result"]["content"][0]["text"], "nobody", "the upstream's own words");
}
