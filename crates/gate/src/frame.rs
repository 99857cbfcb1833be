//! From an HTTP request to a judged call.
//!
//! Everything that can be wrong with a request by itself is found here: names, path, method, media
//! type, size, JSON, JSON-RPC shape, era, and headers that contradict the body. What passes is
//! forwarded as the bytes that were judged. Nothing here looks at sessions or upstreams.
//!
//! In two steps, since who calls is asked in between (`identify.rs`): [`arrive`] looks at the head,
//! [`read`] at the rest. The only maker of [`Framed`]. Next: `permit.rs`.

mod media;

pub(crate) use media::accepts;

use crate::call::{Ask, Call, Post};
use crate::identify::Caller;
use crate::ledger::Ledger;
use crate::listen;
use crate::meter::Tabs;
use crate::snapshot::{Route, Snapshot};
use crate::subject::Subjects;
use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_LENGTH, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Request, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::Arc;
use tollgate_core::bounds;
use tollgate_core::party::Party;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::{self, Era, legacy, modern};
use tollgate_mcp::headers::{
    LAST_EVENT_ID, MCP_PARAM_PREFIX, MCP_PROTOCOL_VERSION, MCP_SESSION_ID,
};
use tollgate_mcp::json::{self, Body, Message};
use tollgate_mcp::methods::Method;

/// A request for a route, of which only the head was looked at.
#[derive(Debug)]
pub struct Arrival {
    /// The route.
    pub route: Arc<Route>,
    /// Its head.
    pub head: Parts,
    body: Incoming,
}

/// A judged request of a known caller.
#[derive(Debug)]
pub struct Framed {
    call: Call,
    caller: Caller,
}

impl Framed {
    /// A call of an agent on HTTP+SSE, or one the gate makes for it: what is asked was judged by
    /// [`message`], or asks nothing but the gate's own.
    #[must_use]
    pub(crate) fn for_agent(route: Arc<Route>, ask: Ask, caller: Caller) -> Self {
        let (key, address) = (caller.key(), caller.address());
        let (session_id, user_agent, is_asked) = (None, None, true);
        let call = Call { route, ask, session_id, user_agent, caller: key, address, is_asked };
        Self { call, caller }
    }

    /// The same call as one that the gate makes again by itself.
    #[must_use]
    pub(crate) fn repeated(mut self) -> Self {
        self.call.is_asked = false;
        self
    }

    /// The call.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// Who calls.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        self.caller.principal()
    }

    /// Who calls and from where, as rules see it.
    #[must_use]
    pub const fn party(&self) -> Party<'_> {
        self.call.party(self.caller.principal())
    }

    /// The same call as one of this session.
    #[must_use]
    pub fn in_session(mut self, id: Option<HeaderValue>) -> Self {
        self.call.session_id = id;
        self
    }

    /// Gives up the proof for its parts.
    #[must_use]
    pub fn into_parts(self) -> (Call, Principal) {
        (self.call, self.caller.into_principal())
    }
}

/// The methods of the MCP endpoint, for `Allow`.
pub const ALLOWED: (HeaderName, HeaderValue) =
    (ALLOW, HeaderValue::from_static("POST, GET, DELETE, OPTIONS"));

/// Looks at the head of a request for a route.
///
/// # Errors
/// What is wrong with names and headers.
pub fn arrive(
    snapshot: &Snapshot,
    route: Arc<Route>,
    request: Request<Incoming>,
) -> Result<Arrival, Refusal> {
    let (head, body) = request.into_parts();
    vet(snapshot, &head)?;
    Ok(Arrival { route, head, body })
}

/// Judges the rest of a request.
///
/// # Errors
/// Any refusal whose blame is the caller's; the ledger then knows the id to answer with.
pub async fn read(
    snapshot: &Snapshot,
    (arrival, caller): (Arrival, Caller),
    ledger: &mut Ledger,
) -> Result<Framed, Refusal> {
    let Arrival { route, head, body } = arrival;
    let session_id = head.headers.get(MCP_SESSION_ID).cloned();
    let ask = match head.method {
        HttpMethod::POST => {
            media::is_taken(&head.headers)?;
            media::takes_answers(&head.headers)?;
            let bytes = read_body((head.version, &head.headers), body, snapshot).await?;
            Ask::Post(Box::new(judge(snapshot, &route, Some(&head.headers), bytes, ledger)?))
        }
        HttpMethod::GET => {
            era::check_session_operation(version_header(&head.headers))?;
            accepts(&head.headers, "text/event-stream")?;
            Ask::Stream { last_event_id: head.headers.get(LAST_EVENT_ID).cloned() }
        }
        HttpMethod::DELETE => {
            era::check_session_operation(version_header(&head.headers))?;
            Ask::End
        }
        _ => {
            let text = "this is an MCP endpoint: it serves POST, GET and DELETE";
            return Err(Refusal::new(Reason::MethodNotAllowed, text));
        }
    };
    let user_agent = head.headers.get(USER_AGENT).filter(|_| route.soft_sessions).cloned();
    let (key, address) = (caller.key(), caller.address());
    let is_asked = true;
    let call = Call { route, ask, session_id, user_agent, caller: key, address, is_asked };
    Ok(Framed { call, caller })
}

