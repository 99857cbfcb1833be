//! Clients that are slow, silent or too many are cut within their bounds; others are not.

use crate::house::{Gate, limits, read_to_close, read_until, until, within};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tollgate_gate::settings::Limits;

const SHORT: Duration = Duration::from_millis(300);

/// Sends, waits for the close, and returns the reply and how long that took.
async fn cut(limits: Limits, bytes: &str) -> (String, Duration) {
    let gate = Gate::open(limits);
    let mut stream = gate.connect().await;
    let start = Instant::now();
    stream.write_all(bytes.as_bytes()).await.expect("sent");
    let reply = within(read_to_close(&mut stream)).await;
    (reply, start.elapsed())
}

fn assert_in_time(took: Duration) {
    assert!(took >= SHORT - Duration::from_millis(20), "cut too early: {took:?}");
    assert!(took < SHORT + Duration::from_secs(4), "cut too late: {took:?}");
}

#[tokio::test]
async fn a_slow_head_is_answered_408_and_closed() {
    let limits = Limits { head: SHORT, ..limits() };
    let (reply, took) = cut(limits, "GET /mcp HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(took);
}

#[tokio::test]
async fn a_slow_head_after_a_good_request_is_closed() {
    let limits = Limits { head: SHORT, ..limits() };
    let (reply, took) =
        cut(limits, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHo").await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply:?}");
    assert!(reply.contains("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(took);
}

#[tokio::test]
async fn a_half_preface_is_closed() {
    let limits = Limits { head: SHORT, ..limits() };
    let (reply, took) = cut(limits, "PRI * HT").await;
    assert_eq!(reply, "");
    assert_in_time(took);
}

#[tokio::test]
async fn a_head_of_one_byte_at_a_time_gets_no_more_time() {
    let gate = Gate::open(Limits { head: SHORT, ..limits() });
    let (mut reader, mut writer) = gate.connect().await.into_split();
    let start = Instant::now();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"P").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let reply = within(read_to_close(&mut reader)).await;
    dripping.abort();
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply:?}");
    assert_in_time(start.elapsed());
}

#[tokio::test]
async fn a_pausing_body_is_refused() {
    let limits = Limits { body_pause: SHORT, ..limits() };
    let (reply, took) =
        cut(limits, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply:?}");
    assert_in_time(took);
}

#[tokio::test]
async fn a_dripping_body_is_refused() {
    let gate = Gate::open(Limits { body: SHORT, ..limits() });
    let (mut reader, mut writer) = gate.connect().await.into_split();
    let start = Instant::now();
    let dripping = tokio::spawn(async move {
        let head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut sent = writer.write_all(head).await;
        while sent.is_ok() {
            sent = writer.write_all(b"1\r\na\r\n").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let reply = within(read_to_close(&mut reader)).await;
    dripping.abort();
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply:?}");
    assert_in_time(start.elapsed());
    assert_eq!(gate.seen(), []);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    for bytes in ["", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let (_, took) = cut(Limits { keepalive: SHORT, ..limits() }, bytes).await;
        assert_in_time(took);
    }
}

#[tokio::test]
async fn a_connection_in_use_is_not_idle() {
    let gate = Gate::open(Limits { keepalive: SHORT, ..limits() });
    let mut stream = gate.connect().await;
    let start = Instant::now();
    while start.elapsed() < SHORT * 3 {
        stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        read_until(&mut stream, "served").await;
        tokio::time::sleep(SHORT / 6).await;
    }
}

#[tokio::test]
async fn a_reply_in_progress_is_not_idle_nor_slow() {
    let short =
        Limits { keepalive: SHORT, head: SHORT, body: SHORT, body_pause: SHORT, ..limits() };
    let gate = Gate::open(short);
    let mut stream = gate.connect().await;
    // The next head is already on its way: its time starts when the reply has ended.
    let both = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\n";
    stream.write_all(both).await.expect("sent");
    tokio::time::sleep(SHORT * 3).await;
    gate.recorder.release.notify_one();
    read_until(&mut stream, "slow").await;
    stream.write_all(b"Host: a\r\n\r\n").await.expect("sent");
    read_until(&mut stream, "served").await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected() {
    let gate = Gate::open(Limits { write_stall: SHORT, ..limits() });
    let mut stream = gate.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    until(|| gate.control.counters.accepted() == 1).await;
    until(|| gate.control.counters.open() == 0).await;
    assert_eq!(gate.seen().len(), 1);
}

#[tokio::test]
async fn connections_over_the_cap_are_closed_and_counted() {
    let gate = Gate::open(Limits { connections_max: 2, ..limits() });
    let first = gate.connect().await;
    let second = gate.connect().await;
    until(|| gate.control.counters.open() == 2).await;
    let mut third = gate.connect().await;
    assert_eq!(within(read_to_close(&mut third)).await, "");
    assert_eq!(gate.control.counters.refused(), 1);
    drop((first, second));
    until(|| gate.control.counters.open() == 0).await;
    assert!(gate.is_serving().await);
    assert_eq!(gate.control.counters.accepted(), 3);
}

#[tokio::test]
async fn a_port_in_use_is_explained() {
    let gate = Gate::open(limits());
    let error = tollgate_gate::listen::bind(gate.address).expect_err("the port is taken");
    assert!(error.to_string().contains("the port is in use"), "{error}");
}
