//! Tokens of the gate's own towards upstreams, with callers who prove who they are: whose token goes
//! where, and that none of theirs goes anywhere.

use crate::GATE;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;
use testkit::client::{RawClient, ask};
use testkit::post::{good_call, legacy_bodyless, legacy_initialize, modern_call};
use testkit::{
    Configuration, DEADLINE, GateProcess, House, Member, Post, Recorded, Recorder, Reply,
    legacy_post,
};
use tollgate_oauth::jwt::Jwt;
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

const CONNECTIONS: usize = 20;
const CALLS: usize = 10_000;

/// An issuer of agents' tokens, and the files of a gate that trusts it.
struct World {
    folder: TempDir,
    issuer: SigningKey,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let make = || SigningKey::generate(Alg::Es256).expect("a key");
        let (issuer, own) = (make(), make());
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        write("keys.json", &KeySet::from_signing(&[&issuer]).to_json().to_string());
        write("gate.key", &pem(own.pkcs8()));
        write("secret", "gates-own-secret");
        Self { folder, issuer }
    }

    fn path(&self, name: &str) -> String {
        Path::join(self.folder.path(), name).display().to_string()
    }

    /// The sections of a gate whose callers prove who they are.
    fn identity(&self, file: Configuration) -> Configuration {
        let (keys, store) = (self.path("keys.json"), self.path("gate.db"));
        file.gate("public_url: \"https://gate.example\"").section(&format!(
            "identity: {{ issuers: [{{ name: corp, url: \"https://corp.example\", \
             keys: {{ file: \"{keys}\" }}, algorithms: [ES256] }}] }}\n\
             stores: {{ embedded: \"{store}\" }}"
        ))
    }

    fn request(&self, server: SocketAddr) -> String {
        let secret = self.path("secret");
        format!(
            "token_url: \"http://{server}/token\", client_id: gate, \
             client_secret: \"${{file:{secret}}}\""
        )
    }

    /// A token for each principal.
    fn exchange(&self, server: SocketAddr) -> String {
        let (request, key) = (self.request(server), self.path("gate.key"));
        format!(
            "credential: {{ exchange: {{ request: {{ {request} }}, assertion: {{ \
             issuer: \"https://gate.example\", issuers: [corp], \
             private_key: {{ file: \"{key}\", algorithm: ES256 }} }} }} }}"
        )
    }

    /// A token of the gate's own.
    fn own(&self, server: SocketAddr) -> String {
        format!("credential: {{ client_credentials: {{ {} }} }}", self.request(server))
    }

    /// A token of an agent that acts for this user.
    fn token(&self, user: &str) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let claims = json!({
            "iss": "https://corp.example", "sub": user, "client_id": "agent",
            "aud": "https://gate.example/mcp",
            "iat": now, "exp": now + 3600, "jti": format!("token-of-{user}"),
        });
        self.issuer.sign("at+jwt", &claims).expect("a token")
    }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