/// What every request must fulfil, whatever it asks for.
pub(crate) fn vet(snapshot: &Snapshot, head: &Parts) -> Result<(), Refusal> {
    no_repeats(&head.headers)?;
    snapshot.names.check(&head.uri, &head.headers)
}

/// Judges a message POSTed by an agent on HTTP+SSE. Its headers say nothing about it: what it
/// belongs to is in the URL, what it speaks was agreed on in `initialize`.
///
/// The claims of a modern message are not checked: who asks must refuse the whole era.
pub(crate) async fn message(
    snapshot: &Snapshot,
    route: &Arc<Route>,
    (head, body): (&Parts, Incoming),
    ledger: &mut Ledger,
) -> Result<Post, Refusal> {
    media::is_taken(&head.headers)?;
    let bytes = read_body((head.version, &head.headers), body, snapshot).await?;
    judge(snapshot, route, None, bytes, ledger)
}

/// Headers that mean something to us must mean it once: which of two would be judged, and which
/// forwarded, must not be a question.
pub(crate) fn no_repeats(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    let repeated = headers.keys().find(|name| {
        let ours = name.as_str().starts_with("mcp-")
            || matches!(
                name.as_str(),
                "authorization"
                    | "content-encoding"
                    | "content-type"
                    | "host"
                    | "last-event-id"
                    | "origin"
            );
        ours && headers.get_all(*name).iter().nth(1).is_some()
    });
    match repeated {
        None => Ok(()),
        Some(name) if name.as_str().starts_with("mcp-") => {
            Err(modern::mismatch(name, "is given more than once"))
        }
        Some(name) => {
            let reason = if name == ORIGIN { Reason::OriginRefused } else { Reason::BadRequest };
            Err(Refusal::new(reason, format!("header `{name}` is given more than once")))
        }
    }
}

/// Reads the body whole. Over HTTP/1 the connection watches its pace; over HTTP/2 it cannot, so
/// this does.
async fn read_body(
    (version, headers): (Version, &HeaderMap),
    body: Incoming,
    snapshot: &Snapshot,
) -> Result<Bytes, Refusal> {
    let limits = &snapshot.settings.limits;
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limits.request_bytes_max) {
        return Err(too_large(limits.request_bytes_max));
    }
    let gathered = gather(body, declared.unwrap_or(0), limits.request_bytes_max);
    if version != Version::HTTP_2 {
        return gathered.await;
    }
    tokio::time::timeout(limits.body, gathered).await.unwrap_or_else(|_| Err(too_slow()))
}

async fn gather(mut body: Incoming, declared: usize, limit: usize) -> Result<Bytes, Refusal> {
    let mut whole: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_body(&error))?;
        // Trailers are ignored: they must never become headers (RFC 9110 6.5.1).
        let Ok(data) = frame.into_data() else { continue };
        if whole.is_none() && body.is_end_stream() {
            return if data.len() > limit { Err(too_large(limit)) } else { Ok(data) };
        }
        let gathered = whole.get_or_insert_with(|| {
            BytesMut::with_capacity(declared.clamp(data.len(), data.len().max(64 * bounds::KIB)))
        });
        if gathered.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        gathered.extend_from_slice(&data);
    }
    Ok(whole.unwrap_or_default().freeze())
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        Reason::TooLarge,
        format!("the body is larger than the {limit} bytes allowed here"),
    )
}

fn too_slow() -> Refusal {
    Refusal::new(Reason::RequestTimeout, "the body did not arrive in time")
}

fn broken_body(error: &hyper::Error) -> Refusal {
    if listen::is_too_slow(error) {
        return too_slow();
    }
    Refusal::new(Reason::BadRequest, "the body is not framed as its headers say")
}

