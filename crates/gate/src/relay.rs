//! An event stream on its way from an upstream to a client.
//!
//! Event by event: what is ready is passed on at once, several ready events in one piece, and
//! nothing is ever held back for more. Memory is bounded by one event and one piece; a client that
//! does not read stops us reading. Silence is filled with comments, and the gate's shutdown ends
//! lasting streams in good order.
//!
//! SPEC: WHATWG HTML, Server-sent events; 2025-11-25 basic/transports; 2026-07-28
//! basic/transports/streamable-http.

use crate::body::Cut;
use crate::drain::Drain;
use crate::expect::{Expected, Verdict};
use crate::generation::Mark;
use crate::hub::InFlight;
use crate::permit::Reloads;
use crate::reply;
use crate::session::OpenStream;
use crate::streams::StreamSlot;
use crate::ward::Ward;
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::sse::{self, Event, Splitter};

/// Ready events are passed on in pieces of about this many bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// The shortest and longest reconnection time an upstream may ask clients for, in milliseconds.
const RETRY_MILLIS: std::ops::RangeInclusive<u64> = 10..=600_000;

/// What a stream needs besides its upstream.
#[derive(Debug)]
pub struct Terms {
    /// What may be said.
    pub expected: Expected,
    /// Longest event in bytes.
    pub event_bytes_max: usize,
    /// Interval of comments on a silent stream.
    pub keepalive: Duration,
    /// How the ids of its events look to the client.
    pub mark: Mark,
    /// Ends lasting streams.
    pub drain: Drain,
}

/// The body of a streamed answer.
pub struct StreamBody {
    ward: Ward,
    splitter: Splitter,
    terms: Terms,
    out: Out,
    state: State,
    resumable: bool,
    answer: Option<Bytes>,
    last_written: Instant,
    silence: Option<Pin<Box<Sleep>>>,
    leaving: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Held for their end: the session is in use, and the caller's stream is counted.
    _held: (Option<OpenStream>, StreamSlot),
    in_flight: Option<InFlight>,
    reloads: Option<Reloads>,
}

impl std::fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamBody").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Events are passed on.
    Flowing,
    /// The last answer was passed on; only the upstream's end is awaited.
    Answered,
    /// Nothing more comes.
    Ended,
    /// It broke off and must not look complete.
    Cut,
}

/// Events that are ready: one as it came, or several copied together.
#[derive(Debug, Default)]
struct Out {
    one: Option<Bytes>,
    many: BytesMut,
}

impl Out {
    fn push(&mut self, event: Bytes) {
        if self.one.is_none() && self.many.is_empty() {
            self.one = Some(event);
            return;
        }
        if let Some(one) = self.one.take() {
            self.many.extend_from_slice(&one);
        }
        self.many.extend_from_slice(&event);
    }

    fn take(&mut self) -> Option<Bytes> {
        let many = (!self.many.is_empty()).then(|| self.many.split().freeze());
        self.one.take().or(many)
    }

    fn len(&self) -> usize {
        self.one.as_ref().map_or(0, Bytes::len) + self.many.len()
    }
}

impl StreamBody {
    /// A stream of what the ward's upstream says.
    #[must_use]
    pub fn new(
        ward: Ward,
        mut terms: Terms,
        session: Option<OpenStream>,
        slot: StreamSlot,
    ) -> Self {
        let reloads = terms.expected.watch().map(|watch| watch.reloads());
        let leaving = terms.expected.is_lasting().then(|| {
            let drain = terms.drain.clone();
            let ended = session.as_ref().and_then(OpenStream::session_ended).unwrap_or_default();
            // Neither loser holds anything.
            Box::pin(async move {
                tokio::select! {
                    () = drain.begun() => {}
                    () = ended.cancelled() => {}
                }
            }) as Pin<Box<dyn Future<Output = ()> + Send>>
        });
        Self {
            ward,
            splitter: Splitter::new(terms.event_bytes_max),
            terms,
            out: Out::default(),
            state: State::Flowing,
            resumable: false,
            answer: None,
            last_written: Instant::now(),
            silence: None,
            leaving,
            _held: (session, slot),
            in_flight: None,
            reloads,
        }
    }

    /// Keeps the note that a request is with its upstream, until the stream is over.
    pub fn hold(&mut self, in_flight: InFlight) {
        self.in_flight = Some(in_flight);
    }

    /// Bytes of answers that were settled by what asked for them, since this was last asked.
    pub(crate) fn settled_elsewhere(&mut self) -> usize {
        self.terms.expected.settled_elsewhere()
    }

    /// Reads on until the request is answered, keeping what was said, and returns the answer.
    ///
    /// # Errors
    /// [`Reason::UpstreamLost`] if the stream ends without one.
    pub async fn until_answer(&mut self) -> Result<Bytes, Refusal> {
        std::future::poll_fn(|context| {
            while self.state == State::Flowing {
                if self.out.len() > self.terms.event_bytes_max {
                    self.state = State::Cut;
                } else if self.pull(context).is_pending() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
        self.answer.clone().ok_or_else(|| lost("the upstream ended its answer without a result"))
    }

    /// Polls for the next piece of the stream.
    pub fn poll_events(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            while self.out.len() < PIECE_BYTES && self.pull(context).is_ready() {}
            if let Some(piece) = self.out.take() {
                self.last_written = Instant::now();
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            match self.state {
                State::Ended => return Poll::Ready(None),
                State::Cut => {
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(Cut)));
                }
                State::Flowing | State::Answered => {}
            }
            if !self.leave(context) && !self.obey(context) && !self.fill_silence(context) {
                return Poll::Pending;
            }
        }
    }

    /// Takes one step: an event, a piece from the upstream, or the end. Pending if none is ready.
    fn pull(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::Ended | State::Cut) {
            return Poll::Pending;
        }
        match self.splitter.next() {
            Ok(Some(event)) => {
                self.take(&event);
                return Poll::Ready(());
            }
            Ok(None) => {}
            Err(fault) => {
                self.ward.abandon();
                self.fail(&invalid(&fault));
                return Poll::Ready(());
            }
        }
        match std::task::ready!(self.ward.poll_data(context)) {
            Some(Ok(data)) => self.splitter.push(data),
            Some(Err(_)) => self.fail(&lost("the upstream broke the connection within its answer")),
            None => self.finish(),
        }
        Poll::Ready(())
    }

