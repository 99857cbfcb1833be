//! What comes later than the decision: streams, subscriptions, tasks, policies that change meanwhile,
//! and policies that only watch.

use crate::policy_yard::{Caller, OK_ONLY, ROUTES, Yard, located, named};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{Act, DEADLINE, RawClient, Reply};

const TOOLS: &str = "notifications/tools/list_changed";

/// The messages of the next second.
async fn heard(stream: &mut RawClient) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), stream.event()).await {
        if !event.data.is_empty() {
            all.push(event.json());
        }
    }
    all
}

fn methods(heard: &[Value]) -> Vec<&str> {
    heard.iter().filter_map(|message| message["method"].as_str()).collect()
}

fn updated(uri: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } })
}

/// Waits until a member has so many streams.
async fn streams(yard: &Yard, at: usize, count: usize) {
    let deadline = Instant::now() + DEADLINE;
    while yard.members[at].streams().len() < count {
        assert!(Instant::now() < deadline, "{:?}", yard.members[at].streams());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn word_of_a_forbidden_resource_is_kept_back() {
    let yard = Yard::open(OK_ONLY).await;
    for route in ROUTES {
        let caller = Caller::legacy(&yard, route).await;
        caller.call(&named(route, "ok")).await;
        let before = yard.members[0].streams().len();
        let mut stream = caller.stream().await;
        streams(&yard, 0, before + 1).await;
        for uri in ["file:///no/1", "file:///ok/../no/1", "file:///ok/1"] {
            yard.members[0].say(&updated(uri));
        }
        let said = heard(&mut stream).await;
        let uris: Vec<_> = said.iter().map(|message| message["params"]["uri"].clone()).collect();
        assert_eq!(uris, [json!(located(route, "file:///ok/1"))], "{route}");
        // A policy that changes reaches the stream that is open.
        yard.apply(&OK_ONLY.replace("file:///ok/", "file:///no/")).await;
        heard(&mut stream).await;
        yard.members[0].say(&updated("file:///ok/1"));
        yard.members[0].say(&updated("file:///no/1"));
        let said = heard(&mut stream).await;
        let uris: Vec<_> = said.iter().map(|message| message["params"]["uri"].clone()).collect();
        assert_eq!(uris, [json!(located(route, "file:///no/1"))], "{route}");
        yard.apply(OK_ONLY).await;
    }
}

#[tokio::test]
async fn a_modern_subscription_asks_only_for_what_is_allowed() {
    let yard = Yard::open(OK_ONLY).await;
    for route in ROUTES {
        let caller = Caller::modern(&yard, route);
        let uris =
            ["file:///no/1", "file:///ok/1", "file:///ok/../no/1"].map(|uri| located(route, uri));
        let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": uris,
                             "taskIds": ["a__t"], "everything": ["secret"] });
        let before = yard.peers[0].calls_of("subscriptions/listen").len();
        let mut client = RawClient::connect(yard.gate.address).await;
        client
            .send(&caller.post("subscriptions/listen", &json!({ "notifications": wanted })).bytes())
            .await;
        assert_eq!(client.head().await.expect("a stream").status, 200);
        let first = client.event().await.expect("an acknowledgement").json();
        let honoured = &first["params"]["notifications"];
        assert_eq!(
            honoured["resourceSubscriptions"],
            json!([located(route, "file:///ok/1")]),
            "{first}"
        );
        let asked = yard.peers[0].calls_of("subscriptions/listen").split_off(before);
        let asked: String = asked.iter().map(testkit::Recorded::text).collect();
        assert!(asked.contains("file:///ok/1") && !asked.contains("/no/"), "{asked}");
        assert!(!asked.contains("secret") && !asked.contains("__t\""), "{asked}");
        // And hears when its list is another.
        yard.apply(&OK_ONLY.replace("*__ok*", "*__ok2")).await;
        let said = heard(&mut client).await;
        assert_eq!(methods(&said), [TOOLS], "{route} {said:?}");
        assert_eq!(said[0]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
        yard.apply(OK_ONLY).await;
    }
}

#[tokio::test]
async fn exactly_those_whose_list_changed_hear_of_it() {
    let policy = |second: &str| {
        format!(
            r#"policy: {{ roles: {{ one: {{ tools: ["*__ok"], prompts: ["*"] }}, two: {{ tools: ["{second}"] }} }}, bindings: [ {{ role: one }}, {{ role: two, addresses: [127.0.0.2] }} ] }}"#
        )
    };
    let yard = Yard::open(&policy("*__ok2")).await;
    for route in ROUTES {
        let one = Caller::legacy_of(&yard, route, ("2025-11-25", 1)).await;
        let two = Caller::legacy_of(&yard, route, ("2025-11-25", 2)).await;
        assert_eq!(two.names("tools/list").await.len(), if route == "/mcp" { 4 } else { 2 });
        one.names("prompts/list").await;
        let (mut first, mut second) = (one.stream().await, two.stream().await);
        yard.apply(&policy("*__secret")).await;
        assert_eq!(methods(&heard(&mut second).await), [TOOLS], "{route}");
        assert_eq!(methods(&heard(&mut first).await), [""; 0], "{route}");
        assert!(two.names("tools/list").await.contains(&named(route, "secret")));
        // What changes nothing for anybody is told to nobody.
        yard.apply(&policy("*__secret").replace("role: one }", "role: one, name: again }")).await;
        assert_eq!(methods(&heard(&mut second).await), [""; 0], "{route}");
        yard.apply(&policy("*__ok2")).await;
    }
}

#[tokio::test]
async fn a_call_that_is_allowed_no_more_is_refused_its_result() {
    let yard = Yard::open(OK_ONLY).await;
    for route in ROUTES {
        for as_events in [false, true] {
            let open = tokio::sync::watch::Sender::new(false);
            let (member, opened) = (yard.members[0].clone(), open.clone());
            yard.peers[0].follow(move |request| {
                let message = request.json();
                if message["method"] != "tools/call" {
                    return member.answer(request);
                }
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"],
                                     "result": { "content": [{ "type": "text", "text": "late" }] } });
                if as_events {
                    let wait = Act::Wait(opened.subscribe());
                    return Reply::stream().then(wait).event(&answer.to_string()).end();
                }
                Reply::json(&answer).after(&opened)
            });
            let caller = Caller::legacy(&yard, route).await;
            let before = yard.peers[0].calls_of("tools/call").len();
            let post =
                caller.post("tools/call", &json!({ "name": named(route, "ok"), "arguments": {} }));
            let address = yard.gate.address;
            let waiting = tokio::spawn(async move { testkit::client::ask(address, &post).await });
            yard.peers[0]
                .wait_until(DEADLINE, |peer| peer.calls_of("tools/call").len() > before)
                .await;
            yard.apply(&OK_ONLY.replace("*__ok*", "*__ok2")).await;
            // A stream is cut at once, without its upstream's doing.
            if !as_events {
                open.send_replace(true);
            }
            let answer = waiting.await.expect("an answer");
            let said = answer.messages().pop().unwrap_or_else(|| answer.json());
            assert_eq!(said["error"]["code"], -31008, "{route} {as_events}: {}", answer.text());
            assert!(!answer.text().contains("late\""), "{}", answer.text());
            open.send_replace(true);
            yard.apply(OK_ONLY).await;
        }
    }
}

