//! What one connection is waiting for, and since when: the shared flags behind its deadlines.
//!
//! The wire, the service wrapper and the bodies write here; the connection's task reads, and only
//! it holds a timer. An ordinary request costs a few relaxed atomic operations and one look at the
//! clock. No lock, no timer, no I/O.
//!
//! LIMIT: a service that stops reading a body for `body_pause` is taken for a client that stopped
//! sending. Ours reads bodies to their end or drops them. Bodies of HTTP/2 requests have no deadline
//! here, since hyper hides their frames: whoever reads them must bound that wait.
//!
//! Times are milliseconds since the connection began, plus one: zero means "not waiting".
//!
//! Next: `drive.rs`, which turns this into deadlines.

use crate::settings::Limits;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Which deadline a connection missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// Nothing was in progress for too long.
    Idle,
    /// A head did not complete.
    Head,
    /// A body paused too long or took too long.
    Body,
    /// The client took no bytes.
    Write,
    /// It was told to end and did not.
    Ending,
}

#[derive(Debug)]
pub(super) struct Pulse {
    start: Instant,
    in_progress: AtomicU32,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    body_since: AtomicU64,
    pause_since: AtomicU64,
    write_since: AtomicU64,
    /// Frames of HTTP/2 replies that were handed out and not asked beyond: their streams wait for
    /// the client's window, which no write on the socket would show.
    frames_out: AtomicU32,
    frame_since: AtomicU64,
    is_cut: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            in_progress: AtomicU32::new(0),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(0),
            body_since: AtomicU64::new(0),
            pause_since: AtomicU64::new(0),
            write_since: AtomicU64::new(0),
            frames_out: AtomicU32::new(0),
            frame_since: AtomicU64::new(0),
            is_cut: AtomicBool::new(false),
        }
    }

    pub(super) fn now(&self) -> u64 {
        millis(self.start.elapsed()) + 1
    }

    /// The time in so long.
    pub(super) fn after(&self, span: Duration) -> u64 {
        self.now().saturating_add(millis(span))
    }

    /// The instant of a time of ours.
    pub(super) fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_millis(at.saturating_sub(1))
    }

    /// A part of a head is here and the rest is not.
    pub(super) fn head_waits(&self) {
        if self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now(), Relaxed);
        }
    }

    /// The rest of a body is not here yet; `has_moved` when bytes came since the last wait.
    pub(super) fn body_waits(&self, has_moved: bool) {
        let is_first = self.body_since.load(Relaxed) == 0;
        if is_first || has_moved {
            let now = self.now();
            self.pause_since.store(now, Relaxed);
            if is_first {
                self.body_since.store(now, Relaxed);
            }
        }
    }

    /// The message that was waited for is complete.
    pub(super) fn message_arrived(&self) {
        self.head_since.store(0, Relaxed);
        self.body_since.store(0, Relaxed);
    }

    /// The head that was waited for is complete; its body is not.
    pub(super) fn head_arrived(&self) {
        self.head_since.store(0, Relaxed);
    }

    /// The client's side takes no bytes.
    pub(super) fn write_waits(&self) {
        if self.write_since.load(Relaxed) == 0 {
            self.write_since.store(self.now(), Relaxed);
        }
    }

    /// The client's side took bytes.
    pub(super) fn write_moved(&self) {
        if self.write_since.load(Relaxed) != 0 {
            self.write_since.store(0, Relaxed);
        }
    }

    /// Makes the next read of a body fail.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Relaxed)
    }

    /// The nearest deadline, if any. `ending_since` once the connection was told to end.
    pub(super) fn due(&self, limits: &Limits, ending_since: Option<u64>) -> Option<(u64, Missed)> {
        let after = |since: u64, limit: Duration, missed| {
            (since != 0).then(|| (since.saturating_add(millis(limit)), missed))
        };
        let is_stuck = self.frames_out.load(Relaxed) > 0;
        let frame = if is_stuck { self.frame_since.load(Relaxed) } else { 0 };
        let written = [
            after(self.write_since.load(Relaxed), limits.write_stall, Missed::Write),
            after(frame, limits.write_stall, Missed::Write),
        ];
        let read = if let Some(since) = ending_since {
            [after(since, limits.write_stall, Missed::Ending), None]
        } else if self.in_progress.load(Relaxed) > 0 {
            let since = self.body_since.load(Relaxed);
            let pause = if since == 0 { 0 } else { self.pause_since.load(Relaxed) };
            [after(since, limits.body, Missed::Body), after(pause, limits.body_pause, Missed::Body)]
        } else {
            let idle = self.idle_since.load(Relaxed);
            match self.head_since.load(Relaxed) {
                0 => [after(idle, limits.keepalive, Missed::Idle), None],
                // The head may have waited for the reply before it; that was not the client's time.
                since => [after(since.max(idle), limits.head, Missed::Head), None],
            }
        };
        written.into_iter().chain(read).flatten().min_by_key(|(at, _)| *at)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// One request in progress, until its reply's body is gone.
#[derive(Debug)]
pub(super) struct InProgress(Arc<Pulse>);

impl InProgress {
    pub(super) fn begin(pulse: &Arc<Pulse>) -> Self {
        pulse.in_progress.fetch_add(1, Relaxed);
        Self(Arc::clone(pulse))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        // The time first: whoever sees zero must not see an old time.
        self.0.idle_since.store(self.0.now(), Relaxed);
        self.0.in_progress.fetch_sub(1, Relaxed);
    }
}

/// One frame handed out whose stream has not asked for more.
#[derive(Debug)]
struct FrameOut(Arc<Pulse>);

impl FrameOut {
    fn begin(pulse: &Arc<Pulse>) -> Self {
        pulse.frame_since.store(pulse.now(), Relaxed);
        pulse.frames_out.fetch_add(1, Relaxed);
        Self(Arc::clone(pulse))
    }
}

impl Drop for FrameOut {
    fn drop(&mut self) {
        self.0.frame_since.store(self.0.now(), Relaxed);
        self.0.frames_out.fetch_sub(1, Relaxed);
    }
}

pin_project! {
    /// A reply's body that keeps its request in progress. Without an inner body it is empty.
    #[derive(Debug)]
    pub(super) struct Counted<B> {
        #[pin]
        body: Option<B>,
        in_progress: InProgress,
        frame_out: Option<FrameOut>,
        counts_frames: bool,
    }
}

impl<B> Counted<B> {
    /// `counts_frames` for HTTP/2, where only the bodies show that a stream waits for its window.
    pub(super) const fn new(body: Option<B>, in_progress: InProgress, counts_frames: bool) -> Self {
        Self { body, in_progress, frame_out: None, counts_frames }
    }
}

impl<B: Body<Data = Bytes>> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        *this.frame_out = None;
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        let polled = body.poll_frame(cx);
        if *this.counts_frames && matches!(polled, Poll::Ready(Some(Ok(_)))) {
            *this.frame_out = Some(FrameOut::begin(&this.in_progress.0));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
