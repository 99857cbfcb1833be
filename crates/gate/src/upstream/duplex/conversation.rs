//! One line and everybody who speaks on it.
//!
//! Gives every call a number of its own on the line, so that ids and progress tokens of different
//! agents cannot meet, and finds back whose an answer is. Writes only through the line's bounded
//! queue; what it has to say by itself waits in the desk for the driver.
//!
//! Next: `outbound.rs` for what agents say, `inbound.rs` for what the peer says.

use crate::upstream::duplex::desk::{Call, Desk, Role, Seat, State};
use crate::upstream::duplex::inbound::error;
use crate::upstream::duplex::line::{Ended, Line};
use crate::upstream::duplex::mailbox::Mailbox;
use crate::upstream::duplex::served::{Held, Inbox, Ticket};
use crate::upstream::fault::{Cause, SendError};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tollgate_core::bounds::LINE_CALLS_MAX;
use tollgate_mcp::era::{Era, modern};

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// Which of the host's lines it is.
    pub(super) number: u64,
    /// The era it is held in: the two never share a line.
    pub(super) era: Era,
    /// Whether several sessions, or several agents, may speak on it.
    pub(super) is_shared: bool,
    /// Wakes the driver: there is something to write, or the state changed.
    pub(super) bell: Notify,
    outgoing: mpsc::Sender<Bytes>,
    close: CancellationToken,
    ended: watch::Receiver<Option<Ended>>,
    // A plain mutex: held for a look at a few maps, never across an await.
    desk: Mutex<Desk>,
}

