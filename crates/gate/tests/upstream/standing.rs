//! Who gets work: balance, refusal, ejection, health checks and names.

use crate::stage::{PATIENT, Stage, build, call, closed_port, ok, post, send, settings, until};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tollgate_gate::settings::Probe;
use tollgate_gate::upstream::{EndpointState, Upstream};

fn states(upstream: &Upstream) -> Vec<EndpointState> {
    upstream.status().iter().map(|status| status.state).collect()
}

/// Answers 503 as long as it is told "fail".
async fn moody() -> Stage {
    Stage::play(|mut scene| async move {
        while let Some(request) = scene.request().await {
            let status = if request.ends_with("fail") { 503 } else { 200 };
            scene
                .write(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes())
                .await;
        }
    })
    .await
}

#[tokio::test]
async fn work_goes_to_the_less_loaded_of_two() {
    let (one, other) = (Stage::answering(ok("1")).await, Stage::answering(ok("2")).await);
    let upstream = build(settings(&[one.url(), other.url()]));
    let busy = upstream.pick().unwrap();
    let _open = busy.send(post("ping"), PATIENT);
    for _ in 0..200 {
        assert_ne!(upstream.pick().unwrap().id(), busy.id());
    }
}

#[tokio::test]
async fn work_without_load_is_spread_over_all() {
    let mut stages = Vec::new();
    for _ in 0..3 {
        stages.push(Stage::answering(ok("")).await);
    }
    let upstream = build(settings(&stages.iter().map(Stage::url).collect::<Vec<_>>()));
    let picked: HashSet<_> = (0..200).map(|_| upstream.pick().unwrap().id().clone()).collect();
    assert_eq!(picked.len(), 3);
}

#[tokio::test]
async fn refusing_endpoint_is_out_at_once_and_the_other_gets_the_work() {
    let stage = Stage::answering(ok("pong")).await;
    let dead = format!("http://{}/mcp", closed_port().await);
    let upstream = build(settings(&[dead.clone(), stage.url()]));
    let refused = upstream.endpoint(&dead.as_str().into()).unwrap();
    send(&refused, "ping").await.unwrap_err();
    assert_eq!(states(&upstream), [EndpointState::Unhealthy, EndpointState::Healthy]);
    for _ in 0..50 {
        assert_eq!(upstream.pick().unwrap().id().as_str(), stage.url());
    }
}

#[tokio::test]
async fn all_down_is_known_at_once() {
    let upstream = build(settings(&[format!("http://{}/mcp", closed_port().await)]));
    send(&upstream.pick().unwrap(), "ping").await.unwrap_err();
    let begun = Instant::now();
    assert!(upstream.pick().is_none());
    assert!(begun.elapsed() < Duration::from_millis(10));
}

#[tokio::test]
async fn refusing_endpoint_returns_after_its_health_checks_succeed() {
    let address = closed_port().await;
    let mut settings = settings(&[format!("http://{address}/mcp")]);
    settings.health.every = Duration::from_millis(20);
    let upstream = build(settings);
    upstream.start_background();
    send(&upstream.pick().unwrap(), "ping").await.unwrap_err();
    assert!(upstream.pick().is_none());
    let stage = Stage::play_on(TcpListener::bind(address).await.unwrap(), |mut scene| async move {
        while scene.request().await.is_some() {
            scene.write(ok("pong").as_bytes()).await;
        }
    });
    until("picked again", || upstream.pick().is_some()).await;
    assert_eq!(call(&upstream.pick().unwrap(), "ping").await.unwrap(), "pong");
    assert_eq!(stage.requests().len(), 1, "probes sent a request");
}

#[tokio::test]
async fn without_health_checks_a_refusing_endpoint_is_tried_again_after_the_span() {
    let mut settings = settings(&[format!("http://{}/mcp", closed_port().await)]);
    settings.ejection.span = Duration::from_millis(500);
    let upstream = build(settings);
    send(&upstream.pick().unwrap(), "ping").await.unwrap_err();
    assert!(upstream.pick().is_none());
    until("tried again", || upstream.pick().is_some()).await;
    assert!(upstream.pick().is_none(), "one call at a time tries it");
}

