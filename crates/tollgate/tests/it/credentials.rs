//! What agents show the gate stays at the gate, and what upstreams ask of the gate stays there too:
//! tokens never go up, challenges never come down.

use crate::GATE;
use serde_json::json;
use std::time::Duration;
use testkit::client::RawClient;
use testkit::post::{good_call, legacy_bodyless, legacy_initialize, modern_call};
use testkit::{DEADLINE, House, Post, Recorded, Recorder, Reply, legacy_post};

const CONNECTIONS: usize = 20;
const CALLS: usize = 10_000;

/// The same request with an agent's token wherever agents have been seen to put one.
fn with_token(post: Post, token: &str) -> Post {
    post.with("authorization", &format!("Bearer {token}"))
        .with("proxy-authorization", &format!("Bearer {token}"))
        .with("cookie", &format!("access_token={token}"))
        .with("x-api-key", token)
        .with("x-forwarded-access-token", token)
        .with("forwarded", &format!("for=127.0.0.1;token={token}"))
}

#[tokio::test] // Row 76, gate G6.
async fn ten_thousand_calls_never_show_an_agents_token_to_the_upstream() {
    let house = House::open(GATE).await;
    let session = house.session("2025-11-25").await;
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (address, session) = (house.gate.address, session.clone());
        tasks.spawn(async move {
            let mut client = RawClient::connect(address).await;
            for call in 0..CALLS / CONNECTIONS {
                let token = format!("agents-own-{connection}-{call}");
                let post = match call % 4 {
                    0 => legacy_post(&session, "ping", &json!({})),
                    1 => modern_call("tools/list", &json!({})),
                    _ => good_call(),
                };
                let answer = client.ask_within(&with_token(post, &token), DEADLINE * 4).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert!(!answer.text().contains("agents-own"), "{}", answer.text());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("all calls");
    }
    let requests = house.peer.requests();
    assert!(requests.len() >= CALLS, "only {} of {CALLS} arrived", requests.len());
    for request in &requests {
        let whole = [&request.head[..], &request.body, &request.trailers].concat();
        let shown = String::from_utf8_lossy(&whole);
        assert!(!shown.contains("agents-own"), "{shown}");
        assert_eq!(request.count_of("authorization"), 0, "{shown}");
    }
}

/// What an upstream says that wants another credential.
fn challenge(status: u16) -> Reply {
    let fields = [
        ("www-authenticate", "Bearer resource_metadata=\"http://evil.example/meta\", scope=\"x\""),
        ("www-authenticate", "Basic realm=\"evil.example\""),
        ("proxy-authenticate", "Basic realm=\"evil.example\""),
        ("authentication-info", "evil.example"),
        ("set-cookie", "evil.example=1"),
        ("location", "http://evil.example/"),
        ("link", "<http://evil.example/>; rel=\"oauth-protected-resource\""),
        ("content-type", "application/json"),
    ];
    let body = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"evil.example"}}"#;
    Reply::status(status, &fields, body)
}

/// An upstream that works until it is asked `evil`, or by this HTTP method, and then challenges.
async fn challenging(status: u16, method: &'static str) -> Recorder {
    let peer = testkit::peer::Peer::default();
    Recorder::scripted(move |request: &Recorded| {
        if request.method == method || request.text().contains("evil") {
            challenge(status)
        } else {
            peer.answer(request)
        }
    })
    .await
}

#[tokio::test] // Row 77: whoever follows an upstream's challenge gives it a token of the gate's.
async fn no_challenge_of_an_upstream_reaches_an_agent() {
    for status in [401, 403, 407] {
        for method in ["", "GET", "DELETE"] {
            let house = House::around(GATE, challenging(status, method).await, |c| c).await;
            let session = house.session("2025-11-25").await;
            let evil = json!({ "name": "evil", "arguments": {} });
            let asked: Vec<Vec<u8>> = match method {
                "" => vec![
                    modern_call("tools/call", &evil).bytes(),
                    legacy_post(&session, "tools/call", &evil).bytes(),
                    legacy_initialize("2025-11-25").replace("testkit", "evil").bytes(),
                ],
                _ => vec![legacy_bodyless(method, &session, &[])],
            };
            for bytes in asked {
                let mut client = house.connect().await;
                client.send(&bytes).await;
                let answer = client.response().await.expect("an answer");
                let shown = format!("{answer:?} {}", answer.text());
                assert!(!shown.contains("evil"), "{status} {method}: {shown}");
                assert_eq!(answer.header("www-authenticate"), None, "{shown}");
                assert!(![401, 403, 407].contains(&answer.status), "{status} {method}: {shown}");
            }
            house.still_serves().await;
        }
    }
}

#[tokio::test]
async fn a_refused_call_is_not_sent_again() {
    let house = House::around(GATE, challenging(401, "").await, |c| c).await;
    let evil = modern_call("tools/call", &json!({ "name": "evil", "arguments": {} }));
    let answer = house.ask(&evil).await;
    assert!(answer.text().contains("credential"), "{}", answer.text());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(house.peer.calls_of("tools/call").len(), 1);
}
