//! What an upstream says passes unchanged, except for names that must lead back to it.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_core::bounds::REWRITES_MAX;
use tollgate_mcp::hub::rewrite::Face;
use tollgate_mcp::hub::uris::{inward, inward_id, inward_task};
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::{GlanceKind, glance};

/// The message as agents see it; the method is that of the request it answers.
fn seen(message: &str, method: Method) -> String {
    let message = Bytes::copy_from_slice(message.as_bytes());
    let shape = glance(&message).unwrap_or_else(|fault| panic!("{message:?}: {fault}"));
    let face = Face::new("up");
    let seen = match shape.kind {
        GlanceKind::Response | GlanceKind::ErrorResponse => {
            face.answer(message.clone(), &shape, method)
        }
        GlanceKind::Notification => face.notification(message.clone(), &shape),
        GlanceKind::Request => face.request(message.clone(), &shape),
    };
    let is_same = seen == message;
    assert_eq!(is_same, seen.as_ptr() == message.as_ptr(), "copied without need: {seen:?}");
    String::from_utf8(seen.to_vec()).expect("utf-8")
}

fn result(method: Method, result: &str) -> String {
    let head = r#"{"jsonrpc":"2.0","id":1,"result":"#;
    let seen = seen(&format!("{head}{result}}}"), method);
    let inner = seen.strip_prefix(head).and_then(|rest| rest.strip_suffix('}'));
    inner.expect("the envelope is unchanged").to_owned()
}

fn params(method: &str, params: &str) -> String {
    let head = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":"#);
    let seen = seen(&format!("{head}{params}}}"), Method::Other);
    let inner = seen.strip_prefix(&*head).and_then(|rest| rest.strip_suffix('}'));
    inner.expect("the envelope is unchanged").to_owned()
}

#[test]
fn resources_in_tool_results_lead_to_their_upstream() {
    assert_eq!(
        result(
            Method::ToolsCall,
            r#"{"content" : [{"type":"text","text":"see file:///a","uri":"file:///a"}, {"uri":"file:///a","type":"resource_link","name":"uri","size":1.0},
            {"resource":{"uri":"file:///b","blob":"AA==","x":{"uri":"c"}},"type":"resource"},{"type":"resource_link","uri":"ui://f"}],"structuredContent":{"uri":"d","content":[{"type":"resource_link","uri":"e"}]},"isError":false}"#
        ),
        r#"{"content" : [{"type":"text","text":"see file:///a","uri":"file:///a"}, {"uri":"tollgate+up:file:///a","type":"resource_link","name":"uri","size":1.0},
            {"resource":{"uri":"tollgate+up:file:///b","blob":"AA==","x":{"uri":"c"}},"type":"resource"},{"type":"resource_link","uri":"ui://up__f"}],"structuredContent":{"uri":"d","content":[{"type":"resource_link","uri":"e"}]},"isError":false}"#
    );
}

#[test]
fn spelling_of_keys_and_repetition_hide_no_name() {
    assert_eq!(
        result(
            Method::ToolsCall,
            r#"{"c\u006fntent":[{"t\u0079pe":"resource\u005flink","\u0075ri":"a","uri":"tollgate+x:b"}],"content":[{"type":"text","type":"resource_link","uri":"ui:\/\/c\ud800"}]}"#
        ),
        r#"{"c\u006fntent":[{"t\u0079pe":"resource\u005flink","\u0075ri":"tollgate+up:a","uri":"tollgate+up:tollgate+x:b"}],"content":[{"type":"text","type":"resource_link","uri":"ui://up__c�"}]}"#
    );
}

/// The only name in it is written so that a search for `uri` or `taskId` does not find it.
#[test]
fn a_key_written_only_with_escapes_hides_no_name() {
    let text = r#"{"contents":[{"\u0075\u0072\u0069":"a","text":"b"}]}"#;
    let seen = result(Method::ResourcesRead, text);
    assert_eq!(seen, text.replace(r#""a""#, r#""tollgate+up:a""#));
}

#[test]
fn contents_and_prompts_lead_to_their_upstream() {
    assert_eq!(
        result(
            Method::ResourcesRead,
            r#"{"contents":[{"uri":"a","text":"uri"},{"uri":"\ud800"}],"uri":"b"}"#
        ),
        r#"{"contents":[{"uri":"tollgate+up:a","text":"uri"},{"uri":"tollgate+up:\ud800"}],"uri":"b"}"#
    );
    assert_eq!(
        result(
            Method::PromptsGet,
            r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a"}}},{"content":[{"type":"resource_link","uri":"b"}]},{"content":"uri"}]}"#
        ),
        r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"tollgate+up:a"}}},{"content":[{"type":"resource_link","uri":"tollgate+up:b"}]},{"content":"uri"}]}"#
    );
}

