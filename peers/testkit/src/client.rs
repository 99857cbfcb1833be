//! A client that sends whatever bytes it is told to and reads what comes back.

use crate::DEADLINE;
use crate::events::{self, Event, EventReader};
use crate::http1::{self, Length};
use crate::post::Post;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// One HTTP response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// All header fields in order.
    pub headers: Vec<(String, String)>,
    /// The body, its transfer coding removed; empty for an open stream.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        http1::find(&self.headers, name)
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The messages of the body, be it one object, a batch or a stream of events.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        let kind = self.header("content-type").unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return events::data_of(&self.body).iter().map(|data| json_of(data)).collect();
        }
        match self.json() {
            Value::Array(messages) => messages,
            message => vec![message],
        }
    }

    /// The code of the JSON-RPC error in the body.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.json()["error"]["code"].as_i64()
    }
}

/// One connection, used byte by byte.
#[derive(Debug)]
pub struct RawClient {
    socket: TcpStream,
    buffer: Vec<u8>,
    events: EventReader,
}

impl RawClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("the gate accepts");
        socket.set_nodelay(true).expect("a socket takes options");
        Self { socket, buffer: Vec::new(), events: EventReader::default() }
    }

    /// Connects from an address of this machine's own, as another agent.
    pub async fn connect_from(from: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(from, 0)).expect("an address of this machine");
        let socket = socket.connect(address).await.expect("the gate accepts");
        socket.set_nodelay(true).expect("a socket takes options");
        Self { socket, buffer: Vec::new(), events: EventReader::default() }
    }

    /// Sends bytes. A gate that has closed already is not an error: it may refuse early.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = tokio::time::timeout(DEADLINE, self.socket.write_all(bytes)).await;
        let _closed = sent.expect("the gate reads or closes");
    }

    /// Sends bytes as the socket takes them; says whether all were taken.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        tokio::time::timeout(DEADLINE, self.socket.write_all(bytes)).await?
    }

    /// Sends segments with a pause after each.
    pub async fn send_in_segments(&mut self, segments: &[&[u8]], pause: Duration) {
        for segment in segments {
            self.send(segment).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Closes the sending direction only.
    pub async fn half_close(&mut self) {
        // Whoever closed first, it is closed.
        let _closed = self.socket.shutdown().await;
    }

    /// Sends a request and reads its response.
    pub async fn ask(&mut self, post: &Post) -> Response {
        self.send(&post.bytes()).await;
        self.response().await.expect("an answer")
    }

    /// The same for an answer that may take longer than anything that should happen at once.
    pub async fn ask_within(&mut self, post: &Post, deadline: Duration) -> Response {
        self.send(&post.bytes()).await;
        let answer = tokio::time::timeout(deadline, self.read_response()).await;
        answer.expect("an answer in time").expect("an answer")
    }

    /// Reads one response; `None` if the connection ends before its head does.
    pub async fn response(&mut self) -> Option<Response> {
        tokio::time::timeout(DEADLINE, self.read_response()).await.expect("an answer in time")
    }

    async fn read_response(&mut self) -> Option<Response> {
        let (mut response, length) = self.read_head().await?;
        // A body that breaks off is not a response.
        response.body = http1::body(&mut self.socket, &mut self.buffer, length).await.ok()?.data;
        Some(response)
    }

    /// Reads the head of a response only: the body stays open for [`RawClient::event`].
    pub async fn head(&mut self) -> Option<Response> {
        let head = tokio::time::timeout(DEADLINE, self.read_head()).await;
        let (response, length) = head.expect("an answer in time")?;
        self.events = EventReader::new(length == Length::Chunked);
        Some(response)
    }

    async fn read_head(&mut self) -> Option<(Response, Length)> {
        let head = loop {
            match http1::response_head(&self.buffer) {
                Ok(Some(head)) => break head,
                Ok(None) => {}
                Err(cause) => panic!("not HTTP ({cause}): {:?}", self.buffer),
            }
            self.socket.read_buf(&mut self.buffer).await.ok().filter(|read| *read > 0)?;
        };
        self.buffer.drain(..head.len);
        let length = Length::of_response(&head);
        let status = head.first.0.parse().expect("a number");
        Some((Response { status, headers: head.headers, body: Vec::new() }, length))
    }

    /// The next event of an open stream; `None` at its end. Fails the test at the deadline.
    pub async fn event(&mut self) -> Option<Event> {
        let next = tokio::time::timeout(DEADLINE, self.next_event()).await;
        next.expect("an event or the end in time")
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.take(&mut self.buffer) {
                return Some(event);
            }
            if self.events.is_over() {
                return None;
            }
            self.socket.read_buf(&mut self.buffer).await.ok().filter(|read| *read > 0)?;
        }
    }

    /// Reads until the gate closes the connection, and returns everything.
    pub async fn until_closed(&mut self, deadline: Duration) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.buffer);
        let reading = async { while self.socket.read_buf(&mut all).await.is_ok_and(|n| n > 0) {} };
        let closed = tokio::time::timeout(deadline, reading).await;
        assert!(
            closed.is_ok(),
            "still open after {deadline:?}: {:?}",
            String::from_utf8_lossy(&all)
        );
        all
    }

    /// Reads some bytes; `None` at the end of the connection. Fails the test at the deadline.
    pub async fn some_bytes(&mut self) -> Option<Vec<u8>> {
        if self.buffer.is_empty() {
            let read = tokio::time::timeout(DEADLINE, self.socket.read_buf(&mut self.buffer)).await;
            read.expect("bytes or the end in time").ok().filter(|read| *read > 0)?;
        }
        Some(std::mem::take(&mut self.buffer))
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Sends one request on a connection of its own and reads its response.
pub async fn ask(address: SocketAddr, post: &Post) -> Response {
    RawClient::connect(address).await.ask(post).await
}

/// Sends a plain GET, as operators and probes do, and reads its response.
pub async fn get(address: SocketAddr, path: &str) -> Response {
    let mut client = RawClient::connect(address).await;
    client.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await;
    client.response().await.expect("an answer")
}
