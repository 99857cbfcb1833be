//! Who is let in, as one table: every kind of request with every kind of credential.
//!
//! `UPDATE=1 cargo nextest run -p tollgate --test it identity_golden` writes
//! `golden/authorization.txt` anew; review the difference. Each line is the status, `error` of the
//! challenge, and whether the upstream saw anything.

use crate::GATE;
use crate::identity_house::{
    Bearer, Voucher, api_key, by, command, error_of, guarded, now, raw_token,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use testkit::post::good_call;
use testkit::{
    DEADLINE, House, Post, Recorder, Response, legacy_initialize, legacy_post, modern_call,
};

const LATEST: &str = "2025-11-25";

/// A request about to be sent by somebody.
enum Request {
    Post(Post),
    /// A method, a path and more headers.
    Bodyless(&'static str, String, Vec<(&'static str, String)>),
}

impl Request {
    fn bytes(self, credential: Option<&str>) -> Vec<u8> {
        let bearer = credential.map(|token| format!("Bearer {token}"));
        match self {
            Self::Post(post) => {
                let post =
                    bearer.iter().fold(post, |post, value| post.with("authorization", value));
                post.with("connection", "close").bytes()
            }
            Self::Bodyless(method, path, headers) => {
                let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
                let bearer = bearer.map(|value| ("authorization", value));
                for (name, value) in headers.into_iter().chain(bearer) {
                    // Writing to a string cannot fail.
                    let _ = write!(head, "{name}: {value}\r\n");
                }
                format!("{head}connection: close\r\n\r\n").into_bytes()
            }
        }
    }
}

fn legacy(session: &str, method: &str, params: &Value) -> Request {
    Request::Post(legacy_post(session, method, params))
}

fn note(post: Post, method: &str) -> Request {
    Request::Post(post.body(json!({ "jsonrpc": "2.0", "method": method }).to_string()))
}

/// What is asked, in the order of the table. The sessions are of the newest revision and of the one
/// that had batches; the last is where an open stream of HTTP+SSE takes messages.
fn requests([session, batching, messages]: &[String; 3]) -> Vec<(&'static str, Request)> {
    let none = json!({});
    let echo = json!({ "name": "echo", "arguments": { "text": "good" } });
    let plain = || legacy_post(session, "-", &Value::Null);
    let stream = || vec![("accept", "text/event-stream".to_owned())];
    let in_session = || {
        let version = ("mcp-protocol-version", LATEST.to_owned());
        [stream(), vec![("mcp-session-id", session.clone()), version]].concat()
    };
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let batch = plain().set("mcp-session-id", batching).set("mcp-protocol-version", "2025-03-26");
    let browser = vec![
        ("origin", "https://gate.example".to_owned()),
        ("access-control-request-method", "POST".to_owned()),
    ];
    vec![
        ("legacy initialize", Request::Post(legacy_initialize(LATEST))),
        ("legacy tools/list", legacy(session, "tools/list", &none)),
        ("legacy tools/call", legacy(session, "tools/call", &echo)),
        ("legacy tools/call without a session", {
            Request::Post(legacy_post(session, "tools/call", &echo).without("mcp-session-id"))
        }),
        ("legacy notification", note(plain(), "notifications/roots/list_changed")),
        ("legacy batch", Request::Post(batch.body(json!([ping]).to_string()))),
        ("modern server/discover", Request::Post(modern_call("server/discover", &none))),
        ("modern tools/list", Request::Post(modern_call("tools/list", &none))),
        ("modern tools/call", Request::Post(good_call())),
        ("modern notification", {
            note(modern_call("notifications/cancelled", &none), "notifications/cancelled")
        }),
        ("not JSON", Request::Post(Post::new("{{{"))),
        ("no body", Request::Post(Post::new(""))),
        ("GET stream", Request::Bodyless("GET", "/mcp".to_owned(), in_session())),
        ("PUT", Request::Bodyless("PUT", "/mcp".to_owned(), in_session())),
        ("OPTIONS of a browser", Request::Bodyless("OPTIONS", "/mcp".to_owned(), browser)),
        ("HTTP+SSE POST", {
            Request::Post(Post::new(ping.to_string()).to(messages).without("accept"))
        }),
        ("HTTP+SSE GET", Request::Bodyless("GET", "/mcp/sse".to_owned(), stream())),
        ("metadata of the route", {
            let path = "/.well-known/oauth-protected-resource/mcp".to_owned();
            Request::Bodyless("GET", path, Vec::new())
        }),
        ("metadata of the issuer", {
            let path = "/.well-known/oauth-authorization-server".to_owned();
            Request::Bodyless("GET", path, Vec::new())
        }),
        ("keys of the issuer", Request::Bodyless("GET", "/oauth/jwks".to_owned(), Vec::new())),
        ("DELETE", Request::Bodyless("DELETE", "/mcp".to_owned(), in_session())),
    ]
}

