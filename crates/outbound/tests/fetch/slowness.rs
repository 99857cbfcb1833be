//! Time is bounded whatever the other side does, and so is how much happens at once.

use crate::stage::{Script, Server, ask, plain};
use std::time::{Duration, Instant};
use tollgate_core::bounds::outbound::FETCHES_MAX;
use tollgate_outbound::{FetchFault, Reach};

/// How a fetch ends that has 300 ms, and after which time.
async fn end(script: Script) -> (FetchFault, Duration) {
    let server = Server::start(script).await;
    let url = server.url();
    let mut ask = ask(&url, Reach::Anywhere);
    ask.limit = Duration::from_millis(300);
    ask.bytes_max = 1024 * 1024;
    let begun = Instant::now();
    let fault = plain().send(ask).await.expect_err("it must not succeed");
    (fault, begun.elapsed())
}

fn assert_in_time((fault, took): (FetchFault, Duration)) {
    assert_eq!(fault, FetchFault::TooSlow(Duration::from_millis(300)));
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    assert_in_time(end(Script::Hang).await);
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    assert_in_time(end(Script::Drip(head, b"x".to_vec(), Duration::from_millis(10))).await);
}

#[tokio::test]
async fn a_head_that_drips_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    assert_in_time(end(Script::Drip(head, b"y".to_vec(), Duration::from_millis(10))).await);
}

#[tokio::test]
async fn interim_answers_without_end_are_given_up() {
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    let script = Script::Drip(interim.clone(), interim, Duration::from_millis(10));
    assert_in_time(end(script).await);
}

#[tokio::test]
async fn fetches_over_the_bound_wait_for_their_turn_within_their_time() {
    let mut server = Server::start(Script::Hang).await;
    let (fetcher, url) = (plain(), server.url());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..FETCHES_MAX {
        let (fetcher, url) = (fetcher.clone(), url.clone());
        tasks.spawn(async move {
            let mut ask = ask(&url, Reach::Anywhere);
            ask.limit = Duration::from_secs(30);
            fetcher.send(ask).await.is_ok()
        });
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut asked = 0;
    while asked < FETCHES_MAX && Instant::now() < deadline {
        asked += server.heads().len();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(asked, FETCHES_MAX);
    let mut one_more = ask(&url, Reach::Anywhere);
    one_more.limit = Duration::from_millis(200);
    assert_eq!(fetcher.send(one_more).await.err(), Some(FetchFault::Busy));
    assert_eq!(server.heads().len(), 0);
    // Given up, they make room.
    tasks.shutdown().await;
    let mut after = ask(&url, Reach::Anywhere);
    after.limit = Duration::from_millis(200);
    assert!(matches!(fetcher.send(after).await.err(), Some(FetchFault::TooSlow(_))));
    assert_eq!(server.heads().len(), 1);
}
