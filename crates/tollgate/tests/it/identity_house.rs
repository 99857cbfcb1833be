//! A house whose callers must prove who they are, and issuers of the tests' own that vouch for them.
//!
//! An issuer here is a recording web server with keys: what the gate asks of it is recorded like what
//! reaches an upstream. Tokens are good unless a test spoils them in one place.

use crate::GATE;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::client::ask;
use testkit::post::good_call;
use testkit::{
    Configuration, GateProcess, House, Post, RawClient, Recorded, Recorder, Reply, Response,
    legacy_bodyless, legacy_initialize, legacy_post,
};
use tokio::net::TcpListener;
use tollgate_oauth::keys::{Alg, SigningKey};

/// What agents call the gate.
pub(crate) const PUBLIC: &str = "https://gate.example";
/// What tokens for the route `/mcp` are for.
pub(crate) const DOOR: &str = "https://gate.example/mcp";
/// The key id of every issuer's first key: the same in all.
pub(crate) const KID: &str = "k1";

static MINTED: AtomicU64 = AtomicU64::new(0);

/// Unix seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A new key of this id.
pub(crate) fn new_key(kid: &str) -> Arc<SigningKey> {
    let made = SigningKey::generate(Alg::EdDsa).expect("a key");
    Arc::new(SigningKey::from_pkcs8(kid, Alg::EdDsa, made.pkcs8()).expect("a key"))
}

/// An issuer of tokens.
#[derive(Debug)]
pub(crate) struct Voucher {
    /// What it was asked.
    pub(crate) web: Recorder,
    /// Its identifier.
    pub(crate) url: String,
    keys: Arc<Mutex<Vec<Arc<SigningKey>>>>,
    active: Arc<Mutex<HashMap<String, Value>>>,
}

impl Voucher {
    /// An issuer with one key.
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    /// The same on a listener of the test's own.
    pub(crate) fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("an address");
        let keys = Arc::new(Mutex::new(vec![new_key(KID)]));
        let active = Arc::new(Mutex::new(HashMap::new()));
        let web = Recorder::on(listener, Self::script(address, &keys, &active));
        Self { web, url: format!("http://{address}"), keys, active }
    }

    fn script(
        address: SocketAddr,
        keys: &Arc<Mutex<Vec<Arc<SigningKey>>>>,
        active: &Arc<Mutex<HashMap<String, Value>>>,
    ) -> impl Fn(&Recorded) -> Reply + Send + Sync + 'static {
        let (keys, active) = (keys.clone(), active.clone());
        move |request| match request.path.as_str() {
            "/.well-known/oauth-authorization-server" => Reply::json(&json!({
                "issuer": format!("http://{address}"),
                "jwks_uri": format!("http://{address}/jwks"),
                "introspection_endpoint": format!("http://{address}/introspect"),
            })),
            "/jwks" => {
                let keys = keys.lock().expect("keys");
                let keys: Vec<Value> = keys.iter().map(|key| key.public_jwk()).collect();
                Reply::json(&json!({ "keys": keys }))
            }
            "/introspect" => {
                let text = request.text();
                let token = text.split('&').find_map(|pair| pair.strip_prefix("token="));
                let active = active.lock().expect("tokens");
                let said = token.and_then(|token| active.get(token));
                Reply::json(said.unwrap_or(&json!({ "active": false })))
            }
            _ => Reply::status(404, &[], b"nothing here"),
        }
    }

    /// Answers as at the start again.
    pub(crate) fn recover(&self) {
        self.web.follow(Self::script(self.web.address, &self.keys, &self.active));
    }

    /// How often its keys were fetched.
    pub(crate) fn key_fetches(&self) -> usize {
        self.web.requests().iter().filter(|request| request.path == "/jwks").count()
    }

    /// Its present key.
    pub(crate) fn key(&self) -> Arc<SigningKey> {
        self.keys.lock().expect("keys").last().expect("a key").clone()
    }

    /// Signs with another key from now on, and publishes only that.
    pub(crate) fn rotate(&self, kid: &str) {
        *self.keys.lock().expect("keys") = vec![new_key(kid)];
    }

    /// Publishes this key as well.
    pub(crate) fn publish(&self, key: Arc<SigningKey>) {
        self.keys.lock().expect("keys").insert(0, key);
    }

    /// Its line in `identity.issuers`.
    pub(crate) fn line(&self, name: &str) -> String {
        format!("{{ name: {name}, url: \"{}\" }}", self.url)
    }

    /// The same for an issuer that is asked about its tokens.
    pub(crate) fn opaque_line(&self, name: &str) -> String {
        let gate = "introspection: { client_id: gate, client_secret: \"s3cret\", believed: 1s }";
        format!("{{ name: {name}, url: \"{}\", {gate} }}", self.url)
    }

    /// The claims of a good token of this subject and agent for the route `/mcp`.
    pub(crate) fn claims(&self, subject: &str, agent: &str) -> Value {
        json!({
            "iss": self.url,
            "sub": subject,
            "client_id": agent,
            "aud": DOOR,
            "iat": now(),
            "exp": now() + 600,
            "jti": format!("t{}", MINTED.fetch_add(1, Ordering::Relaxed)),
        })
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.key().sign("at+jwt", claims).expect("a token")
    }

    /// A good token of this subject and agent.
    pub(crate) fn token(&self, subject: &str, agent: &str) -> String {
        self.sign(&self.claims(subject, agent))
    }

    /// A good token with one claim changed; `Null` removes it.
    pub(crate) fn token_but(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims("alice", "agent-a");
        match value {
            Value::Null => drop(claims.as_object_mut().expect("claims").remove(claim)),
            value => claims[claim] = value,
        }
        self.sign(&claims)
    }

    /// A good opaque token of this subject and agent.
    pub(crate) fn opaque(&self, subject: &str, agent: &str) -> String {
        let token = format!("opaque-{}", MINTED.fetch_add(1, Ordering::Relaxed));
        let mut claims = self.claims(subject, agent);
        claims["active"] = json!(true);
        self.says(&token, claims);
        token
    }

    /// Says this of an opaque token from now on.
    pub(crate) fn says(&self, token: &str, answer: Value) {
        self.active.lock().expect("tokens").insert(token.to_owned(), answer);
    }
}

