//! The port behind which sessions live: what a session is, and what a book of them can do.
//!
//! A client holds a sealed id; unsealing gives a [`SessionKey`]; the book gives the session. The
//! implementations are in `tollgate-backends`. A book never calls upstreams: it returns what it
//! removed, and the gate ends those upstream sessions.

use crate::clock::Millis;
use crate::ids::{EndpointId, SessionKey, UpstreamName, UpstreamSessionId};
use crate::principal::{CallerKey, Principal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// One legacy session: where it lives upstream, and what must be said again if it has to move.
#[derive(Debug)]
pub struct Session {
    /// Its key; part of the sealed id the client holds.
    pub key: SessionKey,
    /// Whose caps it counts towards.
    pub caller: CallerKey,
    /// Who opened it: it ends when they are cut off.
    pub principal: Principal,
    /// The upstream it belongs to.
    pub upstream: UpstreamName,
    /// Where it lives now. Replaced as a whole when it is recovered.
    pub home: Home,
    /// What a recovery has to say again; `None` where the upstream's sessions are not recoverable.
    pub memory: Option<Arc<Memory>>,
    /// When it was made, for its absolute lifetime.
    pub created: Millis,
    /// Whether it is one upstream's part of a session with several: it lives exactly as long as
    /// that, and counts towards no cap.
    pub is_leg: bool,
    usage: Arc<Usage>,
    order: Arc<Order>,
}

/// What changes on every use. Shared by all the homes a session ever has, and by its legs.
#[derive(Debug)]
struct Usage {
    last_used: AtomicU64,
    open_streams: AtomicU32,
}

/// What was asked for before what, at one upstream. Shared by all the homes a session has there.
#[derive(Debug, Default)]
struct Order {
    open_streams: AtomicU32,
    opening_streams: AtomicU32,
    settled_streams: AtomicU32,
    has_called: AtomicBool,
}

/// The place of a session: one endpoint, and the id that endpoint knows it by.
#[derive(Clone, Debug)]
pub struct Home {
    /// The endpoint that owns the session.
    pub endpoint: EndpointId,
    /// The id the endpoint gave.
    pub upstream_session: UpstreamSessionId,
    /// How often the session moved to a new home. Event ids of an older home are void.
    pub generation: u32,
    /// What the endpoint and the gate agreed to speak, as a number only the eras understand; 0
    /// where the client's own sealed id says it.
    pub version: u8,
}

/// What a client told its session, kept so that a new home can be told the same.
///
/// All JSON texts are as the client sent them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The `initialize` request, whole. Equal ones are shared between sessions by the gate.
    pub initialize: Arc<[u8]>,
    /// Whether the client has sent `notifications/initialized`.
    pub initialized: bool,
    /// The JSON text of the last `logging/setLevel` level.
    pub log_level: Option<Box<str>>,
    /// The JSON texts of the URIs it is subscribed to.
    pub subscriptions: Vec<Box<str>>,
}

impl Session {
    /// A session that begins now.
    #[must_use]
    pub fn new(
        key: SessionKey,
        (caller, principal, upstream): (CallerKey, Principal, UpstreamName),
        home: Home,
        memory: Option<Arc<Memory>>,
        now: Millis,
    ) -> Self {
        Self {
            key,
            caller,
            principal,
            upstream,
            home,
            memory,
            created: now,
            is_leg: false,
            usage: Arc::new(Usage {
                last_used: AtomicU64::new(now.0),
                open_streams: AtomicU32::new(0),
            }),
            order: Arc::default(),
        }
    }

    /// The same session with other contents of `home` and `memory`; its times and streams stay.
    #[must_use]
    pub fn moved(&self, home: Home, memory: Option<Arc<Memory>>) -> Self {
        Self {
            key: self.key,
            caller: self.caller,
            principal: self.principal.clone(),
            upstream: self.upstream.clone(),
            home,
            memory,
            created: self.created,
            is_leg: self.is_leg,
            usage: self.usage.clone(),
            order: self.order.clone(),
        }
    }

    /// The part of this session that lives at one of several upstreams. It is used when this one
    /// is, and its life is over when this one's is.
    #[must_use]
    pub fn leg(&self, upstream: UpstreamName, home: Home, memory: Option<Arc<Memory>>) -> Self {
        Self {
            key: self.key.of_leg(&upstream),
            caller: self.caller,
            principal: self.principal.clone(),
            upstream,
            home,
            memory,
            created: self.created,
            is_leg: true,
            usage: self.usage.clone(),
            order: Arc::default(),
        }
    }