fn judge(
    snapshot: &Snapshot,
    route: &Arc<Route>,
    headers: Option<&HeaderMap>,
    body: Bytes,
    ledger: &mut Ledger,
) -> Result<Post, Refusal> {
    let limits = json::Limits {
        depth_max: snapshot.settings.limits.json_depth_max,
        items_max: bounds::JSON_ITEMS_MAX,
        batch_max: bounds::BATCH_MAX,
        id_bytes_max: bounds::ID_BYTES_MAX,
    };
    let messages = json::judge(&body, &limits).map_err(|fault| {
        // SPEC: JSON-RPC 2.0 section 5: an error in detecting the id has none; what does not even
        // parse has no id that could be relied on.
        let id = fault.id.filter(|_| !fault.kind.is_parse_error());
        ledger.id = id.map(|id| Bytes::copy_from_slice(id.of(&body)));
        let reason = if fault.kind.is_parse_error() {
            Reason::ParseError
        } else if fault.kind.is_invalid_params() {
            Reason::InvalidParams
        } else {
            Reason::InvalidRequest
        };
        Refusal::new(reason, fault.to_string())
    })?;
    let version_header = headers.and_then(version_header);
    let (era, method) = match &messages {
        Body::One(message) => judge_one(&body, message, headers, ledger)?,
        Body::Batch(_) if headers.is_none() => {
            // SPEC: 2024-11-05 basic/transports, HTTP with SSE: each POST is one message.
            let text = "send one message per request: this transport has no batches";
            return Err(Refusal::new(Reason::InvalidRequest, text));
        }
        Body::Batch(batch) => (judge_batch(&body, batch, version_header)?, Method::Other),
    };
    let params = match (era, headers) {
        (Era::Modern, Some(headers)) => param_headers(headers),
        (Era::Modern, None) | (Era::Legacy, _) => Vec::new(),
    };
    if let (Era::Modern, Some(_), Body::One(message)) = (era, headers, &messages)
        && let Some(leg) = route.straight()
        // With a policy, `permit.rs` does: a mirror must not tell that there is a tool.
        && snapshot.permit.book().is_none()
    {
        leg.knowledge.check_params(&body, message, &params)?;
    }
    let version = version_header.and_then(legacy::Version::parse);
    Ok(Post {
        body,
        messages,
        era,
        method,
        version,
        params,
        subjects: Subjects::Off,
        tabs: Tabs::None,
        answered: Vec::new(),
    })
}

/// The protocol version a request names; one that is not text is as good as any unknown one.
fn version_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(MCP_PROTOCOL_VERSION).map(|value| value.to_str().unwrap_or("?"))
}

fn judge_one(
    body: &Bytes,
    message: &Message,
    headers: Option<&HeaderMap>,
    ledger: &mut Ledger,
) -> Result<(Era, Method), Refusal> {
    ledger.id = match message.kind {
        json::Kind::Request => message.id.map(|id| body.slice(id.start as usize..id.end as usize)),
        json::Kind::Notification | json::Kind::Response => None,
    };
    let method = message.method.map_or(Method::Other, |name| Method::of(&name.decode(body)));
    let era = era::classify(body, message, method, headers.and_then(version_header))?;
    if let (Era::Modern, Some(headers)) = (era, headers) {
        modern::check(body, message, method, headers)?;
    }
    Ok((era, method))
}

/// SPEC: 2025-03-26 basic, Batching. Which session allows one is judged where sessions are known.
fn judge_batch(
    body: &Bytes,
    batch: &[Message],
    version_header: Option<&str>,
) -> Result<Era, Refusal> {
    let refuse = |text| Err(Refusal::new(Reason::InvalidRequest, text));
    let version = version_header.map_or(Some(legacy::ASSUMED), legacy::Version::parse);
    if !version.is_some_and(legacy::Version::allows_batches) {
        return refuse("send one message per request: this protocol version has no batches");
    }
    for message in batch {
        let method = message.method.map_or(Method::Other, |name| Method::of(&name.decode(body)));
        if method == Method::Initialize {
            return refuse("`initialize` must not be part of a batch");
        }
        if message.fields.meta.is_some_and(|meta| meta.protocol_version.is_some()) {
            return refuse("messages of revisions without batches must not be part of one");
        }
    }
    Ok(Era::Legacy)
}

fn param_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let params = headers.iter().filter(|(name, _)| name.as_str().starts_with(MCP_PARAM_PREFIX));
    params.map(|(name, value)| (name.clone(), value.clone())).collect()
}
