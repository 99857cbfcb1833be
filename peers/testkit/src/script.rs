//! What a scripted upstream answers: a reply is a list of acts on the connection.
//!
//! Well-formed replies have constructors; malformed ones are raw bytes. Between any two acts the
//! upstream can pause, wait for the test, break off or hang.

use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};

/// Chunks waiting to be written to one stream.
const CHUNKS_MAX: usize = 1_024;

/// One thing a scripted upstream does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Does nothing for a while.
    Pause(Duration),
    /// Waits until the test opens this gate.
    Wait(watch::Receiver<bool>),
    /// Tells the test that everything before was done.
    Tell(watch::Sender<bool>),
    /// Writes these bytes one by one with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Writes what the test feeds, until it feeds no more.
    Follow(Feed),
    /// Writes what comes as chunks of the body, until the other end is dropped.
    Say(Arc<Mutex<mpsc::Receiver<Vec<u8>>>>),
    /// Does nothing until the peer closes the connection.
    Hang,
    /// Closes the connection in good order.
    Close,
    /// Resets the connection.
    Reset,
}

/// The upstream's end of a stream that the test writes.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Mutex<mpsc::Receiver<Vec<u8>>>>);

impl Feed {
    /// A feed, and the test's end of it, which takes events with [`Pen::event`].
    #[must_use]
    pub fn new() -> (Pen, Self) {
        let (tell, heard) = mpsc::channel(CHUNKS_MAX);
        (Pen(tell), Self(Arc::new(Mutex::new(heard))))
    }

    /// The next chunk; `None` when there will be none.
    pub(crate) async fn next(&self) -> Option<Vec<u8>> {
        self.0.lock().await.recv().await
    }
}

/// The test's end of a stream. The stream ends when all its pens are gone.
#[derive(Clone, Debug)]
pub struct Pen(mpsc::Sender<Vec<u8>>);

impl Pen {
    /// Writes one event with this data. Nobody may listen any more, which is no error.
    pub fn event(&self, data: &str) {
        self.write(format!("event: message\ndata: {data}\n\n").as_bytes());
    }

    /// Writes these bytes as they are.
    pub fn write(&self, bytes: &[u8]) {
        let _left = self.0.try_send(chunk(bytes));
    }

    /// Whether somebody still listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        !self.0.is_closed()
    }
}

/// One chunk of a chunked body.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The answer to one request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// What is done, in order.
    pub acts: Vec<Act>,
}

impl Reply {
    /// Nothing, for ever.
    #[must_use]
    pub fn hang() -> Self {
        Self { acts: vec![Act::Hang] }
    }

    /// A reset instead of an answer.
    #[must_use]
    pub fn reset() -> Self {
        Self { acts: vec![Act::Reset] }
    }

    /// These bytes, as they are.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { acts: vec![Act::Send(bytes.into())] }
    }

    /// A whole response.
    #[must_use]
    pub fn status(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = head(status, headers);
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// 200 with a JSON value.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self::json_text(&[], &value.to_string())
    }

    /// 200 with JSON text and more headers.
    #[must_use]
    pub fn json_text(headers: &[(&str, &str)], text: &str) -> Self {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        Self::status(200, &all, text.as_bytes())
    }

    /// 202 without a body.
    #[must_use]
    pub fn accepted() -> Self {
        Self::status(202, &[], b"")
    }

    /// The head of an event stream; add events with [`Reply::event`], end it with [`Reply::end`].
    #[must_use]
    pub fn stream() -> Self {
        let mut bytes = head(200, &[("content-type", "text/event-stream")]);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        Self::raw(bytes)
    }

    /// Adds one event with this data.
    #[must_use]
    pub fn event(self, data: &str) -> Self {
        self.chunk(format!("event: message\ndata: {data}\n\n").as_bytes())
    }

    /// Adds one chunk of the body, as it is.
    #[must_use]
    pub fn chunk(self, bytes: &[u8]) -> Self {
        self.then(Act::Send(chunk(bytes)))
    }

    /// Ends a chunked body.
    #[must_use]
    pub fn end(self) -> Self {
        self.then(Act::Send(b"0\r\n\r\n".to_vec()))
    }

    /// Adds an act.
    #[must_use]
    pub fn then(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// The same reply, after the test opens this gate.
    #[must_use]
    pub fn after(mut self, signal: &watch::Sender<bool>) -> Self {
        self.acts.insert(0, Act::Wait(signal.subscribe()));
        self
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} x\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.into_bytes()
}
