//! HTTP/2: prior knowledge in clear text, what is malformed, floods, and its deadlines.

use crate::house::{Gate, limits, read_to_close, until, within};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_gate::settings::Limits;

const SHORT: Duration = Duration::from_millis(300);
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

async fn client(gate: &Gate) -> SendRequest<Empty<Bytes>> {
    let io = TokioIo::new(gate.connect().await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

fn get(uri: &str) -> Request<Empty<Bytes>> {
    Request::get(uri).body(Empty::new()).expect("a request")
}

async fn text(response: Response<Incoming>) -> String {
    let body = within(response.into_body().collect()).await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals, without compression.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let len = u8::try_from(text.len()).expect("a short text");
        assert!(len < 127);
        [&[len], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn ordinary(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)])
}

/// Connects, and sends the preface, settings of ours and some frames.
async fn raw(gate: &Gate, settings: &[u8], frames: &[u8]) -> TcpStream {
    let mut stream = gate.connect().await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, settings));
    bytes.extend(frames);
    stream.write_all(&bytes).await.expect("sent");
    stream
}

/// Reads frames until one of a kind; `None` when the gate closes first.
async fn frame_of(stream: &mut TcpStream, kinds: &[u8]) -> Option<(u8, Vec<u8>)> {
    loop {
        let mut head = [0; 9];
        within(stream.read_exact(&mut head)).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; len];
        within(stream.read_exact(&mut payload)).await.ok()?;
        if kinds.contains(&head[3]) {
            return Some((head[3], payload));
        }
    }
}

#[tokio::test]
async fn prior_knowledge_in_clear_text_is_served() {
    let gate = Gate::open(limits());
    let mut sender = client(&gate).await;
    let response = within(sender.send_request(get("http://a/two"))).await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await, "served");
    assert_eq!(gate.seen()[0].line, "GET http://a/two");
}

#[tokio::test]
async fn malformed_requests_never_reach_the_service() {
    let base = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/x")];
    let with = |more: (&'static str, &'static str)| [&base[..], &[more]].concat();
    let vectors = [
        ("host differs", with(("host", "b"))),
        ("transfer-encoding", with(("transfer-encoding", "chunked"))),
        ("connection", with(("connection", "close"))),
        ("upper-case name", with(("X-Upper", "b"))),
        ("CR LF in value", with(("x", "a\r\nb: c"))),
        ("length without data", with(("content-length", "5"))),
        ("late pseudo-header", with((":path", "/y"))),
        ("no path", base[..3].to_vec()),
        ("bad path", vec![base[0], base[1], base[2], (":path", "x")]),
        ("no authority", vec![base[0], base[1], base[3]]),
        ("userinfo", vec![base[0], base[1], (":authority", "a@b"), base[3]]),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "a")]),
    ];
    for (what, fields) in vectors {
        let gate = Gate::open(limits());
        let headers = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields));
        let mut stream = raw(&gate, &[], &headers).await;
        let reply = frame_of(&mut stream, &[HEADERS, RESET, GOAWAY]).await;
        // 0x8c is `:status: 400` in HPACK's static table.
        let is_refused = match &reply {
            Some((HEADERS, payload)) => payload.first() == Some(&0x8c),
            Some(_) | None => true,
        };
        assert!(is_refused, "{what}: {reply:?}");
        assert_eq!(gate.seen(), [], "{what}");
    }
}

#[tokio::test]
async fn rapid_reset_ends_the_connection_and_nothing_else() {
    let gate = Gate::open(limits());
    let mut stream = raw(&gate, &[], &[]).await;
    let mut flood = Vec::new();
    for stream in (1..4_000).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &ordinary("/x")));
        flood.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    // The gate may close before it has taken all of it.
    let sent = within(stream.write_all(&flood)).await;
    let last = frame_of(&mut stream, &[GOAWAY]).await;
    assert!(sent.is_err() || last.is_none_or(|(_, payload)| payload[7] == 0x0b));
    assert!(gate.is_serving().await);
    until(|| gate.control.counters.open() == 0).await;
}

#[tokio::test]
async fn a_continuation_flood_ends_the_connection() {
    let gate = Gate::open(limits());
    let mut stream = raw(&gate, &[], &frame(HEADERS, 0, 1, &ordinary("/x"))).await;
    let more = frame(CONTINUATION, 0, 1, &block(&[("x", "y")].repeat(1_000)));
    let flooding = async {
        for _ in 0..20_000 {
            if stream.write_all(&more).await.is_err() {
                return;
            }
        }
        panic!("all of it was taken");
    };
    within(flooding).await;
    assert_eq!(gate.seen(), []);
    until(|| gate.control.counters.open() == 0).await;
}

#[tokio::test]
async fn a_closed_window_is_a_client_that_never_reads() {
    let gate = Gate::open(Limits { write_stall: SHORT, ..limits() });
    let no_window = [0, 4, 0, 0, 0, 0];
    let get = frame(HEADERS, END_HEADERS | END_STREAM, 1, &ordinary("/endless"));
    let mut stream = raw(&gate, &no_window, &get).await;
    within(read_to_close(&mut stream)).await;
    assert_eq!(gate.seen().len(), 1);
    until(|| gate.control.counters.open() == 0).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_goaway() {
    let gate = Gate::open(Limits { keepalive: SHORT, ..limits() });
    let get = frame(HEADERS, END_HEADERS | END_STREAM, 1, &ordinary("/x"));
    let mut stream = raw(&gate, &[], &get).await;
    let (_, payload) = frame_of(&mut stream, &[GOAWAY]).await.expect("a GOAWAY frame");
    assert_eq!(payload[4..8], [0; 4]);
}

#[tokio::test]
async fn a_call_in_flight_finishes_while_draining() {
    let gate = Gate::open(limits());
    let mut sender = client(&gate).await;
    let call = tokio::spawn(sender.send_request(get("http://a/slow")));
    within(gate.recorder.began.notified()).await;
    let mut other = raw(&gate, &[], &[]).await;
    frame_of(&mut other, &[SETTINGS]).await.expect("a SETTINGS frame");
    gate.control.drain.begin();
    let (_, payload) = frame_of(&mut other, &[GOAWAY]).await.expect("a GOAWAY frame");
    assert_eq!(payload[4..8], [0; 4]);
    drop(other);
    gate.recorder.release.notify_one();
    let response = within(call).await.expect("a task").expect("a response");
    assert_eq!(text(response).await, "slow");
    within(gate.serving).await.expect("serving ended");
}

#[tokio::test]
async fn force_aborts_streams() {
    let gate = Gate::open(limits());
    let mut sender = client(&gate).await;
    let call = tokio::spawn(sender.send_request(get("http://a/slow")));
    within(gate.recorder.began.notified()).await;
    gate.control.drain.force();
    within(call).await.expect("a task").expect_err("an aborted stream");
    within(gate.serving).await.expect("serving ended");
}
