//! Rows 52 to 55: what belongs to a principal belongs to nobody else, whatever ids others know.

use crate::GATE;
use crate::identity_house::{Bearer, DOOR, Voucher, by, error_of, guarded, now, open};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::client::ask;
use testkit::member::item;
use testkit::{DEADLINE, House, Hub, Member, Recorder, legacy_bodyless, legacy_post};

const LATEST: &str = "2025-11-25";

/// Nobody with one of these tokens gets anything of the session, and its owner keeps it.
async fn is_kept_from(house: &House, owner: &Bearer, session: &str, others: &[(&str, String)]) {
    let mut stream = owner.stream(session).await;
    let ended = house.peer.with_http_method("DELETE").len();
    for (name, token) in others {
        let other = Bearer::of(house, token.as_str());
        let before = house.peer.bytes_seen();
        assert_eq!(other.ping(session).await, 404, "{name}: POST");
        let resume = [("last-event-id", "1")];
        for (method, more) in [("GET", &[][..]), ("GET", &resume), ("DELETE", &[])] {
            let (_, answer) = other.bodyless(method, session, more).await;
            assert_eq!(answer.status, 404, "{name}: {method} {more:?}");
        }
        assert_eq!(house.peer.bytes_seen(), before, "{name} reached the upstream");
    }
    assert_eq!(owner.ping(session).await, 200);
    assert_eq!(house.peer.with_http_method("DELETE").len(), ended, "the session was ended");
    let quiet = tokio::time::timeout(Duration::from_millis(100), stream.some_bytes()).await;
    assert!(!matches!(quiet, Ok(None)), "the owner's stream ended");
}

#[tokio::test] // Rows 52, 53 and 75.
async fn a_session_is_of_one_issuer_one_subject_and_one_agent() {
    let (one, two) = (Voucher::start().await, Voucher::start().await);
    let house = open(&[one.line("one"), two.line("two")]).await;
    let owner = Bearer::of(&house, one.token("alice", "agent-a"));
    let session = owner.session(LATEST).await;
    let others = [
        ("another agent of another user", one.token("bob", "agent-b")),
        ("another user of the same agent", one.token("bob", "agent-a")),
        ("another agent of the same user", one.token("alice", "agent-b")),
        ("another issuer", two.token("alice", "agent-a")),
        ("an agent called like the user", one.token("alice", "alice")),
        ("an agent for itself", one.token("agent-a", "agent-a")),
        ("names swapped", one.token("agent-a", "alice")),
        ("names that run together", one.token("alic", "eagent-a")),
    ];
    is_kept_from(&house, &owner, &session, &others).await;
}

#[tokio::test] // Rows 52 and 53: ways to prove it are no names.
async fn an_agent_with_an_api_key_is_not_the_agent_of_an_issuer_with_its_name() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    let key = crate::identity_house::api_key(&house.gate, "nightly");
    let other = crate::identity_house::api_key(&house.gate, "daily");
    let owner = Bearer::of(&house, key.as_str());
    let session = owner.session(LATEST).await;
    let others =
        [("a token", voucher.token("nightly", "nightly")), ("another agent's key", other.clone())];
    is_kept_from(&house, &owner, &session, &others).await;
    let user = Bearer::of(&house, voucher.token("nightly", "nightly"));
    let session = user.session(LATEST).await;
    is_kept_from(&house, &user, &session, &[("the key", key), ("another", other)]).await;
}

#[tokio::test] // Row 52.
async fn a_new_token_of_the_same_principal_keeps_the_session() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    let session = Bearer::of(&house, voucher.token("alice", "agent-a")).session(LATEST).await;
    let mut claims = voucher.claims("alice", "agent-a");
    claims["scope"] = json!("more");
    claims["groups"] = json!(["staff"]);
    claims["exp"] = json!(now() + 60);
    let renewed = Bearer::of(&house, voucher.sign(&claims));
    assert_eq!(renewed.ping(&session).await, 200);
    renewed.stream(&session).await;
    let (_, answer) = renewed.bodyless("DELETE", &session, &[]).await;
    assert!([200, 202, 204].contains(&answer.status), "{}", answer.status);
    let is_ended = |peer: &Recorder| !peer.with_http_method("DELETE").is_empty();
    house.peer.wait_until(DEADLINE, is_ended).await;
}

