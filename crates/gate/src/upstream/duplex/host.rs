//! The virtual server in front of an upstream on lines: which lines there are, who shares them, and
//! which sessions live on them.
//!
//! Opens a line only on demand, never more than it may, and not at all for a while where starting
//! fails. Knows nothing of what carries a line.
//!
//! Next: `serve.rs` for requests.

use crate::settings::Isolation;
use crate::system::SystemEntropy;
use crate::upstream::duplex::Carrier;
use crate::upstream::duplex::backoff::Backoff;
use crate::upstream::duplex::conversation::Conversation;
use crate::upstream::duplex::desk::State;
use crate::upstream::duplex::driver::Driver;
use crate::upstream::duplex::noise::Noise;
use crate::upstream::exchange::Deadlines;
use crate::upstream::fault::{Cause, SendError};
use crate::upstream::request::Outgoing;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::LINE_SESSIONS_MAX;
use tollgate_core::clock::Entropy as _;
use tollgate_core::ids::UpstreamName;
use tollgate_core::principal::CallerKey;
use tollgate_mcp::era::Era;
use tollgate_mcp::headers::MCP_SESSION_ID;

/// How lines are shared and bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSettings {
    /// Whose calls share a line.
    pub isolation: Isolation,
    /// Most lines at a time.
    pub lines_max: usize,
    /// A line nobody used for this long is closed.
    pub idle: Duration,
    /// Time from the opening of a line to the first message on it.
    pub start: Duration,
    /// Pause after a line that could not be opened: the first one, doubled up to the second.
    pub backoff: (Duration, Duration),
}

/// How a host is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// Lines that exist, those being closed included.
    pub lines: usize,
    /// Sessions on them.
    pub sessions: usize,
    /// The processes behind the lines, where there are any.
    pub processes: Vec<u32>,
    /// Lines opened since the upstream is known.
    pub opened: u64,
    /// Lines that ended without being told to.
    pub failures: u64,
    /// The last such end, for operators.
    pub last_failure: Option<String>,
    /// How long no other line is opened, because that failed.
    pub paused: Option<Duration>,
}

impl std::fmt::Display for HostStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} open, {} opened in all, {} failed", self.lines, self.opened, self.failures)?;
        if !self.processes.is_empty() {
            let pids: Vec<String> = self.processes.iter().map(u32::to_string).collect();
            write!(f, "; guards: {}", pids.join(" "))?;
        }
        if let Some(paused) = self.paused {
            write!(f, "; the next is opened in {} s at the earliest", paused.as_secs() + 1)?;
        }
        match &self.last_failure {
            Some(why) => write!(f, "; last failure: {why}"),
            None => Ok(()),
        }
    }
}

/// See the file's head.
#[derive(Debug)]
pub struct Host {
    name: UpstreamName,
    carrier: Arc<dyn Carrier>,
    pub(super) settings: HostSettings,
    noise: Arc<Noise>,
    // A plain mutex: held for a few map operations, never across an await.
    rooms: Mutex<Rooms>,
}

#[derive(Debug, Default)]
struct Rooms {
    next: u64,
    lines: BTreeMap<u64, Arc<Conversation>>,
    by_key: HashMap<Key, Arc<Conversation>>,
    sessions: HashMap<Box<str>, Place>,
    /// One for each era: a server that dies of the question which era it speaks is still good.
    backoffs: [Backoff; 2],
    opened: u64,
    failures: u64,
    last_failure: Option<String>,
    is_closed: bool,
}

/// Where a session lives.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// On which line.
    pub(super) conversation: Arc<Conversation>,
    /// Under which number there.
    pub(super) seat: u64,
}

/// Whose line it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    era: Era,
    who: Who,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Everybody,
    /// A caller, or the gate itself; in the legacy era with the same capabilities only.
    Caller(Option<CallerKey>, [u8; 32]),
    /// One session.
    Nobody,
}

impl Host {
    /// A host that opens lines with `carrier`.
    #[must_use]
    pub fn new(name: UpstreamName, carrier: Arc<dyn Carrier>, settings: HostSettings) -> Arc<Self> {
        let noise = Arc::new(Noise::new(name.clone()));
        Arc::new(Self { name, carrier, settings, noise, rooms: Mutex::default() })
    }

    /// Deadlines of a request that may have to start its process first: what begins a session, and
    /// what needs none.
    pub(crate) fn with_time_to_start(&self, request: &Outgoing, deadlines: Deadlines) -> Deadlines {
        if request.headers.get(&MCP_SESSION_ID).is_some() {
            return deadlines;
        }
        let start = self.settings.start;
        Deadlines {
            first_byte: deadlines.first_byte + start,
            total: deadlines.total.map(|total| total + start),
            ..deadlines
        }
    }

