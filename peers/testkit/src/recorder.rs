//! An upstream that records the exact bytes of everything it gets and answers by script.
//!
//! The oracle of the attack tests: a refused request left no trace here. Connections alone are no
//! trace (health checks make them); bytes are.

use crate::DEADLINE;
use crate::http1::{self, Head, Length};
use crate::member::Member;
use crate::peer;
use crate::script::{self, Act, Feed, Reply};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// The HTTP method.
    pub method: String,
    /// The request target.
    pub path: String,
    /// All header fields in order, names as written.
    pub headers: Vec<(String, String)>,
    /// The head, byte for byte.
    pub head: Vec<u8>,
    /// The body, its transfer coding removed.
    pub body: Vec<u8>,
    /// The last chunk of a chunked body with the trailers behind it, byte for byte.
    pub trailers: Vec<u8>,
}

impl Recorded {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        http1::find(&self.headers, name)
    }

    /// How many headers have this name.
    #[must_use]
    pub fn count_of(&self, name: &str) -> usize {
        self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).count()
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method, if the body is a request or a notification.
    #[must_use]
    pub fn rpc_method(&self) -> Option<String> {
        // Not through `Value`, which does not take every number that JSON has.
        let members: HashMap<String, Box<RawValue>> = serde_json::from_slice(&self.body).ok()?;
        serde_json::from_str(members.get("method")?.get()).ok()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Script = dyn Fn(&Recorded) -> Reply + Send + Sync;

/// A recording upstream. It stops when dropped.
#[derive(Debug)]
pub struct Recorder {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    log: Mutex<Log>,
    changed: watch::Sender<usize>,
    script: Mutex<Arc<Script>>,
}

#[derive(Debug, Default)]
struct Log {
    requests: Vec<Recorded>,
    bytes: usize,
    connections: usize,
    /// Requests whose connection the peer closed before they were answered.
    hangups: Vec<Recorded>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log());
        self.changed.send_modify(|changes| *changes += 1);
    }
}

impl Recorder {
    /// An upstream that behaves like an MCP server of both eras with the tool `echo`.
    pub async fn start() -> Self {
        let peer = peer::Peer::default();
        Self::scripted(move |request| peer.answer(request)).await
    }

    /// An upstream with the sessions of this peer, which the test can make it forget.
    pub async fn of(peer: Arc<peer::Peer>) -> Self {
        Self::scripted(move |request| peer.answer(request)).await
    }

    /// An upstream with the offer of this member, which the test can change.
    pub async fn of_member(member: &Arc<Member>) -> Self {
        let member = Arc::clone(member);
        Self::scripted(move |request| member.answer(request)).await
    }