impl Conversation {
    /// A conversation on a fresh line, and where the peer's messages come from.
    pub(super) fn new(
        number: u64,
        era: Era,
        is_shared: bool,
        line: Line,
    ) -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let Line { outgoing, incoming, close, ended } = line;
        let desk = Mutex::new(Desk::new());
        let bell = Notify::new();
        let this = Self { number, era, is_shared, bell, outgoing, close, ended, desk };
        (Arc::new(this), incoming)
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock()
    }

    /// Whether new sessions and calls may come to it.
    pub(super) fn is_open(&self) -> bool {
        self.desk().state == State::Open
    }

    /// Refuses what the line has no room for.
    pub(super) fn check_room(&self, desk: &Desk) -> Result<(), SendError> {
        let why = match &desk.state {
            State::Open if desk.calls.len() < LINE_CALLS_MAX => return Ok(()),
            State::Open => String::from("it has too many calls in flight"),
            State::Leaving | State::Closing => String::from("it is being ended"),
            State::Failed(why) => why.clone(),
        };
        Err(SendError::NotSent(Cause::Line(why)))
    }

    /// Writes a message to the peer, as soon as it reads.
    pub(super) async fn write(&self, message: Bytes) -> Result<(), SendError> {
        let sent = self.outgoing.send(message).await;
        sent.map_err(|_| SendError::NotSent(Cause::Line(String::from("it has just ended"))))
    }

    /// The queue towards the peer, for the driver.
    pub(super) fn outgoing(&self) -> &mpsc::Sender<Bytes> {
        &self.outgoing
    }

    /// Has the line closed in good order; it takes no more calls.
    pub(super) fn close(&self) {
        let mut desk = self.desk();
        if matches!(desk.state, State::Open | State::Leaving) {
            desk.state = State::Closing;
        }
        drop(desk);
        self.close.cancel();
        self.bell.notify_one();
    }

    /// Has the line closed as soon as the calls that it has are answered; it takes no others.
    pub(super) fn leave_behind_calls(&self) {
        let mut desk = self.desk();
        if desk.state == State::Open {
            desk.state = State::Leaving;
        }
        drop(desk);
        self.bell.notify_one();
    }

    /// Has the line closed because the peer failed.
    pub(super) fn fail(&self, why: String) {
        self.desk().state = State::Failed(why);
        self.close.cancel();
    }

    /// Waits until the line has ended, and says why.
    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_else(|| Ended::from("it ended")),
            Err(_) => Ended::from("it ended without a reason"),
        }
    }

    /// Nobody waits for these calls any more.
    ///
    /// SPEC: 2026-07-28 basic/transports/stdio: a request is cancelled with `notifications/cancelled`,
    /// since there is no stream to close. In the legacy era a vanished client has cancelled nothing:
    /// the answer is forgotten.
    pub(super) fn give_up(&self, numbers: &[u64]) {
        let mut desk = self.desk();
        for number in numbers {
            if desk.calls.get(number).is_some_and(|call| call.role == Role::Initialize) {
                // Others may be waiting for that answer.
                if let Some(call) = desk.calls.get_mut(number) {
                    call.mailbox = None;
                }
                continue;
            }
            let Some(call) = desk.settle(*number) else { continue };
            if self.era.disconnect_is_cancel() && call.role != Role::Discover {
                desk.write(Bytes::from(format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"the client disconnected"}}}}"#
                )));
            }
        }
        drop(desk);
        self.bell.notify_one();
    }

    /// Opens the stream of a session; the one it had ends. `None` if there is no such session.
    pub(super) fn open_stream(self: &Arc<Self>, seat: u64) -> Option<Inbox> {
        let mailbox = Mailbox::new();
        let mut desk = self.desk();
        desk.used_at = Instant::now();
        let place: &mut Seat = desk.seats.get_mut(&seat)?;
        if let Some(old) = place.stream.replace(mailbox.clone()) {
            old.finish();
        }
        for message in std::mem::take(&mut place.held) {
            mailbox.put(message, false);
        }
        drop(desk);
        let of = Held::Stream(seat, mailbox.clone());
        Some(Inbox::new(mailbox, Ticket { conversation: self.clone(), of }))
    }

    /// The reader of a session's stream has left.
    pub(super) fn close_stream(&self, seat: u64, mailbox: &Arc<Mailbox>) {
        let mut desk = self.desk();
        desk.used_at = Instant::now();
        if let Some(seat) = desk.seats.get_mut(&seat) {
            seat.stream.take_if(|stream| Arc::ptr_eq(stream, mailbox));
        }
    }

    /// Ends a session on the line; true if it was the last one.
    pub(super) fn leave(&self, seat: u64) -> bool {
        let mut desk = self.desk();
        let Some(left) = desk.seats.remove(&seat) else { return false };
        desk.used_at = Instant::now();
        if let Some(stream) = left.stream {
            stream.finish();
        }
        desk.void_asks_of(seat);
        if self.is_shared {
            desk.unsubscribe_all(left.uris);
        }
        let is_last = desk.seats.is_empty();
        drop(desk);
        self.bell.notify_one();
        is_last
    }

    /// Fails everything that waits for the peer, whose line is over; `known` is why, if that is known
    /// yet. Returns why, unless the line was closed in good order.
    pub(super) fn hang_up(&self, known: Option<&str>) -> Option<String> {
        let mut desk = self.desk();
        let known = known.unwrap_or("it has closed its output");
        let failed = match &desk.state {
            State::Closing => None,
            State::Open | State::Leaving => Some(known.to_owned()),
            // What it said last is private to operators, and still tells most.
            State::Failed(why) => {
                let private = known.split_once('\n').map_or("", |(_, private)| private);
                Some(format!("{why}\n{private}"))
            }
        };
        let why = failed.clone().unwrap_or_else(|| String::from("it was ended"));
        if let Some(why) = &failed {
            desk.state = State::Failed(why.clone());
        }
        let cause = Cause::Line(why);
        for (_, call) in std::mem::take(&mut desk.calls) {
            let Some(mailbox) = call.mailbox else { continue };
            mailbox.fail(match call.role {
                // Without effect on anything that outlives the process.
                Role::Initialize | Role::Discover => SendError::NotSent(cause.clone()),
                _ => SendError::Lost(cause.clone()),
            });
        }
        desk.greeting_failed(&SendError::NotSent(cause.clone()));
        for (_, seat) in std::mem::take(&mut desk.seats) {
            if let Some(stream) = seat.stream {
                stream.fail(SendError::Lost(cause.clone()));
            }
        }
        desk.asks.clear();
        desk.backlog.clear();
        failed
    }

    /// A peer that does not answer `server/discover` is taken for one that does not know it.
    ///
    /// SPEC: 2026-07-28 basic/transports/stdio: any other error or a timeout means a legacy server.
    pub(super) fn answer_discovery(&self) {
        let mut desk = self.desk();
        let asked: Vec<u64> = desk
            .calls
            .iter()
            .filter(|(_, call)| call.role == Role::Discover)
            .map(|(number, _)| *number)
            .collect();
        for call in asked.into_iter().filter_map(|number| desk.settle(number)) {
            if let Some(mailbox) = call.mailbox {
                let text = "the server does not answer `server/discover`";
                mailbox.put(error(&call.id, text), true);
                mailbox.finish();
            }
        }
    }

    /// Asks the peer which era it speaks, only to hear whether it speaks at all: a call may take
    /// longer than a start.
    pub(super) fn knock(&self) {
        let mut desk = self.desk();
        let number = desk.number();
        let version = modern::VERSION;
        desk.write(Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"server/discover","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"tollgate","version":"0.1"}}}}}}}}"#
        )));
        let (id, role) = (Bytes::new(), Role::Discover);
        desk.begin(number, Call { id, token: None, seat: None, mailbox: None, role });
        drop(desk);
        self.bell.notify_one();
    }

    /// How long nobody has used it; `None` while somebody does.
    pub(super) fn idle_for(&self, now: Instant) -> Option<Duration> {
        let desk = self.desk();
        (!desk.is_used()).then(|| now.saturating_duration_since(desk.used_at))
    }
}
