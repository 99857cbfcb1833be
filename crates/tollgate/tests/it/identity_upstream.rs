//! Row 76 with callers that prove who they are: their tokens stay at the gate, and so does what
//! upstreams demand of the gate.

use crate::GATE;
use crate::identity_house::{Bearer, Voucher, api_key, by, guarded, open};
use serde_json::json;
use std::sync::Arc;
use testkit::post::{good_call, modern_call};
use testkit::{DEADLINE, House, RawClient, Recorded, Recorder, Reply, legacy_post};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 20;
const CALLS: usize = 10_000;
/// Longest piece of a token that may be found at the upstream by chance.
const PIECE: usize = 16;

#[tokio::test] // Row 76, gate G6.
async fn ten_thousand_calls_never_show_a_good_token_to_the_upstream() {
    let (jwt, opaque) = (Voucher::start().await, Voucher::start().await);
    let house = open(&[jwt.line("jwt"), opaque.opaque_line("opaque")]).await;
    let mut bearers = vec![Bearer::of(&house, api_key(&house.gate, "nightly"))];
    for agent in 0..CONNECTIONS - 1 {
        let name = format!("agent-{agent}");
        let token = match agent % 2 {
            0 => jwt.token("alice", &name),
            _ => opaque.opaque("alice", &name),
        };
        bearers.push(Bearer::of(&house, token));
    }
    let mut tasks = JoinSet::new();
    for bearer in bearers.clone() {
        tasks.spawn(async move {
            let session = bearer.session("2025-11-25").await;
            let mut client = RawClient::connect(bearer.gate).await;
            for call in 0..CALLS / CONNECTIONS {
                let post = match call % 4 {
                    0 => legacy_post(&session, "ping", &json!({})),
                    1 => modern_call("tools/list", &json!({})),
                    _ => good_call(),
                };
                let post = by(&bearer.token, post)
                    .with("cookie", &format!("token={}", bearer.token))
                    .with("x-forwarded-access-token", &bearer.token)
                    .with("x-api-key", &bearer.token);
                let answer = client.ask_within(&post, DEADLINE * 4).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("all calls");
    }
    // Any part of a token would be one too many.
    let pieces: Vec<&[u8]> = bearers
        .iter()
        .flat_map(|bearer| bearer.token.split('.'))
        .map(|part| part.as_bytes().get(part.len().saturating_sub(PIECE)..).unwrap_or_default())
        .filter(|piece| !piece.is_empty())
        .collect();
    let requests = house.peer.requests();
    assert!(requests.len() >= CALLS, "only {} of {CALLS} arrived", requests.len());
    for request in &requests {
        let whole = [&request.head[..], &request.body, &request.trailers].concat();
        let shown = String::from_utf8_lossy(&whole);
        for name in ["authorization", "cookie", "x-api-key", "x-forwarded-access-token"] {
            assert_eq!(request.count_of(name), 0, "{shown}");
        }
        for piece in &pieces {
            let is_there = whole.windows(piece.len()).any(|window| window == *piece);
            assert!(!is_there, "a piece of a token arrived: {shown}");
        }
    }
    let log = house.gate.stderr();
    for bearer in &bearers {
        assert!(!log.contains(&bearer.token), "the log shows a token");
    }
}

/// What an upstream says that wants another credential.
fn challenge(status: u16) -> Reply {
    let evil = "Bearer realm=\"up\", error=\"invalid_token\", \
                resource_metadata=\"https://evil.example/metadata\"";
    let headers = [("www-authenticate", evil), ("content-type", "application/json")];
    Reply::status(status, &headers, br#"{"error":"https://evil.example/login"}"#)
}

#[tokio::test] // A challenge of the upstream would lead the agent to somebody else's login.
async fn a_challenge_of_an_upstream_never_reaches_an_agent_with_a_good_token() {
    let voucher = Voucher::start().await;
    for status in [401, 403, 407] {
        let peer = Arc::new(testkit::peer::Peer::default());
        let recorder = Recorder::scripted(move |request: &Recorded| {
            let is_called = request.text().contains("refused-there");
            if is_called { challenge(status) } else { peer.answer(request) }
        })
        .await;
        let house =
            House::around(GATE, recorder, |file| guarded(file, &[voucher.line("idp")])).await;
        let bearer = Bearer::of(&house, voucher.token("alice", "agent-a"));
        let session = bearer.session("2025-11-25").await;
        let legacy = legacy_post(&session, "tools/call", &json!({ "name": "refused-there" }));
        for post in [good_call().replace("good", "refused-there"), legacy] {
            let answer = bearer.ask(post).await;
            assert_eq!(answer.status, 502, "{status}: {}", answer.text());
            assert_eq!(answer.header("www-authenticate"), None, "{status}");
            let headers = format!("{:?}", answer.headers);
            assert!(!headers.contains("evil") && !answer.text().contains("evil"), "{status}");
        }
        assert_eq!(bearer.call().await, 200);
    }
}