/// Whether everybody may ask this.
fn is_public(kind: &str) -> bool {
    kind.contains("of the") || kind.contains("OPTIONS")
}

/// What the gate is asked with, and whether it should let that in.
struct Credential {
    name: &'static str,
    token: Option<String>,
    is_good: bool,
}

fn credentials(house: &House, [jwt, opaque, stranger]: &[Voucher; 3]) -> Vec<Credential> {
    let bad = |name, token| Credential { name, token: Some(token), is_good: false };
    let good = |name, token| Credential { name, token: Some(token), is_good: true };
    let mut id_token = jwt.claims("alice", "agent-a");
    id_token["nonce"] = json!("n");
    id_token["at_hash"] = json!("h");
    let id_token = jwt.key().sign("JWT", &id_token).expect("a token");
    let unsigned = {
        let token = jwt.token("alice", "agent-a");
        let (signed, _) = token.rsplit_once('.').expect("a signature");
        format!("{signed}.")
    };
    let revoked = api_key(&house.gate, "revoked");
    let header = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1","crit":["x"]}"#;
    let critical = jwt.claims("alice", "agent-a").to_string();
    let critical = raw_token(&jwt.key(), header, &critical);
    let token = jwt.token("eve", "revoked");
    command(&house.gate, &["agents", "revoke", "revoked"]);
    vec![
        Credential { name: "none", token: None, is_good: false },
        bad("malformed", "a,b".to_owned()),
        bad("garbage", "garbage".to_owned()),
        bad("unsigned", unsigned),
        bad("critical header", critical),
        bad("expired", jwt.token_but("exp", json!(now() - 5))),
        bad("other route", jwt.token_but("aud", json!("https://gate.example/other"))),
        bad("other issuer", stranger.token("alice", "agent-a")),
        bad("id token", id_token),
        bad("unknown opaque token", "opaque-unknown".to_owned()),
        bad("unknown API key", format!("tgk_{}", "A".repeat(43))),
        bad("revoked API key", revoked),
        bad("token of a revoked agent", token),
        good("JWT", jwt.token("alice", "agent-a")),
        good("opaque token", opaque.opaque("bob", "agent-b")),
        good("API key", api_key(&house.gate, "nightly")),
    ]
}

/// Waits until the upstream has been left alone for a moment.
async fn settled(peer: &Recorder) -> usize {
    loop {
        let before = peer.bytes_seen();
        tokio::time::sleep(Duration::from_millis(30)).await;
        if peer.bytes_seen() == before {
            return before;
        }
    }
}

