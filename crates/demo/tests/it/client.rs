//! One running instance and a client with the verbs the tests need.
//!
//! Every wait has a deadline, so a stream that stays silent fails its test instead of hanging it.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate_demo::{Instance, serve};

const DEADLINE: Duration = Duration::from_secs(10);

/// A running instance.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<std::io::Result<()>>,
}

/// One answer, its body not yet read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Server {
    pub(crate) async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let instance = Instance { name: name.to_owned() };
        let running = tokio::spawn(serve(listener, instance, async {
            let _gone = stopped.await;
        }));
        Self { address, stop: Some(stop), running }
    }

    /// Stops the instance and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        let _gone = self.stop.take().expect("stopped once").send(());
        let ended = tokio::time::timeout(DEADLINE, &mut self.running).await;
        ended.expect("ends in time").expect("no panic").expect("no error");
    }

    pub(crate) fn tell_to_stop(&mut self) {
        let _gone = self.stop.take().expect("stopped once").send(());
    }

    /// Sends one request. `accept` and `content-type` are set unless given.
    pub(crate) async fn send(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let socket = TcpStream::connect(self.address).await.expect("connects");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.expect("handshake");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri("/mcp");
        let defaults = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let missing = |name: &str| !headers.iter().any(|(given, _)| *given == name);
        for (name, value) in defaults.into_iter().filter(|(name, _)| missing(name)) {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
        let response = tokio::time::timeout(DEADLINE, sender.send_request(request)).await;
        let (head, body) = response.expect("answers in time").expect("an answer").into_parts();
        Answer { status: head.status, headers: head.headers, body, buffer: Vec::new() }
    }

    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send(Method::POST, headers, &body.to_string()).await
    }

    /// Opens a legacy session and returns its id.
    pub(crate) async fn initialize(&self, version: &str, capabilities: Value) -> String {
        let body = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": { "protocolVersion": version, "capabilities": capabilities,
                        "clientInfo": { "name": "test", "version": "1" } },
        });
        let answer = self.post(&[], &body).await;
        answer.headers["mcp-session-id"].to_str().expect("ascii").to_owned()
    }

    /// Calls a tool in a session.
    pub(crate) async fn call(&self, session: &str, name: &str, arguments: Value) -> Answer {
        let body = request(1, "tools/call", json!({ "name": name, "arguments": arguments }));
        self.post(&[("mcp-session-id", session)], &body).await
    }

    /// Sends a well-formed modern request.
    pub(crate) async fn modern(&self, method: &str, params: Value) -> Answer {
        let name = params["name"].as_str().unwrap_or("-").to_owned();
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
            ("mcp-name", name.as_str()),
        ];
        self.post(&headers, &modern_body(method, params)).await
    }
}

impl Answer {
    /// The whole body as JSON.
    pub(crate) async fn json(self) -> Value {
        let whole = tokio::time::timeout(DEADLINE, self.body.collect()).await;
        let bytes = whole.expect("ends in time").expect("a body").to_bytes();
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// The next message of an event stream; `None` at its end.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let text = String::from_utf8(event).expect("UTF-8");
                let data = text.lines().find_map(|line| line.strip_prefix("data: "));
                match data {
                    Some(data) => return Some(serde_json::from_str(data).expect("JSON")),
                    None => continue,
                }
            }
            let next = tokio::time::timeout(DEADLINE, self.body.frame()).await;
            let frame = next.expect("an event in time")?.expect("an unbroken stream");
            self.buffer.extend_from_slice(&frame.into_data().expect("data"));
        }
    }

    /// All messages up to the end of the stream.
    pub(crate) async fn events(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}

pub(crate) fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The body of a modern request, its `_meta` completed.
pub(crate) fn modern_body(method: &str, mut params: Value) -> Value {
    let meta = &mut params["_meta"];
    for (key, value) in
        [("protocolVersion", json!("2026-07-28")), ("clientCapabilities", json!({}))]
    {
        let key = format!("io.modelcontextprotocol/{key}");
        if meta.get(&key).is_none() {
            meta[&key] = value;
        }
    }
    request(7, method, params)
}
