//! The script of a server of the oldest revision: HTTP+SSE, one tool `echo`.
//!
//! `GET /sse` opens a stream that names `/messages?s=N`; what is POSTed there is answered on stream
//! N. The test can say more on a stream, and cut it.

use crate::peer::{Members, answer_text, wrapped};
use crate::recorder::Recorded;
use crate::script::{Act, Reply};
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

type Streams = HashMap<u64, mpsc::Sender<Vec<u8>>>;

/// Messages a reader may leave unread.
const UNREAD_MAX: usize = 4_096;

/// A small MCP server on HTTP+SSE.
#[derive(Debug, Default)]
pub struct SsePeer {
    opened: AtomicU64,
    streams: Mutex<Streams>,
}

impl SsePeer {
    /// Answers one request.
    #[must_use]
    pub fn answer(&self, request: &Recorded) -> Reply {
        if request.method == "GET" && request.path == "/sse" {
            return self.open();
        }
        let stream = request.path.strip_prefix("/messages?s=").and_then(|n| n.parse().ok());
        let Some(stream) = stream.filter(|n| self.streams().contains_key(n)) else {
            return Reply::status(404, &[], b"no such stream");
        };
        if let Some(message) = answer_to(request) {
            self.say(stream, &message);
        }
        Reply::status(202, &[("content-type", "text/plain")], b"Accepted")
    }

    /// Says a message on a stream.
    pub fn say(&self, stream: u64, message: &str) {
        let event = format!("event: message\r\ndata: {message}\r\n\r\n");
        let streams = self.streams();
        let stream = streams.get(&stream).expect("an open stream");
        // Its reader may have left, or not read for long.
        let _left = stream.try_send(event.into_bytes());
    }

    /// Breaks a stream off.
    pub fn cut(&self, stream: u64) {
        self.streams().remove(&stream).expect("an open stream");
    }

    /// The numbers of the streams whose readers have not left.
    #[must_use]
    pub fn open_streams(&self) -> Vec<u64> {
        let streams = self.streams();
        let mut open: Vec<u64> =
            streams.iter().filter(|(_, stream)| !stream.is_closed()).map(|(n, _)| *n).collect();
        open.sort_unstable();
        open
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Reply {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let (say, said) = mpsc::channel(UNREAD_MAX);
        self.streams().insert(number, say);
        Reply::stream()
            .chunk(format!("event: endpoint\r\ndata: /messages?s={number}\r\n\r\n").as_bytes())
            .then(Act::Say(Arc::new(tokio::sync::Mutex::new(said))))
            .then(Act::Close)
    }
}

/// The answer to a message; `None` if it expects none.
#[must_use]
pub fn answer_to(request: &Recorded) -> Option<String> {
    let members: Members = serde_json::from_slice(&request.body).ok()?;
    let (id, method) = (members.get("id")?, request.rpc_method()?);
    if method != "initialize" {
        return Some(answer_text(id, &method, &members));
    }
    let result = json!({
        "protocolVersion": "2024-11-05",
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "elder", "version": "1" },
    });
    Some(wrapped(id, &result.to_string()))
}