/// Sends a request and tells what came of it. Streams are left at their head.
async fn told(
    house: &House,
    (kind, request): (&str, Request),
    credential: &Credential,
) -> (Response, bool) {
    let is_public = is_public(kind);
    // What nobody was let in for leaves nothing behind that could arrive late.
    let before = match credential.is_good {
        true => settled(&house.peer).await,
        false => house.peer.bytes_seen(),
    };
    let mut client = house.connect().await;
    client.send(&request.bytes(credential.token.as_deref())).await;
    let answer = client.head().await.expect("an answer");
    let is_served = (200..300).contains(&answer.status);
    for _ in 0..25 {
        if is_public || !credential.is_good || !is_served || house.peer.bytes_seen() != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let has_seen = house.peer.bytes_seen() != before;
    (answer, has_seen)
}

async fn house(vouchers: &[Voucher; 3]) -> House {
    let lines = [vouchers[0].line("jwt"), vouchers[1].opaque_line("opaque")];
    House::open_with(GATE, |file| {
        guarded(file, &lines).section("issuer: {}").route_key("sse: true").route("/other", "peer")
    })
    .await
}

/// The sessions of somebody, and where their stream of HTTP+SSE takes messages.
async fn belongings(bearer: &Bearer) -> ([String; 3], testkit::RawClient) {
    let mut stream = testkit::RawClient::connect(bearer.gate).await;
    let open = Request::Bodyless(
        "GET",
        "/mcp/sse".to_owned(),
        vec![("accept", "text/event-stream".to_owned())],
    );
    stream.send(&open.bytes(Some(&bearer.token))).await;
    assert_eq!(stream.head().await.expect("a stream").status, 200);
    let messages = stream.event().await.expect("where to post").data;
    ([bearer.session(LATEST).await, bearer.session("2025-03-26").await, messages], stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_let_in_is_as_reviewed() {
    let vouchers = [Voucher::start().await, Voucher::start().await, Voucher::start().await];
    let house = house(&vouchers).await;
    let credentials = credentials(&house, &vouchers);
    let victim = Bearer::of(&house, vouchers[0].token("victim", "agent-a"));
    let (stolen, _stream) = belongings(&victim).await;
    let mut table = String::new();
    for credential in &credentials {
        // Who has nothing good comes with what belongs to somebody else.
        let (own, _stream);
        let belonging = if credential.is_good {
            let bearer = Bearer::of(&house, credential.token.clone().unwrap_or_default());
            (own, _stream) = belongings(&bearer).await;
            &own
        } else {
            &stolen
        };
        settled(&house.peer).await;
        let _ = writeln!(table, "{}", credential.name);
        for (kind, request) in requests(belonging) {
            let (answer, has_seen) = told(&house, (kind, request), credential).await;
            let error = error_of(&answer);
            let error = match answer.header("www-authenticate") {
                None => "-",
                Some(_) => error.as_deref().unwrap_or("no error"),
            };
            let seen = if has_seen { "upstream" } else { "-" };
            let _ = writeln!(table, "  {kind:<36} {} {error:<16} {seen}", answer.status);
            let is_refused = (400..500).contains(&answer.status) && !has_seen;
            assert!(
                credential.is_good || is_public(kind) || is_refused,
                "{}: {kind}",
                credential.name
            );
        }
    }
    assert_eq!(victim.ping(&stolen[0]).await, 200, "the victim lost its session");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/authorization.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &table).expect("written");
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(reviewed == table, "the table is not as reviewed (UPDATE=1 writes it):\n{table}");
}

/// An answer as it was sent, without its date.
fn bytes_of(answer: Vec<u8>) -> String {
    let text = String::from_utf8_lossy(&answer).into_owned();
    let lines = text.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    lines.collect::<Vec<_>>().join("\r\n")
}

#[tokio::test]
async fn who_presents_nothing_is_answered_alike_whatever_was_sent() {
    let vouchers = [Voucher::start().await, Voucher::start().await, Voucher::start().await];
    let house = house(&vouchers).await;
    let victim = Bearer::of(&house, vouchers[0].token("victim", "agent-a"));
    let (stolen, _stream) = belongings(&victim).await;
    let before = settled(&house.peer).await;
    let mut answers: Vec<(String, Vec<&str>)> = Vec::new();
    for (kind, request) in requests(&stolen).into_iter().filter(|(kind, _)| !is_public(kind)) {
        let mut client = house.connect().await;
        client.send(&request.bytes(None)).await;
        let answer = bytes_of(client.until_closed(DEADLINE).await);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{kind}: {answer}");
        match answers.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, kinds)) => kinds.push(kind),
            None => answers.push((answer, vec![kind])),
        }
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(house.peer.bytes_seen(), before, "a refused request reached the upstream");
    let post = by(&victim.token, good_call());
    assert_eq!(house.ask(&post).await.status, 200);
}
