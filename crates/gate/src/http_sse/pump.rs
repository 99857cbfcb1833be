//! Carries one call of an agent on HTTP+SSE down the ordinary path, and its reply to the stream.
//!
//! A reply may be JSON or a stream of its own; each message of it is said as one event, without the
//! upstream's event ids: this transport resumes nothing. Where an upstream breaks its answer off to
//! have it asked for again, the gate does so in the agent's place.
//!
//! SPEC: 2025-11-25 basic/transports, Resumability and Redelivery.

use crate::body::GateBody;
use crate::call::Ask;
use crate::frame::Framed;
use crate::gate::Gate;
use crate::http_sse::lane::Lane;
use crate::ledger::Ledger;
use crate::path;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tollgate_core::bounds::{HTTP_SSE_REOPEN_SECS, HTTP_SSE_RESUMES_MAX};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::headers::MCP_SESSION_ID;
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::{GlanceKind, glance};
use tollgate_mcp::sse::Splitter;

/// Longest wait of `notifications/initialized` for the stream it makes the gate open.
const LISTEN_WAIT: Duration = Duration::from_secs(1);

/// What carries a call.
pub(super) struct Carrier {
    pub(super) gate: Arc<Gate>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) lane: Arc<Lane>,
}

/// How far a reply is said.
#[derive(Clone, Copy)]
enum Until<'a> {
    /// To its end. Whatever answers in it is the answer: nothing else passed.
    End,
    /// To the answer to this id: it may go on for as long as the session.
    Answer(&'a [u8]),
}

/// What is known of a reply that is being said.
#[derive(Debug, Default)]
struct Said {
    /// Whether the request was answered.
    is_answered: bool,
    /// Whether anything was said.
    is_any: bool,
    /// Where to go on, if it breaks off.
    last_id: Option<HeaderValue>,
    retry: Option<Duration>,
}

impl Carrier {
    /// Carries a request, and says what it is answered.
    pub(super) async fn call(self, framed: Framed, (method, id): (Method, Bytes)) {
        let carried = self.onward(&self.snapshot, framed).await;
        if method == Method::Initialize {
            let answered = carried.as_ref().ok().filter(|it| it.status().is_success());
            let session = answered.map(|it| it.headers().get(MCP_SESSION_ID).cloned());
            self.lane.end_initialize(session);
        }
        let said = match carried {
            Ok(response) => self.pump(response, Until::End).await,
            Err(refusal) => return self.lane.refuse(&refusal, &id).await,
        };
        if !said.is_answered {
            self.resume(said, &id).await;
        }
    }

    /// Asks for the rest of an answer that broke off.
    async fn resume(&self, mut said: Said, id: &Bytes) {
        let mut tries = 0;
        let lost = "the upstream ended its answer without a result";
        let mut refusal = Refusal::new(Reason::UpstreamLost, lost);
        while let Some((last_id, session)) = said.last_id.clone().zip(self.lane.session())
            && tries < HTTP_SSE_RESUMES_MAX
        {
            let pause = said.retry.unwrap_or(Duration::from_secs(HTTP_SSE_REOPEN_SECS.0));
            tokio::time::sleep(pause).await;
            let ask = Ask::Stream { last_event_id: Some(last_id.clone()) };
            match self.ask(ask, session).await {
                Ok(response) => {
                    let more = self.pump(response, Until::Answer(id)).await;
                    if more.is_answered {
                        return;
                    }
                    tries = if more.is_any { 0 } else { tries + 1 };
                    said.last_id = more.last_id.or(Some(last_id));
                    said.retry = more.retry.or(said.retry);
                }
                Err(error) if error.reason == Reason::UpstreamDown => tries += 1,
                Err(error) => {
                    refusal = error;
                    break;
                }
            }
        }
        self.lane.refuse(&refusal, id).await;
    }

