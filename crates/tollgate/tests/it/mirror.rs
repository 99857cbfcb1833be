//! Rows 17 to 26: headers against the body, and what is never passed on.

use crate::GATE;
use serde_json::{Value, json};
use testkit::post::good_call;
use testkit::{House, Recorded, Recorder, Reply, legacy_post, modern_call};

const MISMATCH: &[i64] = &[-32020];

#[tokio::test] // Row 17.
async fn a_method_header_that_contradicts_the_body_is_refused() {
    let house = House::open(GATE).await;
    for method in ["tools/list", "TOOLS/CALL", "tools/call2", ""] {
        house.refuses(&good_call().set("mcp-method", method), &[400], MISMATCH).await;
    }
}

#[tokio::test] // Row 18.
async fn a_name_header_that_contradicts_the_body_is_refused() {
    let house = House::open(GATE).await;
    house.refuses(&good_call().set("mcp-name", "evil"), &[400], MISMATCH).await;
    house.refuses(&good_call().replace("\"echo\"", "\"evil\""), &[400], MISMATCH).await;
    house.refuses(&good_call().set("mcp-name", "Echo"), &[400], MISMATCH).await;
}

#[tokio::test] // Row 17 and 18.
async fn missing_mirror_headers_are_refused() {
    let house = House::open(GATE).await;
    for name in ["mcp-method", "mcp-name"] {
        house.refuses(&good_call().without(name), &[400], MISMATCH).await;
    }
}

#[tokio::test] // Row 19.
async fn repeated_mirror_headers_are_refused() {
    let house = House::open(GATE).await;
    for (name, value) in [("mcp-name", "evil"), ("mcp-name", "echo"), ("mcp-method", "tools/list")]
    {
        house.refuses(&good_call().with(name, value), &[400], MISMATCH).await;
    }
    let version = good_call().with("mcp-protocol-version", "2025-11-25");
    house.refuses(&version, &[400], MISMATCH).await;
    house.refuses(&good_call().set("mcp-name", "echo, evil"), &[400], MISMATCH).await;
}

#[tokio::test] // Row 20.
async fn encoded_names_are_decoded_once_and_strictly() {
    let house = House::open(GATE).await;
    let wrong = [
        "=?base64?ZXZpbA==?=",                     // another name
        "=?BASE64?ZWNobw==?=",                     // literal: the markers are case-sensitive
        "=?base64?ZWNobw?=",                       // unpadded
        "=?base64?ZWNo bw==?=",                    // a space within
        "=?base64?ZWNobx==?=",                     // stray bits in the last sextet
        "=?base64?//79/A==?=",                     // not UTF-8
        "=?base64?PT9iYXNlNjQ/WldOb2J3PT0/PQ==?=", // encoded twice
        "=?base64?ZWNobw==",                       // literal: no suffix
    ];
    for name in wrong {
        house.refuses(&good_call().set("mcp-name", name), &[400], MISMATCH).await;
    }
    let right = good_call().set("mcp-name", "=?base64?ZWNobw==?=");
    assert_eq!(house.ask(&right).await.status, 200);
}

#[tokio::test] // Row 20.
async fn names_outside_ascii_reach_the_upstream_encoded() {
    let house = House::open(GATE).await;
    let post = modern_call("tools/call", &json!({ "name": "écho" }));
    let post = post.set("mcp-name", "=?base64?w6ljaG8=?=");
    assert_eq!(house.ask(&post).await.status, 200);
    let seen = house.peer.wait_for_call("tools/call").await;
    assert_eq!(seen.header("mcp-name"), Some("=?base64?w6ljaG8=?="));
}

#[tokio::test] // Row 21.
async fn the_version_header_must_say_what_the_body_says() {
    let house = House::open(GATE).await;
    for post in [
        good_call().without("mcp-protocol-version"),
        good_call().set("mcp-protocol-version", "2025-11-25"),
        good_call().set("mcp-protocol-version", ""),
    ] {
        house.refuses(&post, &[400], MISMATCH).await;
    }
}

#[tokio::test] // Row 21; N1 and N3 of the modern era.
async fn modern_requests_without_their_claims_are_refused() {
    let house = House::open(GATE).await;
    let key = |name: &str| format!("\"io.modelcontextprotocol/{name}\"");
    for name in ["protocolVersion", "clientCapabilities"] {
        let post = good_call().replace(&key(name), "\"com.example/other\"");
        house.refuses(&post, &[400], &[-32602]).await;
    }
    let post = good_call().replace("\"2026-07-28\"", "\"1900-01-01\"");
    let post = post.set("mcp-protocol-version", "1900-01-01");
    house.refuses(&post, &[400], &[-32022]).await;
    let answer = house.ask(&post).await.json();
    assert_eq!(answer["error"]["data"]["requested"], "1900-01-01");
    assert!(answer["error"]["data"]["supported"].as_array().is_some_and(|all| !all.is_empty()));
}

