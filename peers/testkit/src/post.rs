//! Well-formed requests of both eras, to be sent as they are or spoiled in one place.

use serde_json::{Value, json};

/// A POST about to be sent.
#[derive(Clone, Debug)]
pub struct Post {
    /// The request target.
    pub path: String,
    /// All header fields; `content-length` is added when it is sent unless it or
    /// `transfer-encoding` is here.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Post {
    /// A POST of `body` to `/mcp` with the headers every MCP client sends.
    #[must_use]
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        let headers = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { path: "/mcp".to_owned(), headers, body: body.into() }
    }

    /// Adds a header, even if there is one of this name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes all headers of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces all headers of this name by one.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// The same headers before another body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same body with one piece of text replaced, which must be in it.
    #[must_use]
    pub fn replace(mut self, from: &str, to: impl AsRef<[u8]>) -> Self {
        let at = self.body.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.expect("the text is in the body");
        self.body.splice(at..at + from.len(), to.as_ref().iter().copied());
        self
    }

    /// Another request target.
    #[must_use]
    pub fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The whole request as bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The head as bytes, with the empty line.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("POST {} HTTP/1.1\r\n", self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let has = |name: &str| self.headers.iter().any(|(given, _)| given == name);
        if !has("content-length") && !has("transfer-encoding") {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The id a refusal of this request may echo: the first one in it, readable or not.
    #[must_use]
    pub fn id(&self) -> Option<Value> {
        let key = b"\"id\":";
        let at = self.body.windows(key.len()).position(|window| window == key)?;
        let rest = self.body.get(at + key.len()..)?;
        let id: Value = serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()?;
        (id.is_string() || id.is_i64() || id.is_u64()).then_some(id)
    }
}

/// `initialize` of a client that speaks `version`.
#[must_use]
pub fn legacy_initialize(version: &str) -> Post {
    let params = json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": { "name": "testkit", "version": "1" },
    });
    Post::new(request(0, "initialize", &params))
}

/// A legacy request within a session.
#[must_use]
pub fn legacy_post(session: &str, method: &str, params: &Value) -> Post {
    Post::new(request(1, method, params))
        .with("mcp-session-id", session)
        .with("mcp-protocol-version", "2025-11-25")
}

/// A GET or DELETE within a legacy session, whole.
#[must_use]
pub fn legacy_bodyless(method: &str, session: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!(
        "{method} /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         mcp-session-id: {session}\r\nmcp-protocol-version: 2025-11-25\r\n"
    );
    for (name, value) in more {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A modern request: `_meta` completed, the headers mirrored from the body.
#[must_use]
pub fn modern_call(method: &str, params: &Value) -> Post {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    if params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_null() {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    let post = Post::new(request(7, method, &params))
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", method);
    match params["name"].as_str().or_else(|| params["uri"].as_str()) {
        Some(name) => post.with("mcp-name", name),
        None => post,
    }
}

/// The good request that proves the gate still serves: the modern call of `echo`.
#[must_use]
pub fn good_call() -> Post {
    modern_call("tools/call", &json!({ "name": "echo", "arguments": { "text": "good" } }))
}

fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}
