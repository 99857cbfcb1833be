//! One request to one endpoint and its reply, and what every failure means for a retry.
//!
//! Repeats nothing, with one exception: a pooled connection that turned out closed before a byte of
//! the request left is replaced by a fresh one, once. Follows no redirect, decodes no content
//! coding. Dropping an [`Exchange`] or an unfinished [`ReplyBody`] closes the connection, which is
//! how a call is cancelled.
//!
//! Next: `link.rs` drives the connection; `endpoint.rs` begins exchanges.

use crate::upstream::endpoint::InFlight;
use crate::upstream::link::{Answer, Due, Link};
use crate::upstream::tls;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// How long an exchange may take, phase by phase. Connecting has its own, of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the request being handed to the connection to the head of the reply.
    pub first_byte: Duration,
    /// Longest silence within the body; `None` for event streams that may be silent.
    pub pause: Option<Duration>,
    /// Everything together; `None` for streams that live as long as their session.
    pub total: Option<Duration>,
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No reply began in time.
    FirstByte,
    /// The reply's body fell silent.
    Pause,
    /// The whole exchange took too long.
    Total,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::FirstByte => "it did not begin to reply in time",
            Self::Pause => "its reply paused for too long",
            Self::Total => "the call took too long in all",
        })
    }
}

/// Why an exchange failed, and by that whether it may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Provably not processed: repeating it, here or elsewhere, is safe.
    #[error("the request was not sent: {0}")]
    NotSent(Cause),
    /// It may have been processed, in part or in whole.
    #[error("the upstream was lost: {0}")]
    Lost(Cause),
    /// A deadline passed; it may have been processed.
    #[error("the upstream timed out: {0}")]
    Timeout(Phase),
    /// The reply cannot be used; the request was probably processed.
    #[error("the upstream's reply is not valid: {0}")]
    Invalid(Cause),
}

/// What happened on the way to or from an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Nothing listens at the address.
    #[error("it refused the connection")]
    Refused,
    /// Connecting, TLS included, took too long.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// The address cannot be reached.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No secure connection came about; the text names the likely remedy.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The connection ended before the reply did.
    #[error("it closed the connection early")]
    Closed,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(String),
    /// What it sent is not HTTP/1.1.
    #[error("it does not speak HTTP/1.1 correctly: {0}")]
    NotHttp(String),
    /// The head of the reply is larger than we take.
    #[error("the head of its reply is too large")]
    HeadTooLarge,
    /// The body is encoded although we asked for none of that.
    #[error("it sent the content or transfer coding `{0}`, which was not asked for")]
    Encoded(String),
    /// It wants to speak another protocol on this connection.
    #[error("it switched protocols without being asked")]
    Switched,
}

impl Cause {
    /// Reads hyper's error.
    pub(crate) fn of(error: &hyper::Error) -> Self {
        if let Some(io) = error.source().and_then(|e| e.downcast_ref::<io::Error>()) {
            return Self::of_io(io);
        }
        if error.is_parse_too_large() {
            return Self::HeadTooLarge;
        }
        if error.is_parse() {
            return Self::NotHttp(error.to_string());
        }
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            return Self::Closed;
        }
        Self::Io(error.to_string())
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        if let Some(why) = tls::late_refusal(error) {
            return Self::Tls(why);
        }
        match error.kind() {
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Self::Closed,
            Kind::UnexpectedEof => Self::Closed,
            // hyper reports a broken chunked coding so; TLS faults have an inner error.
            Kind::InvalidInput | Kind::InvalidData if error.get_ref().is_none_or(is_text) => {
                Self::NotHttp(error.to_string())
            }
            _ => Self::Io(error.to_string()),
        }
    }
}

fn is_text(inner: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    !inner.is::<rustls::Error>()
}

/// An exchange in progress; resolves when the head of the reply is there.
#[derive(Debug)]
#[must_use = "nothing is sent until it is polled"]
pub struct Exchange {
    stage: Stage,
    head_within: Duration,
    pause: Option<Duration>,
    total_at: Option<Instant>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<Link>, Cause>> + Send>>;

enum Stage {
    /// Waiting for a fresh connection.
    Connect(Connecting, Box<Request<Full<Bytes>>>, InFlight),
    /// Waiting for the head of the reply.
    Head(Box<Link>, Due, InFlight),
    /// Resolved.
    Over,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect(..) => "Connect",
            Self::Head(..) => "Head",
            Self::Over => "Over",
        })
    }
}

impl Exchange {
    /// Begins on a pooled connection if there is one that seems open.
    pub(crate) fn begin(
        account: InFlight,
        request: Request<Full<Bytes>>,
        deadlines: Deadlines,
        pooled: Option<Box<Link>>,
        now: Instant,
    ) -> Self {
        let mut exchange = Self {
            stage: Stage::Over,
            head_within: deadlines.first_byte,
            pause: deadlines.pause,
            total_at: deadlines.total.and_then(|total| now.checked_add(total)),
        };
        exchange.stage = match pooled {
            Some(mut link) => {
                link.send(request);
                Stage::Head(link, exchange.due(now), account)
            }
            None => exchange.connect(Box::new(request), account),
        };
        exchange
    }

    fn connect(&self, request: Box<Request<Full<Bytes>>>, account: InFlight) -> Stage {
        let left = self.total_at.map(|at| at.saturating_duration_since(Instant::now()));
        Stage::Connect(account.endpoint().connect(left), request, account)
    }

    fn due(&self, now: Instant) -> Due {
        Due::head(now + self.head_within, self.pause, self.total_at)
    }

