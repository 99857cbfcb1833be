//! Several streams as one: what the legs of a hub say by themselves, on the one stream an agent has.
//!
//! A task reads each leg's stream and hands its events to one task that writes them, through bounded
//! channels: an agent that does not read slows its own legs and nobody else. Word of changed lists is
//! held for a moment, so that many at once become one, and is said only after the gate's own lists
//! were marked as old.
//!
//! SPEC: 2025-11-25 basic/transports, Listening for Messages from the Server; 2026-07-28
//! basic/patterns/subscriptions.

use super::catalog::changed_list;
use super::desk::Listening;
use super::stage::Stage;
use crate::body::GateBody;
use crate::relay::StreamBody;
use crate::session::OpenStream;
use crate::snapshot::Leg;
use crate::streams::StreamSlot;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tollgate_core::bounds::{EVENTS_WAITING_MAX, LISTS_DEBOUNCE_MILLIS, REPLY_BYTES_MAX};
use tollgate_core::ids::UpstreamName;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::reply::{GlanceKind, glance};
use tollgate_mcp::sse::{self, Event, Splitter};

/// Kinds of lists of which agents are told, by their notification.
pub(super) const TOLD: [(ListKind, &str); 3] = [
    (ListKind::Tools, "notifications/tools/list_changed"),
    (ListKind::Prompts, "notifications/prompts/list_changed"),
    (ListKind::Resources, "notifications/resources/list_changed"),
];

/// What a leg said.
pub(super) type Said = (Arc<Leg>, Event);

/// Reads a leg's stream to its end, or until nobody listens any more.
async fn pump(leg: Arc<Leg>, mut stream: StreamBody, events: mpsc::Sender<Said>) {
    let mut splitter = Splitter::new(REPLY_BYTES_MAX);
    loop {
        loop {
            // Behind a fault, nothing can be understood.
            let Ok(next) = splitter.next() else { return };
            let Some(event) = next else { break };
            if events.send((leg.clone(), event)).await.is_err() {
                return;
            }
        }
        let next = std::future::poll_fn(|context| stream.poll_events(context)).await;
        let Some(Ok(frame)) = next else { return };
        if let Ok(data) = frame.into_data() {
            splitter.push(data);
        }
    }
}

/// What one agent hears, and the tasks that read it.
pub(super) struct Chorus {
    pub(super) stage: Arc<Stage>,
    /// Which lists the agent wants to hear of.
    pub(super) wants: [bool; 3],
    /// `params` of the gate's own notifications, where the agent's revision wants any.
    pub(super) params: Option<String>,
    /// Said at its end.
    pub(super) farewell: Option<Bytes>,
    /// Told of legs that open; `None` where only what is there counts.
    pub(super) listening: Option<Listening>,
    /// The tasks that read legs.
    pumps: JoinSet<()>,
    /// Which of them reads which upstream.
    reading: Vec<(UpstreamName, AbortHandle)>,
    /// Given to each of them.
    tell: mpsc::Sender<Said>,
    said: mpsc::Receiver<Said>,
    due: [Option<Instant>; 3],
    /// The [`Stage::stamps`] of what the agent was told, or is about to be.
    known: [u64; 3],
    /// Held for their end: the session is in use, and the caller's stream is counted.
    held: (Option<OpenStream>, StreamSlot),
}

impl Chorus {
    pub(super) fn new(stage: Arc<Stage>, open: Option<OpenStream>, slot: StreamSlot) -> Self {
        let (tell, said) = mpsc::channel(EVENTS_WAITING_MAX);
        Self {
            stage,
            wants: [true; 3],
            params: None,
            farewell: None,
            listening: None,
            pumps: JoinSet::new(),
            reading: Vec::new(),
            tell,
            said,
            due: [None; 3],
            known: [0; 3],
            held: (open, slot),
        }
    }

    /// Waits for the next thing a leg says, for so long at most.
    pub(super) async fn next(&mut self, until: Instant) -> Option<Said> {
        tokio::time::timeout_at(until, self.said.recv()).await.ok().flatten()
    }

    /// The response whose body this writes, in a task of its own, after the `opening`.
    pub(super) fn respond(self, opening: impl AsyncOpening) -> Response<GateBody> {
        let (out, body) = mpsc::channel(EVENTS_WAITING_MAX);
        tokio::spawn(async move {
            let mut this = self;
            if opening.open(&mut this, &out).await {
                this.sing(out).await;
            }
        });
        crate::reply::events(GateBody::Channel(body))
    }

    /// Writes until the agent leaves, its session ends or the gate shuts down.
    async fn sing(mut self, out: mpsc::Sender<Bytes>) {
        let gate = self.stage.gate.clone();
        let ended = self.held.0.as_ref().and_then(OpenStream::session_ended);
        let ended: CancellationToken = ended.unwrap_or_default();
        let mut news = gate.news.hear();
        self.known = self.stage.stamps();
        let mut is_served = self.follow();
        let mut last = Instant::now();
        while is_served {
            let silent_at = last + self.stage.silence_max();
            let due = self.due.iter().flatten().min().copied();
            let wake = due.map_or(silent_at, |due| due.min(silent_at));
            let piece = tokio::select! {
                () = out.closed() => return,
                () = gate.drain.begun() => break,
                () = ended.cancelled() => break,
                leg = opened(&mut self.listening) => match leg {
                    // It may be a leg of a configuration that came just before.
                    Some(leg) => {
                        is_served = self.follow();
                        self.join(&leg, None);
                        None
                    }
                    // Somebody else listens now.
                    None => break,
                },
                // Only cleared away: the agent hears the other legs, and those that come.
                Some(_) = self.pumps.join_next() => None,
                Some((leg, event)) = self.said.recv() => self.hear(&leg, &event),
                told = news.changed() => {
                    is_served = told.is_ok() && self.follow();
                    let before = std::mem::replace(&mut self.known, self.stage.stamps());
                    let changed = |at: &usize| self.known[*at] != before[*at];
                    let changed: Vec<usize> = (0..TOLD.len()).filter(changed).collect();
                    changed.into_iter().for_each(|at| self.note(at));
                    None
                }
                () = tokio::time::sleep_until(wake) => {
                    let silent = Instant::now() >= silent_at;
                    self.word_of_changes().or_else(|| silent.then(|| Bytes::from_static(sse::KEEPALIVE)))
                }
            };
            if let Some(piece) = piece {
                last = Instant::now();
                if out.send(piece).await.is_err() {
                    return;
                }
            }
        }
        if let Some(farewell) = self.farewell.take() {
            // Whoever left needs no farewell.
            drop(out.send(sse::encode(Some("message"), None, None, &farewell)).await);
        }
    }

