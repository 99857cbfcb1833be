//! Bodies that come in pieces: too many, too slowly, or not to the end.

#![expect(clippy::expect_used, reason = "in a test, what is missing is a failure")]

use crate::house::House;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// A body in pieces; at its end it hangs, breaks, or goes on for ever.
struct Pieces {
    pieces: VecDeque<Bytes>,
    last: Last,
    taken: Arc<AtomicUsize>,
}

enum Last {
    Hangs,
    Breaks,
    Repeats(Bytes),
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &self.last {
            Last::Hangs => Poll::Pending,
            Last::Breaks => Poll::Ready(Some(Err(io::Error::other("reset")))),
            Last::Repeats(piece) => Poll::Ready(Some(Ok(Frame::data(piece.clone())))),
        }
    }
}

/// Sends a body; says status, error and how often it was asked for more.
async fn send(house: &House, last: Last) -> (u16, String, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let pieces = VecDeque::from([Bytes::from("grant_type=client_credentials")]);
    let request = http::Request::post("/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Pieces { pieces, last, taken: Arc::clone(&taken) })
        .expect("a request");
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (head, body) = house.issuer.serve(request, peer, true).await.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let code = body["error"].as_str().expect("a code").to_owned();
    (head.status.as_u16(), code, taken.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_in_time_is_408() {
    let house = House::new().await;
    let begin = tokio::time::Instant::now();
    let (status, code, _) = send(&house, Last::Hangs).await;
    assert_eq!((status, code.as_str()), (408, "invalid_request"));
    assert_eq!(begin.elapsed().as_secs(), Duration::from_secs(60).as_secs());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let house = House::new().await;
    let (status, code, _) = send(&house, Last::Breaks).await;
    assert_eq!((status, code.as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn a_body_without_end_is_413_and_read_no_further_than_its_bound() {
    let house = House::new().await;
    let (status, code, taken) = send(&house, Last::Repeats(Bytes::from(vec![b'a'; 1024]))).await;
    assert_eq!((status, code.as_str()), (413, "invalid_request"));
    assert!(taken <= 66, "asked for {taken} pieces of 1 KiB");
}
