//! Rows 1 to 12 and 14 to 16: HTTP/1 framing and smuggling.
//!
//! Each test sends raw bytes. The strict answer is one refusal and the end of the connection: no
//! second answer, and not one byte upstream.

use crate::GATE;
use testkit::post::good_call;
use testkit::{House, Post};

/// A POST head with these further lines, then this body.
fn raw(lines: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{lines}\r\n{body}"
    )
    .into_bytes()
}

/// The good call with its body in chunks as written here.
fn chunked(chunks: &str) -> Vec<u8> {
    let mut bytes = good_call().with("transfer-encoding", "chunked").head();
    bytes.extend_from_slice(chunks.as_bytes());
    bytes
}

#[tokio::test] // Row 1.
async fn content_length_beside_chunked_is_refused() {
    let house = House::open(GATE).await;
    let lines = "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n";
    house.refuses_bytes(&raw(lines, "0\r\n\r\nG"), &[400]).await;
}

#[tokio::test] // Row 2.
async fn bytes_behind_an_ambiguous_request_are_never_a_request() {
    let house = House::open(GATE).await;
    let lines = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n";
    let body = "5c\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n0\r\n\r\n";
    house.refuses_bytes(&raw(lines, body), &[400]).await;
}

#[tokio::test] // Row 3.
async fn content_lengths_that_are_not_one_plain_number_are_refused() {
    let house = House::open(GATE).await;
    let lines = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: \r\n",
        "Content-Length: 5 5\r\n",
    ];
    for lines in lines {
        house.refuses_bytes(&raw(lines, "hello"), &[400]).await;
    }
}

#[tokio::test] // Row 4.
async fn transfer_codings_in_disguise_are_refused() {
    let house = House::open(GATE).await;
    let lines = [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "X-Folded: a\r\n b\r\nContent-Length: 0\r\n",
    ];
    for lines in lines {
        house.refuses_bytes(&raw(lines, "0\r\n\r\n"), &[400, 501]).await;
    }
}

#[tokio::test] // Row 5.
async fn content_we_cannot_decode_is_not_taken_as_plain() {
    let house = House::open(GATE).await;
    let lines = "Transfer-Encoding: gzip, chunked\r\n";
    house.refuses_bytes(&raw(lines, "0\r\n\r\n"), &[400, 501]).await;
}