    /// Begins to read a leg's own stream, from behind an event if one is given.
    pub(super) fn join(&mut self, upstream: &UpstreamName, resumed: Option<Bytes>) {
        let (stage, tell, name) = (self.stage.clone(), self.tell.clone(), upstream.clone());
        let task = self.pumps.spawn(async move {
            let Some((number, leg)) = stage.leg(&name) else { return };
            let leg = leg.clone();
            let stream = stage.leg_stream(number, resumed).await;
            // The stream goes on under later configurations; this one need not stay for it.
            drop(stage);
            if let Some(stream) = stream {
                pump(leg, stream, tell).await;
            }
        });
        self.note_reader(upstream.clone(), task);
    }

    /// Reads a stream of a leg's.
    pub(super) fn read(&mut self, leg: Arc<Leg>, stream: StreamBody) {
        let upstream = leg.upstream.name().clone();
        let task = self.pumps.spawn(pump(leg, stream, self.tell.clone()));
        self.note_reader(upstream, task);
    }

    fn note_reader(&mut self, upstream: UpstreamName, task: AbortHandle) {
        self.reading.retain(|(_, task)| !task.is_finished());
        self.reading.push((upstream, task));
    }

    /// Goes on under the configuration in force. Says whether it still has this hub.
    fn follow(&mut self) -> bool {
        if self.stage.is_in_force() {
            return true;
        }
        let Some(stage) = self.stage.renewed() else { return false };
        if !stage.shows_what(&self.stage) {
            (0..TOLD.len()).for_each(|at| self.note(at));
        } else {
            let differs = stage.shows_otherwise(&self.stage);
            (0..TOLD.len()).filter(|at| differs[*at]).for_each(|at| self.note(at));
        }
        let left = self.reading.extract_if(.., |(upstream, _)| stage.leg(upstream).is_none());
        left.for_each(|(_, task)| task.abort());
        self.known = stage.stamps();
        self.stage = stage;
        true
    }

    /// The piece an event becomes; `None` for what agents are told later, or not at all.
    pub(super) fn hear(&mut self, leg: &Leg, event: &Event) -> Option<Bytes> {
        // What is known of an upstream may be begun anew with the configuration.
        let leg = self.stage.leg(leg.upstream.name())?.1.clone();
        let Some(message) = event.data.as_ref().filter(|data| !data.is_empty()) else {
            return event.id.is_some().then(|| event.raw.clone());
        };
        let found = glance(message).ok().filter(|found| found.kind == GlanceKind::Notification);
        let method = found.and_then(|found| found.method).map(|name| name.decode(message));
        let Some(kind) = method.as_deref().and_then(changed_list) else {
            return Some(event.raw.clone());
        };
        leg.knowledge.catalogs().note_changed(kind);
        if let Some(at) = TOLD.iter().position(|(told, _)| *told == kind) {
            self.note(at);
            // What it said is told by now: the next change of something else must not tell it again.
            self.known[at] = self.stage.stamps()[at];
        }
        None
    }

    fn note(&mut self, at: usize) {
        let pause = Duration::from_millis(LISTS_DEBOUNCE_MILLIS);
        self.due[at].get_or_insert_with(|| Instant::now() + pause);
    }

    /// The notifications whose time has come.
    fn word_of_changes(&mut self) -> Option<Bytes> {
        let now = Instant::now();
        let mut piece = Vec::new();
        for (at, (_, method)) in TOLD.into_iter().enumerate() {
            let is_due = self.due[at].is_some_and(|due| due <= now);
            if !is_due {
                continue;
            }
            self.due[at] = None;
            if self.wants[at] {
                let params = self.params.as_deref().unwrap_or_default();
                let message = format!(r#"{{"jsonrpc":"2.0","method":"{method}"{params}}}"#);
                let event = sse::encode(Some("message"), None, None, message.as_bytes());
                piece.extend_from_slice(&event);
            }
        }
        (!piece.is_empty()).then(|| Bytes::from(piece))
    }
}

/// What is said before the legs are heard.
pub(super) trait AsyncOpening: Send + 'static {
    /// Says it; `false` if the agent has left.
    fn open(
        self,
        chorus: &mut Chorus,
        out: &mpsc::Sender<Bytes>,
    ) -> impl Future<Output = bool> + Send;
}

/// The next leg that opens; never, for those who are not told. `None` when somebody else listens.
async fn opened(listening: &mut Option<Listening>) -> Option<UpstreamName> {
    match listening {
        Some(listening) => listening.opened.recv().await,
        None => std::future::pending().await,
    }
}
