//! Sessions of the legacy era: the sealed id a client holds, and the life behind it.
//!
//! The id is sealed over route, principal, version and time, so that a forged, foreign or expired
//! one is refused without a look-up; all of these look the same to the caller, who gets 404 and, by
//! the specification, starts over. What an id maps to is behind the [`SessionBook`] port.
//!
//! SPEC: 2025-11-25 basic/transports, Session Management. Next: `recovery.rs`.

use crate::seal::{Purpose, Seal};
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
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
}

impl Sessions {
    /// Sessions kept in this book.
    #[must_use]
    pub fn new(
        book: Arc<dyn SessionBook>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { book, clock, entropy }
    }

    /// Says early whether there is room for another session, so that none is made upstream in vain.
    ///
    /// # Errors
    /// [`Reason::SessionsFull`], [`Reason::CallerSessionsFull`].
    pub fn room(&self, caller: CallerKey, caps: Caps) -> Result<(), Refusal> {
        self.book.room(caller, caps).map_err(refuse_full)
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
        let owner = (caller, bounds.upstream.clone());
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

    /// Ends a session; `None` if somebody else did so first.
    #[must_use]
    pub fn end(&self, session: &Session) -> Option<Arc<Session>> {
        self.book.close(session.key)
    }

    /// Marks a stream of the session as open until the returned guard is dropped.
    #[must_use]
    pub fn stream(&self, session: Arc<Session>) -> OpenStream {
        session.stream_opened();
        OpenStream { session, clock: self.clock.clone() }
    }

    /// Marks a stream of the session as asked for until the returned guard is dropped.
    #[must_use]
    pub fn opening(session: &Arc<Session>) -> OpeningStream {
        session.stream_opening();
        OpeningStream(session.clone())
    }

    /// Lets a stream that the client asked for before this call be granted before it, for a moment.
    ///
    /// Clients open their stream and make their first call at once, on two connections, and servers
    /// in wide use lose requests of their own that come up before the stream is there. Directly, the
    /// order holds; the gate must not turn it round because one of the two waits for a connection.
    pub async fn keep_order(&self, session: &Session) {
        if session.is_first_call() && !session.has_stream() {
            // What the client sent just before, on another connection, may be looked at after this.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..ORDER_MILLIS {
            if !session.is_opening_stream() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Removes sessions whose life is over from one part of the book.
    #[must_use]
    pub fn sweep(&self, part: usize, life: Lifetimes) -> Vec<Arc<Session>> {
        self.book.sweep(part, self.clock.now(), life)
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

/// While this exists, its session is not idle.
#[derive(Debug)]
pub struct OpenStream {
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.session.stream_closed(self.clock.now());
    }
}