/// A token server: `up-USER` for what says that it is about USER, `up-gate` for the gate itself.
async fn tokens() -> Recorder {
    Recorder::scripted(|request: &Recorded| {
        let form: Vec<(String, String)> =
            url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| form.iter().find(|(known, _)| known == name);
        let who = match field("subject_token") {
            Some((_, subject)) => {
                let jwt = Jwt::read(subject).expect("a JWT");
                jwt.claims().text("sub").expect("a text").expect("a subject").to_owned()
            }
            None => String::from("gate"),
        };
        let token = format!("up-{who}");
        Reply::json(&json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
    })
    .await
}

fn by(post: Post, token: &str) -> Post {
    post.with("authorization", &format!("Bearer {token}"))
}

/// What an upstream was shown in `Authorization`.
fn shown(requests: &[Recorded]) -> BTreeSet<String> {
    let shown = requests.iter().map(|request| {
        assert!(request.count_of("authorization") <= 1, "{request:?}");
        request.header("authorization").unwrap_or("nothing").to_owned()
    });
    shown.collect()
}

fn assert_without(requests: &[Recorded], tokens: &[String]) {
    for request in requests {
        let whole = [&request.head[..], &request.body, &request.trailers].concat();
        let text = String::from_utf8_lossy(&whole);
        assert!(!tokens.iter().any(|token| text.contains(token.as_str())), "{text}");
    }
}

fn call_of(user: &str) -> Value {
    json!({ "name": "echo", "arguments": { "text": format!("by {user}.") } })
}

#[tokio::test] // Row 76, gate G6.
async fn ten_thousand_proven_calls_show_the_upstream_only_the_gates_token() {
    let (world, server) = (World::new(), tokens().await);
    let credential = world.own(server.address);
    let change = |file: Configuration| world.identity(file.upstream_key(&credential));
    let house = House::around(GATE, Recorder::start().await, change).await;
    let all: Vec<_> = (0..CONNECTIONS).map(|n| world.token(&format!("user-{n}"))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for token in all.clone() {
        let address = house.gate.address;
        tasks.spawn(async move {
            let mut client = RawClient::connect(address).await;
            for call in 0..CALLS / CONNECTIONS {
                let post = match call % 3 {
                    0 => modern_call("tools/list", &json!({})),
                    _ => good_call(),
                };
                let post = by(post, &token).with("x-api-key", &token).with("cookie", &token);
                let answer = client.ask_within(&post, DEADLINE * 4).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("all calls");
    }
    let requests = house.peer.requests();
    assert!(requests.len() >= CALLS, "only {} of {CALLS} arrived", requests.len());
    assert_without(&requests, &all);
    assert_eq!(shown(&requests), BTreeSet::from([String::from("Bearer up-gate")]));
    assert_eq!(server.requests().len(), 1);
    assert_without(&server.requests(), &all);
}

#[tokio::test]
async fn each_principal_reaches_the_upstream_with_a_token_of_its_own() {
    let (world, server) = (World::new(), tokens().await);
    let peer = Recorder::start().await;
    // Its era is not known: it is asked for that on behalf of whom it concerns.
    let file = Configuration::default().upstream("peer", &[peer.address]);
    let file = file.upstream_key(&world.exchange(server.address)).route("/mcp", "peer");
    let gate = GateProcess::start(GATE, &world.identity(file).text()).await;
    let users = ["ann", "ben", "eve"];
    let all: Vec<_> = users.iter().map(|user| world.token(user)).collect();
    for (user, token) in users.iter().zip(&all) {
        let answer = ask(gate.address, &by(modern_call("tools/call", &call_of(user)), token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let opened = ask(gate.address, &by(legacy_initialize("2025-11-25"), token)).await;
        let session = opened.header("mcp-session-id").expect("a session").to_owned();
        let post = by(legacy_post(&session, "tools/call", &call_of(user)), token);
        assert_eq!(ask(gate.address, &post).await.status, 200);
        let authorization = format!("Bearer {token}");
        let mut client = RawClient::connect(gate.address).await;
        client.send(&legacy_bodyless("GET", &session, &[("authorization", &authorization)])).await;
        assert_eq!(client.head().await.expect("a stream").status, 200);
        let end = legacy_bodyless("DELETE", &session, &[("authorization", &authorization)]);
        let mut other = RawClient::connect(gate.address).await;
        other.send(&end).await;
        assert!(other.response().await.expect("an answer").status < 300);
    }
    let requests = peer.requests();
    assert_without(&requests, &all);
    let expected = users.map(|user| format!("Bearer up-{user}"));
    assert_eq!(shown(&requests), expected.into_iter().collect());
    for request in requests.iter().filter(|request| request.text().contains("by ")) {
        let whose = request.header("authorization").unwrap_or_default();
        let user = whose.trim_start_matches("Bearer up-");
        assert!(request.text().contains(&format!("by {user}.")), "{whose}: {}", request.text());
    }
    for method in ["GET", "DELETE"] {
        assert_eq!(shown(&peer.with_http_method(method)).len(), users.len(), "{method}");
    }
    assert_eq!(server.requests().len(), users.len());
    assert_without(&server.requests(), &all);
}

#[tokio::test]
async fn on_a_hub_lists_are_read_for_each_principal_with_its_own_token() {
    let (world, server) = (World::new(), tokens().await);
    let (apart, open) = (Member::with_tools(&["one"]), Member::with_tools(&["two"]));
    let (a, b) = (Recorder::of_member(&apart).await, Recorder::of_member(&open).await);
    let file = Configuration::hub(&[("b", b.address), ("a", a.address)]);
    let file = world.identity(file.upstream_key(&world.exchange(server.address)));
    let gate = GateProcess::start(GATE, &file.text()).await;
    let users = ["ann", "ben"];
    let all: Vec<_> = users.iter().map(|user| world.token(user)).collect();
    for token in &all {
        let listed = ask(gate.address, &by(modern_call("tools/list", &json!({})), token)).await;
        assert!(listed.text().contains("a__one"), "{}", listed.text());
        assert!(listed.text().contains("b__two"), "{}", listed.text());
        let call = modern_call("tools/call", &json!({ "name": "a__one", "arguments": {} }));
        assert_eq!(ask(gate.address, &by(call, token)).await.status, 200);
    }
    let expected: BTreeSet<_> = users.iter().map(|user| format!("Bearer up-{user}")).collect();
    assert_eq!(shown(&a.calls_of("tools/list")), expected);
    assert_eq!(shown(&a.requests()), expected);
    assert_eq!(shown(&b.requests()), BTreeSet::from([String::from("nothing")]));
    assert_without(&[a.requests(), b.requests()].concat(), &all);
}

#[tokio::test]
async fn without_a_token_the_call_is_not_made_and_the_agent_is_told_whose_business_it_is() {
    let world = World::new();
    let refusing = |_: &Recorded| {
        let body = br#"{"error":"invalid_target","error_description":"evil.example"}"#;
        let fields = [("content-type", "application/json"), ("www-authenticate", "Bearer evil")];
        Reply::status(400, &fields, body)
    };
    let server = Recorder::scripted(refusing).await;
    let credential = world.exchange(server.address);
    let change = |file: Configuration| world.identity(file.upstream_key(&credential));
    let house = House::around(GATE, Recorder::start().await, change).await;
    for _ in 0..5 {
        let answer = house.ask(&by(good_call(), &world.token("ann"))).await;
        let text = answer.text();
        assert!(text.contains("invalid_target") && text.contains("operator"), "{text}");
        assert!(!format!("{answer:?} {text}").contains("evil"), "{text}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
    assert_eq!((house.peer.requests().len(), server.requests().len()), (0, 1));
}
