//! Issuers that are down, slow, wrong or new: who cannot be judged is told to come back, not that
//! the token is bad; who can be judged never notices.

use crate::GATE;
use crate::identity_house::{
    Bearer, Voucher, by, encoded, error_of, guarded, new_key, open, raw_token,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{Act, Configuration, DEADLINE, GateProcess, House, RawClient, Recorder, Reply};
use tokio::task::JoinSet;

/// Tokens each with a key nobody published.
const STRANGE: usize = 1_000;

/// Polls until the good call has this status.
async fn becomes(bearer: &Bearer, status: u16) {
    let begun = Instant::now();
    while bearer.call().await != status {
        assert!(begun.elapsed() < DEADLINE, "it never becomes {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The token cannot be judged now; nothing reaches the upstream, and nobody is sent to log in.
async fn is_postponed(house: &House, bearer: &Bearer) {
    let before = house.peer.bytes_seen();
    let answer = bearer.ask(good_call()).await;
    assert_eq!((answer.status, answer.code()), (503, Some(-31007)), "{}", answer.text());
    let wait: u64 = answer.header("retry-after").and_then(|secs| secs.parse().ok()).unwrap_or(0);
    assert!((1..=60).contains(&wait), "retry-after {wait}");
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(house.peer.bytes_seen(), before, "a token nobody judged reached the upstream");
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_holds_up_its_own_tokens_only() {
    let (up, down) = (Voucher::start().await, Voucher::start().await);
    down.web.follow(|_| Reply::reset());
    let house = open(&[down.line("down"), up.line("up")]).await;
    let late = Bearer::of(&house, down.token("alice", "agent-a"));
    is_postponed(&house, &late).await;
    assert_eq!(Bearer::of(&house, up.token("alice", "agent-a")).call().await, 200);
    // What is wrong by itself is refused all the same.
    let bad = Bearer::of(&house, down.token_but("aud", json!("https://elsewhere.example")));
    assert_eq!(bad.call().await, 401);
    down.recover();
    becomes(&late, 200).await;
}

#[tokio::test]
async fn keys_are_kept_while_their_issuer_is_away() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    assert_eq!(Bearer::of(&house, voucher.token("alice", "agent-a")).call().await, 200);
    voucher.web.follow(|_| Reply::status(500, &[], b"down"));
    for _ in 0..20 {
        assert_eq!(Bearer::of(&house, voucher.token("alice", "agent-a")).call().await, 200);
    }
    let thief = raw_token(
        &new_key("unknown"),
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"unknown"}"#,
        &voucher.claims("alice", "agent-a").to_string(),
    );
    assert_eq!(Bearer::of(&house, thief).call().await, 401);
}

#[tokio::test] // Row 73 and F-table: not known is not bad.
async fn an_introspection_that_fails_is_no_verdict() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.opaque_line("idp")]).await;
    let html = "<html>log in</html>";
    let failures: [fn() -> Reply; 6] = [
        Reply::reset,
        || Reply::status(500, &[], b"down"),
        || Reply::status(401, &[], b"who are you"),
        || Reply::status(302, &[("location", "http://127.0.0.1:1/")], b""),
        || Reply::status(200, &[("content-type", "text/html")], b"<html>log in</html>"),
        || Reply::json(&json!({ "active": "true" })),
    ];
    // Once for the metadata.
    assert_eq!(Bearer::of(&house, voucher.opaque("zoe", "agent-a")).call().await, 200);
    for failure in failures {
        voucher.web.follow(move |_| failure());
        let bearer = Bearer::of(&house, voucher.opaque("alice", "agent-a"));
        is_postponed(&house, &bearer).await;
        let text = bearer.ask(good_call()).await.text();
        assert!(!text.contains(html) && !text.contains("who are you"), "{text}");
        voucher.recover();
        becomes(&bearer, 200).await;
    }
}

#[tokio::test] // Row 73: the gate's secret and agents' tokens go to one place only.
async fn introspection_asks_once_for_a_flock_and_proves_itself() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.opaque_line("idp")]).await;
    let token = voucher.opaque("alice", "agent-a");
    let mut flock = JoinSet::new();
    for _ in 0..50 {
        let bearer = Bearer::of(&house, token.as_str());
        flock.spawn(async move { bearer.call().await });
    }
    while let Some(status) = flock.join_next().await {
        assert_eq!(status.expect("a call"), 200);
    }
    let requests = voucher.web.requests();
    let asked: Vec<_> = requests.iter().filter(|r| r.path == "/introspect").collect();
    // Believed for a second: a slow machine may take two or three of these.
    assert!((1..=5).contains(&asked.len()), "asked {} times", asked.len());
    for request in asked {
        assert_eq!(request.header("authorization"), Some("Basic Z2F0ZTpzM2NyZXQ="));
        assert!(request.text().contains(&format!("token={token}")), "{}", request.text());
    }
    let elsewhere = requests.iter().filter(|request| request.path != "/introspect");
    for request in elsewhere {
        let shown = String::from_utf8_lossy(&request.head).into_owned() + &request.text();
        assert!(!shown.contains(&token) && request.header("authorization").is_none(), "{shown}");
    }
}

