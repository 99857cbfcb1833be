//! Sessions of the legacy era: the sealed id a client holds, and the life behind it.
//!
//! The id is sealed over route, principal, version and time, so that a forged, foreign or expired
//! one is refused without a look-up; all of these look the same to the caller, who gets 404 and, by
//! the specification, starts over. What an id maps to is behind the [`SessionBook`] port.
//!
//! SPEC: 2025-11-25 basic/transports, Session Management. Next: `recovery.rs`.

use crate::seal::{Purpose, Seal};
use http::HeaderValue;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::ids::{RoutePath, SessionKey, UpstreamName};
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_core::sessions::{Caps, Full, Home, Lifetimes, Memory, Session, SessionBook};
use tollgate_mcp::era::legacy::Version;

/// Bytes of a sealed session: key (16), version (1), creation in Unix seconds (8).
const PLAIN_BYTES: usize = 25;
/// Longest wait of a call for a stream that was asked for before it.
const ORDER_MILLIS: u32 = 100;

/// A live session and the version it negotiated.
#[derive(Clone, Debug)]
pub struct Held {
    /// The session.
    pub session: Arc<Session>,
    /// What `initialize` agreed on.
    pub version: Version,
}

/// Whose session it is, where it may be used, and until when: what an id is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// The key ring of the configuration version that judges this request.
    pub seal: &'a Seal,
    /// The route of the request.
    pub route: &'a RoutePath,
    /// The upstream that route leads to.
    pub upstream: &'a UpstreamName,
    /// Who calls.
    pub principal: &'a Principal,
    /// How long sessions live.
    pub life: Lifetimes,
}

/// Opens, finds and ends sessions.
#[derive(Debug)]
pub struct Sessions {
    book: Arc<dyn SessionBook>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    opening: Arc<Mutex<Opening>>,
    lasting: Arc<Lasting>,
}

/// What ends the lasting streams of each session that has some, and how many those are.
// A plain mutex: held for one map operation, when such a stream opens or ends.
type Lasting = Mutex<HashMap<SessionKey, (CancellationToken, usize)>>;

/// Sessions being opened, which the book does not hold yet.
// A plain mutex around it: held for one look at the book's counts, once per session.
#[derive(Debug, Default)]
struct Opening {
    total: usize,
    by_caller: HashMap<CallerKey, usize>,
}

impl Sessions {
    /// Sessions kept in this book.
    #[must_use]
    pub fn new(
        book: Arc<dyn SessionBook>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { book, clock, entropy, opening: Arc::default(), lasting: Arc::default() }
    }

    /// Keeps a place for another session until the returned guard is dropped, so that none is made
    /// upstream in vain, however many are being opened at the same moment.
    ///
    /// # Errors
    /// [`Reason::SessionsFull`], [`Reason::CallerSessionsFull`].
    pub fn room(&self, caller: CallerKey, caps: Caps) -> Result<Room, Refusal> {
        let mut opening = self.opening.lock();
        let of_caller = opening.by_caller.get(&caller).copied().unwrap_or(0);
        let left = Caps {
            total: caps.total.saturating_sub(opening.total),
            per_caller: caps.per_caller.saturating_sub(of_caller),
        };
        self.book.room(caller, left).map_err(refuse_full)?;
        opening.total += 1;
        *opening.by_caller.entry(caller).or_insert(0) += 1;
        Ok(Room { opening: self.opening.clone(), caller })
    }

    /// Opens a session and returns the id to hand out.
    ///
    /// # Errors
    /// [`Reason::SessionsFull`], [`Reason::CallerSessionsFull`]; [`Reason::Internal`] if sealing
    /// fails.
    pub fn open(
        &self,
        bounds: Bounds<'_>,
        (caller, caps): (CallerKey, Caps),
        version: Version,
        (home, memory): (Home, Option<Arc<Memory>>),
    ) -> Result<HeaderValue, Refusal> {
        let mut key = [0; 16];
        self.entropy.fill(&mut key);
        let mut plain = [0; PLAIN_BYTES];
        plain[..16].copy_from_slice(&key);
        plain[16] = version.to_byte();
        plain[17..].copy_from_slice(&self.clock.unix_secs().to_be_bytes());
        let context = context(&bounds);
        let id = bounds.seal.seal(Purpose::Session, &context, &plain, &*self.entropy);
        let id = id.and_then(|id| HeaderValue::from_str(&id).ok());
        let id =
            id.ok_or_else(|| Refusal::new(Reason::Internal, "the session id cannot be made"))?;
        let owner = (caller, bounds.principal.clone(), bounds.upstream.clone());
        let session = Session::new(SessionKey(key), owner, home, memory, self.clock.now());
        self.book.open(session, caps).map_err(refuse_full)?;
        Ok(id)
    }