    /// Notes a use, which restarts the idle time.
    pub fn touch(&self, now: Millis) {
        self.usage.last_used.fetch_max(now.0, Ordering::Relaxed);
    }

    /// When it was last used.
    #[must_use]
    pub fn last_used(&self) -> Millis {
        Millis(self.usage.last_used.load(Ordering::Relaxed))
    }

    /// Notes that a stream was opened; while one is open, the session is not idle.
    pub fn stream_opened(&self) {
        self.usage.open_streams.fetch_add(1, Ordering::Relaxed);
        self.order.open_streams.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a stream ended, which is also a use.
    pub fn stream_closed(&self, now: Millis) {
        self.usage.open_streams.fetch_sub(1, Ordering::Relaxed);
        self.order.open_streams.fetch_sub(1, Ordering::Relaxed);
        self.touch(now);
    }

    /// Notes that the client asked for a stream that the upstream has not yet granted.
    pub fn stream_opening(&self) {
        self.order.opening_streams.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that the upstream granted or refused it.
    pub fn stream_settled(&self) {
        self.order.settled_streams.fetch_add(1, Ordering::AcqRel);
        self.order.opening_streams.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether this is the session's first call; from now on it is not.
    pub fn is_first_call(&self) -> bool {
        let called = &self.order.has_called;
        !called.load(Ordering::Relaxed) && !called.swap(true, Ordering::Relaxed)
    }

    /// Whether a stream is open here.
    #[must_use]
    pub fn has_stream(&self) -> bool {
        self.order.open_streams.load(Ordering::Relaxed) > 0
    }

    /// Whether a stream was asked for and not yet granted.
    #[must_use]
    pub fn is_opening_stream(&self) -> bool {
        self.order.opening_streams.load(Ordering::Acquire) > 0
    }

    /// Whether a stream that was asked for has been granted or refused, and none is asked for now.
    #[must_use]
    pub fn has_settled_stream(&self) -> bool {
        !self.is_opening_stream() && self.order.settled_streams.load(Ordering::Acquire) > 0
    }

    /// Whether its life is over at `now`.
    #[must_use]
    pub fn is_over(&self, now: Millis, life: Lifetimes) -> bool {
        let idle = self.usage.open_streams.load(Ordering::Relaxed) == 0
            && now.since(self.last_used()) >= life.idle_millis;
        idle || now.since(self.created) >= life.absolute_millis
    }
}

/// How long sessions live, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Without a request or an open stream.
    pub idle_millis: u64,
    /// In any case.
    pub absolute_millis: u64,
}

/// How many sessions may exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// In total.
    pub total: usize,
    /// For one caller.
    pub per_caller: usize,
}

/// Why a session could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The total cap is reached.
    #[error("the gate holds as many sessions as it may")]
    Total,
    /// The caller's own cap is reached.
    #[error("this caller holds as many sessions as one caller may")]
    Caller,
}

/// Where sessions are kept. Shared by all connections; each method is atomic.
///
/// In-process implementations answer at once. One that asks over the network will come with a
/// near cache and its own awaiting port, so that the local case never pays for it.
pub trait SessionBook: Send + Sync + std::fmt::Debug {
    /// Whether a session of this caller could be added now.
    ///
    /// # Errors
    /// [`Full`] when a cap is reached.
    fn room(&self, caller: CallerKey, caps: Caps) -> Result<(), Full>;

    /// Adds a session.
    ///
    /// # Errors
    /// [`Full`] when a cap is reached; nothing was added then.
    fn open(&self, session: Session, caps: Caps) -> Result<Arc<Session>, Full>;

    /// The session with this key, dead or alive.
    fn find(&self, key: SessionKey) -> Option<Arc<Session>>;

    /// Replaces a session by its successor if it is still `current`; says whether it was.
    fn replace(&self, current: &Arc<Session>, next: Session) -> Option<Arc<Session>>;

    /// Removes a session; `None` if it was not there.
    fn close(&self, key: SessionKey) -> Option<Arc<Session>>;

    /// Removes and returns sessions that are over, looking at one `part` of `parts` of the book, so
    /// that no single sweep holds up calls.
    fn sweep(&self, part: usize, is_over: &dyn Fn(&Session) -> bool) -> Vec<Arc<Session>>;

    /// In how many parts the book is swept.
    fn parts(&self) -> usize;

    /// How many sessions exist.
    fn count(&self) -> usize;
}
