//! Lines to servers on HTTP+SSE: what reaches them, in which order, and what never does.

use crate::stage::{Scene, Stage, build, settings, until};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tollgate_core::ids::Secret;
use tollgate_gate::settings::UpstreamSettings;
use tollgate_gate::upstream::SseLines;
use tollgate_gate::upstream::duplex::{Carrier as _, Line};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 8\r\n\r\nAccepted";
const NAMES: &str = "event: endpoint\ndata: /messages?s=1\n\n";

/// A server that writes `events` on its stream and then waits; it answers POSTs with `accepted`.
async fn server(events: &'static str, accepted: &'static str) -> Stage {
    Stage::play(move |mut scene| async move {
        while let Some(request) = scene.request().await {
            if request.starts_with("POST ") {
                scene.write(accepted.as_bytes()).await;
                continue;
            }
            scene.write(STREAM.as_bytes()).await;
            scene.write(events.as_bytes()).await;
            return scene.await_close().await;
        }
    })
    .await
}

fn configured(stage: &Stage) -> UpstreamSettings {
    let mut settings = settings(&[format!("http://{}/sse", stage.address)]);
    settings.headers = vec![("authorization".to_owned(), Secret::new("ours".to_owned()))];
    settings.timeouts.first_byte = Duration::from_secs(2);
    settings
}

fn open(settings: UpstreamSettings) -> Line {
    SseLines::new(build(settings)).open()
}

/// Why the line ended.
async fn end(line: &mut Line) -> Arc<str> {
    let ended = tokio::time::timeout(Duration::from_secs(10), line.ended.wait_for(Option::is_some));
    let reason = ended.await.unwrap().unwrap().clone();
    reason.unwrap()
}

async fn say(line: &Line, message: &str) {
    line.outgoing.send(Bytes::copy_from_slice(message.as_bytes())).await.unwrap();
}

#[tokio::test]
async fn messages_are_posted_in_order_with_credentials_and_events_come_back() {
    let events = "event: endpoint\ndata: /messages?s=1\n\ndata: {\"a\":1}\n\n: ping\n\n\
                  event: other\ndata: no\n\nevent: message\ndata: {\"b\":\ndata: 2}\n\n";
    let stage = server(events, ACCEPTED).await;
    let mut line = open(configured(&stage));
    assert_eq!(line.incoming.recv().await.unwrap(), "{\"a\":1}");
    assert_eq!(line.incoming.recv().await.unwrap(), "{\"b\":\n2}");
    for n in 0..20 {
        say(&line, &format!("{{\"n\":{n}}}")).await;
    }
    until("twenty messages", || stage.requests().len() == 21).await;
    let requests = stage.requests();
    assert!(requests[0].starts_with("GET /sse HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("\r\naccept: text/event-stream\r\n"), "{}", requests[0]);
    assert!(!requests[0].to_ascii_lowercase().contains("mcp-"), "{}", requests[0]);
    for (n, request) in requests[1..].iter().enumerate() {
        assert!(request.starts_with("POST /messages?s=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nauthorization: ours\r\n"), "{request}");
        assert!(request.ends_with(&format!("\r\n\r\n{{\"n\":{n}}}")), "{request}");
    }
    assert_eq!(stage.accepts(), 2, "one connection for the stream, one for all messages");
}

#[tokio::test] // SSRF: the URL for messages comes from the upstream.
async fn a_url_of_another_origin_is_refused_and_nothing_reaches_it() {
    let inside = server(NAMES, ACCEPTED).await;
    let address = inside.address;
    for named in [format!("http://{address}/m"), format!("//{address}/m"), "https:/m".to_owned()] {
        let evil = Stage::play(move |mut scene: Scene| {
            let named = named.clone();
            async move {
                scene.request().await;
                let event = format!("{STREAM}event: endpoint\ndata: {named}\n\n");
                scene.write(event.as_bytes()).await;
                scene.await_close().await;
            }
        })
        .await;
        let mut line = open(configured(&evil));
        say(&line, "{\"secret\":1}").await;
        let why = end(&mut line).await;
        assert!(why.contains("another scheme, host or port"), "{why}");
        assert_eq!(evil.requests().len(), 1);
    }
    assert_eq!((inside.accepts(), inside.requests().len()), (0, 0));
}

#[tokio::test]
async fn redirects_and_other_answers_than_a_stream_end_the_line() {
    let inside = server(NAMES, ACCEPTED).await;
    let redirect =
        format!("HTTP/1.1 307 x\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", inside.url());
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    for (answer, says) in [
        (redirect.as_str(), "it answers 307"),
        (json, "something else than an event stream"),
        ("HTTP/1.1 405 x\r\ncontent-length: 0\r\n\r\n", "it answers 405"),
    ] {
        let stage = Stage::answering(answer).await;
        let why = end(&mut open(configured(&stage))).await;
        assert!(why.contains(says), "{why}");
    }
    assert_eq!(inside.accepts(), 0);
}

#[tokio::test]
async fn a_stream_that_names_no_url_in_time_ends_the_line() {
    let stage = server("event: message\ndata: {}\n\n", ACCEPTED).await;
    let begun = Instant::now();
    let why = end(&mut open(configured(&stage))).await;
    assert!(why.contains("did not name a URL for messages"), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    until("the stream is closed", || stage.closes() == 1).await;
}

#[tokio::test]
async fn a_message_that_is_not_accepted_ends_the_line_with_the_status() {
    let stage = server(NAMES, "HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n").await;
    let mut line = open(configured(&stage));
    say(&line, "{}").await;
    assert_eq!(&*end(&mut line).await, "it answers 404 Not Found to a message");
    assert_eq!(line.incoming.recv().await, None);
}

#[tokio::test]
async fn what_came_before_the_stream_broke_is_heard_before_the_end() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        let said = format!("{STREAM}{NAMES}data: {{\"last\":1}}\n\ndata: {{\"half");
        scene.write(said.as_bytes()).await;
    })
    .await;
    let mut line = open(configured(&stage));
    assert_eq!(line.incoming.recv().await.unwrap(), "{\"last\":1}");
    assert_eq!(line.incoming.recv().await, None);
    assert!(end(&mut line).await.contains("its event stream"), "a reason");
}

