//! Rows 54, 67 and 74 at the doors: each route says for itself whom it lets in, where to get a token
//! and for what, and the transports of a route are one door.

use crate::GATE;
use crate::identity_house::{Bearer, DOOR, PUBLIC, Voucher, by, command, error_of, guarded};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::client::get;
use testkit::post::good_call;
use testkit::{House, Post, RawClient, Response};

/// The token is not enough for this route, and the upstream hears nothing.
async fn insufficient(house: &House, token: &str) -> Response {
    let before = house.peer.bytes_seen();
    let answer = Bearer::of(house, token).ask(good_call()).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(error_of(&answer).as_deref(), Some("insufficient_scope"));
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("scope=\"mcp tool:echo\""), "{challenge}");
    assert_eq!(house.peer.bytes_seen(), before, "it reached the upstream");
    answer
}

#[tokio::test] // Row 74.
async fn a_token_without_the_scopes_of_the_route_is_told_which() {
    let voucher = Voucher::start().await;
    let house = House::open_with(GATE, |file| {
        guarded(file, &[voucher.line("idp")])
            .route_key("identity: { scopes: [mcp, \"tool:echo\"], offered: [more] }")
    })
    .await;
    let short = [
        Value::Null,
        json!(""),
        json!("mcp"),
        json!(["tool:echo"]),
        json!("mcp tool:ech"),
        json!("mcp tool:echo2"),
        json!("MCP tool:echo"),
        json!("more"),
    ];
    for scope in short {
        insufficient(&house, &voucher.token_but("scope", scope)).await;
    }
    // What is no list of scopes makes no scopes, and no token.
    let before = house.peer.bytes_seen();
    let odd = ["mcp\u{a0}tool:echo", "mcp\ttool:echo", "mcp,\"tool:echo\"", "mcp tool:echo\n"];
    for scope in odd.map(|scope| json!(scope)).into_iter().chain([json!(7), json!([["mcp"]])]) {
        let token = voucher.token_but("scope", scope.clone());
        let answer = Bearer::of(&house, token).ask(good_call()).await;
        assert!([401, 403].contains(&answer.status), "{scope}: {}", answer.text());
    }
    assert_eq!(house.peer.bytes_seen(), before, "it reached the upstream");
    for scope in [json!("mcp tool:echo"), json!("tool:echo x mcp"), json!(["mcp", "tool:echo"])] {
        let token = voucher.token_but("scope", scope.clone());
        assert_eq!(Bearer::of(&house, token).call().await, 200, "{scope}");
    }
}

#[tokio::test] // RFC 9728.
async fn the_challenge_leads_to_the_issuers_of_the_very_route() {
    let (one, two) = (Voucher::start().await, Voucher::start().await);
    let house = House::open_with(GATE, |file| {
        guarded(file, &[one.line("one"), two.line("two")])
            .route("/other", "peer")
            .route_key("identity: { issuers: [two], scopes: [deploy] }")
    })
    .await;
    for (path, issuers) in [("/mcp", vec![&one.url, &two.url]), ("/other", vec![&two.url])] {
        let answer = house.ask(&good_call().to(path)).await;
        let challenge = answer.header("www-authenticate").expect("a challenge").to_owned();
        let (_, rest) = challenge.split_once("resource_metadata=\"").expect("metadata");
        let place = rest.split('"').next().unwrap_or_default();
        let place = place.strip_prefix(PUBLIC).expect("a place at the gate");
        let document = get(house.gate.address, place).await;
        assert_eq!(document.status, 200, "{path}");
        let document = document.json();
        assert_eq!(document["resource"], format!("{PUBLIC}{path}"));
        assert_eq!(document["authorization_servers"], json!(issuers), "{path}");
    }
    let aud = json!([DOOR, format!("{PUBLIC}/other")]);
    let token = |voucher: &Voucher, scope: &str| {
        let mut claims = voucher.claims("alice", "agent-a");
        claims["aud"] = aud.clone();
        claims["scope"] = json!(scope);
        voucher.sign(&claims)
    };
    let before = house.peer.bytes_seen();
    let there = async |token: &str| house.ask(&by(token, good_call().to("/other"))).await.status;
    assert_eq!(there(&token(&one, "deploy")).await, 401, "an issuer of another route");
    assert_eq!(there(&token(&two, "mcp")).await, 403, "without the scope");
    assert_eq!(house.peer.bytes_seen(), before, "it reached the upstream");
    assert_eq!(there(&token(&two, "deploy")).await, 200);
    assert_eq!(Bearer::of(&house, token(&one, "x")).call().await, 200);
    // A token that is remembered at one door says nothing at another.
    assert_eq!(there(&token(&one, "deploy")).await, 401);
}

