//! A line to an upstream on HTTP+SSE (2024-11-05): one GET that stays open for what it says, and a
//! POST for each message to it, at the URL that the stream's first event names.
//!
//! That URL comes from the upstream, and credentials go there: another origin than the configured
//! one is refused, and whatever it says, nothing is ever sent to another address. Repeats nothing
//! and resumes nothing: where the stream breaks, or a message is not accepted, the line ends.
//!
//! SPEC: 2024-11-05 basic/transports, HTTP with SSE. Next: `duplex/line.rs`.

use crate::settings::{Isolation, UpstreamSettings};
use crate::upstream::Upstream;
use crate::upstream::duplex::{Carrier, HostSettings, Line, LineEnd, line};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::exchange::Deadlines;
use crate::upstream::fault::SendError;
use crate::upstream::head::Media;
use crate::upstream::reply::{Reply, ReplyBody};
use crate::upstream::request::{Fields, Outgoing};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tollgate_core::bounds::{
    KIB, REPLY_BYTES_MAX, SESSION_ABSOLUTE_SECS, SSE_ENDPOINT_BYTES_MAX, SSE_LINES_MAX,
    SSE_ORDER_MILLIS, SSE_POSTS_MAX,
};
use tollgate_mcp::sse::{Event, Splitter, SseFault};
use url::Url;

/// Most that is read of what a POST is answered with, which means nothing.
const DISCARDED_BYTES_MAX: usize = 64 * KIB;

/// Pause after a line that could not be opened: the first, and the longest.
const SSE_BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Why a line ends.
#[derive(Debug, thiserror::Error)]
enum LineFault {
    #[error("no instance of it is reachable")]
    Down,
    #[error("its event stream cannot be opened: {0}")]
    Stream(SendError),
    #[error("it answers {0} to the GET of its event stream; is the URL that of the stream?")]
    Status(StatusCode),
    #[error("it answers the GET of its event stream with something else than an event stream")]
    Media,
    #[error("it did not name a URL for messages within {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("the URL for messages that it names is not usable: {0}")]
    Endpoint(EndpointFault),
    #[error(transparent)]
    Events(SseFault),
    #[error("its event stream broke: {0}")]
    Broken(SendError),
    #[error("its event stream ended")]
    Ended,
    #[error("a message could not be delivered: {0}")]
    Post(SendError),
    #[error("it answers {0} to a message")]
    Refused(StatusCode),
    #[error("nobody uses it any more")]
    Unused,
}

/// What is wrong with the URL for messages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum EndpointFault {
    #[error("it is longer than {SSE_ENDPOINT_BYTES_MAX} bytes")]
    TooLong,
    #[error("it is not a URL")]
    NotUrl,
    // Behind the first line it is for operators only.
    #[error("it has another scheme, host or port than the configured one\nits origin is `{0}`")]
    OtherOrigin(String),
    #[error("it carries credentials")]
    Credentials,
}

/// Opens lines to one upstream.
#[derive(Debug)]
pub struct SseLines {
    upstream: Arc<Upstream>,
}

impl SseLines {
    /// Lines to the instances of `upstream`, whose URLs are those of event streams.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>) -> Self {
        Self { upstream }
    }

    /// How such lines are shared: not at all, since the server's stream is one session's.
    pub(crate) fn shared(settings: &UpstreamSettings) -> HostSettings {
        let timeouts = settings.timeouts;
        HostSettings {
            isolation: Isolation::Session,
            lines_max: SSE_LINES_MAX,
            // Sessions end by their own time, and their lines with them.
            idle: Duration::from_secs(SESSION_ABSOLUTE_SECS),
            start: timeouts.connect.saturating_add(timeouts.first_byte),
            backoff: SSE_BACKOFF,
        }
    }
}

