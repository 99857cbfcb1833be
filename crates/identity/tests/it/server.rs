//! An authorization server on loopback: answers what it is told to, and records what it was asked.
//!
//! Speaks HTTP by hand, so that it can answer wrongly. One request for each connection.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tollgate_oauth::keys::{KeySet, SigningKey};

/// An answer to whatever is asked at one path.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) delay: Duration,
    /// Whether the connection ends before the body does.
    pub(crate) is_cut: bool,
}

impl Reply {
    pub(crate) fn json(value: &Value) -> Self {
        Self::text(&value.to_string())
    }

    pub(crate) fn text(body: &str) -> Self {
        Self { status: 200, body: body.into(), delay: Duration::ZERO, is_cut: false }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::text("{}") }
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub(crate) fn cut(self) -> Self {
        Self { is_cut: true, ..self }
    }
}

/// Something it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Debug, Default)]
struct State {
    replies: Mutex<HashMap<String, Reply>>,
    /// What introspection says of which token.
    tokens: Mutex<HashMap<String, Value>>,
    asked: Mutex<Vec<Asked>>,
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its issuer identifier.
    pub(crate) url: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// One that has metadata, and an empty key set.
    pub(crate) async fn start() -> Self {
        Self::start_at("").await
    }

    /// The same with a path in its identifier.
    pub(crate) async fn start_at(path: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&serving)));
            }
        });
        let server = Self { url: format!("{origin}{path}"), state, task };
        let metadata = json!({
            "issuer": server.url,
            "jwks_uri": format!("{origin}/jwks"),
            "introspection_endpoint": format!("{origin}/introspect"),
        });
        let place = format!("/.well-known/oauth-authorization-server{path}");
        server.answer(&place, Reply::json(&metadata));
        server
    }

    /// Answers so at this path from now on.
    pub(crate) fn answer(&self, path: &str, reply: Reply) {
        self.state.replies.lock().insert(path.to_owned(), reply);
    }

    /// Publishes these keys from now on.
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        self.answer("/jwks", Reply::json(&KeySet::from_signing(keys).to_json()));
    }

    /// Says this of a token from now on.
    pub(crate) fn says_of(&self, token: &str, claims: &Value) {
        self.state.tokens.lock().insert(token.to_owned(), claims.clone());
    }

    /// What was asked at this path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        self.state.asked.lock().iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// How often something was asked at this path.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked(path).len()
    }

    /// All paths, in the order they were asked at.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.state.asked.lock().iter().map(|asked| asked.path.clone()).collect()
    }

    /// Goes away: connections are refused.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let _ended = (&mut self.task).await;
    }
}

async fn serve(mut connection: TcpStream, state: Arc<State>) {
    let Some(asked) = read(&mut connection).await else { return };
    state.asked.lock().push(asked.clone());
    let told = state.replies.lock().get(&asked.path).cloned();
    let reply = match told {
        Some(reply) => reply,
        None if asked.path == "/introspect" => Reply::json(&of_token(&state, &asked.body)),
        None => Reply::status(404),
    };
    tokio::time::sleep(reply.delay).await;
    let length = reply.body.len() + usize::from(reply.is_cut);
    let head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        reply.status
    );
    if connection.write_all(head.as_bytes()).await.is_ok() {
        // Who has heard enough hangs up.
        let _sent = connection.write_all(&reply.body).await;
        let _closed = connection.shutdown().await;
    }
}

fn of_token(state: &State, form: &str) -> Value {
    let mut fields = url::form_urlencoded::parse(form.as_bytes());
    let token = fields.find(|(name, _)| name == "token").map(|(_, token)| token.into_owned());
    let known = token.and_then(|token| state.tokens.lock().get(&token).cloned());
    known.unwrap_or_else(|| json!({ "active": false }))
}

async fn read(connection: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.to_owned();
                return Some(Asked { path, head: head.to_owned(), body: body.to_owned() });
            }
        }
        let mut more = [0; 4_096];
        match connection.read(&mut more).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&more[..read]),
            _ => return None,
        }
    }
}