    /// An upstream that answers as the script says.
    pub async fn scripted(script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener, script)
    }

    /// The same on a listener of the test's own.
    #[must_use]
    pub fn on(
        listener: TcpListener,
        script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            changed: watch::Sender::new(0),
            script: Mutex::new(Arc::new(script)),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Self { address, shared, accepting }
    }

    /// Answers by another script from now on.
    pub fn follow(&self, script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// All requests so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log().requests.clone()
    }

    /// How many bytes have arrived.
    #[must_use]
    pub fn bytes_seen(&self) -> usize {
        self.shared.log().bytes
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.log().connections
    }

    /// The requests with this JSON-RPC method.
    #[must_use]
    pub fn calls_of(&self, method: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.rpc_method().as_deref() == Some(method));
        requests
    }

    /// The requests with this HTTP method.
    #[must_use]
    pub fn with_http_method(&self, method: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.method == method);
        requests
    }

    /// Waits until `n` requests have arrived, and returns all.
    pub async fn wait_for(&self, n: usize, deadline: Duration) -> Vec<Recorded> {
        self.wait_until(deadline, |recorder| recorder.requests().len() >= n).await;
        self.requests()
    }

    /// Waits until a call of this method has arrived, and returns the last.
    pub async fn wait_for_call(&self, method: &str) -> Recorded {
        self.wait_until(DEADLINE, |recorder| !recorder.calls_of(method).is_empty()).await;
        self.calls_of(method).pop().expect("just seen")
    }

    /// Waits until the peer has closed the connection of an unanswered call of this method.
    pub async fn wait_for_hangup(&self, method: &str, deadline: Duration) {
        let hung_up = |recorder: &Self| {
            let log = recorder.shared.log();
            log.hangups.iter().any(|request| request.rpc_method().as_deref() == Some(method))
        };
        self.wait_until(deadline, hung_up).await;
    }

    /// Waits until the condition holds. Fails the test at the deadline.
    pub async fn wait_until(&self, deadline: Duration, condition: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !condition(self) {
                changed.changed().await.expect("the recorder lives");
            }
        };
        let waited = tokio::time::timeout(deadline, waiting).await;
        assert!(waited.is_ok(), "the upstream waited in vain; it saw {:#?}", self.requests());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set, when this task is aborted, ends all connections.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let mut number = 0;
        shared.note(|log| {
            number = log.connections;
            log.connections += 1;
        });
        connections.spawn(converse(socket, number, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut socket: TcpStream, number: usize, shared: Arc<Shared>) {
    // A failure only costs time.
    let _set = socket.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some(request) = receive(&mut socket, number, &mut buffer, &shared).await {
        shared.note(|log| log.requests.push(request.clone()));
        let script = shared.script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for act in script(&request).acts {
            if perform(act, &mut socket, &mut buffer).await.is_err() {
                shared.note(|log| log.hangups.push(request));
                return;
            }
        }
    }
}

/// The next request; `None` at the end of the connection or when it is not HTTP.
async fn receive(
    socket: &mut TcpStream,
    connection: usize,
    buffer: &mut Vec<u8>,
    shared: &Shared,
) -> Option<Recorded> {
    let head: Head = loop {
        if let Some(head) = http1::request_head(buffer).ok()? {
            break head;
        }
        let read = socket.read_buf(buffer).await.ok().filter(|read| *read > 0)?;
        shared.note(|log| log.bytes += read);
    };
    let text: Vec<u8> = buffer.drain(..head.len).collect();
    let body = http1::body(socket, buffer, Length::of_request(&head)).await.ok()?;
    shared.note(|log| log.bytes += body.data.len());
    let (method, path) = head.first;
    let (headers, head) = (head.headers, text);
    let (body, trailers) = (body.data, body.trailers);
    Some(Recorded { connection, method, path, headers, head, body, trailers })
}

/// The peer closed the connection, or the script ended it.
struct Ended;

async fn perform(act: Act, socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Ended> {
    match act {
        Act::Send(bytes) => socket.write_all(&bytes).await.map_err(|_| Ended),
        Act::Pause(pause) => unless_closed(tokio::time::sleep(pause), socket, buffer).await,
        Act::Wait(mut opened) => {
            let waiting = async move {
                // An error means the test is over.
                let _over = opened.wait_for(|opened| *opened).await;
            };
            unless_closed(waiting, socket, buffer).await
        }
        Act::Tell(done) => {
            done.send_replace(true);
            Ok(())
        }
        Act::Drip(bytes, pause) => {
            for byte in bytes {
                socket.write_all(&[byte]).await.map_err(|_| Ended)?;
                unless_closed(tokio::time::sleep(pause), socket, buffer).await?;
            }
            Ok(())
        }
        Act::Follow(feed) => follow(&feed, socket, buffer).await,
        Act::Say(what) => loop {
            let mut what = what.lock().await;
            let mut next = None;
            unless_closed(async { next = what.recv().await }, socket, buffer).await?;
            let Some(bytes) = next else { return Ok(()) };
            socket.write_all(&script::chunk(&bytes)).await.map_err(|_| Ended)?;
        },
        Act::Hang => unless_closed(std::future::pending(), socket, buffer).await,
        Act::Close => {
            // Whoever closed first, it is closed.
            let _closed = socket.shutdown().await;
            Err(Ended)
        }
        Act::Reset => {
            socket.set_zero_linger().expect("a socket takes options");
            Err(Ended)
        }
    }
}

async fn follow(feed: &Feed, socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Ended> {
    loop {
        let closed = async { while socket.read_buf(buffer).await.is_ok_and(|read| read > 0) {} };
        let next = tokio::select! {
            next = feed.next() => next,
            () = closed => return Err(Ended),
        };
        match next {
            Some(bytes) => socket.write_all(&bytes).await.map_err(|_| Ended)?,
            None => return Ok(()),
        }
    }
}

async fn unless_closed(
    wait: impl Future<Output = ()>,
    socket: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Result<(), Ended> {
    let closed = async { while socket.read_buf(buffer).await.is_ok_and(|read| read > 0) {} };
    tokio::select! {
        () = wait => Ok(()),
        () = closed => Err(Ended),
    }
}
