//! What is taken of an answer, and what a request looks like.

use crate::stage::{Script, Server, ask, ok, plain};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use std::time::Duration;
use tollgate_outbound::{Answer, Ask, FetchFault, Reach};

/// What a fetch makes of these bytes, and how many connections it took.
async fn fetch(bytes: impl Into<Vec<u8>>) -> (Result<Answer, FetchFault>, usize) {
    let mut server = Server::start(Script::Say(bytes.into())).await;
    let fetched = plain().send(ask(&server.url(), Reach::Anywhere)).await;
    (fetched, server.heads().len())
}

#[tokio::test]
async fn a_request_says_what_it_must_and_its_fragment_stays_here() {
    let mut server = Server::start(Script::Say(ok("{}"))).await;
    let url = server.url();
    let mut ask = ask(&url, Reach::Anywhere);
    for (name, value) in [(HOST, "evil"), (CONTENT_LENGTH, "9"), (TRANSFER_ENCODING, "chunked")] {
        ask.headers.push((name, HeaderValue::from_static(value)));
    }
    ask.headers.push((AUTHORIZATION, HeaderValue::from_static("Basic YTpi")));
    plain().send(ask).await.expect("an answer");
    let head = server.heads().remove(0);
    assert!(head.starts_with("GET /document?x=1 HTTP/1.1\r\n"), "{head}");
    for line in ["accept-encoding: identity", "connection: close", "authorization: Basic YTpi"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    let host = format!("\r\nhost: {}\r\n", server.address);
    assert!(head.contains(&host) && !head.contains("evil"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
}

#[tokio::test]
async fn a_form_is_encoded_and_asks_for_json() {
    let mut server = Server::start(Script::Say(ok("{}"))).await;
    let (url, fields) = (server.url(), [("scope", "a b"), ("token", "x&y=z+é")]);
    plain().post_form(&url, Reach::Anywhere, &fields).await.expect("an answer");
    let head = server.heads().remove(0);
    assert!(head.starts_with("POST /document?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert!(head.contains("content-length: 34\r\n"), "{head}");
    let ask = Ask::form(&url, Reach::Anywhere, &fields);
    assert_eq!(ask.body, "scope=a+b&token=x%26y%3Dz%2B%C3%A9");
    assert!(!format!("{ask:?}").contains("scope"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [300, 301, 302, 303, 304, 307, 308, 399] {
        let mut elsewhere = Server::start(Script::Say(ok("{}"))).await;
        let place = elsewhere.address;
        let (fetched, asked) = fetch(format!(
            "HTTP/1.1 {status} Go\r\nlocation: http://{place}/\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(fetched.err(), Some(FetchFault::Redirected(status)));
        assert_eq!((asked, elsewhere.heads().len()), (1, 0));
    }
}

#[tokio::test]
async fn other_statuses_are_answers_and_only_200_is_a_document() {
    let refusal = "HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\n{}";
    let (fetched, _) = fetch(refusal).await;
    assert_eq!(fetched.expect("an answer").status, StatusCode::UNAUTHORIZED);
    let server = Server::start(Script::Say(refusal.into())).await;
    let document = plain().get_json(&server.url(), Reach::Anywhere).await;
    assert_eq!(document, Err(FetchFault::Status(StatusCode::UNAUTHORIZED)));
    let server = Server::start(Script::Say(ok("{\"a\":1}"))).await;
    let document = plain().get_json(&server.url(), Reach::Anywhere).await;
    assert_eq!(document, Ok(Bytes::from_static(b"{\"a\":1}")));
}

#[tokio::test]
async fn encoded_answers_are_refused() {
    for field in [
        "content-encoding: gzip",
        "content-encoding: identity, gzip",
        "content-encoding: br",
        "content-encoding: identity\r\ncontent-encoding: deflate",
        "content-encoding: ",
        "transfer-encoding: gzip, chunked",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{field}\r\n");
        let (fetched, _) = fetch(format!("{head}content-length: 2\r\n\r\n{{}}")).await;
        assert!(fetched.is_err(), "{field}: {fetched:?}");
        if field.starts_with("content") {
            assert_eq!(fetched.err(), Some(FetchFault::Encoded), "{field}");
        }
    }
    let plain = "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(fetch(plain).await.0.expect("an answer").body, "{}");
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_not_read_to_its_end() {
    let big = "x".repeat(10 * 1024 * 1024);
    let declared = fetch(ok(&big)).await.0;
    assert_eq!(declared.err(), Some(FetchFault::TooLong(5 * 1024)));
    let undeclared = fetch(format!("HTTP/1.1 200 OK\r\n\r\n{big}")).await.0;
    assert_eq!(undeclared.err(), Some(FetchFault::TooLong(5 * 1024)));
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(2500);
    let chunked = fetch(format!("{head}{chunks}0\r\n\r\n")).await.0;
    assert_eq!(chunked.err(), Some(FetchFault::TooLong(5 * 1024)));
    let lying = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000000\r\n\r\n";
    assert_eq!(fetch(lying).await.0.err(), Some(FetchFault::TooLong(5 * 1024)));
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_bound_and_no_longer() {
    let exact = "x".repeat(5 * 1024);
    assert_eq!(fetch(ok(&exact)).await.0.expect("an answer").body.len(), 5 * 1024);
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let whole = fetch(format!("{head}{exact}")).await.0;
    assert_eq!(whole.expect("an answer").body.len(), 5 * 1024);
    let over = fetch(format!("{head}{exact}x")).await.0;
    assert_eq!(over.err(), Some(FetchFault::TooLong(5 * 1024)));
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    assert_eq!(fetch(long).await.0.err(), Some(FetchFault::HeadTooLong));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert!(fetch(many).await.0.is_err());
    let drip = Script::Drip(
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        [b"x: ", &[b'y'; 4096][..], b"\r\n"].concat(),
        Duration::from_millis(1),
    );
    let server = Server::start(drip).await;
    let fault = plain().send(ask(&server.url(), Reach::Anywhere)).await.expect_err("no end");
    assert_eq!(fault, FetchFault::HeadTooLong);
}

#[tokio::test]
async fn broken_answers_are_faults() {
    for bytes in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
        "HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 099 Odd\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "{\"keys\":[]}",
    ] {
        let (fetched, asked) = fetch(bytes).await;
        assert!(matches!(fetched, Err(FetchFault::Broken(_))), "{bytes}: {fetched:?}");
        assert_eq!(asked, 1, "{bytes}: asked again");
    }
}

#[tokio::test]
async fn json_is_known_by_its_type() {
    for (named, is_json) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/jwk-set+json", true),
        ("text/html", false),
        ("text/x+json", false),
        ("application/jsonp", false),
    ] {
        let answer = fetch(format!("HTTP/1.1 200 OK\r\ncontent-type: {named}\r\n\r\n{{}}")).await.0;
        assert_eq!(answer.expect("an answer").is_json(), is_json, "{named}");
    }
}
