//! Rows 17 to 51 under a policy: what a caller may not use is not there, whatever method names it, in both
//! eras, on hubs and on straight routes; and nothing of such a call reaches the upstream.

use crate::GATE;
use crate::http_sse::{Agent as OldAgent, request};
use crate::identity_house::{Bearer, Voucher, guarded};
use crate::policy_yard::{Caller, OK_ONLY, ROUTES, Yard, located, member, named};
use serde_json::{Value, json};
use testkit::{Configuration, GateProcess, House, Recorder, Reply};

/// Every way to name something, with what is forbidden and what is unknown.
fn pairs(caller: &Caller) -> Vec<(&'static str, Value, Value)> {
    let (tool, prompt) = (|name| named(caller.route, name), |name| named(caller.route, name));
    let uri = |uri| located(caller.route, uri);
    let by_name = |name: String| json!({ "name": name, "arguments": {} });
    let argument = json!({ "name": "x", "value": "" });
    let of_prompt = |name: String| json!({ "ref": { "type": "ref/prompt", "name": name }, "argument": argument });
    let of_uri = |uri: String| json!({ "ref": { "type": "ref/resource", "uri": uri }, "argument": argument });
    let mut all = vec![
        ("tools/call", by_name(tool("secret")), by_name(tool("nobody"))),
        ("prompts/get", by_name(prompt("secretp")), by_name(prompt("nobodyp"))),
        (
            "resources/read",
            json!({ "uri": uri("file:///no/1") }),
            json!({ "uri": uri("file:///xx/1") }),
        ),
        ("completion/complete", of_prompt(prompt("secretp")), of_prompt(prompt("nobodyp"))),
        ("completion/complete", of_uri(uri("file:///no/{x}")), of_uri(uri("file:///xx/{x}"))),
        ("tasks/get", json!({ "taskId": tool("secret") }), json!({ "taskId": tool("nobody") })),
        ("tasks/cancel", json!({ "taskId": tool("secret") }), json!({ "taskId": tool("nobody") })),
        ("vendor/secret", json!({}), json!({})),
    ];
    if caller.session.is_some() {
        for method in ["resources/subscribe", "resources/unsubscribe"] {
            let (no, xx) = (uri("file:///no/1"), uri("file:///xx/1"));
            all.push((method, json!({ "uri": no }), json!({ "uri": xx })));
        }
        all.push((
            "tasks/result",
            json!({ "taskId": tool("secret") }),
            json!({ "taskId": tool("nobody") }),
        ));
    }
    all
}

#[tokio::test]
async fn what_is_forbidden_and_what_is_unknown_are_answered_alike_and_reach_nobody() {
    let yard = Yard::open(OK_ONLY).await;
    for caller in Caller::all(&yard).await {
        for (method, forbidden, unknown) in pairs(&caller) {
            let no = caller.ask(method, &forbidden).await;
            let none = caller.ask(method, &unknown).await;
            let shown = format!("{method} {} {:?}", caller.route, caller.session.is_some());
            assert!(no.json()["error"]["code"].is_i64(), "{shown}: {} {}", no.status, no.text());
            let plain = |text: String| text.replace("secret", "nobody").replace("/no/", "/xx/");
            assert_eq!((no.status, plain(no.text())), (none.status, plain(none.text())), "{shown}");
            let headers = |answer: &testkit::Response| {
                let names = ["content-type", "www-authenticate", "retry-after", "connection"];
                names.map(|name| answer.header(name).map(str::to_owned))
            };
            assert_eq!(headers(&no), headers(&none), "{shown}");
        }
        for (method, _, _) in pairs(&caller) {
            for params in [json!({}), json!({ "name": 1 }), json!({ "ref": { "name": "ok" } })] {
                let answer = caller.ask(method, &params).await;
                assert_ne!(answer.json()["error"], Value::Null, "{method} {params}");
            }
        }
    }
    assert_eq!(yard.reached(), [""; 0]);
}

#[tokio::test]
async fn what_is_allowed_is_called_under_the_upstreams_own_name() {
    let yard = Yard::open(OK_ONLY).await;
    for caller in Caller::all(&yard).await {
        let called = caller.call(&named(caller.route, "ok")).await;
        assert_eq!(called.json()["result"]["content"][0]["text"], "ok", "{}", called.text());
        let uri = located(caller.route, "file:///ok/1");
        let read = caller.ask("resources/read", &json!({ "uri": uri })).await;
        assert_eq!(read.json()["result"]["contents"][0]["uri"], json!(uri), "{}", read.text());
        let prompt = json!({ "name": named(caller.route, "okp") });
        let got = caller.ask("prompts/get", &prompt).await;
        assert!(got.json()["result"]["messages"].is_array(), "{}", got.text());
    }
}

