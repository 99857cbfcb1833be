//! What a glance at an upstream's message finds and refuses.

use tollgate_mcp::json::Span;
use tollgate_mcp::reply::{Glance, GlanceFault, GlanceKind, glance, glance_any};

fn seen(body: &str) -> Glance {
    glance(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault}"))
}

fn text(span: Option<Span>, body: &str) -> &str {
    span.map_or("", |span| &body[span.range()])
}

#[test]
fn result_is_described_without_being_parsed() {
    let body = r#" {"jsonrpc":"2.0","result":{"content":[{"text":"a\"}b"}],"resultType":"complete","ttlMs":1,"_meta":{"io.modelcontextprotocol/subscriptionId":"s"}},"id":"x"} "#;
    let glance = seen(body);
    let result = glance.result.expect("result");
    assert_eq!(glance.kind, GlanceKind::Response);
    assert_eq!(text(glance.id, body), r#""x""#);
    assert_eq!(result.result_type.expect("type").decode(body.as_bytes()), "complete");
    assert!(result.has_ttl_ms && !result.has_cache_scope && !result.is_empty);
    assert_eq!(body.as_bytes()[result.span.start as usize], b'{');
    assert_eq!(text(result.subscription_id, body), r#""s""#);
    assert_eq!(body[glance.span.range()], *body.trim());
}

#[test]
fn initialize_answer_and_empty_result_are_recognised() {
    let body = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}"#;
    let version = seen(body).result.and_then(|result| result.protocol_version).expect("version");
    assert!(version.is(body.as_bytes(), "2025-06-18"));
    let empty = seen(r#"{"jsonrpc":"2.0","id":0,"result":{ }}"#).result.expect("result");
    assert!(empty.is_empty);
}

#[test]
fn error_code_is_read_and_its_id_may_be_missing() {
    for (id, found) in [(r#""id":3,"#, "3"), (r#""id":null,"#, ""), ("", "")] {
        let body = format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32020,"message":"m"}}}}"#);
        let glance = seen(&body);
        assert_eq!(glance.kind, GlanceKind::ErrorResponse);
        assert_eq!((glance.error_code, text(glance.id, &body)), (Some(-32020), found));
    }
}

#[test]
fn tokens_of_notifications_and_requests_are_found() {
    let body = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"requestId":"r","_meta":{"io.modelcontextprotocol/subscriptionId":4}}}"#;
    let glance = seen(body);
    let params = glance.params.expect("params");
    assert_eq!(glance.kind, GlanceKind::Notification);
    assert_eq!(text(params.progress_token, body), "9");
    assert_eq!(text(params.request_id, body), r#""r""#);
    assert_eq!(text(params.subscription_id, body), "4");
    assert_eq!(seen(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#).kind, GlanceKind::Request);
}

#[test]
fn what_is_not_one_message_is_refused() {
    let deep = |levels: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":{}{}}}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert!(glance(deep(512).as_bytes()).is_ok());
    let faults = [
        (deep(513), GlanceFault::TooDeep),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#.to_owned(), GlanceFault::DuplicateKey),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"res\u0075lt":{}}"#.to_owned(),
            GlanceFault::DuplicateKey,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"a","resultType":"b"}}"#.to_owned(),
            GlanceFault::DuplicateKey,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}"#.to_owned(), GlanceFault::Truncated),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}x"#.to_owned(), GlanceFault::Syntax),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":[}]}}"#.to_owned(), GlanceFault::Syntax),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\r\n\r\ndata: x\"}}".to_owned(),
            GlanceFault::ControlCharacter,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#.to_owned(), GlanceFault::Shape),
        (r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#.to_owned(), GlanceFault::Shape),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#.to_owned(), GlanceFault::Shape),
        (r#"{"jsonrpc":"2.0","result":{}}"#.to_owned(), GlanceFault::Shape),
        (r#"{"jsonrpc":"1.0","id":1,"result":{}}"#.to_owned(), GlanceFault::Shape),
        (r#"{"id":1,"result":{}}"#.to_owned(), GlanceFault::Shape),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#.to_owned(), GlanceFault::Shape),
        ("[]".to_owned(), GlanceFault::Shape),
        (String::new(), GlanceFault::Truncated),
    ];
    for (body, fault) in faults {
        assert_eq!(glance(body.as_bytes()).expect_err(&body), fault, "{body}");
    }
    assert_eq!(glance(b"{\"a\":\"\xff\"}").expect_err("utf-8"), GlanceFault::NotUtf8);
}

#[test]
fn batch_of_answers_is_seen_one_by_one() {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let body = format!(" [ {answer} , {answer}] ");
    let glances = glance_any(body.as_bytes(), 2).expect("batch");
    assert!(glances.iter().all(|glance| &body[glance.span.range()] == answer));
    assert_eq!(glances.len(), 2);
    assert_eq!(glance_any(answer.as_bytes(), 2).expect("one").len(), 1);
    assert_eq!(glance_any(body.as_bytes(), 1).expect_err("too many"), GlanceFault::Shape);
    for body in
        ["[]".to_owned(), format!("[{answer}"), format!("[{answer},]"), format!("[{answer}]]")]
    {
        assert!(glance_any(body.as_bytes(), 9).is_err(), "{body}");
    }
}