#[tokio::test]
async fn an_api_key_of_one_route_is_none_of_another() {
    let voucher = Voucher::start().await;
    let house = House::open_with(GATE, |file| {
        guarded(file, &[voucher.line("idp")]).route("/other", "peer")
    })
    .await;
    let add = ["agents", "add", "nightly", "--api-key", "--route", "/other"];
    let added = command(&house.gate, &add);
    let key = added["api_key"].as_str().expect("an API key");
    let before = house.peer.bytes_seen();
    let answer = Bearer::of(&house, key).ask(good_call()).await;
    assert_eq!((answer.status, error_of(&answer).as_deref()), (401, Some("invalid_token")));
    assert_eq!(house.peer.bytes_seen(), before, "it reached the upstream");
    assert_eq!(house.ask(&by(key, good_call().to("/other"))).await.status, 200);
}

/// A stream of HTTP+SSE of this principal, and where it takes messages.
async fn old_stream(bearer: &Bearer) -> (RawClient, String) {
    let mut stream = RawClient::connect(bearer.gate).await;
    let head = format!(
        "GET /mcp/sse HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         authorization: Bearer {}\r\n\r\n",
        bearer.token
    );
    stream.send(head.as_bytes()).await;
    assert_eq!(stream.head().await.expect("a stream").status, 200);
    let messages = stream.event().await.expect("where to post").data;
    (stream, messages)
}

#[tokio::test] // Rows 52, 55 and 72 for the oldest transport.
async fn a_stream_of_http_sse_is_of_its_principal_and_ends_with_its_right() {
    let voucher = Voucher::start().await;
    let house =
        House::open_with(GATE, |file| guarded(file, &[voucher.line("idp")]).route_key("sse: true"))
            .await;
    let owner = Bearer::of(&house, voucher.token("alice", "agent-a"));
    let (mut stream, messages) = old_stream(&owner).await;
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2024-11-05", "capabilities": {},
        "clientInfo": { "name": "testkit", "version": "1" } } });
    let post = Post::new(initialize.to_string()).to(&messages).without("accept");
    let before = house.peer.bytes_seen();
    assert_eq!(house.ask(&post).await.status, 401);
    for (subject, agent) in [("bob", "agent-a"), ("alice", "agent-b")] {
        let other = Bearer::of(&house, voucher.token(subject, agent));
        let answer = other.ask(post.clone()).await;
        assert_eq!(answer.status, 404, "{subject} {agent}: {}", answer.text());
    }
    assert_eq!(house.peer.bytes_seen(), before, "it reached the upstream");
    let renewed = Bearer::of(&house, voucher.token("alice", "agent-a"));
    assert_eq!(renewed.ask(post.clone()).await.status, 202);
    let greeting = stream.event().await.expect("an answer").json();
    assert_eq!(greeting["id"], 1, "{greeting}");
    command(&house.gate, &["agents", "revoke", "agent-a"]);
    let begun = Instant::now();
    let rest = stream.until_closed(Duration::from_secs(1)).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the stream looks complete");
    while owner.ask(post.clone()).await.status != 401 {
        assert!(begun.elapsed() < Duration::from_secs(1), "messages are taken");
    }
}