#[tokio::test] // Row 55.
async fn a_session_is_no_credential() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    let owner = Bearer::of(&house, voucher.token("alice", "agent-a"));
    let session = owner.session(LATEST).await;
    let before = house.peer.bytes_seen();
    let expired = voucher.token_but("exp", json!(now() - 5));
    let elsewhere = voucher.token_but("aud", json!(format!("{DOOR}/elsewhere")));
    let tokens = [None, Some((&expired, "invalid_token")), Some((&elsewhere, "invalid_token"))];
    for presented in tokens {
        let error = presented.map(|(_, error)| error.to_owned());
        let post = legacy_post(&session, "ping", &json!({}));
        let post = presented.iter().fold(post, |post, (token, _)| by(token, post));
        let answer = house.ask(&post).await;
        assert_eq!((answer.status, error_of(&answer)), (401, error.clone()));
        for method in ["GET", "DELETE"] {
            let bearer = presented.map(|(token, _)| format!("Bearer {token}"));
            let headers: Vec<_> = bearer.iter().map(|b| ("authorization", b.as_str())).collect();
            let mut client = house.connect().await;
            client.send(&legacy_bodyless(method, &session, &headers)).await;
            let answer = client.response().await.expect("an answer");
            assert_eq!((answer.status, error_of(&answer)), (401, error.clone()), "{method}");
        }
    }
    assert_eq!(house.peer.bytes_seen(), before, "a refused request reached the upstream");
    assert_eq!(owner.ping(&session).await, 200);
}

#[tokio::test] // Row 54.
async fn a_session_of_one_route_is_unknown_on_another() {
    let voucher = Voucher::start().await;
    let there = Recorder::start().await;
    let house = House::open_with(GATE, |file| {
        guarded(file, &[voucher.line("idp")])
            .upstream("other", &[there.address])
            .upstream_key("era: both")
            .route("/other", "other")
    })
    .await;
    let both = voucher.token_but("aud", json!([DOOR, "https://gate.example/other"]));
    let owner = Bearer::of(&house, both);
    let session = owner.session(LATEST).await;
    let before = there.bytes_seen();
    let post = legacy_post(&session, "ping", &json!({})).to("/other");
    assert_eq!(owner.ask(post).await.status, 404);
    assert_eq!(there.bytes_seen(), before, "the other upstream got it");
    assert_eq!(owner.ping(&session).await, 200);
}

#[tokio::test] // Row 52: what the gate seals for a principal opens for nobody else.
async fn a_cursor_is_of_the_principal_it_was_given_to() {
    let voucher = Voucher::start().await;
    let member = Member::new();
    let tools = (0..1_400).map(|n| item("tools/list", &format!("tool_{n}")));
    member.offer_items("tools/list", tools.collect());
    let second = Member::with_tools(&["echo"]);
    let hub = Hub::open_with(GATE, &[("one", &member), ("two", &second)], |file| {
        guarded(file, &[voucher.line("idp")])
    })
    .await;
    let list = async |token: &str, cursor: Option<&str>| {
        let bearer = Bearer { gate: hub.gate.address, token: token.to_owned() };
        let session = bearer.session(LATEST).await;
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        ask(hub.gate.address, &by(token, legacy_post(&session, "tools/list", &params))).await
    };
    let alice = voucher.token("alice", "agent-a");
    let first = list(&alice, None).await.json();
    let cursor = first["result"]["nextCursor"].as_str().expect("a second page").to_owned();
    for (subject, agent) in [("bob", "agent-a"), ("alice", "agent-b")] {
        let answer = list(&voucher.token(subject, agent), Some(&cursor)).await;
        assert_eq!(answer.code(), Some(-32602), "{subject} {agent}: {}", answer.text());
    }
    let renewed = list(&voucher.token("alice", "agent-a"), Some(&cursor)).await.json();
    let rest = renewed["result"]["tools"].as_array().map(Vec::len);
    assert!(rest.is_some_and(|rest| rest > 0), "{renewed}");
    assert_eq!(renewed["error"], Value::Null);
}