#[tokio::test] // Row 6.
async fn transfer_codings_in_http_1_0_are_refused() {
    let house = House::open(GATE).await;
    let bytes = raw("Transfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let bytes = String::from_utf8(bytes).expect("ascii").replace("HTTP/1.1", "HTTP/1.0");
    house.refuses_bytes(bytes.as_bytes(), &[400]).await;
}

#[tokio::test] // Row 7.
async fn malformed_chunks_are_refused() {
    let house = House::open(GATE).await;
    let extension = "x".repeat(20 * 1024);
    let chunks = [
        "0x5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "+5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5\nhello\n0\n\n".to_owned(),
        "5;a=\nb\r\nhello\r\n0\r\n\r\n".to_owned(),
        format!("5;{extension}\r\nhello\r\n0\r\n\r\n"),
        "5\r\nhello!\r\n0\r\n\r\n".to_owned(),
        "5 \r\nhello\r\n0\r\n\r\n".to_owned(),
    ];
    for chunks in chunks {
        house.refuses_bytes(&chunked(&chunks), &[400]).await;
    }
}

#[tokio::test] // Row 8.
async fn bare_line_feeds_are_refused() {
    let house = House::open(GATE).await;
    let good = String::from_utf8(good_call().head()).expect("ascii");
    house.refuses_bytes(good.replace("\r\n", "\n").as_bytes(), &[400]).await;
    let one = good.replacen("host: localhost\r\n", "host: localhost\n", 1);
    house.refuses_bytes(one.as_bytes(), &[400]).await;
}

#[tokio::test] // Row 9.
async fn hosts_that_two_parsers_could_read_differently_are_refused() {
    let house = House::open(GATE).await;
    let without = good_call().without("host");
    house.refuses_bytes(&without.bytes(), &[400]).await;
    house.refuses_bytes(&good_call().with("host", "localhost").bytes(), &[400]).await;
    house.refuses_bytes(&good_call().set("host", "localhost:80@evil").bytes(), &[400, 403]).await;
}

#[tokio::test] // Row 9.
async fn the_host_of_an_absolute_target_is_judged() {
    let house = House::open(GATE).await;
    let evil = good_call().to("http://evil.example/mcp");
    house.refuses(&evil, &[400, 403, 421], &[]).await;
}

#[tokio::test] // Rows 9 and 95.
async fn foreign_hosts_and_origins_are_refused() {
    let house = House::open(GATE).await;
    for host in ["evil.example", "localhost.evil", "127.0.0.1.evil"] {
        house.refuses(&good_call().set("host", host), &[400, 403, 421], &[]).await;
    }
    for origin in ["https://evil.example", "null", "http://localhost.evil"] {
        house.refuses(&good_call().with("origin", origin), &[403], &[]).await;
    }
}

#[tokio::test] // Row 10.
async fn trailers_are_never_merged_or_forwarded() {
    let house = House::open(GATE).await;
    let post = good_call().with("transfer-encoding", "chunked");
    let mut bytes = post.head();
    bytes.extend_from_slice(format!("{:x}\r\n", post.body.len()).as_bytes());
    bytes.extend_from_slice(&post.body);
    bytes.extend_from_slice(
        b"\r\n0\r\nAuthorization: Bearer t\r\nMcp-Name: evil\r\nHost: evil\r\n\r\n",
    );
    let mut client = house.connect().await;
    client.send(&bytes).await;
    assert_eq!(client.response().await.expect("an answer").status, 200);
    let seen = house.peer.wait_for_call("tools/call").await;
    assert_eq!(seen.header("mcp-name"), Some("echo"));
    let wire = [seen.head, seen.body, seen.trailers].concat();
    let wire = String::from_utf8_lossy(&wire).to_ascii_lowercase();
    assert!(!wire.contains("bearer") && !wire.contains("evil"), "{wire}");
}

#[tokio::test] // Row 11.
async fn connection_options_do_not_remove_what_was_judged() {
    let house = House::open(GATE).await;
    let post = good_call()
        .with("authorization", "Bearer t")
        .with("connection", "authorization, mcp-name, mcp-method, mcp-protocol-version");
    assert_eq!(house.ask(&post).await.status, 200);
    let seen = house.peer.wait_for_call("tools/call").await;
    assert_eq!(seen.header("mcp-name"), Some("echo"));
    assert_eq!(seen.header("mcp-method"), Some("tools/call"));
    assert_eq!(seen.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test] // Row 12.
async fn no_connection_is_ever_handed_over() {
    let house = House::open(GATE).await;
    let before = house.peer.bytes_seen();
    let requests = [
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
        "CONNECT / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    for request in requests {
        let mut client = house.connect().await;
        client.send(request.as_bytes()).await;
        let answer = client.response().await.expect("an answer");
        assert!([400, 404, 405, 426].contains(&answer.status), "{request}: {}", answer.status);
    }
    assert_eq!(house.peer.bytes_seen(), before);
    house.still_serves().await;
}

#[tokio::test] // Row 12.
async fn an_upgrade_to_h2c_is_ignored() {
    let house = House::open(GATE).await;
    let post = good_call()
        .with("connection", "Upgrade, HTTP2-Settings")
        .with("upgrade", "h2c")
        .with("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA");
    assert_eq!(house.ask(&post).await.status, 200);
    let seen = house.peer.wait_for_call("tools/call").await;
    assert_eq!(seen.header("upgrade"), None);
}

#[tokio::test] // Row 14.
async fn paths_are_routed_by_one_reading() {
    let house = House::open(GATE).await;
    let paths = [
        "/mcp/%2e%2e/admin",
        "/mcp/../status",
        "/mcp/..;/admin",
        "//admin",
        "//mcp",
        "/mcp%00",
        "/%6dcp",
        "/MCP",
        "/mcp/",
        "/",
    ];
    for path in paths {
        house.refuses(&good_call().to(path), &[400, 404], &[]).await;
    }
}

#[tokio::test] // Rows 14 and 100.
async fn the_admin_listener_is_not_reachable_through_the_gate() {
    let house = House::open(GATE).await;
    for path in ["/status", "/healthz", "/readyz", "/metrics", "/admin"] {
        let mut client = house.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.send(request.as_bytes()).await;
        assert_eq!(client.response().await.expect("an answer").status, 404, "{path}");
    }
}

#[tokio::test] // Row 15.
async fn what_a_caller_says_about_its_address_is_not_passed_on() {
    let house = House::open(GATE).await;
    let post = good_call()
        .with("x-forwarded-for", "203.0.113.9")
        .with("x-forwarded-host", "evil.example")
        .with("x-forwarded-proto", "https")
        .with("forwarded", "for=203.0.113.9;host=evil.example");
    assert_eq!(house.ask(&post).await.status, 200);
    let head = house.peer.wait_for_call("tools/call").await.head;
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(!head.contains("203.0.113.9") && !head.contains("evil.example"), "{head}");
}

#[tokio::test] // Row 15.
async fn a_proxy_protocol_line_is_not_a_request() {
    let house = House::open(GATE).await;
    let mut bytes = b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n".to_vec();
    bytes.extend(good_call().bytes());
    house.refuses_bytes(&bytes, &[400]).await;
    let mut bytes =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x01\0\x02".to_vec();
    bytes.extend(good_call().bytes());
    house.refuses_bytes(&bytes, &[400]).await;
}

#[tokio::test] // Row 16.
async fn too_large_a_body_is_refused_before_it_is_asked_for() {
    let house = House::open(GATE).await;
    let post = good_call().with("content-length", "107374182400").with("expect", "100-continue");
    house.refuses_bytes(&post.head(), &[413]).await;
}

#[tokio::test] // Row 16: the same manners serve an honest client.
async fn an_announced_body_is_asked_for() {
    let house = House::open(GATE).await;
    let post: Post = good_call().with("expect", "100-continue");
    let mut client = house.connect().await;
    client.send(&post.head()).await;
    assert_eq!(client.response().await.expect("an interim answer").status, 100);
    client.send(&post.body).await;
    assert_eq!(client.response().await.expect("an answer").status, 200);
}

#[tokio::test] // Row 2's harmless twin: pipelining is legal, each request gets its own answer.
async fn pipelined_good_requests_are_answered_in_order() {
    let house = House::open(GATE).await;
    let mut bytes = good_call().bytes();
    bytes.extend(good_call().replace("\"id\":7", "\"id\":8").bytes());
    let mut client = house.connect().await;
    client.send(&bytes).await;
    for id in [7, 8] {
        assert_eq!(client.response().await.expect("an answer").json()["id"], id);
    }
}