#[tokio::test]
async fn a_task_is_there_for_who_began_it_and_as_long_as_its_tool_is() {
    let yard = Yard::open(OK_ONLY).await;
    let member = yard.members[0].clone();
    yard.peers[0].follow(move |request| {
        let message = request.json();
        let result = match message["method"].as_str() {
            Some("tools/call") if message["params"]["_meta"].is_null() => {
                json!({ "task": { "taskId": "t1", "status": "working" } })
            }
            Some("tools/call") => {
                json!({ "resultType": "task", "taskId": "t2", "status": "working" })
            }
            Some("tasks/get") => {
                json!({ "taskId": message["params"]["taskId"], "status": "working" })
            }
            _ => return member.answer(request),
        };
        Reply::json(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
    });
    for route in ROUTES {
        for (is_modern, id) in [(false, "t1"), (true, "t2")] {
            let of = async |number: u8| {
                let mut caller = Caller::legacy_of(&yard, route, ("2025-11-25", number)).await;
                caller.session = caller.session.filter(|_| !is_modern);
                caller
            };
            let (owner, other) = (of(1).await, of(2).await);
            let id = named(route, id);
            let made = owner.call(&named(route, "ok")).await;
            assert!(made.text().contains(&id), "{}", made.text());
            let ask = async |caller: &Caller, id: &str| {
                caller.ask("tasks/get", &json!({ "taskId": id })).await
            };
            assert_eq!(ask(&owner, &id).await.json()["result"]["taskId"], json!(id));
            let reached = yard.reached().len();
            let (no, none) = (ask(&other, &id).await, ask(&other, &named(route, "tx")).await);
            assert_eq!(no.text().replace(&id, &named(route, "tx")), none.text());
            assert_eq!((no.status, no.code()), (none.status, Some(-32602)));
            yard.apply(&OK_ONLY.replace("*__ok*", "*__ok2")).await;
            assert_eq!(ask(&owner, &id).await.code(), Some(-32602));
            assert_eq!(yard.reached().len(), reached);
            yard.apply(OK_ONLY).await;
        }
    }
}

#[tokio::test]
async fn a_policy_in_shadow_refuses_and_hides_nothing_and_says_so_once() {
    let shadow = OK_ONLY.replacen("policy: {", "policy: { mode: shadow,", 1);
    let yard = Yard::open(&shadow).await;
    for caller in Caller::all(&yard).await {
        let secret = named(caller.route, "secret");
        for _ in 0..3 {
            assert_eq!(caller.call(&secret).await.json()["result"]["content"][0]["text"], "secret");
        }
        let listed = caller.ask("tools/list", &json!({})).await.text();
        assert!(listed.contains("secret"), "{listed}");
        let params = json!({ "uri": located(caller.route, "file:///no/1") });
        let read = caller.ask("resources/read", &params).await;
        assert!(read.json()["result"].is_object(), "{}", read.text());
    }
    yard.gate.wait_for_log("policy in shadow").await;
    let lines = yard.gate.stderr();
    let of_tool =
        lines.lines().filter(|line| line.contains("shadow") && line.contains("a__secret"));
    assert_eq!(of_tool.count(), 1, "{lines}");
}

#[tokio::test]
async fn a_first_policy_reaches_the_streams_that_are_open() {
    let yard = Yard::open("").await;
    for route in ROUTES {
        let caller = Caller::legacy(&yard, route).await;
        caller.names("tools/list").await;
        let open = Caller::legacy(&yard, "/mcp").await;
        open.names("tools/list").await;
        let mut stream = caller.stream().await;
        yard.apply(OK_ONLY).await;
        assert!(methods(&heard(&mut stream).await).contains(&TOOLS), "{route}");
        yard.apply("").await;
    }
}