#[tokio::test]
async fn an_issuer_may_change_its_keys_while_the_gate_runs() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    let old = voucher.token("alice", "agent-a");
    assert_eq!(Bearer::of(&house, old.as_str()).call().await, 200);
    voucher.rotate("k2");
    assert_eq!(Bearer::of(&house, voucher.token("alice", "agent-a")).call().await, 200);
    // What was verified with a key that is gone is not believed any longer.
    assert_eq!(Bearer::of(&house, old).call().await, 401);
    assert_eq!(voucher.key_fetches(), 2);
}

#[tokio::test] // Row 65.
async fn a_thousand_strange_keys_cost_the_issuer_a_question_or_two() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    let good = Bearer::of(&house, voucher.token("alice", "agent-a"));
    assert_eq!(good.call().await, 200);
    let before = (house.peer.bytes_seen(), voucher.web.requests().len());
    let thief = new_key("thief");
    let claims = voucher.claims("alice", "agent-a").to_string();
    let mut tasks = JoinSet::new();
    for lane in 0..10 {
        let tokens: Vec<String> = (0..STRANGE / 10)
            .map(|n| format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"strange-{lane}-{n}"}}"#))
            .map(|header| raw_token(&thief, &header, &claims))
            .collect();
        let address = house.gate.address;
        tasks.spawn(async move {
            let mut client = RawClient::connect(address).await;
            for token in tokens {
                let answer = client.ask(&by(&token, good_call())).await;
                assert_eq!(answer.status, 401, "{}", answer.text());
                assert_eq!(error_of(&answer).as_deref(), Some("invalid_token"));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("all refused");
    }
    assert_eq!(house.peer.bytes_seen(), before.0, "a forged token reached the upstream");
    assert!(voucher.web.requests().len() <= before.1 + 2, "{:#?}", voucher.web.requests());
    assert_eq!(good.call().await, 200);
    assert_eq!(Bearer::of(&house, voucher.token("bob", "agent-a")).call().await, 200);
}

#[tokio::test] // An issuer that never answers takes nothing from others.
async fn an_issuer_that_hangs_holds_up_its_own_tokens_only() {
    let (up, slow) = (Voucher::start().await, Voucher::start().await);
    let house = open(&[up.line("up"), slow.opaque_line("slow")]).await;
    slow.web.follow(|_| Reply::default().then(Act::Hang));
    let mut waiting = JoinSet::new();
    for n in 0..20 {
        let bearer = Bearer::of(&house, format!("opaque-{}", encoded(format!("{n}"))));
        waiting.spawn(async move {
            let mut client = RawClient::connect(bearer.gate).await;
            let post = by(&bearer.token, good_call());
            client.ask_within(&post, DEADLINE * 3).await.status
        });
    }
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(Bearer::of(&house, up.token("alice", "agent-a")).call().await, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "held up for {:?}", begun.elapsed());
    }
    while let Some(status) = waiting.join_next().await {
        assert_eq!(status.expect("an answer"), 503);
    }
}

/// A configuration in which one issuer's tokens go to one upstream.
fn version(voucher: &Voucher, peer: &Recorder) -> String {
    guarded(Configuration::of(&[peer.address]), &[voucher.line("idp")]).text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_judged_and_served_by_one_version_of_the_configuration() {
    let (one, two) = (Voucher::start().await, Voucher::start().await);
    let (here, there) = (Recorder::start().await, Recorder::start().await);
    let gate = GateProcess::start(GATE, &version(&one, &here)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    let served = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    for (name, voucher, count) in [("one", &one, &served[0]), ("two", &two, &served[1])] {
        for agent in 0..3 {
            let token = voucher.token("alice", &format!("agent-{agent}"));
            let post = by(&token, good_call().replace("good", name));
            let (address, count, is_over) = (gate.address, count.clone(), is_over.clone());
            callers.spawn(async move {
                let mut client = RawClient::connect(address).await;
                let mut refused = 0_usize;
                while !is_over.load(Ordering::Relaxed) {
                    let answer = client.ask(&post).await;
                    match answer.status {
                        200 => drop(count.fetch_add(1, Ordering::Relaxed)),
                        401 => refused += 1,
                        other => panic!("{other}: {}", answer.text()),
                    }
                }
                refused
            });
        }
    }
    let mut known = gate.status().await["configuration"].clone();
    for round in 0..10 {
        let text = if round % 2 == 0 { version(&two, &there) } else { version(&one, &here) };
        gate.rewrite(&text);
        let is_new = |status: &Value| status["configuration"] != known;
        known = gate.wait_for_status(is_new).await["configuration"].clone();
        let (at, before) = (1 - round % 2, served[1 - round % 2].load(Ordering::Relaxed));
        let begun = Instant::now();
        while served[at].load(Ordering::Relaxed) < before + 3 {
            assert!(begun.elapsed() < DEADLINE, "the new version lets nobody in");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(refused) = callers.join_next().await {
        assert!(refused.expect("only 200 and 401") > 0, "nobody was ever refused");
    }
    for (peer, own, foreign) in [(&here, "one", "two"), (&there, "two", "one")] {
        let calls = peer.calls_of("tools/call");
        assert!(!calls.is_empty(), "{own} was never served");
        let strays = calls.iter().filter(|call| call.text().contains(&format!("\"{foreign}\"")));
        assert_eq!(strays.count(), 0, "judged by one version, served by another");
    }
}