#[tokio::test]
async fn a_retry_with_input_responses_is_judged_like_any_call() {
    let yard = Yard::open(OK_ONLY).await;
    let caller = Caller::modern(&yard, "/one");
    let params = |name: &str| {
        json!({ "name": name, "arguments": {}, "requestState": "s",
                                      "inputResponses": { "ok": { "name": "ok" } } })
    };
    assert_eq!(caller.ask("tools/call", &params("secret")).await.code(), Some(-32602));
    assert_eq!(yard.reached(), [""; 0]);
    assert!(caller.ask("tools/call", &params("ok")).await.json()["result"].is_object());
}

#[tokio::test]
async fn a_notification_that_looks_like_a_call_is_judged_as_one() {
    let yard = Yard::open(OK_ONLY).await;
    for route in ROUTES {
        let caller = Caller::legacy(&yard, route).await;
        for method in ["tools/call", "vendor/x", "notifications/vendor", "tasks/cancel"] {
            let message = json!({ "jsonrpc": "2.0", "method": method,
                                  "params": { "name": named(route, "secret"), "taskId": "t" } });
            assert_eq!(caller.send(&caller.post_of(&message)).await.status, 202, "{method}");
        }
    }
    assert_eq!(yard.reached(), [""; 0]);
    let caller = Caller::legacy(&yard, "/one").await;
    let message = json!({ "jsonrpc": "2.0", "method": "tools/call", "params": { "name": "ok" } });
    assert_eq!(caller.send(&caller.post_of(&message)).await.status, 202);
    assert_eq!(yard.reached(), [message.to_string()]);
}

#[tokio::test]
async fn a_denied_message_of_a_batch_reaches_nobody_and_each_request_is_answered() {
    let yard = Yard::open(OK_ONLY).await;
    for route in ROUTES {
        let caller = Caller::legacy_of(&yard, route, ("2025-03-26", 1)).await;
        let call = |id: u32, name: &str| {
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
                                  "params": { "name": named(route, name), "arguments": {} } })
        };
        let mute = json!({ "jsonrpc": "2.0", "method": "tools/call",
                           "params": { "name": named(route, "secret") } });
        let batch = json!([call(1, "ok"), call(2, "secret"), mute, call(3, "nobody")]);
        let post = caller.post_of(&batch).set("mcp-protocol-version", "2025-03-26");
        let answer = caller.send(&post).await;
        let mut said = match answer.json() {
            Value::Array(all) => all,
            _ => answer.messages(),
        };
        said.sort_by_key(|message| message["id"].as_u64());
        assert_eq!(said.len(), 3, "{}", answer.text());
        assert_eq!(
            (&said[1]["error"]["code"], &said[2]["error"]["code"]),
            (&json!(-32602), &json!(-32602))
        );
        let reached = yard.reached();
        assert!(!reached.iter().any(|text| text.contains("secret") || text.contains("nobody")));
        match route {
            // A straight batch goes whole or not at all.
            "/one" => assert_eq!(said[0]["error"]["code"], -31008, "{}", answer.text()),
            _ => assert_eq!(said[0]["result"]["content"][0]["text"], "ok", "{}", answer.text()),
        }
        let denied_only = caller.post_of(&json!([call(2, "secret")]));
        let answer = caller.send(&denied_only.set("mcp-protocol-version", "2025-03-26")).await;
        assert!(answer.text().contains("-32602"), "{}", answer.text());
    }
    assert_eq!(yard.reached().len(), 1);
    let caller = Caller::legacy_of(&yard, "/one", ("2025-03-26", 1)).await;
    let list = json!([{ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }]);
    let post = caller.post_of(&list).set("mcp-protocol-version", "2025-03-26");
    assert!(caller.send(&post).await.text().contains("-32600"));
}