#[tokio::test]
async fn closing_or_dropping_the_line_drops_the_stream() {
    let stage = server(NAMES, ACCEPTED).await;
    let mut line = open(configured(&stage));
    say(&line, "{}").await;
    until("a message", || stage.requests().len() == 2).await;
    line.close.cancel();
    assert_eq!(&*end(&mut line).await, "it was closed");
    until("the stream is closed", || stage.closes() >= 1).await;
    let line = open(configured(&stage));
    say(&line, "{}").await;
    until("a second stream", || stage.requests().len() == 4).await;
    let before = stage.closes();
    drop(line);
    until("the second stream is closed", || stage.closes() > before).await;
}

#[tokio::test]
async fn a_server_that_accepts_a_message_only_when_done_gets_the_next_ones_meanwhile() {
    let (tell, _) = watch::channel(false);
    let answered = Arc::new(tell);
    let stage = Stage::play(move |mut scene| {
        let answered = Arc::clone(&answered);
        async move {
            while let Some(request) = scene.request().await {
                if request.starts_with("GET ") {
                    scene.write(format!("{STREAM}{NAMES}").as_bytes()).await;
                    return scene.await_close().await;
                }
                if request.ends_with("question") {
                    answered.subscribe().wait_for(|answered| *answered).await.unwrap();
                } else {
                    answered.send_replace(true);
                }
                scene.write(ACCEPTED.as_bytes()).await;
            }
        }
    })
    .await;
    let mut settings = configured(&stage);
    settings.timeouts.first_byte = Duration::from_secs(10);
    let line = open(settings);
    say(&line, "question").await;
    say(&line, "answer").await;
    until("the answer to the question", || stage.requests().len() == 3).await;
    assert!(line.ended.borrow().is_none());
}

#[tokio::test]
async fn an_instance_that_is_not_there_ends_the_line_with_the_reason() {
    let url = format!("http://{}/sse", crate::stage::closed_port().await);
    let why = end(&mut open(settings(&[url]))).await;
    assert!(why.contains("it refused the connection"), "{why}");
}

#[tokio::test] // Row 60: an endless line is cut at the bound, not gathered.
async fn an_event_without_an_end_ends_the_line() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        scene.write(format!("{STREAM}{NAMES}data: ").as_bytes()).await;
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..64 {
            scene.write(&piece).await;
        }
    })
    .await;
    let why = end(&mut open(configured(&stage))).await;
    assert!(why.contains("too long"), "{why}");
}