    /// Opens the upstream's own stream, and waits a moment for it: servers in wide use lose what
    /// they have to say before it is there.
    pub(super) async fn listen(self) {
        let Some(session) = self.lane.session() else { return };
        let (tell, told) = oneshot::channel();
        let lane = self.lane.clone();
        let handed = lane.hand_over(Box::pin(self.keep_listening(session, tell))).await;
        if handed.is_ok() {
            // It may be refused, or come later: both are no reason to keep the agent waiting.
            drop(tokio::time::timeout(LISTEN_WAIT, told).await);
        }
    }

    /// Says what the upstream says by itself, for as long as it does.
    async fn keep_listening(self, session: HeaderValue, tell: oneshot::Sender<()>) {
        let mut tell = Some(tell);
        let mut pause = Duration::from_secs(HTTP_SSE_REOPEN_SECS.0);
        loop {
            let asked = self.ask(Ask::Stream { last_event_id: None }, session.clone()).await;
            drop(tell.take());
            match asked {
                Ok(response) if response.status() == StatusCode::OK => {
                    let said = self.pump(response, Until::End).await;
                    if said.is_any {
                        pause = Duration::from_secs(HTTP_SSE_REOPEN_SECS.0);
                    }
                }
                Err(refusal) if refusal.reason == Reason::SessionUnknown => return self.lane.end(),
                Err(refusal) if refusal.reason == Reason::UpstreamDown => {}
                // It sends nothing by itself, or the gate shuts down.
                Ok(_) | Err(_) => return,
            }
            if self.gate.drain.is_begun() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(HTTP_SSE_REOPEN_SECS.1));
        }
    }

    /// A call that the gate makes in the agent's place, by the configuration of that moment.
    async fn ask(&self, ask: Ask, session: HeaderValue) -> Result<Response<GateBody>, Refusal> {
        let snapshot = self.gate.snapshot();
        let Some(route) = snapshot.routes.get(self.lane.route.as_str()) else {
            return Err(crate::session::unknown());
        };
        let framed = Framed::for_agent(route.clone(), ask, self.lane.caller.clone());
        self.onward(&snapshot, framed.in_session(Some(session)).repeated()).await
    }

    async fn onward(
        &self,
        snapshot: &Arc<Snapshot>,
        framed: Framed,
    ) -> Result<Response<GateBody>, Refusal> {
        let mut ledger = Ledger::default();
        let carried = path::onward(&self.gate, snapshot, framed, &mut ledger);
        path::contained(&self.gate.panics, carried).await
    }

    /// Says the messages of a reply.
    async fn pump(&self, response: Response<GateBody>, until: Until<'_>) -> Said {
        let (head, mut body) = response.into_parts();
        let media = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_stream = media.is_some_and(|media| media.starts_with(b"text/event-stream"));
        let mut splitter = Splitter::new(self.snapshot.settings.limits.reply_bytes_max);
        let mut said = Said::default();
        // A stream that was cut ends like one that ended: what is missing is seen by the caller.
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            if !is_stream {
                // The gate's own replies are whole.
                self.say(&data, until, &mut said).await;
                continue;
            }
            splitter.push(data);
            while let Ok(Some(event)) = splitter.next() {
                said.retry = event.retry_millis.map(Duration::from_millis).or(said.retry);
                let id_of_event = event.id.as_ref().and_then(|id| HeaderValue::from_bytes(id).ok());
                said.last_id = id_of_event.or(said.last_id);
                let is_message = event.event.as_ref().is_none_or(|kind| &kind[..] == b"message");
                if let Some(data) = event.data.filter(|data| is_message && !data.is_empty()) {
                    self.say(&data, until, &mut said).await;
                }
            }
            if said.is_answered && matches!(until, Until::Answer(_)) {
                break;
            }
        }
        said
    }

    async fn say(&self, message: &Bytes, until: Until<'_>, said: &mut Said) {
        said.is_any = true;
        if let Ok(glance) = glance(message)
            && matches!(glance.kind, GlanceKind::Response | GlanceKind::ErrorResponse)
        {
            said.is_answered |= match until {
                Until::End => true,
                Until::Answer(id) => glance.id.is_some_and(|answered| answered.of(message) == id),
            };
        }
        self.lane.say(message).await;
    }
}
