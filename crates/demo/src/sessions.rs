//! Legacy sessions: what each one holds, how many there may be, and when they end.
//!
//! A session ends by DELETE, after [`SESSION_IDLE_SECS`] without a request or an open stream, or
//! with the instance. Ending it cancels its calls and closes its streams.

use crate::bounds::{CALLS_MAX, SESSION_IDLE_SECS, SESSIONS_MAX, STREAMS_MAX};
use crate::seal;
use crate::stream::Events;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// All sessions of one instance.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    // A plain mutex: it is held for one map operation, never across an await.
    open: Mutex<HashMap<String, Arc<Session>>>,
}

/// One legacy session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) version: &'static str,
    /// Whether the client can be asked questions.
    pub(crate) takes_questions: bool,
    counter: AtomicI64,
    asked: AtomicU64,
    state: Mutex<State>,
    ended: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    last_used: Instant,
    /// Rank of the log level the client asked for; `None` until it asks.
    log_level: Option<usize>,
    streams: Vec<Events>,
    /// Questions the client has not answered, by the id they were sent under.
    questions: HashMap<String, oneshot::Sender<Option<Value>>>,
    /// Streaming calls in progress, by the JSON text of their id.
    calls: HashMap<String, oneshot::Sender<()>>,
}

/// As many sessions exist as may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full;

impl Sessions {
    /// Opens a session.
    pub(crate) fn open(
        &self,
        version: &'static str,
        takes_questions: bool,
    ) -> Result<Arc<Session>, Full> {
        if self.open.lock().len() >= SESSIONS_MAX {
            self.sweep();
        }
        let session = Arc::new(Session {
            id: seal::session_id(),
            version,
            takes_questions,
            counter: AtomicI64::new(0),
            asked: AtomicU64::new(0),
            state: Mutex::new(State {
                last_used: Instant::now(),
                log_level: None,
                streams: Vec::new(),
                questions: HashMap::new(),
                calls: HashMap::new(),
            }),
            ended: watch::Sender::new(false),
        });
        let mut open = self.open.lock();
        if open.len() >= SESSIONS_MAX {
            return Err(Full);
        }
        open.insert(session.id.clone(), session.clone());
        Ok(session)
    }

    /// The session with this id, noting the use.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Session>> {
        let session = self.open.lock().get(id)?.clone();
        session.state.lock().last_used = Instant::now();
        Some(session)
    }

    /// Ends a session; says whether it existed.
    pub(crate) fn end(&self, id: &str) -> bool {
        let ended = self.open.lock().remove(id);
        ended.inspect(|session| session.end()).is_some()
    }

    /// Ends all sessions.
    pub(crate) fn end_all(&self) {
        for (_, session) in self.open.lock().drain() {
            session.end();
        }
    }

    /// Ends sessions that were idle for too long.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let idle = Duration::from_secs(SESSION_IDLE_SECS);
        self.open.lock().retain(|_, session| {
            let stays = !session.is_idle(now, idle);
            if !stays {
                session.end();
            }
            stays
        });
    }
}

impl Session {
    /// Adds to the counter and returns its new value; `None` if that would overflow.
    pub(crate) fn count(&self, by: i64) -> Option<i64> {
        let add = |value: i64| value.checked_add(by);
        let before = self.counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        before.checked_add(by)
    }

    /// Keeps a GET stream; the oldest one ends when there are too many.
    pub(crate) fn keep_stream(&self, stream: Events) {
        let mut state = self.state.lock();
        state.streams.retain(Events::is_open);
        if state.streams.len() >= STREAMS_MAX {
            state.streams.remove(0);
        }
        state.streams.push(stream);
    }

    /// Sends a message on exactly one of the GET streams, the newest that takes it.
    pub(crate) fn tell(&self, message: &Value) {
        let state = self.state.lock();
        let _taken = state.streams.iter().rev().any(|stream| stream.offer(message));
    }

    pub(crate) fn set_log_level(&self, rank: usize) {
        self.state.lock().log_level = Some(rank);
    }

    /// Whether the client asked for log messages of this rank.
    pub(crate) fn logs(&self, rank: usize) -> bool {
        self.state.lock().log_level.is_some_and(|least| rank >= least)
    }

    /// Registers a question to the client: its id, and where the answer will arrive.
    pub(crate) fn ask(&self) -> (String, oneshot::Receiver<Option<Value>>) {
        let id = format!("ask-{}", self.asked.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        self.state.lock().questions.insert(id.clone(), answer);
        (id, answered)
    }

    /// Forgets a question that nobody waits for any more.
    pub(crate) fn forget(&self, question: &str) {
        self.state.lock().questions.remove(question);
    }

    /// Takes the client's answer. Answers to nothing are dropped: they may be late.
    pub(crate) fn answer(&self, question: &Value, result: Option<Value>) {
        let question = question.as_str().unwrap_or_default();
        if let Some(waiting) = self.state.lock().questions.remove(question) {
            // An error means the call gave up between its time-out and this line.
            let _late = waiting.send(result);
        }
    }

    /// Registers a streaming call under its id; what is returned is ready when it is cancelled.
    /// `None` when too many are in progress or the id is in use.
    pub(crate) fn begin_call(&self, id: &Value) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state.lock();
        let id = id.to_string();
        if state.calls.len() >= CALLS_MAX || state.calls.contains_key(&id) {
            return None;
        }
        let (cancel, cancelled) = oneshot::channel();
        state.calls.insert(id, cancel);
        Some(cancelled)
    }

    /// Removes a call. Dropping its sender is what cancels it, if it still runs.
    pub(crate) fn end_call(&self, id: &Value) {
        self.state.lock().calls.remove(&id.to_string());
    }

    /// Returns when the session has ended.
    pub(crate) async fn ended(&self) {
        // The sender lives in this session, so waiting cannot fail.
        let mut ended = self.ended.subscribe();
        let _ended = ended.wait_for(|ended| *ended).await;
    }

    fn end(&self) {
        self.ended.send_replace(true);
        let mut state = self.state.lock();
        state.streams.clear();
        state.questions.clear();
        state.calls.clear();
    }

    fn is_idle(&self, now: Instant, idle: Duration) -> bool {
        let state = self.state.lock();
        let is_used = !state.calls.is_empty() || state.streams.iter().any(Events::is_open);
        !is_used && now.duration_since(state.last_used) >= idle
    }
}

#[cfg(test)]
mod tests {
    use super::Sessions;
    use crate::bounds::SESSIONS_MAX;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn idle_sessions_make_room_when_the_book_is_full() {
        let sessions = Sessions::default();
        for _ in 0..SESSIONS_MAX {
            sessions.open("2025-11-25", false).expect("room");
        }
        assert!(sessions.open("2025-11-25", false).is_err());
        tokio::time::advance(Duration::from_secs(1801)).await;
        assert!(sessions.open("2025-11-25", false).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_with_an_open_stream_is_not_idle() {
        let sessions = Sessions::default();
        let session = sessions.open("2025-11-25", false).expect("room");
        let (events, _body) = crate::stream::open();
        session.keep_stream(events);
        tokio::time::advance(Duration::from_secs(1801)).await;
        sessions.sweep();
        assert!(sessions.find(&session.id).is_some());
    }
}