    /// Whose line a caller's calls of that era go on. `capabilities` is a digest of what its client
    /// can do, which a legacy server is told once.
    pub(super) fn key(&self, era: Era, caller: Option<CallerKey>, capabilities: [u8; 32]) -> Key {
        let who = match (self.settings.isolation, era) {
            (Isolation::Shared, _) => Who::Everybody,
            (Isolation::Session, Era::Legacy) => Who::Nobody,
            (Isolation::Agent, Era::Legacy) => Who::Caller(caller, capabilities),
            (Isolation::Agent | Isolation::Session, Era::Modern) => Who::Caller(caller, [0; 32]),
        };
        Key { era, who }
    }

    /// The line of that key, opened if it is not there; true if it was just opened.
    ///
    /// # Errors
    /// [`SendError::NotSent`] if none can be opened now, with the reason.
    pub(super) async fn line(
        self: &Arc<Self>,
        key: &Key,
    ) -> Result<(Arc<Conversation>, bool), SendError> {
        loop {
            let surplus = match self.find_or_open(key)? {
                Found::Line(line, is_new) => return Ok((line, is_new)),
                Found::Surplus(surplus) => surplus,
            };
            self.retire(&surplus);
            surplus.ended().await;
            // Its driver has still to take it off the books.
            tokio::task::yield_now().await;
        }
    }

    fn find_or_open(self: &Arc<Self>, key: &Key) -> Result<Found, SendError> {
        let now = Instant::now();
        let mut rooms = self.rooms.lock();
        if let Some(known) = rooms.by_key.get(key).filter(|known| known.is_open()) {
            return Ok(Found::Line(known.clone(), false));
        }
        let refuse = |why: String| Err(SendError::NotSent(Cause::Line(why)));
        if rooms.is_closed {
            return refuse(String::from("it is being shut down"));
        }
        if let Some((left, why)) = rooms.backoffs[of(key.era)].left(now) {
            // Rounded up: whoever comes back then finds the pause over.
            let secs = left.as_secs() + 1;
            let (public, private) = why.split_once('\n').unwrap_or((why, ""));
            return refuse(format!("{public}; it is started again in {secs} s\n{private}"));
        }
        if rooms.lines.len() >= self.settings.lines_max {
            // The one unused for longest makes room, if nobody has a session on it.
            let idle = rooms.lines.values().filter(|line| line.desk().seats.is_empty());
            let idle = idle.filter_map(|line| Some((line.idle_for(now)?, line)));
            let Some((_, surplus)) = idle.max_by_key(|(idle, _)| *idle) else {
                let max = self.settings.lines_max;
                return refuse(format!(
                    "all {max} lines it may have (processes, or event streams) are in use"
                ));
            };
            return Ok(Found::Surplus(surplus.clone()));
        }
        Ok(Found::Line(self.open(&mut rooms, key), true))
    }

    fn open(self: &Arc<Self>, rooms: &mut Rooms, key: &Key) -> Arc<Conversation> {
        rooms.next += 1;
        rooms.opened += 1;
        let is_shared = key.who != Who::Nobody;
        let line = self.carrier.open();
        let (conversation, incoming) = Conversation::new(rooms.next, key.era, is_shared, line);
        rooms.lines.insert(conversation.number, conversation.clone());
        if is_shared {
            rooms.by_key.insert(key.clone(), conversation.clone());
        }
        let driver = Driver {
            conversation: conversation.clone(),
            incoming,
            host: Arc::downgrade(self),
            noise: self.noise.clone(),
            start: self.settings.start,
            idle: self.settings.idle,
        };
        // Ends with the line, which `close` and the drop of this host end.
        tokio::spawn(driver.run());
        conversation
    }

    /// Gives a session an id.
    ///
    /// # Errors
    /// [`SendError::NotSent`] where there are too many.
    pub(super) fn open_session(&self, place: Place) -> Result<Box<str>, SendError> {
        let mut random = [0; 24];
        SystemEntropy.fill(&mut random);
        let id = URL_SAFE_NO_PAD.encode(random).into_boxed_str();
        let mut rooms = self.rooms.lock();
        if rooms.sessions.len() >= LINE_SESSIONS_MAX {
            let why = format!("it has {LINE_SESSIONS_MAX} sessions, as many as it may");
            return Err(SendError::NotSent(Cause::Line(why)));
        }
        // It may have ended meanwhile, and then nobody would take the session off again.
        if rooms.lines.contains_key(&place.conversation.number) && place.conversation.is_open() {
            rooms.sessions.insert(id.clone(), place);
        }
        Ok(id)
    }

