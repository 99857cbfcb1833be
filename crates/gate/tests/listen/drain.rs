//! Going away: calls in flight finish, idle connections close, the rest is aborted when forced.

use crate::house::{Gate, limits, read_to_close, read_until, within};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const CALL: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_call_in_flight_finishes_and_idle_connections_close() {
    let gate = Gate::open(limits());
    let mut fresh = gate.connect().await;
    let mut used = gate.connect().await;
    used.write_all(CALL).await.expect("sent");
    read_until(&mut used, "served").await;
    let mut busy = gate.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    within(gate.recorder.began.notified()).await;

    gate.control.drain.begin();
    assert_eq!(within(read_to_close(&mut fresh)).await, "");
    assert_eq!(within(read_to_close(&mut used)).await, "");
    crate::house::until(|| gate.control.counters.open() == 1).await;
    assert!(!gate.serving.is_finished());
    assert!(TcpStream::connect(gate.address).await.is_err(), "the listener is closed");

    gate.recorder.release.notify_one();
    let reply = within(read_to_close(&mut busy)).await;
    assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("slow"), "{reply:?}");
    assert!(reply.contains("connection: close"), "{reply:?}");
    within(gate.serving).await.expect("serving ended");
}

#[tokio::test]
async fn force_aborts_what_is_left() {
    let gate = Gate::open(limits());
    let mut slow = gate.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    within(gate.recorder.began.notified()).await;
    let mut stream = gate.connect().await;
    stream.write_all(b"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    read_until(&mut stream, "\r\n\r\n").await;

    gate.control.drain.begin();
    assert_eq!(gate.control.counters.open(), 2);
    gate.control.drain.force();
    assert_eq!(within(read_to_close(&mut slow)).await, "");
    assert_eq!(within(read_to_close(&mut stream)).await, "");
    within(gate.serving).await.expect("serving ended");
    assert_eq!(gate.control.counters.open(), 0);
}

#[tokio::test]
async fn force_without_begin_ends_serving() {
    let gate = Gate::open(limits());
    let mut slow = gate.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    within(gate.recorder.began.notified()).await;
    gate.control.drain.force();
    within(gate.serving).await.expect("serving ended");
}