#[test]
fn task_ids_of_both_eras_lead_to_their_upstream() {
    for (method, from, to) in [
        (
            Method::ToolsCall,
            r#"{"taskId":"t","resultType":"task","status":"working"}"#,
            r#"{"taskId":"up__t","resultType":"task","status":"working"}"#,
        ),
        (Method::ToolsCall, r#"{"content":[],"taskId":"t"}"#, r#"{"content":[],"taskId":"t"}"#),
        (
            Method::ToolsCall,
            r#"{"task":{"taskId":"t","ttl":1}}"#,
            r#"{"task":{"taskId":"up__t","ttl":1}}"#,
        ),
        (
            Method::TasksGet,
            r#"{"resultType":"complete","taskId":"t","result":{"content":[{"type":"resource_link","uri":"a"}],"taskId":"x"}}"#,
            r#"{"resultType":"complete","taskId":"up__t","result":{"content":[{"type":"resource_link","uri":"tollgate+up:a"}],"taskId":"x"}}"#,
        ),
        (
            Method::TasksGet,
            r#"{"taskId":"t","error":{"code":1,"data":{"uri":"a"}}}"#,
            r#"{"taskId":"up__t","error":{"code":1,"data":{"uri":"tollgate+up:a"}}}"#,
        ),
        (Method::TasksCancel, r#"{"taskId":"t"}"#, r#"{"taskId":"up__t"}"#),
        (
            Method::TasksResult,
            r#"{"content":[{"type":"resource_link","uri":"a"}],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"x":{"taskId":"y"}}}"#,
            r#"{"content":[{"type":"resource_link","uri":"tollgate+up:a"}],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"up__t"},"x":{"taskId":"y"}}}"#,
        ),
    ] {
        assert_eq!(result(method, from), to);
    }
}

#[test]
fn user_interfaces_of_results_lead_to_their_upstream() {
    assert_eq!(
        result(
            Method::ToolsCall,
            r#"{"_meta":{"ui":{"resourceUri":"ui://f"},"ui/resourceUri":"ui://f"}}"#
        ),
        r#"{"_meta":{"ui":{"resourceUri":"ui://up__f"},"ui/resourceUri":"ui://up__f"}}"#
    );
}

#[test]
fn samples_within_input_requests_lead_to_their_upstream() {
    let from = r#"{"resultType":"input_required","requestState":"uri","inputRequests":{"a":{"params":{"messages":[{"content":[{"type":"tool_result","content":[{"type":"resource_link","uri":"r"}]},{"type":"resource","resource":{"uri":"s"}}]}]},"method":"sampling/createMessage"},"b":{"method":"elicitation/create","params":{"messages":[{"content":{"type":"resource_link","uri":"t"}}]}}}}"#;
    let to = from
        .replace(r#""uri":"r""#, r#""uri":"tollgate+up:r""#)
        .replace(r#""uri":"s""#, r#""uri":"tollgate+up:s""#);
    for method in [Method::ToolsCall, Method::PromptsGet, Method::ResourcesRead] {
        assert_eq!(result(method, from), to);
    }
}

#[test]
fn errors_name_the_resource_as_the_agent_knows_it() {
    assert_eq!(
        seen(
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"a","data":{"uri":"a","x":{"uri":"b"}}}}"#,
            Method::ResourcesRead
        ),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"a","data":{"uri":"tollgate+up:a","x":{"uri":"b"}}}}"#
    );
}