    /// Finds the session an id names and notes its use.
    ///
    /// # Errors
    /// [`Reason::SessionUnknown`], whatever is wrong with the id.
    pub fn find(&self, bounds: Bounds<'_>, id: &[u8]) -> Result<Held, Refusal> {
        self.unseal(&bounds, id).ok_or_else(unknown)
    }

    fn unseal(&self, bounds: &Bounds<'_>, id: &[u8]) -> Option<Held> {
        let context = context(bounds);
        let (key, version, created) =
            bounds.seal.open(Purpose::Session, &context, id, |plain| {
                let plain: &[u8; PLAIN_BYTES] = plain.try_into().ok()?;
                let (key, rest) = plain.split_first_chunk::<16>()?;
                let (version, created) = rest.split_first()?;
                let created = u64::from_be_bytes(created.try_into().ok()?);
                Some((SessionKey(*key), Version::from_byte(*version)?, created))
            })?;
        let age_secs = self.clock.unix_secs().saturating_sub(created);
        if age_secs > bounds.life.absolute_millis / 1000 {
            return None;
        }
        let session = self.book.find(key)?;
        let now = self.clock.now();
        if session.upstream != *bounds.upstream || session.is_over(now, bounds.life) {
            return None;
        }
        session.touch(now);
        Some(Held { session, version })
    }

    /// Puts a session's successor in its place if nobody else did so first.
    #[must_use]
    pub fn replace(
        &self,
        current: &Arc<Session>,
        home: Home,
        memory: Option<Arc<Memory>>,
    ) -> Option<Arc<Session>> {
        self.book.replace(current, current.moved(home, memory))
    }

    /// The session as it is now, after somebody else may have moved it.
    #[must_use]
    pub fn current(&self, session: &Session) -> Option<Arc<Session>> {
        self.book.find(session.key)
    }

    /// The session with this key.
    #[must_use]
    pub fn at(&self, key: SessionKey) -> Option<Arc<Session>> {
        self.book.find(key)
    }

    /// Keeps a leg of a session, which needs no room of its own.
    ///
    /// # Errors
    /// As [`Self::open`], from books that count legs.
    pub fn keep_leg(&self, leg: Session) -> Result<Arc<Session>, Refusal> {
        debug_assert!(leg.is_leg);
        let caps = Caps { total: usize::MAX, per_caller: usize::MAX };
        self.book.open(leg, caps).map_err(refuse_full)
    }

