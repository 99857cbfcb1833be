//! What the door turns away, in both eras.

use crate::client::{Server, request};
use http::{Method, StatusCode};
use serde_json::json;

async fn status_of(headers: &[(&str, &str)], body: &str) -> StatusCode {
    Server::start("a").await.send(Method::POST, headers, body).await.status
}

#[tokio::test]
async fn foreign_origins_and_hosts_are_forbidden() {
    let body = request(1, "ping", json!({})).to_string();
    for header in [("origin", "http://evil.example"), ("origin", "null"), ("host", "evil.example")]
    {
        assert_eq!(status_of(&[header], &body).await, StatusCode::FORBIDDEN, "{header:?}");
    }
    let local = [("origin", "http://localhost:3000")];
    assert_eq!(status_of(&local, &body).await, StatusCode::BAD_REQUEST, "no session");
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let body = request(1, "ping", json!({})).to_string();
    let wrong = [("content-type", "text/plain")];
    assert_eq!(status_of(&wrong, &body).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let wrong = [("accept", "text/html")];
    assert_eq!(status_of(&wrong, &body).await, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn malformed_messages_get_the_codes_of_json_rpc() {
    let server = Server::start("a").await;
    let cases = [
        ("{", -32700),
        ("[]", -32600),
        ("7", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
    ];
    for (body, code) in cases {
        let answer = server.send(Method::POST, &[], body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.json().await["error"]["code"], code, "{body}");
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let answer = Server::start("a").await.send(Method::PUT, &[], "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}