/// Signs a header and claims as they are written, whatever they are.
pub(crate) fn raw_token(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    let pair = Ed25519KeyPair::from_pkcs8(key.pkcs8()).expect("an Ed25519 key");
    format!("{signed}.{}", encoded(pair.sign(signed.as_bytes())))
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The configuration of a guarded house, to which a test may add.
pub(crate) fn guarded(file: Configuration, issuers: &[String]) -> Configuration {
    let issuers = issuers.join(", ");
    file.gate(&format!("public_url: \"{PUBLIC}\""))
        .section(&format!("identity: {{ leeway: 1s, issuers: [{issuers}] }}"))
}

/// A house that lets in whom these issuers vouch for.
pub(crate) async fn open(issuers: &[String]) -> House {
    House::open_with(GATE, |file| guarded(file, issuers)).await
}

/// Runs a command on the store of this gate and returns what it prints.
pub(crate) fn command(gate: &GateProcess, args: &[&str]) -> Value {
    let mut command = Command::new(GATE);
    command.args(args).arg("--json").arg("--config").arg(gate.beside("tollgate.yaml"));
    let output = command.output().expect("the command runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Adds an agent with an API key and returns the key.
pub(crate) fn api_key(gate: &GateProcess, name: &str) -> String {
    let added = command(gate, &["agents", "add", name, "--api-key"]);
    added["api_key"].as_str().expect("an API key").to_owned()
}

/// The same request by whoever holds this token.
pub(crate) fn by(token: &str, post: Post) -> Post {
    post.set("authorization", &format!("Bearer {token}"))
}

/// `error` in the challenge of an answer.
pub(crate) fn error_of(answer: &Response) -> Option<String> {
    let challenge = answer.header("www-authenticate")?;
    let (_, rest) = challenge.split_once("error=\"")?;
    Some(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Somebody with a token.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) gate: SocketAddr,
    pub(crate) token: String,
}

impl Bearer {
    /// Of this token at this house.
    pub(crate) fn of(house: &House, token: impl Into<String>) -> Self {
        Self { gate: house.gate.address, token: token.into() }
    }

    pub(crate) async fn ask(&self, post: Post) -> Response {
        ask(self.gate, &by(&self.token, post)).await
    }

    /// The status of the good call.
    pub(crate) async fn call(&self) -> u16 {
        self.ask(good_call()).await.status
    }

    /// Opens a session of this revision.
    pub(crate) async fn session(&self, version: &str) -> String {
        let answer = self.ask(legacy_initialize(version)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("mcp-session-id").expect("a session").to_owned();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let ready = legacy_post(&id, "-", &Value::Null)
            .set("mcp-protocol-version", version)
            .body(ready.to_string());
        assert_eq!(self.ask(ready).await.status, 202);
        id
    }

    /// The status of a ping in this session.
    pub(crate) async fn ping(&self, session: &str) -> u16 {
        self.ask(legacy_post(session, "ping", &json!({}))).await.status
    }

    /// Sends GET or DELETE in this session; the answer's body is left open.
    pub(crate) async fn bodyless(
        &self,
        method: &str,
        session: &str,
        more: &[(&str, &str)],
    ) -> (RawClient, Response) {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend_from_slice(more);
        let mut client = RawClient::connect(self.gate).await;
        client.send(&legacy_bodyless(method, session, &headers)).await;
        let head = client.head().await.expect("an answer");
        (client, head)
    }

    /// Opens the stream of this session, which must come about.
    pub(crate) async fn stream(&self, session: &str) -> RawClient {
        let (client, head) = self.bodyless("GET", session, &[]).await;
        assert_eq!(head.status, 200);
        client
    }
}
