//! The life of the process: refused starts, what it says of itself, and its end by signals.

use crate::GATE;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::client::get;
use testkit::peer::Peer;
use testkit::post::good_call;
use testkit::{
    Configuration, DEADLINE, GateProcess, House, RawClient, Recorded, Recorder, Reply, legacy_post,
};
use tokio::sync::watch;

const LATEST: &str = "2025-11-25";

/// Starts a gate that must not start; returns its exit code and what it wrote to standard error.
async fn refused(configuration: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, configuration).expect("a file");
    let mut command = Command::new(GATE);
    command.arg("serve").arg("--config").arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let deadline = Instant::now() + DEADLINE;
    while child.try_wait().expect("a child of ours").is_none() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It has ended, or must.
    let _ended = child.kill();
    let output = child.wait_with_output().expect("a child of ours");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn anywhere() -> Configuration {
    Configuration::of(&[([127, 0, 0, 1], 9).into()])
}

#[tokio::test] // F21.
async fn a_wrong_configuration_is_refused_with_every_mistake_and_its_line() {
    let text = anywhere().section("polcy: {}").gate("limits: { json_depth: 7 }").text();
    let (code, report) = refused(&text).await;
    assert_eq!(code, Some(2), "{report}");
    for part in ["polcy", "json_depth", "tollgate.yaml:1:", "tollgate.yaml:3:", "2 mistakes"] {
        assert!(report.contains(part), "`{part}` is missing in\n{report}");
    }
    assert!(!report.contains("listening"), "{report}");
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (from, place) in [
        ("gate: { listen: \"127.0.0.1:0\"", "listen"),
        ("admin: { listen: \"127.0.0.1:0\"", "admin.listen"),
    ] {
        let text = anywhere().text().replace(from, &from.replace("127.0.0.1:0", &address));
        let (code, report) = refused(&text).await;
        assert_eq!(code, Some(1), "{report}");
        for part in [&*address, "in use", "stop what listens there", place] {
            assert!(report.contains(part), "`{part}` is missing in\n{report}");
        }
    }
}

#[tokio::test] // F19, F20: what was configured and cannot start stops the start.
async fn certificates_that_cannot_be_used_are_refused_by_name() {
    let tls = "tls: { cert: nowhere.crt, key: nowhere.key }";
    for text in [
        anywhere().gate(tls).text(),
        anywhere()
            .text()
            .replace("http://", "https://")
            .replace("mcp\"]", "mcp\"], tls: { ca: nowhere.crt }"),
    ] {
        let (code, report) = refused(&text).await;
        assert!(matches!(code, Some(1 | 2)), "{code:?} {report}");
        assert!(report.contains("nowhere.crt"), "{report}");
    }
}

#[tokio::test]
async fn the_log_says_where_it_listens_and_what_is_not_enforced() {
    let house = House::open(GATE).await;
    let log = house.gate.stderr();
    for part in [
        &*format!("listening gate={}", house.gate.address),
        &format!("listening admin={}", house.gate.admin),
        &format!("route http://{}/mcp -> peer", house.gate.address),
        "not enforced: identity",
    ] {
        assert!(log.contains(part), "`{part}` is missing in\n{log}");
    }
}

#[tokio::test] // D15.
async fn the_operators_pages_are_on_the_admin_listener_only() {
    let house = House::open(GATE).await;
    for (page, body) in [("/healthz", "ok"), ("/readyz", "ready"), ("/status", "{")] {
        let answer = get(house.gate.admin, page).await;
        assert!(
            answer.status == 200 && answer.text().starts_with(body),
            "{page}: {}",
            answer.text()
        );
        let answer = get(house.gate.address, page).await;
        assert_eq!((answer.status, answer.text().contains("ready")), (404, false), "{page}");
    }
    assert_eq!(testkit::client::ask(house.gate.admin, &good_call()).await.status, 404);
    assert_eq!(house.peer.bytes_seen(), 0);
}

#[tokio::test]
async fn status_tells_upstreams_in_the_order_of_the_file_and_why_endpoints_stand_as_they_do() {
    let dead = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let peer = Recorder::start().await;
    let names = ["zulu", "alpha", "mike", "yankee", "bravo", "lima", "november"];
    let file = names.iter().fold(Configuration::default(), |file, name| {
        file.upstream(name, &[peer.address, dead])
            .upstream_key("era: both")
            .http_key("health: { every: 100ms, timeout: 100ms }")
            .route(&format!("/{name}"), name)
    });
    let gate = GateProcess::start(GATE, &file.text()).await;
    let house = House { gate, peer };
    assert_eq!(house.ask(&good_call().to("/zulu")).await.status, 200);
    let endpoint = |status: &Value, at: usize| status["upstreams"][0]["endpoints"][at].clone();
    let status =
        house.gate.wait_for_status(|status| endpoint(status, 1)["state"] == "unhealthy").await;
    let listed = status["upstreams"].as_array().expect("upstreams");
    let listed: Vec<&str> = listed.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(listed, names);
    let (live, dead) = (endpoint(&status, 0), endpoint(&status, 1));
    assert_eq!(
        (&live["state"], &live["calls"], &live["in_flight"]),
        (&json!("healthy"), &json!(1), &json!(0))
    );
    assert!(dead["why"].as_str().is_some_and(|why| why.contains("refused")), "{dead}");
    for key in ["version", "uptime_seconds", "configuration", "gate", "routes", "not_enforced"] {
        assert!(!status[key].is_null(), "{key}");
    }
    for (key, value) in [("ready", json!(true)), ("draining", json!(false)), ("panics", json!(0))] {
        assert_eq!(status["gate"][key], value, "{key}");
    }
}