    /// Where a session lives, if it does.
    pub(super) fn session(&self, id: &str) -> Option<Place> {
        self.rooms.lock().sessions.get(id).cloned()
    }

    /// Ends a session; false if there is none of that id.
    pub(super) fn end_session(&self, id: &str) -> bool {
        let Some(place) = self.rooms.lock().sessions.remove(id) else { return false };
        self.vacate(&place);
        true
    }

    /// Takes a session off its line, and closes the line if it was that session's own.
    pub(super) fn vacate(&self, place: &Place) {
        let is_last = place.conversation.leave(place.seat);
        if is_last && !place.conversation.is_shared {
            self.retire(&place.conversation);
        }
    }

    /// Closes a line in good order; its sessions are over.
    pub(super) fn retire(&self, conversation: &Arc<Conversation>) {
        self.hung_up(conversation);
        conversation.close();
    }

    /// Nothing finds a line any more. It still counts, until it is gone.
    pub(super) fn hung_up(&self, conversation: &Arc<Conversation>) {
        let mut rooms = self.rooms.lock();
        rooms.by_key.retain(|_, line| !Arc::ptr_eq(line, conversation));
        rooms.sessions.retain(|_, place| !Arc::ptr_eq(&place.conversation, conversation));
    }

    /// A line failed: nothing finds it any more, and if it failed to start, others wait.
    pub(super) fn failed(&self, conversation: &Arc<Conversation>, why: &str, lived: Duration) {
        self.hung_up(conversation);
        let is_everybodys = self.settings.isolation == Isolation::Shared;
        let has_spoken = conversation.desk().has_spoken;
        let mut rooms = self.rooms.lock();
        rooms.failures += 1;
        rooms.last_failure = Some(why.replace('\n', "; "));
        let pauses = self.settings.backoff;
        let backoff = &mut rooms.backoffs[of(conversation.era)];
        if has_spoken && lived >= pauses.1 {
            backoff.succeed();
        }
        if !has_spoken || is_everybodys {
            backoff.fail(pauses, why, Instant::now());
        }
        drop(rooms);
        let (upstream, why) = (&self.name, why.replace('\n', "; "));
        tracing::warn!(%upstream, %why, "the line to an upstream failed");
    }

    /// A line has ended, and its process is gone.
    pub(super) fn over(&self, conversation: &Arc<Conversation>) {
        self.hung_up(conversation);
        let is_good = {
            let desk = conversation.desk();
            desk.has_spoken && desk.state == State::Closing
        };
        let mut rooms = self.rooms.lock();
        rooms.lines.remove(&conversation.number);
        if is_good {
            rooms.backoffs[of(conversation.era)].succeed();
        }
    }

    /// The configuration has moved on: each line is closed behind the calls that it has, and no line
    /// is opened any more.
    pub(crate) fn leave(&self) {
        let lines: Vec<Arc<Conversation>> = {
            let mut rooms = self.rooms.lock();
            rooms.is_closed = true;
            rooms.lines.values().cloned().collect()
        };
        for line in lines {
            line.leave_behind_calls();
        }
    }

    /// Closes all lines and waits until their processes are gone, at most for `limit`. No line is
    /// opened any more. False if some are left.
    pub async fn close(&self, limit: Duration) -> bool {
        let lines: Vec<Arc<Conversation>> = {
            let mut rooms = self.rooms.lock();
            rooms.is_closed = true;
            rooms.lines.values().cloned().collect()
        };
        for line in &lines {
            self.retire(line);
        }
        let ended = futures_util::future::join_all(lines.iter().map(|line| line.ended()));
        tokio::time::timeout(limit, ended).await.is_ok()
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> HostStatus {
        let now = Instant::now();
        let rooms = self.rooms.lock();
        let paused = rooms.backoffs.iter().filter_map(|backoff| backoff.left(now));
        HostStatus {
            lines: rooms.lines.len(),
            sessions: rooms.sessions.len(),
            processes: self.carrier.processes(),
            opened: rooms.opened,
            failures: rooms.failures,
            last_failure: rooms.last_failure.clone(),
            paused: paused.map(|(left, _)| left).max(),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for line in self.rooms.get_mut().lines.values() {
            line.close();
        }
    }
}

/// What was found of a line that is wanted.
enum Found {
    /// It, and whether it is new.
    Line(Arc<Conversation>, bool),
    /// None, and one that may make room.
    Surplus(Arc<Conversation>),
}

const fn of(era: Era) -> usize {
    match era {
        Era::Legacy => 0,
        Era::Modern => 1,
    }
}
