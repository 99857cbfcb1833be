//! Row 72 over time and space: a revocation holds at every gate on the same store, after a restart,
//! and for what was opened before the configuration changed.

use crate::GATE;
use crate::identity_house::{Bearer, PUBLIC, Voucher, api_key, by, command, guarded, open};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{Configuration, DEADLINE, GateProcess, House, Post, RawClient, Recorder};

const LATEST: &str = "2025-11-25";
const AT_ONCE: Duration = Duration::from_secs(1);

/// The good call is refused within a second.
async fn is_cut_off(bearer: &Bearer) {
    let begun = Instant::now();
    while bearer.call().await != 401 {
        assert!(begun.elapsed() < AT_ONCE, "calls go on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The stream ends within a second, and not as if it were complete.
async fn is_cut(stream: &mut RawClient) {
    let rest = stream.until_closed(AT_ONCE).await;
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(!rest.ends_with("0\r\n\r\n"), "it looks complete: {rest:?}");
}

#[tokio::test]
async fn what_was_opened_before_a_reload_is_cut_after_it() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    let key = Bearer::of(&house, api_key(&house.gate, "nightly"));
    let user = Bearer::of(&house, voucher.token("alice", "agent-a"));
    let mut streams = Vec::new();
    for bearer in [&key, &user] {
        let session = bearer.session(LATEST).await;
        streams.push((bearer.stream(&session).await, session));
    }
    for round in 0..3 {
        let version = house.gate.status().await["configuration"].clone();
        let file = guarded(Configuration::of(&[house.peer.address]), &[voucher.line("idp")]);
        house.gate.rewrite(&file.route(&format!("/more-{round}"), "peer").text());
        house.gate.wait_for_status(|status| status["configuration"] != version).await;
    }
    for (bearer, (stream, session)) in [&key, &user].into_iter().zip(&mut streams) {
        assert_eq!(bearer.ping(session).await, 200, "a session ended by a reload");
        let left = tokio::time::timeout(Duration::from_millis(50), stream.some_bytes()).await;
        assert!(!matches!(left, Ok(None)), "a stream ended by a reload");
    }
    for (name, at) in [("nightly", 0), ("agent-a", 1)] {
        command(&house.gate, &["agents", "revoke", name]);
        is_cut(&mut streams[at].0).await;
    }
    tokio::join!(is_cut_off(&key), is_cut_off(&user));
    let are_ended = |peer: &Recorder| peer.with_http_method("DELETE").len() == 2;
    house.peer.wait_until(DEADLINE, are_ended).await;
}

#[tokio::test]
async fn an_issuer_that_is_removed_vouches_for_nobody_from_then_on() {
    let (kept, removed) = (Voucher::start().await, Voucher::start().await);
    let house = open(&[kept.line("kept"), removed.line("removed")]).await;
    let stays = Bearer::of(&house, kept.token("alice", "agent-a"));
    let goes = Bearer::of(&house, removed.token("alice", "agent-a"));
    let session = goes.session(LATEST).await;
    assert_eq!((stays.call().await, goes.call().await), (200, 200));
    let version = house.gate.status().await["configuration"].clone();
    let file = guarded(Configuration::of(&[house.peer.address]), &[kept.line("kept")]);
    house.gate.rewrite(&file.text());
    house.gate.wait_for_status(|status| status["configuration"] != version).await;
    let before = house.peer.bytes_seen();
    assert_eq!((goes.call().await, goes.ping(&session).await), (401, 401));
    assert_eq!(house.peer.bytes_seen(), before, "it reached the upstream");
    assert_eq!(stays.call().await, 200);
}

#[tokio::test]
async fn a_revocation_holds_at_every_gate_on_the_same_store_and_after_a_restart() {
    let voucher = Voucher::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("shared.db");
    let file = |peer: &Recorder| {
        guarded(Configuration::of(&[peer.address]), &[voucher.line("idp")])
            .section(&format!("stores: {{ embedded: \"{}\" }}", store.display()))
            .section("issuer: {}")
            .text()
    };
    let (one, two) = (Recorder::start().await, Recorder::start().await);
    let here = GateProcess::start(GATE, &file(&one)).await;
    let mut there = GateProcess::start(GATE, &file(&two)).await;
    let key = api_key(&here, "nightly");
    let tokens = [key, voucher.token("alice", "agent-a")];
    let mut streams = Vec::new();
    for gate in [&here, &there] {
        for token in &tokens {
            let bearer = Bearer { gate: gate.address, token: token.clone() };
            let session = bearer.session(LATEST).await;
            streams.push(bearer.stream(&session).await);
            assert_eq!(bearer.call().await, 200);
        }
    }
    for name in ["nightly", "agent-a"] {
        command(&here, &["agents", "revoke", name]);
    }
    let revoked = Instant::now();
    for stream in &mut streams {
        is_cut(stream).await;
    }
    assert!(revoked.elapsed() < AT_ONCE, "it took {:?}", revoked.elapsed());
    for gate in [&here, &there] {
        for token in &tokens {
            is_cut_off(&Bearer { gate: gate.address, token: token.clone() }).await;
        }
    }
    there.terminate(DEADLINE).await;
    let again = GateProcess::start(GATE, &file(&two)).await;
    let before = two.bytes_seen();
    for token in &tokens {
        let bearer = Bearer { gate: again.address, token: token.clone() };
        assert_eq!(bearer.call().await, 401, "a restart forgot a revocation");
    }
    assert_eq!(two.bytes_seen(), before, "it reached the upstream");
    command(&here, &["agents", "restore", "agent-a"]);
    for gate in [&here, &again] {
        let bearer = Bearer { gate: gate.address, token: tokens[1].clone() };
        let restored = Instant::now();
        while bearer.call().await != 200 {
            assert!(restored.elapsed() < DEADLINE, "it is not let in again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Keys that were revoked stay so.
        let key = Bearer { gate: gate.address, token: tokens[0].clone() };
        assert_eq!(key.call().await, 401);
    }
}

#[tokio::test]
async fn a_token_of_the_own_issuer_is_good_at_every_gate_on_the_same_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("shared.db");
    let change = |file: Configuration| {
        guarded(file, &[])
            .section(&format!("stores: {{ embedded: \"{}\" }}", store.display()))
            .section("issuer: {}")
    };
    let here = House::open_with(GATE, change).await;
    let there = House::open_with(GATE, change).await;
    let added = command(&here.gate, &["agents", "add", "machine"]);
    let secret = added["client_secret"].as_str().expect("a secret");
    let basic = format!("Basic {}", STANDARD.encode(format!("machine:{secret}")));
    let fields = format!("grant_type=client_credentials&resource={PUBLIC}/mcp");
    let post = Post::new(fields)
        .to("/oauth/token")
        .set("content-type", "application/x-www-form-urlencoded")
        .with("authorization", &basic);
    let answer = here.ask(&post).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    for house in [&here, &there] {
        let answer = house.ask(&by(&token, good_call())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