    /// Connecting has ended: sends the request, or says that it was not sent.
    fn connected(&mut self, opened: Result<Box<Link>, Cause>) -> Result<(), SendError> {
        let Stage::Connect(_, request, account) = self.take_stage() else { return Ok(()) };
        // The endpoint was told of a failure while connecting.
        let mut link = opened.map_err(SendError::NotSent)?;
        link.send(*request);
        self.stage = Stage::Head(link, self.due(Instant::now()), account);
        Ok(())
    }

    /// The connection has answered: a reply, a failure, or `None` for one more attempt.
    fn answered(&mut self, answer: Result<Answer, Phase>) -> Option<Result<Reply, SendError>> {
        let Stage::Head(link, due, account) = self.take_stage() else { return None };
        let error = match answer {
            Ok(Ok(response)) => match usable(response) {
                Ok((parts, incoming)) => {
                    account.replied(parts.status);
                    let body = ReplyBody::new(incoming, Flow { link, due, account });
                    return Some(Ok(Reply { status: parts.status, headers: parts.headers, body }));
                }
                Err(cause) => SendError::Invalid(cause),
            },
            Ok(Err(mut failure)) => {
                let untouched = failure.take_message().filter(|_| !link.has_written());
                if let Some(request) = untouched
                    && link.is_reused()
                {
                    drop(link);
                    self.stage = self.connect(Box::new(request), account);
                    return None;
                }
                failed(Cause::of(&failure.into_error()), link.has_written())
            }
            Err(phase) => SendError::Timeout(phase),
        };
        account.failed(&error);
        Some(Err(error))
    }

    fn take_stage(&mut self) -> Stage {
        std::mem::replace(&mut self.stage, Stage::Over)
    }
}

/// What a failure before the head of a reply means.
fn failed(cause: Cause, written: bool) -> SendError {
    match cause {
        // Only a refusal of the handshake itself becomes this cause here.
        Cause::Tls(_) => SendError::NotSent(cause),
        _ if !written => SendError::NotSent(cause),
        Cause::NotHttp(_) | Cause::HeadTooLarge => SendError::Invalid(cause),
        _ => SendError::Lost(cause),
    }
}

/// Refuses replies whose body would not be what it seems.
fn usable(response: http::Response<Incoming>) -> Result<(http::response::Parts, Incoming), Cause> {
    let (parts, incoming) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Cause::Switched);
    }
    match coding(&parts.headers) {
        Some(coding) => Err(Cause::Encoded(coding)),
        None => Ok((parts, incoming)),
    }
}

/// A coding that hides the body from us, if there is one.
fn coding(headers: &HeaderMap) -> Option<String> {
    let plain = |name, allowed: &'static str| {
        headers
            .get_all(name)
            .iter()
            .find(|value| !value.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()))
            .map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(64).collect())
    };
    plain(header::CONTENT_ENCODING, "identity")
        .or_else(|| plain(header::TRANSFER_ENCODING, "chunked"))
}

impl Future for Exchange {
    type Output = Result<Reply, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Connect(connecting, ..) => {
                    let opened = ready!(connecting.as_mut().poll(cx));
                    if let Err(error) = this.connected(opened) {
                        return Poll::Ready(Err(error));
                    }
                }
                Stage::Head(link, due, _) => {
                    let answer = ready!(link.poll_answer(cx, due));
                    if let Some(outcome) = this.answered(answer) {
                        return Poll::Ready(outcome);
                    }
                }
                // Polled after it resolved, against the contract of futures: never wakes.
                Stage::Over => return Poll::Pending,
            }
        }
    }
}

/// A reply whose body is still arriving.
#[derive(Debug)]
pub struct Reply {
    /// The status, as the upstream sent it.
    pub status: StatusCode,
    /// The headers, as the upstream sent them.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

/// The body of a reply. At its clean end the connection becomes reusable; dropped before, it is
/// closed.
#[derive(Debug)]
pub struct ReplyBody {
    incoming: Incoming,
    /// `None` once the body has ended, well or badly.
    flow: Option<Flow>,
}

#[derive(Debug)]
struct Flow {
    link: Box<Link>,
    due: Due,
    account: InFlight,
}

impl ReplyBody {
    fn new(incoming: Incoming, mut flow: Flow) -> Self {
        flow.due.moved();
        let mut body = Self { incoming, flow: Some(flow) };
        body.rest_if_complete();
        body
    }

    fn rest_if_complete(&mut self) {
        if self.incoming.is_end_stream() {
            self.rest();
        }
    }

    fn rest(&mut self) {
        if let Some(flow) = self.flow.take() {
            flow.account.endpoint().keep(flow.link);
        }
    }

    fn fail(&mut self, error: SendError) -> SendError {
        if let Some(flow) = self.flow.take() {
            flow.account.failed(&error);
        }
        error
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let this = &mut *self;
        loop {
            let Some(Flow { link, due, .. }) = &mut this.flow else { return Poll::Ready(None) };
            let incoming = &mut this.incoming;
            let part =
                ready!(link.poll_part(cx, due, |inner| Pin::new(&mut *incoming).poll_frame(inner)));
            return Poll::Ready(match part {
                Err(phase) => Some(Err(this.fail(SendError::Timeout(phase)))),
                Ok(None) => {
                    this.rest();
                    None
                }
                Ok(Some(Err(error))) => {
                    let error = match Cause::of(&error) {
                        cause @ Cause::NotHttp(_) => SendError::Invalid(cause),
                        cause => SendError::Lost(cause),
                    };
                    Some(Err(this.fail(error)))
                }
                Ok(Some(Ok(frame))) => {
                    due.moved();
                    // MCP gives trailers no meaning, and they were judged by nobody.
                    if frame.is_trailers() {
                        continue;
                    }
                    this.rest_if_complete();
                    Some(Ok(frame))
                }
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.flow.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
