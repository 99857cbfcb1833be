//! What is kept of an agent on HTTP+SSE between its requests: which stream is its, and the session
//! that the gate opened for it.
//!
//! The agent holds a key, sealed over route and principal, in the URL it posts to; a forged, foreign
//! or ended one finds nothing. Holds no task: whatever a POST starts is handed over to the stream,
//! which drives it for as long as somebody listens.
//!
//! Next: `stream.rs`.

use crate::identify::Caller;
use crate::reply;
use crate::seal::{Purpose, Seal};
use futures_util::future::BoxFuture;
use http::HeaderValue;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tollgate_core::bounds::{
    HTTP_SSE_EVENTS_MAX, HTTP_SSE_ROOM_SECS, HTTP_SSE_STREAMS_MAX, HTTP_SSE_WAITING_MAX,
};
use tollgate_core::clock::Entropy;
use tollgate_core::ids::RoutePath;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::sse;

type Key = [u8; 16];

/// Something the stream carries on with until it is done.
pub(super) type Work = BoxFuture<'static, ()>;

/// All streams of agents on HTTP+SSE.
#[derive(Debug, Default)]
pub struct Lanes {
    // A plain mutex: held for one map operation.
    open: Mutex<HashMap<Key, Arc<Lane>>>,
}

impl Lanes {
    /// Keeps a stream until it is [`Lanes::forget`]ten.
    pub(super) fn keep(&self, lane: &Arc<Lane>) -> Result<(), Refusal> {
        let mut open = self.open.lock();
        if open.len() >= HTTP_SSE_STREAMS_MAX {
            let text = "the gate holds as many streams of this transport as it may: retry later";
            return Err(Refusal::new(Reason::SessionsFull, text).retry_after(30));
        }
        open.insert(lane.key, lane.clone());
        Ok(())
    }

    pub(super) fn forget(&self, lane: &Lane) {
        self.open.lock().remove(&lane.key);
    }

    /// The stream that a sealed value names for this route and principal.
    pub(super) fn find(
        &self,
        seal: &Seal,
        (route, principal): (&RoutePath, &Principal),
        sealed: &[u8],
    ) -> Option<Arc<Lane>> {
        let context = [route.as_str().as_bytes(), principal.binding()];
        let key: Key = seal.open(Purpose::HttpSse, &context, sealed, |key| key.try_into().ok())?;
        self.open.lock().get(&key).filter(|lane| !lane.ended.is_cancelled()).cloned()
    }
}

/// One stream, as its POSTs see it.
#[derive(Debug)]
pub(super) struct Lane {
    key: Key,
    pub(super) route: RoutePath,
    pub(super) caller: Caller,
    work: mpsc::Sender<Work>,
    events: mpsc::Sender<bytes::Bytes>,
    talk: Mutex<Talk>,
    is_used: AtomicBool,
    pub(super) ended: CancellationToken,
}

/// How far the conversation is.
#[derive(Debug)]
enum Talk {
    /// `initialize` is still to come.
    New,
    /// It is being answered.
    Opening,
    /// It was answered without a session, and may come again.
    WithoutSession,
    /// The session it was answered with.
    InSession(HeaderValue),
}

/// What the stream reads from.
#[derive(Debug)]
pub(super) struct Far {
    pub(super) work: mpsc::Receiver<Work>,
    pub(super) events: mpsc::Receiver<bytes::Bytes>,
}

impl Lane {
    pub(super) fn new(route: RoutePath, caller: Caller, entropy: &dyn Entropy) -> (Arc<Self>, Far) {
        let mut key = [0; 16];
        entropy.fill(&mut key);
        let (work, far_work) = mpsc::channel(HTTP_SSE_WAITING_MAX);
        let (events, far_events) = mpsc::channel(HTTP_SSE_EVENTS_MAX);
        let lane = Self {
            key,
            route,
            caller,
            work,
            events,
            talk: Mutex::new(Talk::New),
            is_used: AtomicBool::new(false),
            ended: CancellationToken::new(),
        };
        (Arc::new(lane), Far { work: far_work, events: far_events })
    }

    /// The key as the agent gets it.
    pub(super) fn sealed(&self, seal: &Seal, entropy: &dyn Entropy) -> Option<String> {
        let context = [self.route.as_str().as_bytes(), self.caller.principal().binding()];
        seal.seal(Purpose::HttpSse, &context, &self.key, entropy)
    }

    /// Notes that the agent posts to it.
    pub(super) fn note_use(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Whether the agent has ever posted to it.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// The session that stands behind it, if there is one by now.
    pub(super) fn session(&self) -> Option<HeaderValue> {
        match &*self.talk.lock() {
            Talk::InSession(id) => Some(id.clone()),
            Talk::New | Talk::Opening | Talk::WithoutSession => None,
        }
    }

    /// Whether `initialize` was answered.
    pub(super) fn is_initialized(&self) -> bool {
        matches!(&*self.talk.lock(), Talk::WithoutSession | Talk::InSession(_))
    }

    /// Whether `initialize` may be carried now.
    pub(super) fn begin_initialize(&self) -> bool {
        let mut talk = self.talk.lock();
        let may = matches!(*talk, Talk::New | Talk::WithoutSession);
        if may {
            *talk = Talk::Opening;
        }
        may
    }

    /// `initialize` was refused (`None`), or answered, with this session if it was with one.
    pub(super) fn end_initialize(&self, answered: Option<Option<HeaderValue>>) {
        *self.talk.lock() = match answered {
            None => Talk::New,
            Some(None) => Talk::WithoutSession,
            Some(Some(id)) => Talk::InSession(id),
        };
    }

    /// Hands work over to the stream, waiting a while for room.
    pub(super) async fn hand_over(&self, work: Work) -> Result<(), Refusal> {
        let limit = Duration::from_secs(HTTP_SSE_ROOM_SECS);
        match self.work.send_timeout(work, limit).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(crate::session::unknown()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                let text = "this stream carries as many requests as it may: wait for answers first";
                Err(Refusal::new(Reason::CallerStreamsFull, text).retry_after(10))
            }
        }
    }

    /// Says one message on the stream, waiting until the agent takes it.
    pub(super) async fn say(&self, message: &[u8]) {
        // An error means that nobody listens any more.
        drop(self.events.send(sse::encode(Some("message"), None, None, message)).await);
    }

    /// Answers a request with a refusal.
    pub(super) async fn refuse(&self, refusal: &Refusal, id: &[u8]) {
        tracing::debug!(reason = refusal.reason.code(), text = %refusal.text, "refused");
        self.say(&reply::error_message(refusal, Some(id))).await;
        if refusal.reason == Reason::SessionUnknown {
            // The agent knows of no session that it could open anew on this stream.
            self.end();
        }
    }

    /// Has the stream end once what was said is taken.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }
}