impl Carrier for SseLines {
    fn open(&self) -> Line {
        let (line, end) = line();
        let within = self.upstream.settings().timeouts.first_byte;
        // Ends with the line: when it is closed or dropped, or when the upstream ends it.
        tokio::spawn(carry(end, Peer { upstream: self.upstream.clone(), within }));
        line
    }

    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// Whom the line leads to.
struct Peer {
    upstream: Arc<Upstream>,
    /// Time for each answer.
    within: Duration,
}

async fn carry(end: LineEnd, peer: Peer) {
    let LineEnd { mut outgoing, incoming, close, ended } = end;
    let talking = async {
        let (mut stream, messages) = peer.begin().await?;
        // The loser's requests are cancelled: with either direction the whole line is over.
        tokio::select! {
            heard = hear(&mut stream, &incoming) => heard,
            posted = peer.post(&mut outgoing, &messages) => posted,
        }
    };
    let why = tokio::select! {
        () = close.cancelled() => "it was closed".to_owned(),
        talked = talking => match talked {
            Ok(()) => LineFault::Unused.to_string(),
            Err(fault) => fault.to_string(),
        },
    };
    // Told before the end of `incoming` shows: whoever sees that looks for the reason.
    ended.send_replace(Some(why.into()));
}

impl Peer {
    /// Opens the stream and waits for the place to post to.
    async fn begin(&self) -> Result<(Events, Arc<Endpoint>), LineFault> {
        let mut headers = Fields::new();
        headers.add(&ACCEPT, &HeaderValue::from_static("text/event-stream"));
        let request =
            Outgoing { method: Method::GET, headers, body: Bytes::new(), on_behalf_of: None };
        let deadlines = Deadlines { first_byte: self.within, pause: None, total: None };
        let endpoint = self.pick().await?;
        let Reply { status, headers, body } =
            endpoint.send(request, deadlines).await.map_err(LineFault::Stream)?;
        if status != StatusCode::OK {
            return Err(LineFault::Status(status));
        }
        if headers.media != Media::Events {
            return Err(LineFault::Media);
        }
        let mut events = Events::new(body);
        let naming = async {
            loop {
                let event = events.next().await?;
                if event.event.as_deref() == Some(b"endpoint") {
                    return Ok(event.data.unwrap_or_default());
                }
            }
        };
        let named = tokio::time::timeout(self.within, naming).await;
        let named = named.unwrap_or(Err(LineFault::Silent(self.within)))?;
        // All instances have the same origin, or none that could be told apart by it.
        let configured = self.upstream.settings().endpoints.first().ok_or(LineFault::Down)?;
        let target = target(configured, &named).map_err(LineFault::Endpoint)?;
        Ok((events, endpoint.at(&target)))
    }

    /// An instance that is fit for work. At the start its address may still be asked for.
    async fn pick(&self) -> Result<Arc<Endpoint>, LineFault> {
        if let Some(endpoint) = self.upstream.pick() {
            return Ok(endpoint);
        }
        let limit = self.upstream.settings().timeouts.connect;
        // Whether that helped is seen by what there is then.
        let _resolved = self.upstream.ready(limit).await;
        self.upstream.pick().ok_or(LineFault::Down)
    }

    /// Posts what is to be said, in order, until the line is dropped.
    async fn post(
        &self,
        outgoing: &mut mpsc::Receiver<Bytes>,
        messages: &Arc<Endpoint>,
    ) -> Result<(), LineFault> {
        let patience = Duration::from_millis(SSE_ORDER_MILLIS);
        let mut unaccepted = FuturesUnordered::new();
        loop {
            // Neither loses anything: a message that was not received stays in the channel.
            tokio::select! {
                message = outgoing.recv(), if unaccepted.len() < SSE_POSTS_MAX => {
                    let Some(message) = message else { return Ok(()) };
                    let mut delivery = Box::pin(self.deliver(message, messages));
                    match tokio::time::timeout(patience, &mut delivery).await {
                        Ok(delivered) => delivered?,
                        Err(_) => unaccepted.push(delivery),
                    }
                }
                Some(delivered) = unaccepted.next() => delivered?,
            }
        }
    }

    async fn deliver(&self, message: Bytes, messages: &Arc<Endpoint>) -> Result<(), LineFault> {
        let mut headers = Fields::new();
        headers.add(&CONTENT_TYPE, &HeaderValue::from_static("application/json"));
        headers.add(&ACCEPT, &HeaderValue::from_static("*/*"));
        let request = Outgoing { method: Method::POST, headers, body: message, on_behalf_of: None };
        let deadlines =
            Deadlines { first_byte: self.within, pause: Some(self.within), total: None };
        let Reply { status, mut body, .. } =
            messages.send(request, deadlines).await.map_err(LineFault::Post)?;
        if !status.is_success() {
            return Err(LineFault::Refused(status));
        }
        // Read only so that the connection can be used again; too much of it closes that.
        let mut left = DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(size) else { break };
            left = less;
        }
        Ok(())
    }
}