    /// Waits a moment for a stream that is being asked for.
    pub async fn await_stream(&self, session: &Session) {
        for _ in 0..ORDER_MILLIS {
            if session.has_settled_stream() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends a session and its streams; `None` if somebody else did so first.
    #[must_use]
    pub fn end(&self, session: &Session) -> Option<Arc<Session>> {
        let closed = self.book.close(session.key);
        self.end_streams(session.key);
        closed
    }

    fn end_streams(&self, key: SessionKey) {
        if let Some((ended, _)) = self.lasting.lock().remove(&key) {
            ended.cancel();
        }
    }

    /// Marks a stream of the session, or a call in it, as open until the returned guard is dropped.
    #[must_use]
    pub fn stream(&self, session: Arc<Session>) -> OpenStream {
        session.stream_opened();
        OpenStream { session, clock: self.clock.clone(), lasting: None }
    }

    /// Marks a stream of the session as asked for until the returned guard is dropped.
    #[must_use]
    pub fn opening(session: &Arc<Session>) -> OpeningStream {
        session.stream_opening();
        OpeningStream(session.clone())
    }

    /// Lets a stream that the client asked for be granted before the session's first call, for a
    /// moment.
    ///
    /// Clients open their stream and make their first call at once, on two connections, and servers
    /// in wide use lose requests of their own that come up before the stream is there. Directly, the
    /// order holds; the gate must not turn it round because one of the two waits for a connection.
    pub async fn keep_order(&self, session: &Session) {
        // Once in a session's life: a server that grants its stream late must not slow every call.
        if !session.is_first_call() || session.has_stream() {
            return;
        }
        // What the client sent just before, on another connection, may be looked at after this.
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..ORDER_MILLIS {
            if !session.is_opening_stream() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The same for a stream that lasts as long as the session, and ends with it.
    #[must_use]
    pub fn lasting_stream(&self, session: Arc<Session>) -> OpenStream {
        let key = session.key;
        let mut lasting = self.lasting.lock();
        let (ended, streams) = lasting.entry(key).or_default();
        *streams += 1;
        let ended = ended.clone();
        drop(lasting);
        // Looked for only now: a session that ended before the lines above told nobody.
        if self.book.find(key).is_none() {
            ended.cancel();
        }
        let mut stream = self.stream(session);
        stream.lasting = Some((ended, self.lasting.clone()));
        stream
    }

    /// Removes sessions whose life is over from one part of the book, and ends their streams.
    #[must_use]
    pub fn sweep(&self, part: usize, life: Lifetimes) -> Vec<Arc<Session>> {
        let now = self.clock.now();
        self.end_where(part, &|session| session.is_over(now, life))
    }

    /// Removes sessions of one part of the book, and ends their streams.
    #[must_use]
    pub fn end_where(&self, part: usize, is_over: &dyn Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let over = self.book.sweep(part, is_over);
        for session in &over {
            self.end_streams(session.key);
        }
        over
    }

    /// In how many parts sweeps are done.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.book.parts()
    }

    /// How many sessions exist.
    #[must_use]
    pub fn count(&self) -> usize {
        self.book.count()
    }
}

fn context<'a>(bounds: &Bounds<'a>) -> [&'a [u8]; 2] {
    [bounds.route.as_str().as_bytes(), bounds.principal.binding()]
}

/// The one answer for every id that does not lead to a live session of this caller.
#[must_use]
pub fn unknown() -> Refusal {
    Refusal::new(
        Reason::SessionUnknown,
        "this session does not exist or has ended: send `initialize` without `Mcp-Session-Id` to \
         start a new one",
    )
}

fn refuse_full(full: Full) -> Refusal {
    match full {
        Full::Total => Refusal::new(
            Reason::SessionsFull,
            "the gate holds as many sessions as it may: retry later, or raise `sessions.max`",
        )
        .retry_after(30),
        Full::Caller => Refusal::new(
            Reason::CallerSessionsFull,
            "this caller holds as many sessions as one caller may: end some with DELETE, or wait \
             until idle ones expire",
        )
        .retry_after(30),
    }
}

/// While this exists, its session waits for a stream.
#[derive(Debug)]
pub struct OpeningStream(Arc<Session>);

impl Drop for OpeningStream {
    fn drop(&mut self) {
        self.0.stream_settled();
    }
}

/// A place kept for a session that is being opened.
#[derive(Debug)]
pub struct Room {
    opening: Arc<Mutex<Opening>>,
    caller: CallerKey,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut opening = self.opening.lock();
        opening.total -= 1;
        if let Some(of_caller) = opening.by_caller.get_mut(&self.caller) {
            *of_caller -= 1;
            if *of_caller == 0 {
                opening.by_caller.remove(&self.caller);
            }
        }
    }
}

/// While this exists, its session is not idle.
#[derive(Debug)]
pub struct OpenStream {
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
    lasting: Option<(CancellationToken, Arc<Lasting>)>,
}

impl OpenStream {
    /// Of which session it is.
    #[must_use]
    pub fn session_key(&self) -> SessionKey {
        self.session.key
    }

    /// What is cancelled when the session ends; `None` for streams that end by themselves.
    #[must_use]
    pub fn session_ended(&self) -> Option<CancellationToken> {
        self.lasting.as_ref().map(|(ended, _)| ended.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.session.stream_closed(self.clock.now());
        let Some((_, lasting)) = &self.lasting else { return };
        let mut lasting = lasting.lock();
        if let Some((_, streams)) = lasting.get_mut(&self.session.key) {
            *streams -= 1;
            if *streams == 0 {
                lasting.remove(&self.session.key);
            }
        }
    }
}
