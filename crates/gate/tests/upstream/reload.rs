//! What a new configuration keeps of the old one.

use crate::stage::{Stage, call, ok, settings, until};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::ids::Secret;
use tollgate_gate::settings::UpstreamSettings;
use tollgate_gate::upstream::{UpstreamError, Upstreams};

fn reloaded(old: &Upstreams, settings: UpstreamSettings) -> Arc<Upstreams> {
    Upstreams::build(&[settings], Some(old)).unwrap()
}

#[tokio::test]
async fn unchanged_upstream_stays_the_same() {
    let settings = settings(&["http://127.0.0.1:1/mcp"]);
    let old = Upstreams::build(std::slice::from_ref(&settings), None).unwrap();
    let new = reloaded(&old, settings.clone());
    assert!(Arc::ptr_eq(old.get(&settings.name).unwrap(), new.get(&settings.name).unwrap()));
}

#[tokio::test]
async fn changed_upstream_keeps_connections_of_endpoints_that_stay() {
    let stage = Stage::answering(ok("pong")).await;
    let first = settings(&[stage.url(), "http://127.0.0.1:1/mcp".to_owned()]);
    let old = Upstreams::build(std::slice::from_ref(&first), None).unwrap();
    let id = stage.url().as_str().into();
    call(&old.get(&first.name).unwrap().endpoint(&id).unwrap(), "ping").await.unwrap();

    let mut second = settings(&[stage.url()]);
    second.headers = vec![("x-key".into(), Secret::new("new".into()))];
    let new = reloaded(&old, second);
    let upstream = new.get(&first.name).unwrap();
    call(&upstream.endpoint(&id).unwrap(), "ping").await.unwrap();
    assert!(stage.requests()[1].contains("x-key: new\r\n"));
    assert_eq!((stage.accepts(), upstream.status()[0].calls), (1, 2));
    assert!(upstream.endpoint(&"http://127.0.0.1:1/mcp".into()).is_none());
}

#[tokio::test]
async fn names_known_before_are_not_resolved_anew() {
    let stage = Stage::answering(ok("pong")).await;
    let first = settings(&[format!("http://localhost:{}/mcp", stage.address.port())]);
    let old = Upstreams::build(std::slice::from_ref(&first), None).unwrap();
    old.get(&first.name).unwrap().start_background();
    assert!(old.get(&first.name).unwrap().ready(Duration::from_secs(3)).await);
    let mut second = first.clone();
    second.timeouts.connect = Duration::from_secs(1);
    let new = reloaded(&old, second);
    assert!(new.get(&first.name).unwrap().ready(Duration::ZERO).await);
    assert!(new.get(&first.name).unwrap().pick().is_some());
}

#[tokio::test]
async fn background_tasks_end_with_their_upstream() {
    let stage = Stage::answering(ok("")).await;
    let mut settings = settings(&[stage.url()]);
    settings.health.every = Duration::from_millis(5);
    let built = Upstreams::build(&[settings], None).unwrap();
    built.iter().for_each(|upstream| upstream.start_background());
    until("probed", || stage.accepts() >= 2).await;
    drop(built);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let accepts = stage.accepts();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(stage.accepts(), accepts);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_without_showing_secrets() {
    let broken = |change: fn(&mut UpstreamSettings)| {
        let mut settings = settings(&["http://127.0.0.1:1/mcp"]);
        change(&mut settings);
        Upstreams::build(&[settings], None).unwrap_err()
    };
    let said = [
        broken(|s| s.endpoints.clear()),
        broken(|s| s.endpoints = vec!["ftp://host/mcp".parse().unwrap()]),
        broken(|s| s.endpoints = vec!["http://me:hunter2@host/mcp".parse().unwrap()]),
        broken(|s| s.headers = vec![("x key".into(), Secret::new("hunter2".into()))]),
        broken(|s| s.headers = vec![("x-key".into(), Secret::new("hunter2\n".into()))]),
        broken(|s| s.headers = vec![("Host".into(), Secret::new("hunter2".into()))]),
        broken(|s| s.health.probe = tollgate_gate::settings::Probe::Http("http://x/".into())),
    ];
    for error in &said {
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert!(matches!(said[0], UpstreamError::NoEndpoint(_)));
    assert!(matches!(said[6], UpstreamError::HealthPath { .. }));
}