/// Passes on what the upstream says, for as long as somebody listens.
async fn hear(events: &mut Events, incoming: &mpsc::Sender<Bytes>) -> Result<(), LineFault> {
    loop {
        let event = events.next().await?;
        let is_message = event.event.is_none() || event.event.as_deref() == Some(b"message");
        let Some(data) = event.data.filter(|data| is_message && !data.is_empty()) else { continue };
        if incoming.send(data).await.is_err() {
            return Ok(());
        }
    }
}

/// The events of the stream.
struct Events {
    body: ReplyBody,
    splitter: Splitter,
}

impl Events {
    fn new(body: ReplyBody) -> Self {
        Self { body, splitter: Splitter::new(REPLY_BYTES_MAX) }
    }

    /// The next event.
    async fn next(&mut self) -> Result<Event, LineFault> {
        loop {
            if let Some(event) = self.splitter.next().map_err(LineFault::Events)? {
                return Ok(event);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.splitter.push(data);
                    }
                }
                Some(Err(error)) => return Err(LineFault::Broken(error)),
                None => return Err(LineFault::Ended),
            }
        }
    }
}

/// What is to be posted to, of the URL that the upstream named.
fn target(configured: &Url, named: &[u8]) -> Result<Uri, EndpointFault> {
    if named.len() > SSE_ENDPOINT_BYTES_MAX {
        return Err(EndpointFault::TooLong);
    }
    let named = std::str::from_utf8(named).map_err(|_| EndpointFault::NotUrl)?;
    let named = configured.join(named.trim()).map_err(|_| EndpointFault::NotUrl)?;
    // Other schemes have origins that equal nothing.
    if named.origin() != configured.origin() {
        let mut shown = named.origin().ascii_serialization();
        shown.truncate(100);
        return Err(EndpointFault::OtherOrigin(shown));
    }
    if !named.username().is_empty() || named.password().is_some() {
        return Err(EndpointFault::Credentials);
    }
    let query = named.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", named.path()).parse().map_err(|_| EndpointFault::NotUrl)
}

#[cfg(test)]
mod tests {
    use super::{EndpointFault, target};

    fn of(named: &str) -> Result<String, EndpointFault> {
        let configured = "http://mcp.example:8000/a/sse".parse().expect("a URL");
        target(&configured, named.as_bytes()).map(|uri| uri.to_string())
    }

    #[test]
    fn a_url_of_the_same_origin_is_resolved_against_the_streams() {
        for (named, target) in [
            ("/messages?sessionId=1", "/messages?sessionId=1"),
            ("messages/?session_id=a%20b", "/a/messages/?session_id=a%20b"),
            ("?s=1", "/a/sse?s=1"),
            ("http://MCP.example:8000/m#fragment", "/m"),
            (" /m\n", "/m"),
        ] {
            assert_eq!(of(named).as_deref(), Ok(target), "{named:?}");
        }
    }

    #[test]
    fn a_url_of_another_origin_or_with_credentials_is_refused() {
        for named in [
            "http://169.254.169.254/latest/meta-data",
            "//evil.example/m",
            "\\\\evil.example\\m",
            "https://mcp.example:8000/m",
            "http://mcp.example/m",
            "http://mcp.example.evil.example:8000/m",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            assert!(matches!(of(named), Err(EndpointFault::OtherOrigin(_))), "{named:?}");
        }
        assert_eq!(of("http://me:secret@mcp.example:8000/m"), Err(EndpointFault::Credentials));
        for named in ["http://[::1/m", "http://mcp.example:8000.evil.example/m"] {
            assert_eq!(of(named), Err(EndpointFault::NotUrl), "{named:?}");
        }
        assert_eq!(of(&"x".repeat(5_000)), Err(EndpointFault::TooLong));
    }
}
