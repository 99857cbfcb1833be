//! An agent of the legacy era with a session: the verbs that tests of hubs use most.

use crate::client::{RawClient, Response, ask};
use crate::member::key_of;
use crate::post::{Post, legacy_bodyless, legacy_initialize, legacy_post};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// An agent and its session.
#[derive(Debug)]
pub struct Agent {
    /// Where the gate is.
    pub address: SocketAddr,
    /// The id the gate gave.
    pub session: String,
    /// What `initialize` was answered with.
    pub greeting: Value,
    version: String,
    asked: AtomicU64,
}

impl Agent {
    /// Opens a session in the newest legacy revision.
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_by(address, legacy_initialize("2025-11-25")).await
    }

    /// Opens a session with an `initialize` of the test's own.
    pub async fn open_by(address: SocketAddr, initialize: Post) -> Self {
        let answer = ask(address, &initialize).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let session = answer.header("mcp-session-id").expect("a session").to_owned();
        let greeting = answer.json()["result"].clone();
        let version = greeting["protocolVersion"].as_str().expect("a version").to_owned();
        let agent = Self { address, session, greeting, version, asked: AtomicU64::new(1) };
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(agent.send(&ready).await.status, 202);
        agent
    }

    /// A message in this session, about to be sent.
    #[must_use]
    pub fn post_of(&self, message: &Value) -> Post {
        legacy_post(&self.session, "-", &Value::Null)
            .set("mcp-protocol-version", &self.version)
            .body(message.to_string())
    }

    /// A request in this session, about to be sent, under an id of its own.
    #[must_use]
    pub fn post(&self, method: &str, params: &Value) -> Post {
        let id = self.asked.fetch_add(1, Ordering::Relaxed);
        self.post_of(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    }

    /// Sends a message as it is.
    pub async fn send(&self, message: &Value) -> Response {
        ask(self.address, &self.post_of(message)).await
    }

    /// Sends a request.
    pub async fn ask(&self, method: &str, params: &Value) -> Response {
        ask(self.address, &self.post(method, params)).await
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str) -> Response {
        self.ask("tools/call", &json!({ "name": tool, "arguments": {} })).await
    }

    /// Calls a tool and returns what it says it was called.
    pub async fn called(&self, tool: &str) -> String {
        let answer = self.call(tool).await;
        let text = answer.json()["result"]["content"][0]["text"].as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{tool}: {} {}", answer.status, answer.text()))
    }

    /// One page of a list, as the `result`.
    pub async fn page(&self, method: &str, cursor: Option<&str>) -> Value {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let answer = self.ask(method, &params).await;
        let result = answer.json()["result"].clone();
        assert!(result.is_object(), "{} {}", answer.status, answer.text());
        result
    }

    /// All items of a list, page by page.
    pub async fn list(&self, method: &str) -> Vec<Value> {
        let (member, _) = key_of(method);
        let mut page = self.page(method, None).await;
        let mut items = Vec::new();
        loop {
            items.append(page[member].as_array_mut().expect("items"));
            let Some(next) = page["nextCursor"].as_str().map(str::to_owned) else { return items };
            page = self.page(method, Some(&next)).await;
        }
    }

    /// The names of all items of a list.
    pub async fn names(&self, method: &str) -> Vec<String> {
        let (_, key) = key_of(method);
        let items = self.list(method).await;
        items.iter().map(|item| item[key].as_str().expect("a name").to_owned()).collect()
    }

    /// Opens the session's stream, which must come about.
    pub async fn stream(&self) -> RawClient {
        self.resume(&[]).await
    }

    /// The same with more headers.
    pub async fn resume(&self, more: &[(&str, &str)]) -> RawClient {
        let mut client = RawClient::connect(self.address).await;
        client.send(&legacy_bodyless("GET", &self.session, more)).await;
        let head = client.head().await.expect("a stream");
        assert_eq!(head.status, 200);
        client
    }

    /// Ends the session.
    pub async fn end(&self) -> u16 {
        let mut client = RawClient::connect(self.address).await;
        client.send(&legacy_bodyless("DELETE", &self.session, &[])).await;
        client.response().await.expect("an answer").status
    }
}
