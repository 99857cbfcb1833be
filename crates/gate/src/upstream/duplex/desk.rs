//! What is known about one line: the calls on it, the sessions that share it, what the peer asked.
//!
//! Plain data under one lock of `conversation.rs`. Everything in it is bounded by its writers.

use crate::upstream::duplex::greeting::Greeting;
use crate::upstream::duplex::mailbox::Mailbox;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::{LINE_ASKS_MAX, LINE_BACKLOG_MAX};

/// A peer that says nothing to `server/discover` for so long is answered for.
const DISCOVER: Duration = Duration::from_secs(8);

/// The state of a line.
#[derive(Debug)]
pub(super) struct Desk {
    /// The number the next call, or the next session, gets.
    pub(super) next: u64,
    /// Calls in flight, by the id they have on the line.
    pub(super) calls: BTreeMap<u64, Call>,
    /// Requests of the peer that agents have not answered yet.
    pub(super) asks: HashMap<Token, Ask>,
    /// The sessions.
    pub(super) seats: BTreeMap<u64, Seat>,
    /// Messages of our own that wait to be written.
    pub(super) backlog: VecDeque<Bytes>,
    /// How far `initialize` has come.
    pub(super) greeting: Greeting,
    /// The log level the peer was told, of several sessions' levels the most verbose.
    pub(super) level: Option<usize>,
    /// When somebody last used the line.
    pub(super) used_at: Instant,
    /// When `server/discover` is answered in the place of a peer that does not.
    pub(super) discover_by: Option<Instant>,
    /// Whether the peer has ever sent a message.
    pub(super) has_spoken: bool,
    /// Where the line stands.
    pub(super) state: State,
}

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It carries calls.
    Open,
    /// It carries the calls that it has, and is closed behind the last of them.
    Leaving,
    /// It is being closed in good order, and takes no more.
    Closing,
    /// It is being closed because the peer failed, or has ended; in words.
    Failed(String),
}

/// One call in flight.
#[derive(Debug)]
pub(super) struct Call {
    /// The id its sender gave it, as raw JSON.
    pub(super) id: Bytes,
    /// The progress token its sender gave it, as raw JSON. On the line it is the call's number.
    pub(super) token: Option<Bytes>,
    /// Whose it is; `None` in the modern era, and for our own.
    pub(super) seat: Option<u64>,
    /// Where its answer goes; `None` where nobody waits.
    pub(super) mailbox: Option<Arc<Mailbox>>,
    /// What its answer means for the line.
    pub(super) role: Role,
}

/// What the answer to a call means for the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Ordinary,
    /// The peer is initialized.
    Initialize,
    /// Which era the peer speaks.
    Discover,
    /// A stream of notifications is over.
    Listen,
    /// Its session is subscribed to a URI.
    Subscribe(String),
    /// Its session is not any more.
    Unsubscribe(String),
    /// Its session has this log level, and the line that one.
    SetLevel(usize, usize),
}

/// A request of the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// Which session may answer it.
    pub(super) seat: u64,
    /// Which call it came up in.
    pub(super) call: Option<u64>,
}

/// A session on a line.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Its stream, while it has one open.
    pub(super) stream: Option<Arc<Mailbox>>,
    /// What came for it while it had none.
    pub(super) held: VecDeque<Bytes>,
    /// The log level it asked for.
    pub(super) level: Option<usize>,
    /// What it is subscribed to.
    pub(super) uris: HashSet<String>,
}

/// A JSON-RPC id or progress token for comparison: integers have one spelling, strings several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token {
    Text(String),
    Number(Box<[u8]>),
}

impl Token {
    /// Reads a raw token.
    pub(super) fn of(raw: &[u8]) -> Self {
        match serde_json::from_slice(raw) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Number(raw.into()),
        }
    }
}

/// The number on the line that a raw token stands for.
pub(super) fn number(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            calls: BTreeMap::new(),
            asks: HashMap::new(),
            seats: BTreeMap::new(),
            backlog: VecDeque::new(),
            greeting: Greeting::default(),
            level: None,
            used_at: Instant::now(),
            discover_by: None,
            has_spoken: false,
            state: State::Open,
        }
    }

    /// A number for a call or a session.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Has a message of our own written. A peer that does not even read those has failed.
    pub(super) fn write(&mut self, message: Bytes) {
        if self.backlog.len() < LINE_BACKLOG_MAX {
            self.backlog.push_back(message);
        } else if self.state == State::Open {
            self.state = State::Failed(String::from("it does not read what it is sent"));
        }
    }

    /// Notes a request of the peer; false if it has too many already.
    pub(super) fn ask(&mut self, token: Token, ask: Ask) -> bool {
        let has_room = self.asks.len() < LINE_ASKS_MAX;
        if has_room {
            self.asks.insert(token, ask);
        }
        has_room
    }

    /// Puts a call on the line.
    pub(super) fn begin(&mut self, number: u64, call: Call) {
        if call.role == Role::Discover && self.discover_by.is_none() {
            self.discover_by = Some(Instant::now() + DISCOVER);
        }
        self.calls.insert(number, call);
    }

    /// Takes a call off the line. What the peer asked within it is void.
    pub(super) fn settle(&mut self, number: u64) -> Option<Call> {
        let call = self.calls.remove(&number)?;
        self.asks.retain(|_, ask| ask.call != Some(number));
        if !self.calls.values().any(|call| call.role == Role::Discover) {
            self.discover_by = None;
        }
        self.used_at = Instant::now();
        Some(call)
    }

    /// Whether anybody uses the line now. Our own calls do not count.
    pub(super) fn is_used(&self) -> bool {
        self.calls.values().any(|call| call.mailbox.is_some())
            || self.seats.values().any(|seat| seat.stream.is_some())
    }

    /// Whether the last call of a line that is to be closed behind it has ended. Subscriptions and
    /// streams have no end of their own to wait for.
    pub(super) fn has_left(&self) -> bool {
        let is_call = |call: &Call| call.mailbox.is_some() && call.role != Role::Listen;
        self.state == State::Leaving && !self.calls.values().any(is_call)
    }

    /// The calls of agents that messages of the peer may belong to; the oldest first.
    pub(super) fn flights(&self) -> impl DoubleEndedIterator<Item = (u64, &Call)> {
        let calls = self.calls.iter().map(|(number, call)| (*number, call));
        calls.filter(|(_, call)| {
            let belongs = !matches!(call.role, Role::Initialize | Role::Discover | Role::Listen);
            belongs && call.mailbox.is_some()
        })
    }

    /// Whether another call is answered into the same mailbox: those of one batch are.
    pub(super) fn has_more_for(&self, mailbox: &Arc<Mailbox>) -> bool {
        let mut mailboxes = self.calls.values().filter_map(|call| call.mailbox.as_ref());
        mailboxes.any(|other| Arc::ptr_eq(other, mailbox))
    }
}