/// An upstream with one tool whose argument `region` is mirrored into a header.
async fn annotated(schema: Value) -> Recorder {
    let peer = testkit::peer::Peer::default();
    Recorder::scripted(move |request: &Recorded| {
        let is_list = request.rpc_method().as_deref() == Some("tools/list");
        if !is_list {
            return peer.answer(request);
        }
        let tools = json!([
            { "name": "echo", "inputSchema": { "type": "object" } },
            { "name": "deploy", "inputSchema": schema },
        ]);
        Reply::json(&json!({
            "jsonrpc": "2.0", "id": request.json()["id"],
            "result": { "resultType": "complete", "tools": tools, "ttlMs": 0,
                        "cacheScope": "private" },
        }))
    })
    .await
}

fn deploy(arguments: Value) -> testkit::Post {
    modern_call("tools/call", &json!({ "name": "deploy", "arguments": arguments }))
}

#[tokio::test] // Row 22.
async fn mirrored_arguments_must_agree_with_their_headers() {
    let schema = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
        "count": { "type": "integer", "x-mcp-header": "Count" },
    } });
    let house = House::around(GATE, annotated(schema).await, |c| c).await;
    assert_eq!(house.ask(&modern_call("tools/list", &json!({}))).await.status, 200);
    let eu = || deploy(json!({ "region": "eu" }));
    assert_eq!(house.ask(&eu().with("mcp-param-region", "eu")).await.status, 200);
    for post in [
        eu(),
        eu().with("mcp-param-region", "us"),
        eu().with("mcp-param-region", "eu").with("mcp-param-region", "us"),
        deploy(json!({ "count": 42 })).with("mcp-param-count", "43"),
    ] {
        house.refuses(&post, &[400], MISMATCH).await;
    }
    for post in [
        deploy(json!({ "count": 42 })).with("mcp-param-count", "42.0"),
        deploy(json!({ "region": null })),
        deploy(json!({})),
    ] {
        assert_eq!(house.ask(&post).await.status, 200);
    }
}

#[tokio::test] // Row 22.
async fn mirrors_are_judged_even_before_anybody_listed_the_tools() {
    let schema = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
    } });
    let house = House::around(GATE, annotated(schema).await, |c| c).await;
    let eu = deploy(json!({ "region": "eu" }));
    let answer = house.ask(&eu.with("mcp-param-region", "us")).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(-32020)));
    assert!(house.peer.calls_of("tools/call").is_empty());
    assert_eq!(house.peer.calls_of("tools/list").len(), 1);
}

#[tokio::test] // Row 22, rule I1.
async fn unknown_mirrored_arguments_are_carried_untouched() {
    let house = House::open(GATE).await;
    let post = good_call().with("mcp-param-unknown", "x y");
    assert_eq!(house.ask(&post).await.status, 200);
    let seen = house.peer.wait_for_call("tools/call").await;
    assert_eq!(seen.header("mcp-param-unknown"), Some("x y"));
}

#[tokio::test] // Row 23.
async fn tools_with_unusable_annotations_are_left_out_of_the_list() {
    let property = |name: &str| json!({ "type": "string", "x-mcp-header": name });
    let bad = [
        json!({ "type": "object", "properties": { "a": property("Authorization\r\nX") } }),
        json!({ "type": "object", "properties": { "a": property("") } }),
        json!({ "type": "object", "properties": { "a": property("X"), "b": property("x") } }),
        json!({ "type": "object", "oneOf": [{ "properties": { "a": property("X") } }] }),
    ];
    for schema in bad {
        let house = House::around(GATE, annotated(schema.clone()).await, |c| c).await;
        let list = house.ask(&modern_call("tools/list", &json!({}))).await.json();
        let tools = list["result"]["tools"].as_array().expect("a list").clone();
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!(names, ["echo"], "{schema}");
    }
}

#[tokio::test] // Rows 24 and 25.
async fn what_callers_claim_about_themselves_is_not_passed_on() {
    let house = House::open(GATE).await;
    let claims = [
        ("x-forwarded-user", "admin"),
        ("x-mcp-verified-sub", "admin"),
        ("x-mcp-init-host", "evil"),
        ("cookie", "session=1"),
        ("proxy-authorization", "Basic eA=="),
        ("authorization", "Bearer callers-own"),
        ("mcp-session-id", "made-up"),
    ];
    let post = claims.iter().fold(good_call(), |post, (name, value)| post.with(name, value));
    assert_eq!(house.ask(&post).await.status, 200);
    let seen = house.peer.wait_for_call("tools/call").await;
    let passed: Vec<_> = claims.iter().filter(|(name, _)| seen.header(name).is_some()).collect();
    assert!(passed.is_empty(), "{passed:?}");
}

#[tokio::test] // Row 25, the legacy leg: the session is translated, the rest stays here.
async fn a_session_carries_only_the_upstreams_own_id() {
    let house = House::open(GATE).await;
    let session = house.session("2025-11-25").await;
    let post = legacy_post(&session, "ping", &json!({}))
        .with("authorization", "Bearer callers-own")
        .with("mcp-name", "smuggled");
    assert_eq!(house.ask(&post).await.status, 200);
    let seen = house.peer.wait_for_call("ping").await;
    assert_eq!(seen.header("mcp-session-id"), Some("peer-0"));
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("mcp-name"), None);
}

#[tokio::test] // Row 26.
async fn an_unknown_route_is_nothing_at_all() {
    let house = House::open(GATE).await;
    for path in ["/mcp/other", "/other", "/mcp/peer"] {
        house.refuses(&good_call().to(path), &[404], &[]).await;
    }
}