#[tokio::test]
async fn health_checks_by_path_judge_the_status() {
    let stage = Stage::play(|mut scene| async move {
        while let Some(request) = scene.request().await {
            let status = if request.starts_with("GET /fit ") { 200 } else { 500 };
            scene
                .write(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes())
                .await;
        }
    })
    .await;
    for (path, state) in [("/fit", EndpointState::Healthy), ("/ill", EndpointState::Unhealthy)] {
        let mut settings = settings(&[stage.url()]);
        settings.health.every = Duration::from_millis(10);
        settings.health.probe = Probe::Http(path.to_owned());
        let upstream = build(settings);
        upstream.start_background();
        let asked = |stage: &Stage| {
            stage.requests().iter().filter(|seen| seen.starts_with(&format!("GET {path} "))).count()
        };
        until("probed often", || asked(&stage) >= 4).await;
        until("judged", || states(&upstream) == [state]).await;
        assert!(upstream.status()[0].calls == 0, "a probe counted as a call");
    }
}

#[tokio::test]
async fn endpoint_that_fails_calls_is_ejected_for_a_span_and_returns_by_one_good_call() {
    let stage = moody().await;
    let mut settings = settings(&[stage.url()]);
    settings.ejection.after = 2;
    settings.ejection.span = Duration::from_millis(500);
    let upstream = build(settings);
    let endpoint = upstream.pick().unwrap();
    for say in ["fail", "fine", "fail"] {
        call(&endpoint, say).await.unwrap();
    }
    assert_eq!(states(&upstream), [EndpointState::Healthy], "a success in between resets");
    call(&endpoint, "fail").await.unwrap();
    assert_eq!(states(&upstream), [EndpointState::Ejected]);
    assert!(upstream.pick().is_none());
    until("span over", || upstream.pick().is_some()).await;
    assert!(upstream.pick().is_none(), "one call at a time tries it");
    call(&endpoint, "fine").await.unwrap();
    assert_eq!(states(&upstream), [EndpointState::Healthy]);
    assert!(upstream.pick().is_some());
}

#[tokio::test]
async fn endpoint_that_fails_its_trial_stays_out() {
    let stage = moody().await;
    let mut settings = settings(&[stage.url()]);
    settings.ejection.after = 1;
    settings.ejection.span = Duration::from_millis(700);
    let upstream = build(settings);
    let endpoint = upstream.pick().unwrap();
    call(&endpoint, "fail").await.unwrap();
    until("span over", || endpoint.is_usable()).await;
    call(&endpoint, "fail").await.unwrap();
    assert!(!endpoint.is_usable());
}

#[tokio::test]
async fn status_counts_calls_and_failures_and_says_why() {
    let stage = moody().await;
    let mut settings = settings(&[stage.url()]);
    settings.ejection.after = 1;
    let upstream = build(settings);
    let endpoint = upstream.pick().unwrap();
    call(&endpoint, "fine").await.unwrap();
    call(&endpoint, "fail").await.unwrap();
    let status = upstream.status().remove(0);
    assert_eq!((status.calls, status.failures, status.pooled), (2, 1, 1));
    assert!(status.why.contains("503"), "{}", status.why);
}

#[tokio::test]
async fn host_names_become_one_endpoint_for_each_address() {
    let stage = Stage::answering(ok("pong")).await;
    let url = format!("http://localhost:{}/mcp", stage.address.port());
    let upstream = build(settings(&[&url]));
    assert_eq!(states(&upstream), [EndpointState::Unresolved]);
    assert!(upstream.pick().is_none());
    upstream.start_background();
    assert!(upstream.ready(Duration::from_secs(3)).await);
    let endpoint = upstream.endpoint(&format!("{url}@127.0.0.1").as_str().into()).unwrap();
    assert_eq!(call(&endpoint, "ping").await.unwrap(), "pong");
    assert!(stage.requests()[0].contains(&format!("host: localhost:{}\r\n", stage.address.port())));
}

#[tokio::test]
async fn unknown_host_name_is_not_ready_and_says_so() {
    let upstream = build(settings(&["http://nowhere.invalid/mcp"]));
    upstream.start_background();
    assert!(!upstream.ready(Duration::from_millis(200)).await);
    assert!(upstream.pick().is_none());
}
