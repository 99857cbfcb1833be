//! Changes of the configuration while the gate runs: whole or not at all, without a failed request.
//!
//! Which version judged a request is told by what only that version does.

use crate::GATE;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::post::good_call;
use testkit::{
    Configuration, DEADLINE, GateProcess, House, Post, RawClient, Recorder, legacy_post,
};

const LATEST: &str = "2025-11-25";

fn ping(session: &str) -> Post {
    legacy_post(session, "ping", &json!({}))
}

/// Waits until the gate says another configuration than `version` is in force; returns which.
async fn applied(gate: &GateProcess, version: &Value) -> Value {
    gate.wait_for_status(|status| status["configuration"] != *version).await["configuration"]
        .clone()
}

#[tokio::test]
async fn a_changed_file_is_applied() {
    let (one, two) = (Recorder::start().await, Recorder::start().await);
    let gate = GateProcess::start(GATE, &Configuration::of(&[one.address]).text()).await;
    let house = House { gate, peer: one };
    let version = house.gate.status().await["configuration"].clone();
    house.gate.rewrite(&Configuration::of(&[two.address]).text());
    applied(&house.gate, &version).await;
    house.still_serves().await;
    assert_eq!((house.peer.bytes_seen(), two.calls_of("tools/call").len()), (0, 1));
}

#[tokio::test] // As `docker exec` and `nano` leave it: written in place, then SIGHUP.
async fn sighup_applies_the_file_at_once() {
    let house = House::open(GATE).await;
    let text = Configuration::of(&[house.peer.address]).route("/more", "peer").text();
    std::fs::write(house.gate.beside("tollgate.yaml"), text).expect("a file");
    let begun = Instant::now();
    house.gate.signal("HUP");
    while house.ask(&good_call().to("/more")).await.status != 200 {
        assert!(begun.elapsed() < DEADLINE, "SIGHUP changes nothing");
    }
    house.still_serves().await;
}

