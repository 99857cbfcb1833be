//! The stream of an agent on HTTP+SSE: drives the agent's calls, and says what they say.
//!
//! The calls make progress only while the client takes what they say, so a client that does not read
//! slows its own upstream down, and nothing piles up here. Dropping the stream ends the session.

use crate::call::Ask;
use crate::frame::Framed;
use crate::gate::Gate;
use crate::http_sse::lane::{Far, Lane, Work};
use crate::ledger::Ledger;
use crate::path;
use crate::session::Bounds;
use crate::snapshot::Snapshot;
use crate::streams::StreamSlot;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::HeaderValue;
use http_body::Frame;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tollgate_core::bounds::{HTTP_SSE_CALLS_MAX, HTTP_SSE_UNUSED_SECS};
use tollgate_mcp::sse;

/// The body of such a stream.
pub struct AgentStream {
    gate: Arc<Gate>,
    lane: Arc<Lane>,
    far: Far,
    calls: FuturesUnordered<Work>,
    first: Option<Bytes>,
    last_written: Instant,
    silence: Pin<Box<Sleep>>,
    keepalive: Duration,
    ending: Pin<Box<dyn Future<Output = ()> + Send>>,
    draining: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    is_ending: bool,
    /// Held for its end: the caller's stream is counted.
    _slot: StreamSlot,
}

impl std::fmt::Debug for AgentStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentStream").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl AgentStream {
    /// A stream that first names the URL to post to.
    pub(super) fn new(
        gate: &Arc<Gate>,
        snapshot: &Snapshot,
        (lane, far): (Arc<Lane>, Far),
        url: &str,
        slot: StreamSlot,
    ) -> Self {
        let keepalive = snapshot.settings.limits.stream_keepalive;
        let life = Duration::from_millis(snapshot.settings.sessions.life.absolute_millis);
        let drain = gate.drain.clone();
        Self {
            gate: gate.clone(),
            far,
            calls: FuturesUnordered::new(),
            first: Some(sse::encode(Some("endpoint"), None, None, url.as_bytes())),
            last_written: Instant::now(),
            silence: Box::pin(tokio::time::sleep(keepalive)),
            keepalive,
            ending: Box::pin(ending(lane.clone(), life)),
            draining: Some(Box::pin(async move { drain.begun().await })),
            is_ending: false,
            lane,
            _slot: slot,
        }
    }

    /// Polls for the next event.
    pub fn poll_events(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Frame::data(first)));
        }
        loop {
            self.work(context);
            // What was said before the end is taken before the end.
            if let Poll::Ready(Some(event)) = self.far.events.poll_recv(context) {
                self.last_written = Instant::now();
                return Poll::Ready(Some(Frame::data(event)));
            }
            if self.is_over(context) {
                return Poll::Ready(None);
            }
            if self.silence.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            // Re-armed only here: events in between cost nothing.
            let due = self.last_written + self.keepalive;
            if Instant::now() < due {
                self.silence.as_mut().reset(due);
                continue;
            }
            self.last_written = Instant::now();
            self.silence.as_mut().reset(self.last_written + self.keepalive);
            self.keep_session();
            return Poll::Ready(Some(Frame::data(Bytes::from_static(sse::KEEPALIVE))));
        }
    }

    /// An open stream is a use of the session behind it, also where the upstream offers none of its
    /// own. Where that session is over, so is the stream: its client knows of nothing else to renew.
    fn keep_session(&self) {
        let Some(id) = self.lane.session() else { return };
        let snapshot = self.gate.snapshot();
        let found = snapshot.routes.get(self.lane.route.as_str()).map(|route| {
            let bounds = Bounds {
                seal: &snapshot.seal,
                route: &self.lane.route,
                upstream: route.keeper(),
                principal: self.lane.caller.principal(),
                life: snapshot.settings.sessions.life,
            };
            self.gate.sessions.find(bounds, id.as_bytes())
        });
        if !matches!(found, Some(Ok(_))) {
            self.lane.end();
        }
    }

    /// Takes on calls while there is room, and drives them as far as they get.
    fn work(&mut self, context: &mut Context<'_>) {
        loop {
            while !self.is_ending && self.calls.len() <= HTTP_SSE_CALLS_MAX {
                let Poll::Ready(Some(work)) = self.far.work.poll_recv(context) else { break };
                self.calls.push(work);
            }
            // Each one that is done makes room for another.
            if !matches!(self.calls.poll_next_unpin(context), Poll::Ready(Some(()))) {
                return;
            }
        }
    }

    /// Whether nothing more is to be said.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if !self.is_ending && self.ending.as_mut().poll(context).is_ready() {
            self.is_ending = true;
            self.lane.end();
            self.far.work.close();
            self.calls.clear();
        }
        if let Some(draining) = &mut self.draining
            && draining.as_mut().poll(context).is_ready()
        {
            self.draining = None;
        }
        // While the gate shuts down, calls in flight are still answered.
        self.is_ending || (self.draining.is_none() && self.calls.is_empty())
    }
}

/// Waits until the stream has to end, whatever its client thinks.
async fn ending(lane: Arc<Lane>, life: Duration) {
    let unused = async {
        tokio::time::sleep(Duration::from_secs(HTTP_SSE_UNUSED_SECS)).await;
        if lane.is_used() {
            std::future::pending::<()>().await;
        }
    };
    // No loser holds anything.
    tokio::select! {
        () = lane.ended.cancelled() => {}
        () = tokio::time::sleep(life) => {}
        () = unused => {}
    }
}

impl Drop for AgentStream {
    fn drop(&mut self) {
        self.lane.end();
        self.gate.lanes.forget(&self.lane);
        // None at the very end of the process, when what is left is dropped.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if let Some(id) = self.lane.session() {
            // At most as many as there were streams, each bounded by the farewell's own time.
            runtime.spawn(end_session(self.gate.clone(), self.lane.clone(), id));
        }
    }
}

/// Ends the session of a stream that has ended.
async fn end_session(gate: Arc<Gate>, lane: Arc<Lane>, id: HeaderValue) {
    let snapshot = gate.snapshot();
    // A route that is gone took its sessions' way with it: they end by their own time.
    let Some(route) = snapshot.routes.get(lane.route.as_str()) else { return };
    let framed = Framed::for_agent(route.clone(), Ask::End, lane.caller.clone());
    let mut ledger = Ledger::default();
    let ended = path::onward(&gate, &snapshot, framed.in_session(Some(id)), &mut ledger);
    if let Err(refusal) = path::contained(&gate.panics, ended).await {
        tracing::debug!(reason = refusal.reason.code(), "session not ended");
    }
}
