//! Rows 13 and 116: HTTP/2, by frames no library would send.
//!
//! Clear-text HTTP/2 with prior knowledge. Malformed requests end their stream or get 400; floods
//! end their connection. Neither reaches the upstream or slows the next good request.

use crate::GATE;
use std::time::Duration;
use testkit::h2::{
    END_HEADERS, END_STREAM, Frame, block, frame, kind, opening, post_fields, take_frames,
};
use testkit::post::good_call;
use testkit::{House, RawClient};

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Answered with 200.
    Served,
    /// Answered with something else.
    Refused,
    /// Reset, or its connection closed.
    Reset,
}

/// Reads frames until it is clear what became of stream 1.
async fn fate(client: &mut RawClient) -> Fate {
    let mut bytes = Vec::new();
    loop {
        let Some(some) = client.some_bytes().await else {
            return Fate::Reset;
        };
        bytes.extend(some);
        for Frame { kind, stream, payload, .. } in take_frames(&mut bytes) {
            match (kind, stream) {
                // `:status 200` is one byte, an index into the static table.
                (kind::HEADERS, 1) if payload.first() == Some(&0x88) => return Fate::Served,
                (kind::HEADERS, 1) => return Fate::Refused,
                (kind::RST_STREAM, 1) | (kind::GOAWAY, _) => return Fate::Reset,
                _ => {}
            }
        }
    }
}

/// Sends one request with these fields and this body on a new connection.
async fn send(house: &House, fields: &[(&str, &str)], body: &[u8]) -> RawClient {
    let mut client = house.connect().await;
    let mut bytes = opening();
    bytes.extend(frame(kind::HEADERS, END_HEADERS, 1, &block(fields)));
    bytes.extend(frame(kind::DATA, END_STREAM, 1, body));
    client.send(&bytes).await;
    client
}

/// Waits until the gate has closed the connection or said that it will; nothing else will do.
async fn ends(client: &mut RawClient) {
    let mut bytes = Vec::new();
    while let Some(some) = client.some_bytes().await {
        bytes.extend(some);
        if take_frames(&mut bytes).iter().any(|frame| frame.kind == kind::GOAWAY) {
            return;
        }
    }
}

#[tokio::test] // The control: without it, the refusals below would prove nothing.
async fn a_good_request_is_served() {
    let house = House::open(GATE).await;
    let mut client = send(&house, &post_fields(), &good_call().body).await;
    assert_eq!(fate(&mut client).await, Fate::Served);
    assert_eq!(house.peer.wait_for_call("tools/call").await.header("mcp-name"), Some("echo"));
}

#[tokio::test] // Row 13.
async fn malformed_fields_never_become_upstream_bytes() {
    let house = House::open(GATE).await;
    let before = house.peer.bytes_seen();
    let added = [
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
        ("host", "evil.example"),
        ("x-split", "a\r\nMcp-Name: evil"),
        ("x-null", "a\0b"),
        ("X-Upper", "a"),
        ("mcp-name", "evil"),
    ];
    for field in added {
        let mut fields = post_fields();
        fields.push(field);
        let mut client = send(&house, &fields, &good_call().body).await;
        assert_ne!(fate(&mut client).await, Fate::Served, "{field:?}");
    }
    assert_eq!(house.peer.bytes_seen(), before);
    house.still_serves().await;
}

#[tokio::test] // Row 13.
async fn malformed_targets_are_refused() {
    let house = House::open(GATE).await;
    let before = house.peer.bytes_seen();
    for path in ["mcp", "", "*", "/mcp/../status", "/mcp /x"] {
        let mut fields = post_fields();
        fields.retain(|(name, _)| *name != ":path");
        fields.insert(0, (":path", path));
        let mut client = send(&house, &fields, &good_call().body).await;
        assert_ne!(fate(&mut client).await, Fate::Served, "{path:?}");
    }
    assert_eq!(house.peer.bytes_seen(), before);
    house.still_serves().await;
}

#[tokio::test] // Row 116, CVE-2023-44487.
async fn a_client_that_resets_in_bulk_is_disconnected() {
    let house = House::open(GATE).await;
    let mut client = house.connect().await;
    client.send(&opening()).await;
    let block = block(&post_fields());
    for stream in (1..20_001).step_by(2) {
        let mut bytes = frame(kind::HEADERS, END_HEADERS, stream, &block);
        bytes.extend(frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        if client.try_send(&bytes).await.is_err() {
            break;
        }
    }
    ends(&mut client).await;
    house.still_serves().await;
}

#[tokio::test] // Row 116, CVE-2025-8671.
async fn a_client_that_provokes_resets_is_disconnected() {
    let house = House::open(GATE).await;
    let mut client = house.connect().await;
    client.send(&opening()).await;
    let block = block(&post_fields());
    for stream in (1..20_001).step_by(2) {
        let mut bytes = frame(kind::HEADERS, END_HEADERS, stream, &block);
        // An increment of zero is a stream error that the gate answers with a reset.
        bytes.extend(frame(kind::WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()));
        if client.try_send(&bytes).await.is_err() {
            break;
        }
    }
    ends(&mut client).await;
    house.still_serves().await;
}

#[tokio::test] // Row 116.
async fn endless_continuations_end_their_connection() {
    let house = House::open(GATE).await;
    let memory = house.gate.memory_kib();
    let mut client = house.connect().await;
    let mut bytes = opening();
    bytes.extend(frame(kind::HEADERS, 0, 1, &block(&post_fields())));
    client.send(&bytes).await;
    let value = "x".repeat(100);
    let filler = block(&[("x-filler", value.as_str()); 100]);
    for _ in 0..10_000 {
        if client.try_send(&frame(kind::CONTINUATION, 0, 1, &filler)).await.is_err() {
            break;
        }
    }
    ends(&mut client).await;
    assert!(house.gate.memory_kib() < memory + 16 * 1024);
    house.still_serves().await;
}

#[tokio::test] // Row 116.
async fn settings_and_pings_in_bulk_cost_no_memory() {
    let house = House::open(GATE).await;
    let memory = house.gate.memory_kib();
    for flood in [frame(kind::SETTINGS, 0, 0, &[]), frame(kind::PING, 0, 0, &[0; 8])] {
        let mut client = house.connect().await;
        client.send(&opening()).await;
        // The answers are never read.
        let bulk = flood.repeat(1_000);
        for _ in 0..100 {
            let sent = tokio::time::timeout(Duration::from_secs(1), client.try_send(&bulk)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        house.still_serves().await;
    }
    assert!(house.gate.memory_kib() < memory + 16 * 1024);
}

#[tokio::test] // Row 116.
async fn header_lists_beyond_the_bound_are_refused() {
    let house = House::open(GATE).await;
    let before = house.peer.bytes_seen();
    let value = "x".repeat(120);
    let mut fields = post_fields();
    fields.extend([("x-filler", value.as_str()); 300]);
    let mut bytes = opening();
    let block = block(&fields);
    for (at, part) in block.chunks(16_000).enumerate() {
        let is_last = (at + 1) * 16_000 >= block.len();
        let kind = if at == 0 { kind::HEADERS } else { kind::CONTINUATION };
        bytes.extend(frame(kind, if is_last { END_HEADERS } else { 0 }, 1, part));
    }
    bytes.extend(frame(kind::DATA, END_STREAM, 1, &good_call().body));
    let mut client = house.connect().await;
    client.send(&bytes).await;
    assert_ne!(fate(&mut client).await, Fate::Served);
    assert_eq!(house.peer.bytes_seen(), before);
    house.still_serves().await;
}