    fn take(&mut self, event: &Event) {
        self.resumable |= event.id.is_some();
        if self.state == State::Answered {
            return;
        }
        // Servers prime a stream with an id and no data (2025-11-25): that is not a message.
        let Some(data) = event.data.as_ref().filter(|data| !data.is_empty()) else {
            self.write(event, None);
            return;
        };
        match self.terms.expected.judge(data.clone()) {
            Ok(Verdict::Pass(message)) => self.write(event, Some(message)),
            Ok(Verdict::Last(message)) => {
                self.answer = Some(message.clone());
                self.write(event, Some(message));
                self.state = State::Answered;
            }
            Ok(Verdict::Drop) => {}
            Err(refusal) => {
                self.ward.abandon();
                self.fail(&refusal);
            }
        }
    }

    /// Writes an event: as it came if nothing of it changes, otherwise framed anew.
    fn write(&mut self, event: &Event, message: Option<Bytes>) {
        let is_same = match (&message, &event.data) {
            (Some(message), Some(data)) => {
                message.as_ptr() == data.as_ptr() && message.len() == data.len()
            }
            (None, _) => true,
            (Some(_), None) => false,
        };
        let keeps_ids = event.id.is_none() || self.terms.mark.is_none();
        if is_same && event.is_plain && keeps_ids {
            self.out.push(event.raw.clone());
            return;
        }
        let retry = event.retry_millis.map(|m| m.clamp(*RETRY_MILLIS.start(), *RETRY_MILLIS.end()));
        let id = event.id.as_ref().map(|id| self.terms.mark.mark(id));
        let name = event.event.as_ref().and_then(|name| std::str::from_utf8(name).ok());
        let data = message.or_else(|| event.data.clone()).unwrap_or_default();
        self.out.push(sse::encode(name, id.as_deref(), retry, &data));
    }

    /// The upstream's end. Without the answer it is a loss, unless the client can resume elsewhere.
    fn finish(&mut self) {
        let complete = self.state == State::Answered || self.terms.expected.is_done();
        if complete || self.terms.expected.is_lasting() || self.resumable {
            self.terms.expected.park();
            self.end();
        } else {
            self.fail(&lost("the upstream ended its answer without a result"));
        }
    }

    fn end(&mut self) {
        if let Some(farewell) = self.terms.expected.farewell() {
            self.out.push(sse::encode(Some("message"), None, None, &farewell));
        }
        self.state = State::Ended;
    }

    /// Tells whoever still waits that no answer comes. A resumable stream is cut instead: its client
    /// will ask the upstream again where it left off.
    fn fail(&mut self, refusal: &Refusal) {
        if self.state == State::Answered {
            self.state = State::Ended;
            return;
        }
        if self.resumable || self.terms.expected.unanswered().next().is_none() {
            self.terms.expected.park();
            self.state = State::Cut;
            return;
        }
        for id in self.terms.expected.unanswered() {
            let message = reply::error_message(refusal, Some(id));
            self.out.push(sse::encode(Some("message"), None, None, &message));
        }
        self.terms.expected.give_up();
        self.state = State::Ended;
    }

    /// Ends a lasting stream when the gate shuts down or its session ends. Says whether it did.
    fn leave(&mut self, context: &mut Context<'_>) -> bool {
        let Some(leaving) = &mut self.leaving else { return false };
        if leaving.as_mut().poll(context).is_pending() {
            return false;
        }
        self.leaving = None;
        self.ward.abandon();
        self.end();
        true
    }

    /// Does what another configuration demands of the stream. Says whether that was anything.
    fn obey(&mut self, context: &mut Context<'_>) -> bool {
        let Some(reloads) = &mut self.reloads else { return false };
        let told = reloads.as_mut().poll_next(context);
        let (Poll::Ready(Some(())), Some(watch)) = (told, self.terms.expected.watch()) else {
            return false;
        };
        match watch.renewed() {
            Ok(said) => {
                for message in said {
                    self.out.push(sse::encode(Some("message"), None, None, &message));
                }
            }
            Err(refusal) => {
                self.ward.abandon();
                self.fail(&refusal);
            }
        }
        true
    }

    /// Writes a comment if the stream has been silent for long. Says whether it did.
    fn fill_silence(&mut self, context: &mut Context<'_>) -> bool {
        let interval = self.terms.keepalive;
        let due = self.last_written + interval;
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        while silence.as_mut().poll(context).is_ready() {
            // Re-armed only here: events in between cost nothing.
            if Instant::now() >= due {
                self.out.push(Bytes::from_static(sse::KEEPALIVE));
                silence.as_mut().reset(Instant::now() + interval);
                return true;
            }
            silence.as_mut().reset(due);
        }
        false
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        // Its client has gone, and may come back for the rest.
        if self.resumable && self.state == State::Flowing {
            self.terms.expected.park();
        }
    }
}

fn lost(text: &'static str) -> Refusal {
    Refusal::new(Reason::UpstreamLost, text)
}

fn invalid(fault: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Reason::UpstreamInvalid, format!("the upstream's event stream is broken: {fault}"))
}
