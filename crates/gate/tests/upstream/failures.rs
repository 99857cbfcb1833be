//! What each way of failing means for a retry, proven by what the upstream recorded.

use crate::stage::{
    PATIENT, Stage, build, call, closed_port, ok, only, post, send, settings, text,
};
use std::time::Duration;
use tollgate_gate::upstream::{Cause, Deadlines, Phase, SendError};

/// Plays `answer` once per connection, then resets it, and says how the call ended and how often
/// the request was seen.
async fn ending(answer: &'static [u8]) -> (SendError, usize) {
    let stage = Stage::play(move |mut scene| async move {
        scene.request().await;
        scene.write(answer).await;
        // Let the gate read it: a reset discards what was not read.
        tokio::time::sleep(Duration::from_millis(50)).await;
        scene.reset();
    })
    .await;
    let error = call(&only(&stage), "ping").await.unwrap_err();
    (error, stage.requests().len())
}

#[tokio::test]
async fn refused_connection_means_not_sent() {
    let endpoint =
        build(settings(&[format!("http://{}/mcp", closed_port().await)])).pick().unwrap();
    assert_eq!(call(&endpoint, "ping").await.unwrap_err(), SendError::NotSent(Cause::Refused));
}

#[tokio::test]
async fn connection_lost_before_the_head_means_lost_and_is_never_repeated() {
    for partial in [b"".as_slice(), b"HTTP/1.1 200 OK\r\ncontent-"] {
        assert_eq!(ending(partial).await, (SendError::Lost(Cause::Closed), 1));
    }
}

#[tokio::test]
async fn connection_lost_within_the_body_is_never_a_clean_end() {
    for partial in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
    ] {
        let (error, seen) = ending(partial).await;
        assert!(matches!(error, SendError::Lost(_)), "{error:?}");
        assert_eq!(seen, 1);
    }
}

#[tokio::test]
async fn quiet_close_within_the_body_is_never_a_clean_end() {
    for partial in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
    ] {
        let stage = Stage::play(move |mut scene| async move {
            scene.request().await;
            scene.write(partial).await;
        })
        .await;
        let error = call(&only(&stage), "ping").await.unwrap_err();
        assert!(matches!(error, SendError::Lost(_)), "{error:?}");
    }
}

#[tokio::test]
async fn lost_on_a_reused_connection_is_not_repeated_either() {
    let stage = Stage::play(|mut scene| async move {
        scene.request().await;
        scene.write(ok("pong").as_bytes()).await;
        scene.request().await;
        scene.reset();
    })
    .await;
    let endpoint = only(&stage);
    call(&endpoint, "one").await.unwrap();
    assert_eq!(call(&endpoint, "two").await.unwrap_err(), SendError::Lost(Cause::Closed));
    assert_eq!((stage.requests().len(), stage.accepts()), (2, 1));
}

#[tokio::test]
async fn broken_replies_are_invalid() {
    let garbage = ending(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.0;
    assert!(matches!(garbage, SendError::Invalid(Cause::NotHttp(_))), "{garbage:?}");
    let chunk = ending(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await.0;
    assert!(matches!(chunk, SendError::Invalid(Cause::NotHttp(_))), "{chunk:?}");
    let switched = ending(b"HTTP/1.1 101 S\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n").await.0;
    assert_eq!(switched, SendError::Invalid(Cause::Switched));
}

#[tokio::test]
async fn encoded_replies_are_invalid() {
    for (head, coding) in [
        ("content-encoding: gzip\r\ncontent-length: 2", "gzip"),
        ("content-encoding: identity, br\r\ncontent-length: 2", "identity, br"),
        ("transfer-encoding: gzip, chunked", "gzip, chunked"),
    ] {
        let stage = Stage::answering(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nxx")).await;
        let error = send(&only(&stage), "ping").await.unwrap_err();
        assert_eq!(error, SendError::Invalid(Cause::Encoded(coding.to_owned())));
    }
    let plain = Stage::answering(
        "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 2\r\n\r\nxx",
    )
    .await;
    assert_eq!(call(&only(&plain), "ping").await.unwrap(), "xx");
}

#[tokio::test]
async fn head_without_end_is_cut_off() {
    let stage = Stage::answering(format!("HTTP/1.1 200 OK\r\nx: {}", "h".repeat(100_000))).await;
    let error = send(&only(&stage), "ping").await.unwrap_err();
    assert_eq!(error, SendError::Invalid(Cause::HeadTooLarge));
}

/// Deadlines of which one is short.
fn hurried(first_byte: u64, pause: u64, total: u64) -> Deadlines {
    Deadlines {
        first_byte: Duration::from_millis(first_byte),
        pause: Some(Duration::from_millis(pause)),
        total: Some(Duration::from_millis(total)),
    }
}

#[tokio::test]
async fn each_phase_has_its_deadline() {
    let stage = Stage::play(|mut scene| async move {
        let request = scene.request().await.unwrap_or_default();
        if !request.ends_with("hang") {
            scene.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        }
        while request.ends_with("drip") && !scene.stream.is_closed().await {
            scene.write(b"1\r\n.\r\n").await;
        }
        scene.await_close().await;
    })
    .await;
    let endpoint = only(&stage);
    for (say, deadlines, phase) in [
        ("hang", hurried(60, 9_000, 9_000), Phase::FirstByte),
        ("hang", hurried(9_000, 9_000, 60), Phase::Total),
        ("stall", hurried(9_000, 60, 9_000), Phase::Pause),
        ("drip", hurried(9_000, 9_000, 120), Phase::Total),
    ] {
        let begun = tokio::time::Instant::now();
        let outcome = match endpoint.send(post(say), deadlines).await {
            Ok(reply) => text(reply).await,
            Err(error) => Err(error),
        };
        assert_eq!(outcome.unwrap_err(), SendError::Timeout(phase), "{say}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{say}: {:?}", begun.elapsed());
    }
    crate::stage::until("all closed", || stage.closes() == 4).await;
}

trait IsClosed {
    async fn is_closed(&mut self) -> bool;
}

impl IsClosed for tokio::net::TcpStream {
    /// Waits a little, and says whether the gate closed meanwhile.
    async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        tokio::time::timeout(Duration::from_millis(10), self.peek(&mut byte)).await.is_ok()
    }
}

#[tokio::test]
async fn connecting_into_the_void_ends_in_time_and_means_not_sent() {
    // A listener whose queue is full answers no further SYN.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..4 {
        fillers.push(tokio::spawn(tokio::net::TcpStream::connect(address)));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut settings = settings(&[format!("http://{address}/mcp")]);
    settings.timeouts.connect = Duration::from_millis(100);
    let error = build(settings).pick().unwrap().send(post("ping"), PATIENT).await.unwrap_err();
    fillers.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(error, SendError::NotSent(Cause::ConnectTimeout));
}