/// A house whose upstream keeps calls of `echo` waiting; and what lets them finish.
async fn waiting(change: fn(Configuration) -> Configuration) -> (House, watch::Sender<bool>) {
    let open = watch::Sender::new(false);
    let (opened, peer) = (open.clone(), Peer::default());
    let recorder =
        Recorder::scripted(move |request: &Recorded| match request.rpc_method().as_deref() {
            Some("tools/call") => peer.answer(request).after(&opened),
            _ => peer.answer(request),
        });
    (House::around(GATE, recorder.await, change).await, open)
}

async fn call(house: &House) -> RawClient {
    let mut client = house.connect().await;
    client.send(&good_call().bytes()).await;
    house.peer.wait_for_call("tools/call").await;
    client
}

async fn not_ready(house: &House) {
    let begun = Instant::now();
    while get(house.gate.admin, "/readyz").await.status != 503 {
        assert!(begun.elapsed() < Duration::from_secs(1), "still ready");
    }
}

#[tokio::test] // F31.
async fn sigterm_ends_readiness_at_once_and_the_process_after_its_calls() {
    let (mut house, open) = waiting(|c| c).await;
    let mut client = call(&house).await;
    assert_eq!(get(house.gate.admin, "/readyz").await.status, 200);
    house.gate.signal("TERM");
    not_ready(&house).await;
    assert_eq!(get(house.gate.admin, "/healthz").await.status, 200);
    assert_eq!(house.gate.status().await["gate"]["draining"], true);
    open.send_replace(true);
    let answer = client.response().await.expect("an answer");
    assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(7)));
    assert_eq!(house.gate.ended(DEADLINE).await.code(), Some(0));
}

#[tokio::test] // F31.
async fn a_session_stream_ends_in_good_order_on_sigterm() {
    let mut house = House::open(GATE).await;
    let session = house.session(LATEST).await;
    let mut stream = house.stream(&session).await;
    house.gate.signal("TERM");
    let rest = stream.until_closed(DEADLINE).await;
    assert!(rest.ends_with(b"0\r\n\r\n"), "cut off: {:?}", String::from_utf8_lossy(&rest));
    assert_eq!(house.gate.ended(DEADLINE).await.code(), Some(0));
}

#[tokio::test] // A legacy answer that streams is a call in flight, not a stream that lasts.
async fn a_streamed_answer_finishes_after_sigterm() {
    let open = watch::Sender::new(false);
    let (opened, peer) = (open.clone(), Peer::default());
    let recorder =
        Recorder::scripted(move |request: &Recorded| match request.rpc_method().as_deref() {
            Some("tools/call") => Reply::stream()
                .chunk(b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n")
                .then(testkit::Act::Wait(opened.subscribe()))
                .event(&json!({ "jsonrpc": "2.0", "id": 1, "result": {} }).to_string())
                .end(),
            _ => peer.answer(request),
        });
    let mut house = House::around(GATE, recorder.await, |c| c).await;
    let session = house.session(LATEST).await;
    let mut client = house.connect().await;
    let post = legacy_post(&session, "tools/call", &json!({ "name": "echo", "arguments": {} }));
    client.send(&post.bytes()).await;
    client.head().await.expect("a stream");
    assert!(client.event().await.is_some());
    house.gate.signal("TERM");
    not_ready(&house).await;
    open.send_replace(true);
    assert_eq!(client.event().await.expect("the answer").json()["id"], 1);
    assert_eq!(house.gate.ended(DEADLINE).await.code(), Some(0));
}

#[tokio::test] // F31.
async fn a_call_that_never_ends_is_cut_at_the_deadline_of_the_drain() {
    let (mut house, _open) = waiting(|c| c.gate("timeouts: { drain: 1s }")).await;
    let mut client = call(&house).await;
    let begun = Instant::now();
    assert_eq!(house.gate.terminate(DEADLINE).await.code(), Some(0));
    let took = begun.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert!(client.response().await.is_none());
}

#[tokio::test] // F31.
async fn a_second_signal_ends_the_process_at_once() {
    for signal in ["TERM", "INT"] {
        let (mut house, _open) = waiting(|c| c).await;
        let _client = call(&house).await;
        house.gate.signal("TERM");
        not_ready(&house).await;
        let begun = Instant::now();
        house.gate.signal(signal);
        assert_eq!(house.gate.ended(DEADLINE).await.code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(2), "{signal}: {:?}", begun.elapsed());
    }
}