#[tokio::test]
async fn a_uri_of_two_readings_is_not_found_and_reaches_nobody() {
    let yard = Yard::open(OK_ONLY).await;
    for caller in Caller::all(&yard).await {
        for uri in [
            "file:///ok/../no/1",
            "file:///ok/%2e%2e/no/1",
            "file:///ok/..%2fno/1",
            "file:///ok/%252e%252e/no/1",
            "file:///ok//1",
            "file:///ok/1#x",
            "file:///ok/%6f",
            "file:///ok/1%00",
            "File:///ok/1",
            "file://u@h/ok/1",
            "file:///ok\\..\\no",
            "file:///OK/1",
        ] {
            let answer =
                caller.ask("resources/read", &json!({ "uri": located(caller.route, uri) })).await;
            let code = if caller.session.is_some() { -32002 } else { -32602 };
            assert_eq!(
                (answer.status, answer.code()),
                (200, Some(code)),
                "{uri}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(yard.reached(), [""; 0]);
}

#[tokio::test]
async fn an_upstreams_own_not_found_is_said_in_the_same_words() {
    let yard = Yard::open(OK_ONLY).await;
    for (at, as_events) in [(0, false), (1, true)] {
        let member = yard.members[at].clone();
        for peer in &yard.peers {
            let member = member.clone();
            peer.follow(move |request| {
                let message = request.json();
                if message["method"] != "resources/read" {
                    return member.answer(request);
                }
                let error = json!({ "code": -32002, "message": "no file there, sorry" });
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
                if as_events {
                    Reply::stream().event(&answer.to_string()).end()
                } else {
                    Reply::status(
                        400,
                        &[("content-type", "application/json")],
                        answer.to_string().as_bytes(),
                    )
                }
            });
        }
        for caller in Caller::all(&yard).await {
            let params = |uri: &str| json!({ "uri": located(caller.route, uri) });
            let missing = caller.ask("resources/read", &params("file:///ok/9")).await;
            let forbidden = caller.ask("resources/read", &params("file:///no/9")).await;
            let forbidden = forbidden.json().to_string().replace("/no/", "/ok/");
            let said = missing.messages().pop().expect("an answer").to_string();
            assert_eq!((missing.status, said), (200, forbidden), "{as_events}");
        }
    }
}

#[tokio::test]
async fn where_no_list_can_be_read_nothing_is_let_through() {
    let member = member();
    let peer = Recorder::scripted(move |request| match request.rpc_method().as_deref() {
        Some("tools/list") => Reply::status(500, &[], b"no"),
        _ => member.answer(request),
    })
    .await;
    let file = Configuration::of(&[peer.address]).section(OK_ONLY);
    let gate = GateProcess::start(GATE, &file.text()).await;
    let call =
        |name: &str| testkit::modern_call("tools/call", &json!({ "name": name, "arguments": {} }));
    for name in ["ok", "secret", "nobody"] {
        let answer = testkit::client::ask(gate.address, &call(name)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (503, Some(-32603)),
            "{name}: {}",
            answer.text()
        );
        assert!(answer.header("retry-after").is_some());
    }
    assert!(peer.calls_of("tools/call").is_empty());
}

#[tokio::test]
async fn a_call_refused_for_its_arguments_is_told_so_in_the_operators_words() {
    let policy = r#"policy: { roles: { user: { tools: ["*__ok*"] } }, bindings: [ { name: no-main, role: user, when: "args.branch != 'main'", message: "push to a branch of your own" } ] }"#;
    let yard = Yard::open(policy).await;
    for caller in Caller::all(&yard).await {
        let ok = named(caller.route, "ok");
        assert!(caller.names("tools/list").await.contains(&ok));
        let ask = async |name: &str, arguments: Value| {
            let params = json!({ "name": named(caller.route, name), "arguments": arguments });
            caller.ask("tools/call", &params).await
        };
        for arguments in [json!({ "branch": "main" }), json!({}), json!({ "Branch": "x" })] {
            let answer = ask("ok", arguments).await;
            assert_eq!((answer.status, answer.code()), (403, Some(-31008)), "{}", answer.text());
            let text = answer.json()["error"]["message"].to_string();
            assert!(text.contains("no-main") && text.contains("a branch of your own"), "{text}");
        }
        // What is not there is not there, whatever its arguments.
        for name in ["secret", "nobody", "ok9"] {
            let answer = ask(name, json!({ "branch": "main" })).await;
            assert_eq!(answer.json()["error"]["code"], json!(-32602), "{}", answer.text());
        }
        assert_eq!(yard.reached(), [""; 0]);
    }
    let caller = Caller::modern(&yard, "/one");
    let params = json!({ "name": "ok", "arguments": { "branch": "mine" } });
    assert!(caller.ask("tools/call", &params).await.json()["result"].is_object());
    let counts = yard.gate.status().await["policy"].clone();
    assert_eq!(counts, json!({ "enforced": true, "allowed": 1, "denied": 24, "shadowed": 0 }));
}

#[tokio::test]
async fn where_a_scope_would_help_it_is_named() {
    let voucher = Voucher::start().await;
    let policy = r#"policy: { scopes: { "files:write": { tools: ["peer__echo"] } } }"#;
    let house =
        House::open_with(GATE, |file| guarded(file, &[voucher.line("idp")]).section(policy)).await;
    let mut claims = voucher.claims("alice", "agent-a");
    let without = Bearer::of(&house, voucher.sign(&claims));
    let answer = without.ask(testkit::post::good_call()).await;
    assert_eq!((answer.status, answer.code()), (403, Some(-31006)), "{}", answer.text());
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains(r#"error="insufficient_scope""#), "{challenge}");
    assert!(challenge.contains(r#"scope="files:write""#), "{challenge}");
    let unknown = testkit::modern_call("tools/call", &json!({ "name": "nobody", "arguments": {} }));
    assert_eq!(without.ask(unknown).await.code(), Some(-32602));
    assert!(house.peer.calls_of("tools/call").is_empty());
    claims["scope"] = json!("files:write");
    let with = Bearer::of(&house, voucher.sign(&claims));
    assert_eq!(with.call().await, 200);
}

#[tokio::test]
async fn the_scope_of_a_single_tool_is_named_where_the_route_offers_it() {
    let voucher = Voucher::start().await;
    let policy = r#"policy: { roles: { reader: { tools: ["peer__none"] } }, bindings: [ { role: reader } ] }"#;
    for (offered, code) in [("tool:*", -31006), ("tool:other__*", -32602)] {
        let house = House::open_with(GATE, |file| {
            guarded(file, &[voucher.line("idp")])
                .section(policy)
                .route_key(&format!("identity: {{ offered: [\"{offered}\"] }}"))
        })
        .await;
        let mut claims = voucher.claims("alice", "agent-a");
        let without = Bearer::of(&house, voucher.sign(&claims));
        let answer = without.ask(testkit::post::good_call()).await;
        assert_eq!(answer.code(), Some(code), "{}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(challenge.contains(r#"scope="tool:peer__echo""#), code == -31006, "{challenge}");
        // What is not there is helped by no scope.
        let call = json!({ "name": "nobody", "arguments": {} });
        let unknown = without.ask(testkit::modern_call("tools/call", &call)).await;
        assert_eq!(unknown.code(), Some(-32602));
        assert!(house.peer.calls_of("tools/call").is_empty());
        claims["scope"] = json!("tool:peer__echo");
        assert_eq!(Bearer::of(&house, voucher.sign(&claims)).call().await, 200);
    }
}

#[tokio::test]
async fn a_mirrored_argument_does_not_tell_that_there_is_a_tool() {
    let yard = Yard::open(OK_ONLY).await;
    let tool = |name: &str| {
        let region = json!({ "type": "string", "x-mcp-header": "Region" });
        json!({ "name": name, "inputSchema": { "type": "object", "properties": { "region": region } } })
    };
    yard.members[0].offer_items("tools/list", vec![tool("ok"), tool("secret")]);
    let caller = Caller::modern(&yard, "/one");
    let call = async |name: &str| {
        let params = json!({ "name": name, "arguments": { "region": "eu" } });
        caller.ask("tools/call", &params).await
    };
    let allowed = call("ok").await;
    assert_eq!(allowed.code(), Some(-32020), "{}", allowed.text());
    let (no, none) = (call("secret").await, call("nobody").await);
    assert_eq!(no.text().replace("secret", "nobody"), none.text());
    assert_eq!((no.status, no.code()), (200, Some(-32602)));
    assert_eq!(yard.reached(), [""; 0]);
}

#[tokio::test]
async fn an_agent_on_http_sse_is_judged_alike() {
    let peer = Recorder::of_member(&member()).await;
    let file = Configuration::of(&[peer.address]).route_key("sse: true").section(OK_ONLY);
    let gate = GateProcess::start(GATE, &file.text()).await;
    let mut agent = OldAgent::start(gate.address).await;
    let call =
        |id, name: &str| request(id, "tools/call", &json!({ "name": name, "arguments": {} }));
    let (no, none) = (agent.ask(&call(5, "secret")).await, agent.ask(&call(5, "nobody")).await);
    assert_eq!(no["error"]["code"], -32602);
    assert_eq!(no.to_string().replace("secret", "nobody"), none.to_string());
    let listed = agent.ask(&request(6, "tools/list", &json!({}))).await;
    let names: Vec<_> = listed["result"]["tools"].as_array().expect("tools").iter().collect();
    assert_eq!(names.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(), ["ok", "ok2"]);
    assert!(peer.calls_of("tools/call").is_empty());
    assert_eq!(agent.ask(&call(7, "ok")).await["result"]["content"][0]["text"], "ok");
}
