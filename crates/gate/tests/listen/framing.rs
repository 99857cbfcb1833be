//! HTTP/1 framing: what must be refused, and that good requests arrive unchanged.

use crate::house::{Gate, Seen, limits, read_until, within};
use tokio::io::AsyncWriteExt;

/// What, the bytes, and how many requests the service may see whole.
type Vector = (&'static str, String, usize);

const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn head(lines: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

fn chunked(body: &str) -> String {
    format!("{}{body}", head("Transfer-Encoding: chunked"))
}

fn lengths_and_codings() -> Vec<Vector> {
    let long = "f".repeat(17);
    vec![
        ("CL and TE", head("Content-Length: 6\r\nTransfer-Encoding: chunked") + "0\r\n\r\nG", 0),
        (
            "TE and CL, then a request",
            head("Transfer-Encoding: chunked\r\nContent-Length: 4") + "0\r\n\r\n" + NEXT,
            0,
        ),
        ("two lengths", head("Content-Length: 1\r\nContent-Length: 2") + "ab", 0),
        ("two equal lengths", head("Content-Length: 2\r\nContent-Length: 2") + "ab", 0),
        ("a list of lengths", head("Content-Length: 5, 5") + "abcde", 0),
        ("a signed length", head("Content-Length: +5") + "abcde", 0),
        ("a negative length", head("Content-Length: -1"), 0),
        ("a hexadecimal length", head("Content-Length: 0x5") + "abcde", 0),
        ("2^64", head("Content-Length: 18446744073709551616"), 0),
        ("twenty digits", head("Content-Length: 00000000000000000005") + "abcde", 0),
        ("an empty length", head("Content-Length:"), 0),
        ("a length in words", head("Content-Length: five") + "abcde", 0),
        ("xchunked", head("Transfer-Encoding: xchunked") + "0\r\n\r\n", 0),
        ("chunked, identity", head("Transfer-Encoding: chunked, identity") + "0\r\n\r\n", 0),
        ("gzip, chunked", head("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", 0),
        ("chunked, chunked", head("Transfer-Encoding: chunked, chunked") + "0\r\n\r\n", 0),
        (
            "two codings",
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked") + "0\r\n\r\n",
            0,
        ),
        ("identity", head("Transfer-Encoding: identity"), 0),
        ("an empty coding", head("Transfer-Encoding:"), 0),
        ("vertical tab", head("Transfer-Encoding: \u{b}chunked") + "0\r\n\r\n", 0),
        ("quoted coding", head("Transfer-Encoding: \"chunked\"") + "0\r\n\r\n", 0),
        ("coding with parameter", head("Transfer-Encoding: chunked;a=b") + "0\r\n\r\n", 0),
        (
            "TE in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            0,
        ),
        ("chunk 0x5", chunked("0x5\r\nabcde\r\n0\r\n\r\n"), 0),
        ("chunk +5", chunked("+5\r\nabcde\r\n0\r\n\r\n"), 0),
        ("chunk of 17 digits", chunked(&format!("{long}\r\nab\r\n0\r\n\r\n")), 0),
        ("chunk of 9 digits", chunked("000000005\r\nabcde\r\n0\r\n\r\n"), 0),
        ("empty chunk size", chunked("\r\nabcde\r\n0\r\n\r\n"), 0),
        ("chunk size, space", chunked("5 \r\nabcde\r\n0\r\n\r\n"), 0),
        ("chunk line ends with LF", chunked("5\nabcde\r\n0\r\n\r\n"), 0),
        ("chunk extension with LF", chunked("5;a\nb\r\nabcde\r\n0\r\n\r\n"), 0),
        ("chunk extension with CR", chunked("5;a\rb\r\nabcde\r\n0\r\n\r\n"), 0),
        ("20 KB extension", chunked(&format!("5;{}\r\nabcde\r\n0\r\n\r\n", "x".repeat(20_000))), 0),
        ("data longer than size", chunked("5\r\nabcdef\r\n0\r\n\r\n"), 0),
        ("data ends with LF", chunked("5\r\nabcde\n0\r\n\r\n"), 0),
        ("trailer without colon", chunked("0\r\nnonsense\r\n\r\n") + NEXT, 0),
        ("trailer line ends with LF", chunked("0\r\na: b\n\r\n") + NEXT, 0),
        ("endless trailers", chunked(&format!("0\r\na: {}\r\n\r\n", "x".repeat(5_000))) + NEXT, 0),
        ("bad after good", format!("{NEXT}{}", head("Content-Length: x")), 1),
    ]
}

fn heads() -> Vec<Vector> {
    let get = |lines: &str| format!("GET /mcp HTTP/1.1\r\n{lines}\r\n\r\n{NEXT}");
    vec![
        ("space before colon", head("Transfer-Encoding : chunked") + "0\r\n\r\n", 0),
        ("folded line", get("Host: a\r\nX: b\r\n c"), 0),
        ("folded with tab", get("Host: a\r\nX: b\r\n\tc"), 0),
        ("line without colon", get("Host: a\r\nnonsense"), 0),
        ("empty name", get("Host: a\r\n: b"), 0),
        ("NUL in value", get("Host: a\r\nX: b\0c"), 0),
        ("NUL in name", get("Host: a\r\nX\0: b"), 0),
        ("control in value", get("Host: a\r\nX: b\u{1}c"), 0),
        ("DEL in value", get("Host: a\r\nX: b\u{7f}c"), 0),
        ("CR in value", get("Host: a\r\nX: b\rY: c"), 0),
        ("LF line ends", format!("GET /mcp HTTP/1.1\nHost: a\n\n{NEXT}"), 0),
        ("one LF line end", get("Host: a\nX: b"), 0),
        ("LF LF at the end", format!("GET /mcp HTTP/1.1\r\nHost: a\r\n\n{NEXT}"), 0),
        ("non-ASCII name", get("Host: a\r\nÜ: b"), 0),
        ("leading empty line", format!("\r\n{NEXT}"), 0),
        ("no Host", get("X: b"), 0),
        ("two Hosts", get("Host: a\r\nHost: a"), 0),
        ("empty Host", get("Host:"), 0),
        ("Host with userinfo", get("Host: good:80@evil"), 0),
        ("Host with path", get("Host: a/b"), 0),
        ("Host list", get("Host: a, b"), 0),
        ("Host with space", get("Host: a b"), 0),
        ("Host with bad port", get("Host: a:x"), 0),
        ("Host with open bracket", get("Host: [::1"), 0),
        ("two Hosts in 1.0", format!("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n{NEXT}"), 0),
        ("CONNECT", format!("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("authority form", format!("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("relative target", format!("GET mcp HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("fragment", format!("GET /mcp#x HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("two spaces", format!("GET  /mcp HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("tab in request line", format!("GET\t/mcp HTTP/1.1\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("no version", format!("GET /mcp\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("version 1.2", format!("GET /mcp HTTP/1.2\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("version 2.0", format!("GET /mcp HTTP/2.0\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("lower-case version", format!("GET /mcp http/1.1\r\nHost: a\r\n\r\n{NEXT}"), 0),
        ("PROXY line", format!("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n{NEXT}"), 0),
        ("head of 40 KiB", get(&format!("Host: a\r\nX: {}", "x".repeat(40 * 1024))), 0),
        ("101 fields", get(&format!("Host: a{}", "\r\nX: b".repeat(100))), 0),
        ("10,000 fields", get(&format!("Host: a{}", "\r\nX: b".repeat(10_000))), 0),
        ("a TLS hello", "\u{16}\u{3}\u{1}\0\u{5}hello".into(), 0),
    ]
}

async fn assert_refused(vectors: Vec<Vector>, is_one_by_one: bool) {
    let mut served = Vec::new();
    for (what, bytes, allowed) in vectors {
        let gate = Gate::open(limits());
        let reply = gate.exchange(bytes.as_bytes(), is_one_by_one).await;
        let last = reply.rfind("HTTP/1.1 ").map_or("", |at| &reply[at..]);
        let is_refused = last.starts_with("HTTP/1.1 400") || last.starts_with("HTTP/1.1 431");
        let replies = reply.matches("HTTP/1.1 ").count();
        if !is_refused || replies != allowed + 1 || gate.seen().len() != allowed {
            served.push((what, reply, gate.seen()));
        }
    }
    assert!(served.is_empty(), "{served:#?}");
}

#[tokio::test]
async fn ambiguous_lengths_and_codings_are_refused() {
    assert_refused(lengths_and_codings(), false).await;
}

#[tokio::test]
async fn ambiguous_lengths_and_codings_are_refused_byte_by_byte() {
    assert_refused(lengths_and_codings(), true).await;
}

#[tokio::test]
async fn malformed_heads_are_refused() {
    assert_refused(heads(), false).await;
}

#[tokio::test]
async fn malformed_heads_are_refused_byte_by_byte() {
    assert_refused(heads(), true).await;
}

fn seen(line: &str, body: &str) -> Seen {
    Seen { line: line.into(), body: body.into() }
}

const GOOD: &str = "POST /a HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 5\r\n\r\nhello\
    GET http://b.example/b HTTP/1.1\r\nHost: [::1]:80\r\nEmpty:\r\nobs: \u{fc}\r\n\r\n\
    POST /c HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n\
    5;ext=\"1\"\r\nhello\r\n00000006\r\n world\r\n0\r\nAuthorization: evil\r\nHost: evil\r\n\r\n\
    GET /d HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\
    Connection: Upgrade, HTTP2-Settings\r\n\r\n\
    POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\
    OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn good() -> Vec<Seen> {
    vec![
        seen("POST /a", "hello"),
        seen("GET http://b.example/b", ""),
        seen("POST /c", "hello world"),
        seen("GET /d", ""),
        seen("POST /e", ""),
        seen("OPTIONS *", ""),
    ]
}

#[tokio::test]
async fn good_requests_arrive_unchanged_pipelined() {
    let gate = Gate::open(limits());
    let reply = gate.exchange(GOOD.as_bytes(), false).await;
    assert_eq!(gate.seen(), good(), "{reply}");
    assert_eq!(reply.matches("HTTP/1.1 200 OK").count(), good().len(), "{reply}");
}

#[tokio::test]
async fn good_requests_arrive_unchanged_byte_by_byte() {
    let gate = Gate::open(limits());
    let reply = gate.exchange(GOOD.as_bytes(), true).await;
    assert_eq!(gate.seen(), good(), "{reply}");
}

#[tokio::test]
async fn large_bodies_arrive_unchanged() {
    let gate = Gate::open(limits());
    let body: String = ('a'..='z').cycle().take(1 << 20).collect();
    let chunks: String = body
        .as_bytes()
        .chunks(70_001)
        .map(|c| format!("{:x}\r\n{}\r\n", c.len(), String::from_utf8_lossy(c)))
        .collect();
    let bytes = format!(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}\
         POST /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n",
        body.len()
    );
    gate.exchange(bytes.as_bytes(), false).await;
    assert!(gate.seen() == [seen("POST /a", &body), seen("POST /b", &body)]);
}

#[tokio::test]
async fn http_10_needs_no_host_and_is_closed() {
    let gate = Gate::open(limits());
    let reply = gate.exchange(b"GET /a HTTP/1.0\r\n\r\n", false).await;
    assert!(reply.starts_with("HTTP/1.0 200"), "{reply}");
}

#[tokio::test]
async fn upgrade_to_websocket_is_an_ordinary_request() {
    let gate = Gate::open(limits());
    let request = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Content-Length: 3\r\n\r\nabc";
    let reply = gate.exchange(format!("{request}{}", "\u{81}junk").as_bytes(), false).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
    assert_eq!(gate.seen(), [seen("GET /ws", "abc")]);
}

#[tokio::test]
async fn expect_100_is_answered_only_when_the_body_is_wanted() {
    let gate = Gate::open(limits());
    let mut stream = gate.connect().await;
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let reply = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(reply, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ab").await.expect("sent");
    within(read_until(&mut stream, "served")).await;
    assert_eq!(gate.seen(), [seen("POST /a", "ab")]);
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let gate = Gate::open(limits());
    let mut other = gate.connect().await;
    let reply = gate.exchange(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n", false).await;
    assert_eq!(reply, "");
    other.write_all(NEXT.as_bytes()).await.expect("sent");
    within(read_until(&mut other, "served")).await;
    drop(other);
    crate::house::until(|| gate.control.counters.open() == 0).await;
}