#[tokio::test] // F21.
async fn a_broken_file_changes_nothing_and_is_reported_until_it_is_mended() {
    let house = House::open(GATE).await;
    let good = Configuration::of(&[house.peer.address]);
    let version = house.gate.status().await["configuration"].clone();
    let session = house.session(LATEST).await;
    for (broken, part) in [
        ("gate: [".to_owned(), "tollgate.yaml"),
        (good.clone().section("polcy: {}").text(), "polcy"),
        (good.clone().route("/other", "nobody").text(), "nobody"),
        (good.clone().upstream("new", &[]).text(), "endpoints"),
        (
            good.clone().section("sessions: { keys: [\"${env:TOLLGATE_NO_SUCH}\"] }").text(),
            "TOLLGATE_NO_SUCH",
        ),
        (good.text().replacen("127.0.0.1:0", "127.0.0.1:1", 1), "restart"),
    ] {
        house.gate.rewrite(&broken);
        let is_shown = |status: &Value| {
            status["reload_error"].as_str().is_some_and(|report| report.contains(part))
        };
        let status = house.gate.wait_for_status(is_shown).await;
        assert_eq!(status["configuration"], version, "{part}");
        house.still_serves().await;
        assert_eq!(house.ask(&ping(&session)).await.status, 200, "{part}");
    }
    // Back to what is in force, which is not a change, but no mistake any more either.
    house.gate.rewrite(&good.text());
    house.gate.wait_for_status(|status| status["reload_error"].is_null()).await;
    house.gate.rewrite("gate: [");
    house.gate.wait_for_status(|status| status["reload_error"].is_string()).await;
    house.gate.rewrite(&good.route("/more", "peer").text());
    applied(&house.gate, &version).await;
    assert!(house.gate.status().await["reload_error"].is_null());
    assert_eq!(house.ask(&ping(&session)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // F22.
async fn reloads_under_load_fail_no_request_and_no_request_sees_two_versions() {
    let (one, two) = (Recorder::start().await, Recorder::start().await);
    // Each version has its upstream and its cap. Mixed, a long call would reach upstream `one`.
    let text = |peer: &Recorder, cap: &str| {
        Configuration::of(&[peer.address])
            .gate(&format!("limits: {{ request_bytes: {cap} }}"))
            .text()
    };
    let (small, large) = (text(&one, "4KiB"), text(&two, "64KiB"));
    let gate = GateProcess::start(GATE, &small).await;
    let address = gate.address;
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8 {
        let (over, served) = (over.clone(), served.clone());
        callers.spawn(async move {
            let long = caller % 2 == 1;
            let text = if long { format!("long{}", "x".repeat(8_000)) } else { "good".to_owned() };
            let post = good_call().replace("good", &text);
            while !over.load(Ordering::Relaxed) {
                let answer = RawClient::connect(address).await.ask(&post).await;
                let is_right = match answer.status {
                    200 => answer.text().contains(&text),
                    413 => long,
                    _ => false,
                };
                assert!(is_right, "{} {}", answer.status, answer.text());
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for round in 0..40 {
        gate.rewrite(if round % 2 == 0 { &large } else { &small });
        gate.signal("HUP");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.expect("a caller whose calls were all served");
    }
    let both = [one.calls_of("tools/call"), two.calls_of("tools/call")];
    println!(
        "{} served, {} and {} upstream",
        served.load(Ordering::Relaxed),
        both[0].len(),
        both[1].len()
    );
    assert!(both.iter().all(|calls| calls.len() > 20), "both versions were in force");
    assert!(
        both[0].iter().all(|call| call.body.len() < 4096),
        "judged by one version, routed by another"
    );
    assert_eq!(gate.status().await["gate"]["panics"], 0);
}

#[tokio::test]
async fn sessions_and_streams_survive_a_reload_that_keeps_their_upstream() {
    let other = Recorder::start().await;
    let house = House::open_with(GATE, |c| c.gate("timeouts: { stream_keepalive: 1s }")).await;
    let session = house.session(LATEST).await;
    let mut stream = house.stream(&session).await;
    let version = house.gate.status().await["configuration"].clone();
    // Another upstream, another endpoint, other deadlines: the session's home stays.
    let next = Configuration::of(&[house.peer.address, other.address])
        .http_key("timeouts: { total: 1m }")
        .upstream("other", &[other.address])
        .route("/other", "other");
    house.gate.rewrite(&next.text());
    applied(&house.gate, &version).await;
    for _ in 0..5 {
        assert_eq!(house.ask(&ping(&session)).await.status, 200);
    }
    assert_eq!(other.calls_of("ping").len(), 0);
    assert!(stream.event().await.expect("an open stream").is_comment);
    assert_eq!(house.gate.status().await["gate"]["streams"], 1);
    assert_eq!(house.peer.calls_of("initialize").len(), 1);
}

#[tokio::test] // F6.
async fn the_sessions_of_a_removed_endpoint_are_unknown() {
    let house = House::open(GATE).await;
    let session = house.session(LATEST).await;
    let (next, seen) = (Recorder::start().await, house.peer.requests().len());
    let version = house.gate.status().await["configuration"].clone();
    house.gate.rewrite(&Configuration::of(&[next.address]).text());
    applied(&house.gate, &version).await;
    assert_eq!(house.ask(&ping(&session)).await.status, 404);
    assert_eq!(next.bytes_seen(), 0, "never another endpoint");
    assert_eq!(house.peer.requests().len(), seen, "never a removed endpoint");
    house.session(LATEST).await;
}

#[tokio::test]
async fn a_removed_route_is_gone_and_its_sessions_with_it() {
    let house = House::open(GATE).await;
    let session = house.session(LATEST).await;
    let version = house.gate.status().await["configuration"].clone();
    let moved = Configuration::default()
        .upstream("peer", &[house.peer.address])
        .upstream_key("era: both")
        .route("/elsewhere", "peer");
    house.gate.rewrite(&moved.text());
    applied(&house.gate, &version).await;
    assert_eq!(house.ask(&ping(&session)).await.status, 404);
    assert_eq!(house.ask(&ping(&session).to("/elsewhere")).await.status, 404);
    assert_eq!(house.ask(&good_call().to("/elsewhere")).await.status, 200);
}

#[tokio::test] // Old ids stay good while their key is in the ring, and no longer.
async fn session_keys_are_rotated_without_losing_sessions() {
    // Neither few bytes nor an even progression, which no key may be.
    let key = |first: u32| {
        (0..32).map(|n| format!("{:02x}", (first + n * (n + 1) / 2) % 256)).collect::<String>()
    };
    let (old, new) = (key(0), key(100));
    let keys = |keys: &[&str]| format!("sessions: {{ keys: [\"{}\"] }}", keys.join("\", \""));
    let house = House::open_with(GATE, |c| c.section(&keys(&[&old]))).await;
    let session = house.session(LATEST).await;
    let mut version = house.gate.status().await["configuration"].clone();
    for (ring, status) in [(&[&*new, &*old][..], 200), (&[&*new], 404)] {
        house.gate.rewrite(&Configuration::of(&[house.peer.address]).section(&keys(ring)).text());
        version = applied(&house.gate, &version).await;
        assert_eq!(house.ask(&ping(&session)).await.status, status);
    }
    let report = house.gate.status().await.to_string() + &house.gate.stderr();
    assert!(!report.contains(&old) && !report.contains(&new), "a key was shown");
}

#[tokio::test] // F22: what has begun ends as it began.
async fn a_call_in_flight_finishes_on_an_endpoint_that_was_removed() {
    let open = tokio::sync::watch::Sender::new(false);
    let (opened, peer) = (open.clone(), testkit::peer::Peer::default());
    let recorder = Recorder::scripted(move |request| peer.answer(request).after(&opened)).await;
    let house = House::around(GATE, recorder, |c| c).await;
    let mut client = house.connect().await;
    client.send(&good_call().bytes()).await;
    house.peer.wait_for_call("tools/call").await;
    let next = Recorder::start().await;
    let version = house.gate.status().await["configuration"].clone();
    house.gate.rewrite(&Configuration::of(&[next.address]).text());
    applied(&house.gate, &version).await;
    open.send_replace(true);
    assert_eq!(client.response().await.expect("an answer").status, 200);
    assert_eq!(next.bytes_seen(), 0);
    // The next call on the same connection is judged by the new configuration.
    assert_eq!(client.ask(&good_call()).await.status, 200);
    assert_eq!(next.calls_of("tools/call").len(), 1);
}