#[test]
fn notifications_name_what_the_agent_knows() {
    for (method, from, to) in [
        ("notifications/resources/updated", r#"{"uri":"a"}"#, r#"{"uri":"tollgate+up:a"}"#),
        (
            "notifications/subscriptions/acknowledged",
            r#"{"notifications":{"resourceSubscriptions":["a","ui://b",3],"taskIds":["t"],"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/subscriptionId":1}}"#,
            r#"{"notifications":{"resourceSubscriptions":["tollgate+up:a","ui://up__b",3],"taskIds":["up__t"],"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/subscriptionId":1}}"#,
        ),
        (
            "notifications/tasks/status",
            r#"{"taskId":"t","status":"x"}"#,
            r#"{"taskId":"up__t","status":"x"}"#,
        ),
        (
            "notifications/tasks",
            r#"{"taskId":"t","result":{"content":[{"type":"resource_link","uri":"a"}]}}"#,
            r#"{"taskId":"up__t","result":{"content":[{"type":"resource_link","uri":"tollgate+up:a"}]}}"#,
        ),
        (
            "notifications/progress",
            r#"{"progressToken":1,"uri":"a","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#,
            r#"{"progressToken":1,"uri":"a","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"up__t"}}}"#,
        ),
        ("notifications/cancelled", r#"{"requestId":7}"#, r#"{"requestId":"up__7"}"#),
        ("notifications/cancelled", r#"{"requestId":"7"}"#, r#"{"requestId":"up__\"7\""}"#),
        ("notifications/other", r#"{"uri":"a","taskId":"t"}"#, r#"{"uri":"a","taskId":"t"}"#),
    ] {
        assert_eq!(params(method, from), to);
    }
}

#[test]
fn log_messages_say_whose_they_are() {
    for (from, to) in [
        (
            r#"{"level":"info","logger":"db","data":{"logger":"x"}}"#,
            r#"{"level":"info","logger":"up/db","data":{"logger":"x"}}"#,
        ),
        (r#"{"level":"info","data":1}"#, r#"{"logger":"up","level":"info","data":1}"#),
        ("{ }", r#"{"logger":"up" }"#),
        (r#"{"logger":null}"#, r#"{"logger":"up"}"#),
        (
            r#"{"logger":"a","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#,
            r#"{"logger":"up/a","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"up__t"}}}"#,
        ),
        (
            r#"{"logger":"a","l\u006fgger":"other\/b"}"#,
            r#"{"logger":"up/a","l\u006fgger":"up/other\/b"}"#,
        ),
    ] {
        assert_eq!(params("notifications/message", from), to);
    }
}

#[test]
fn requests_get_an_id_that_leads_back() {
    for (id, outward) in [("3", r#""up__3""#), (r#""3""#, r#""up__\"3\"""#)] {
        let request = |id: &str, uri: &str| {
            format!(
                r#"{{"method":"sampling/createMessage","params":{{"messages":[{{"content":{{"type":"resource","resource":{{"uri":"{uri}"}}}}}}],"uri":"b"}},"id":{id},"jsonrpc":"2.0"}}"#
            )
        };
        let wanted = request(outward, "tollgate+up:a");
        assert_eq!(seen(&request(id, "a"), Method::Other), wanted);
        let back = inward_id(outward.as_bytes());
        assert_eq!(back, Some(("up".to_owned(), id.as_bytes().to_vec())));
    }
    assert_eq!(
        seen(
            r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}"#,
            Method::Other
        ),
        r#"{"jsonrpc":"2.0","id":"up__1","method":"elicitation/create","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"up__t"}}}}"#
    );
    let roots = r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#;
    assert_eq!(seen(roots, Method::Other), roots.replace(":1", r#":"up__1""#));
}

#[test]
fn answers_without_names_are_not_copied() {
    // `seen` compares the pointers.
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"uri"}]}}"#;
    assert_eq!(seen(answer, Method::ToolsCall), answer);
    for method in [Method::Other, Method::Initialize, Method::Ping, Method::ToolsList] {
        let odd = r#"{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"a"}],"taskId":"t"}}"#;
        assert_eq!(seen(odd, method), odd);
    }
}

#[test]
fn members_of_another_type_are_left_alone() {
    for odd in [
        r#"{"content":{"x":1},"_meta":5,"inputRequests":[],"task":"t"}"#,
        r#"{"content":"a","_meta":{"ui":[],"ui/resourceUri":1,"io.modelcontextprotocol/related-task":"t"}}"#,
        r#"{"content":[1,null,[],{"type":5,"uri":"a"},{"type":"resource","resource":["uri"]},{"type":"resource_link","uri":{"uri":"a"}}]}"#,
        r#"{"inputRequests":{"a":1,"b":{"method":"sampling/createMessage","params":7},"c":{"method":"sampling/createMessage","params":{"messages":{}}}}}"#,
    ] {
        assert_eq!(result(Method::ToolsCall, odd), odd);
    }
}

#[test]
fn flood_of_names_is_emptied_beyond_the_bound() {
    let flood = vec![r#"{"uri":"a"}"#; REWRITES_MAX + 2].join(",");
    let seen = result(Method::ResourcesRead, &format!(r#"{{"contents":[{flood}]}}"#));
    assert_eq!(seen.matches(r#"{"uri":"tollgate+up:a"}"#).count(), REWRITES_MAX);
    assert_eq!(seen.matches(r#"{"uri":""}"#).count(), 2);
}

#[test]
fn deep_nesting_of_tool_results_ends_where_the_protocol_does() {
    let depth = 100;
    let nested = format!(
        r#"{}{{"type":"resource_link","uri":"a"}}{}"#,
        r#"{"type":"tool_result","content":["#.repeat(depth),
        "]}".repeat(depth)
    );
    let whole = format!(r#"{{"content":[{nested}]}}"#);
    assert_eq!(result(Method::ToolsCall, &whole), whole);
}

/// JSON made of what the protocol gives a meaning, mostly in its places.
fn any_content() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["resource", "resource_link", "tool_result", "text", "task"])
            .prop_map(Value::from),
        prop::sample::select(vec!["file:///a", "ui://a", "tollgate+b:c", "ui://b__c"])
            .prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 60, 6, |inner| {
        let key = prop::sample::select(vec![
            "type",
            "uri",
            "resource",
            "content",
            "contents",
            "messages",
            "_meta",
            "taskId",
            "task",
            "ui",
            "resourceUri",
            "ui/resourceUri",
            "inputRequests",
            "method",
            "params",
            "result",
            "error",
            "data",
            "notifications",
            "resourceSubscriptions",
            "taskIds",
            "logger",
            "requestId",
            "io.modelcontextprotocol/related-task",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

/// Whether `seen` is `said`, apart from names that lead back to what was said.
fn leads_back(said: &Value, seen: &Value) -> bool {
    match (said, seen) {
        (Value::Object(said), Value::Object(seen)) => {
            let has_new_logger = seen.len() == said.len() + 1
                && !said.contains_key("logger")
                && seen.get("logger") == Some(&json!("up"));
            (seen.len() == said.len() || has_new_logger)
                && said.iter().all(|(key, value)| {
                    seen.get(key).is_some_and(|seen| {
                        leads_back(value, seen) || (key == "logger" && seen == "up")
                    })
                })
        }
        (Value::Array(said), Value::Array(seen)) => {
            said.len() == seen.len()
                && said.iter().zip(seen).all(|(said, seen)| leads_back(said, seen))
        }
        (said, Value::String(seen)) => {
            let token = said.to_string();
            let text = said.as_str();
            text == Some(seen)
                || text.is_some_and(|said| {
                    inward(seen).is_some_and(|(upstream, uri)| upstream == "up" && uri == said)
                        || inward_task(seen) == Some(("up", said))
                        || seen.strip_prefix("up/") == Some(said)
                })
                || inward_id(json!(seen).to_string().as_bytes())
                    .is_some_and(|(upstream, raw)| upstream == "up" && raw == token.as_bytes())
        }
        (said, seen) => said == seen,
    }
}

const METHODS: [Method; 7] = [
    Method::ToolsCall,
    Method::ResourcesRead,
    Method::PromptsGet,
    Method::TasksGet,
    Method::TasksResult,
    Method::TasksCancel,
    Method::Other,
];
const NOTIFICATIONS: [&str; 6] = [
    "notifications/message",
    "notifications/tasks",
    "notifications/cancelled",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
    "sampling/createMessage",
];

proptest! {
    #[test]
    fn only_names_change_and_they_lead_back(content in any_content(), which in 0_usize..7) {
        let content = if content.is_object() { content } else { json!({"content": content}) };
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": content});
        let error = json!({"jsonrpc": "2.0", "id": 1, "error": content});
        let method = NOTIFICATIONS.get(which).copied().unwrap_or("ping");
        let notification = json!({"jsonrpc": "2.0", "method": method, "params": content});
        let request = json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": content});
        for said in [answer, error, notification, request] {
            let text = said.to_string();
            if glance(text.as_bytes()).is_err() {
                continue;
            }
            let seen = seen(&text, METHODS.get(which).copied().unwrap_or(Method::Other));
            let seen: Value = serde_json::from_str(&seen).expect("json");
            prop_assert!(leads_back(&said, &seen), "{said}\n{seen}");
        }
    }

    #[test]
    fn torn_and_altered_messages_do_no_harm(
        content in any_content(),
        cut in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"{}[]\",:\\1".to_vec()),
    ) {
        let text = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [content]}}).to_string();
        let good = glance(text.as_bytes()).expect("a message");
        let mut altered = text.into_bytes();
        let at = cut.index(altered.len());
        altered[at] = byte;
        let torn = Bytes::copy_from_slice(&altered[..at]);
        let altered = Bytes::from(altered);
        let face = Face::new("up");
        for message in [torn, altered] {
            // With the spans of another message, as no caller should.
            let _unused = face.answer(message.clone(), &good, Method::ToolsCall);
            if let Ok(shape) = glance(&message) {
                let seen = face.answer(message.clone(), &shape, Method::ToolsCall);
                let is_json = |text: &Bytes| serde_json::from_slice::<Value>(text).is_ok();
                prop_assert!(is_json(&seen) || !is_json(&message));
            }
        }
    }
}
