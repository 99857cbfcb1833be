//! The whole house: the gate in front of a recording upstream, and the verbs of the attack tests.
//!
//! A refusal is four things: the status and code of the documents, the id of the request where it
//! had a readable one, nothing at the upstream, and a gate that serves the next good request.

use crate::client::{RawClient, Response, ask};
use crate::gate::{Configuration, GateProcess};
use crate::post::{Post, good_call, legacy_bodyless, legacy_initialize, legacy_post};
use crate::recorder::Recorder;
use serde_json::{Value, json};

/// A gate and the upstream behind it.
#[derive(Debug)]
pub struct House {
    /// The gate.
    pub gate: GateProcess,
    /// The upstream.
    pub peer: Recorder,
}

impl House {
    /// A house with the default configuration.
    pub async fn open(binary: &str) -> Self {
        Self::open_with(binary, |configuration| configuration).await
    }

    /// A house with a configuration of the test's own.
    pub async fn open_with(
        binary: &str,
        change: impl FnOnce(Configuration) -> Configuration,
    ) -> Self {
        Self::around(binary, Recorder::start().await, change).await
    }

    /// A house around an upstream of the test's own.
    pub async fn around(
        binary: &str,
        peer: Recorder,
        change: impl FnOnce(Configuration) -> Configuration,
    ) -> Self {
        let configuration = change(Configuration::of(&[peer.address]));
        let gate = GateProcess::start(binary, &configuration.text()).await;
        Self { gate, peer }
    }

    /// A new connection to the gate.
    pub async fn connect(&self) -> RawClient {
        RawClient::connect(self.gate.address).await
    }

    /// Sends a request on a connection of its own.
    pub async fn ask(&self, post: &Post) -> Response {
        ask(self.gate.address, post).await
    }

    /// Opens a legacy session and returns the id the gate gave.
    pub async fn session(&self, version: &str) -> String {
        self.session_by(legacy_initialize(version), version).await
    }

    /// The same with an `initialize` of the test's own.
    pub async fn session_by(&self, initialize: Post, version: &str) -> String {
        let answer = self.ask(&initialize).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("mcp-session-id").expect("a session").to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let post = legacy_post(&id, "-", &Value::Null)
            .set("mcp-protocol-version", version)
            .body(initialized.to_string());
        assert_eq!(self.ask(&post).await.status, 202);
        id
    }

    /// Opens the GET stream of a session, which must come about.
    pub async fn stream(&self, session: &str) -> RawClient {
        let mut client = self.connect().await;
        client.send(&legacy_bodyless("GET", session, &[])).await;
        let head = client.head().await.expect("a stream");
        assert_eq!(head.status, 200);
        client
    }

    /// Sends a request and expects its refusal with one of these statuses and, where codes are
    /// given, one of these JSON-RPC codes.
    pub async fn refuses(&self, post: &Post, statuses: &[u16], codes: &[i64]) {
        self.turns_away(post, statuses, codes).await;
        self.still_serves().await;
    }

    /// The same without the good request afterwards, for tests that refuse by the hundred.
    pub async fn turns_away(&self, post: &Post, statuses: &[u16], codes: &[i64]) {
        let before = self.peer.bytes_seen();
        let answer = self.ask(post).await;
        let shown =
            format!("{:?}\nanswered {} {}", start_of(&post.body), answer.status, answer.text());
        assert!(statuses.contains(&answer.status), "{shown}");
        let is_code_right = answer.code().map_or(codes.is_empty(), |code| codes.contains(&code));
        assert!(codes.is_empty() || is_code_right, "{shown}");
        let id = answer.json().get("id").cloned().unwrap_or_default();
        assert!(id.is_null() || Some(id) == post.id(), "{shown}");
        assert_eq!(self.peer.bytes_seen(), before, "the upstream got a refused request: {shown}");
    }

    /// Sends bytes and expects one of these statuses, or nothing but the end of the connection
    /// where 0 is among them; then the end of the connection, and nothing at the upstream.
    pub async fn refuses_bytes(&self, bytes: &[u8], statuses: &[u16]) {
        let before = self.peer.bytes_seen();
        let mut client = self.connect().await;
        client.send(bytes).await;
        let status = client.response().await.map_or(0, |response| response.status);
        let shown = start_of(bytes);
        assert!(statuses.contains(&status), "answered {status}: {shown:?}");
        let rest = client.until_closed(crate::DEADLINE).await;
        let rest = String::from_utf8_lossy(&rest);
        assert_eq!(rest, "", "a second answer to {shown:?}");
        assert_eq!(self.peer.bytes_seen(), before, "the upstream got a refused request: {shown}");
        self.still_serves().await;
    }

    /// Expects a good request to be served.
    pub async fn still_serves(&self) {
        let answer = self.ask(&good_call()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["result"]["content"][0]["text"], r#"{"text":"good"}"#);
    }
}

/// The beginning of a text, for messages.
fn start_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(300).collect()
}
