//! The legacy era: sessions, made by `initialize` and named by `Mcp-Session-Id`.
//!
//! Serves 2025-03-26 (with batches), 2025-06-18 and 2025-11-25. A lost connection cancels nothing;
//! `notifications/cancelled` does. Nothing is resumed: events carry no ids.
//!
//! Next: `legacy_tools.rs` for calls.

use crate::door::{VERSION_HEADER, accepts, header};
use crate::legacy_tools;
use crate::message::{Incoming, Message, Notification, Request};
use crate::reply::{Failure, Response, empty, refuse, result, stream, whole};
use crate::serve::Shared;
use crate::sessions::Session;
use crate::stream;
use crate::tools::{self, Tool};
use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

/// The legacy revisions served, newest first.
pub(crate) const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// The revision that has batches.
const BATCHES: &str = "2025-03-26";
const SESSION_HEADER: &str = "mcp-session-id";

/// Answers a POST.
pub(crate) async fn answer(
    received: Incoming,
    headers: &HeaderMap,
    shared: &Arc<Shared>,
) -> Result<Response, Failure> {
    if let Incoming::One(Message::Request(request)) = &received
        && request.method == "initialize"
    {
        return Ok(initialize(request, shared).unwrap_or_else(|f| refuse(&f, Some(&request.id))));
    }
    let session = match session(headers, shared) {
        Ok(session) => session,
        Err(failure) => {
            let id = match &received {
                Incoming::One(Message::Request(request)) => Some(&request.id),
                _ => None,
            };
            return Ok(refuse(&failure, id));
        }
    };
    match received {
        Incoming::One(Message::Request(request)) => Ok(answer_request(request, session, shared)),
        Incoming::One(message) => {
            take(message, &session);
            Ok(empty(StatusCode::ACCEPTED))
        }
        Incoming::Batch(messages) if session.version == BATCHES => {
            answer_batch(messages, session, shared)
        }
        Incoming::Batch(_) => Err(Failure::invalid_request("batches ended with 2025-03-26")),
    }
}

/// Opens the session's stream for what the server says by itself (GET).
pub(crate) fn listen(headers: &HeaderMap, shared: &Shared) -> Result<Response, Failure> {
    let session = session(headers, shared)?;
    if !accepts(headers, "text/event-stream") {
        return Err(Failure::status(StatusCode::NOT_ACCEPTABLE, "send accept: text/event-stream"));
    }
    let (events, body) = stream::open();
    session.keep_stream(events);
    Ok(stream(body))
}

/// Ends a session (DELETE).
pub(crate) fn end(headers: &HeaderMap, shared: &Shared) -> Result<Response, Failure> {
    let session = session(headers, shared)?;
    shared.sessions.end(&session.id);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// SPEC: 2025-11-25 basic/lifecycle, Version Negotiation: what we do not speak is answered with the
/// newest we do.
fn initialize(request: &Request, shared: &Shared) -> Result<Response, Failure> {
    let Some(wanted) = request.params.get("protocolVersion").and_then(Value::as_str) else {
        return Err(Failure::params("`protocolVersion` must be a string"));
    };
    let version = VERSIONS.into_iter().find(|known| *known == wanted).unwrap_or(VERSIONS[0]);
    let takes_questions = version != BATCHES
        && request
            .params
            .get("capabilities")
            .and_then(|capabilities| capabilities.get("elicitation"))
            .is_some_and(Value::is_object);
    let session = shared.sessions.open(version, takes_questions).map_err(|_full| {
        Failure::status(StatusCode::SERVICE_UNAVAILABLE, "too many sessions, try again later")
    })?;
    let body = json!({
        "protocolVersion": version,
        "capabilities": { "tools": {}, "logging": {} },
        "serverInfo": { "name": "tollgate-demo", "version": env!("CARGO_PKG_VERSION") },
        "instructions": "Call `count` a few times: the counter stays with your session.",
    });
    let mut response = whole(StatusCode::OK, &result(&request.id, &body));
    let id = HeaderValue::from_str(&session.id)
        .map_err(|_| Failure::status(StatusCode::INTERNAL_SERVER_ERROR, "no session id"))?;
    response.headers_mut().insert(SESSION_HEADER, id);
    Ok(response)
}

/// The session a request names.
fn session(headers: &HeaderMap, shared: &Shared) -> Result<Arc<Session>, Failure> {
    if let Some(version) = header(headers, VERSION_HEADER)?
        && !VERSIONS.contains(&version)
    {
        return Err(Failure::invalid_request("this mcp-protocol-version is not supported"));
    }
    let id = header(headers, SESSION_HEADER)?
        .ok_or_else(|| Failure::invalid_request("send initialize first, then mcp-session-id"))?;
    shared.sessions.find(id).ok_or_else(|| {
        Failure::status(StatusCode::NOT_FOUND, "unknown session, send initialize again")
    })
}

fn answer_request(request: Request, session: Arc<Session>, shared: &Arc<Shared>) -> Response {
    match quick(&request, &session, shared) {
        Some(answer) => whole(StatusCode::OK, &answer),
        None => legacy_tools::stream_calls(vec![request], session, shared),
    }
}

/// What can be answered at once; `None` for calls that stream.
pub(crate) fn quick(request: &Request, session: &Session, shared: &Shared) -> Option<Value> {
    let answer = match request.method.as_str() {
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": tools::list(false) })),
        "tools/call" => match legacy_tools::read(&request.params) {
            Ok((Tool::SlowCount | Tool::AskName, _)) => return None,
            Ok((tool, arguments)) => {
                Ok(legacy_tools::call_at_once(tool, &arguments, session, shared))
            }
            Err(failure) => Err(failure),
        },
        "logging/setLevel" => match tools::rank(request.params.get("level")) {
            Some(rank) => {
                session.set_log_level(rank);
                Ok(json!({}))
            }
            None => Err(Failure::params("`level` is not a log level")),
        },
        "initialize" => Err(Failure::invalid_request("initialize stands alone")),
        method => Err(Failure::method(StatusCode::OK, method)),
    };
    Some(match answer {
        Ok(value) => result(&request.id, &value),
        Err(failure) => failure.message(Some(&request.id)),
    })
}

/// Takes what needs no answer.
fn take(message: Message, session: &Session) {
    match message {
        Message::Response(reply) => session.answer(&reply.id, reply.result),
        Message::Notification(Notification { method, params }) => {
            if method == "notifications/cancelled"
                && let Some(id) = params.get("requestId")
            {
                session.end_call(id);
            }
        }
        Message::Request(_) => {}
    }
}

/// SPEC: 2025-03-26 basic/transports: all answers of a batch may arrive on one stream.
fn answer_batch(
    messages: Vec<Message>,
    session: Arc<Session>,
    shared: &Arc<Shared>,
) -> Result<Response, Failure> {
    if messages.iter().any(Message::claims_modern) {
        return Err(Failure::invalid_request("a batch holds no modern messages"));
    }
    let mut requests = Vec::new();
    for message in messages {
        match message {
            Message::Request(request) => requests.push(request),
            other => take(other, &session),
        }
    }
    if requests.is_empty() {
        return Ok(empty(StatusCode::ACCEPTED));
    }
    Ok(legacy_tools::stream_calls(requests, session, shared))
}
