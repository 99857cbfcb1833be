//! Requests to a host, answered as a Streamable HTTP server would.
//!
//! POST, GET and DELETE, sessions by `Mcp-Session-Id`, 404 for those that are not there. One answer
//! and nothing before it comes as JSON, everything else as an event stream. Streams are not resumed:
//! what a reader missed is not kept.
//!
//! SPEC: 2025-11-25 basic/transports; 2026-07-28 basic/transports/streamable-http.

use crate::upstream::duplex::greeting::Greeted;
use crate::upstream::duplex::host::{Host, Place};
use crate::upstream::duplex::outbound::{Admitted, Judged};
use crate::upstream::duplex::served::{Inbox, Served, Serving};
use crate::upstream::fault::{Cause, SendError};
use crate::upstream::request::{OnBehalf, Outgoing};
use aws_lc_rs::digest;
use http::{Method as HttpMethod, StatusCode};
use std::sync::Arc;
use tollgate_core::principal::CallerKey;
use tollgate_mcp::era::{self, Era};
use tollgate_mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use tollgate_mcp::methods::Method;

impl Host {
    /// Serves one request. Nothing happens before the future is polled.
    pub(crate) fn serve(self: &Arc<Self>, request: Outgoing) -> Serving {
        let this = self.clone();
        Box::pin(async move {
            match request.method {
                HttpMethod::POST => this.post(request).await,
                HttpMethod::GET => Ok(this.stream(&request)),
                HttpMethod::DELETE => Ok(this.end(&request)),
                _ => Ok(Served::empty(StatusCode::METHOD_NOT_ALLOWED)),
            }
        })
    }

    async fn post(self: Arc<Self>, request: Outgoing) -> Result<Served, SendError> {
        let session = named_session(&request);
        let caller = request.on_behalf_of.as_ref().map(OnBehalf::caller);
        let version = request.headers.get(&MCP_PROTOCOL_VERSION);
        let version = version.and_then(|version| std::str::from_utf8(version).ok());
        let Some(judged) = Judged::read(request.body.clone()) else {
            return Ok(Served::empty(StatusCode::BAD_REQUEST));
        };
        let method = judged.method();
        let era = era::classify(judged.body(), judged.first(), method, version);
        match (era, session) {
            (Err(_), _) => Ok(Served::empty(StatusCode::BAD_REQUEST)),
            (Ok(Era::Modern), _) if judged.is_batch => Ok(Served::empty(StatusCode::BAD_REQUEST)),
            (Ok(Era::Modern), _) => self.modern(judged, caller).await,
            (Ok(Era::Legacy), _) if method == Method::Initialize && !judged.is_batch => {
                self.initialize(judged, caller).await
            }
            (Ok(Era::Legacy), Some(session)) => self.in_session(&judged, &session).await,
            (Ok(Era::Legacy), None) => Ok(Served::empty(StatusCode::BAD_REQUEST)),
        }
    }

    async fn modern(
        self: Arc<Self>,
        judged: Judged,
        caller: Option<CallerKey>,
    ) -> Result<Served, SendError> {
        if judged.expects_nothing() {
            return Ok(Served::empty(StatusCode::ACCEPTED));
        }
        let key = self.key(Era::Modern, caller, [0; 32]);
        let (line, is_new) = self.line(&key).await?;
        if is_new && judged.method() != Method::Discover {
            line.knock();
        }
        let Admitted { lines, inbox } = line.admit(None, &judged)?;
        for message in lines {
            line.write(message).await?;
        }
        // A subscription lasts: it must not keep what the configuration has given up.
        let host = (judged.method() != Method::Listen).then_some(self);
        reply(inbox, host, false).await
    }

    async fn in_session(
        self: Arc<Self>,
        judged: &Judged,
        session: &str,
    ) -> Result<Served, SendError> {
        let Some(Place { conversation, seat }) = self.session(session) else {
            return Ok(Served::empty(StatusCode::NOT_FOUND));
        };
        if !conversation.is_open() {
            return Ok(Served::empty(StatusCode::NOT_FOUND));
        }
        let Admitted { lines, inbox } = conversation.admit(Some(seat), judged)?;
        for message in lines {
            conversation.write(message).await?;
        }
        reply(inbox, Some(self), judged.is_batch).await
    }

    async fn initialize(
        self: Arc<Self>,
        judged: Judged,
        caller: Option<CallerKey>,
    ) -> Result<Served, SendError> {
        let capabilities = judged.first().fields.capabilities.map(|span| judged.slice(span));
        let digest = digest::digest(&digest::SHA256, &capabilities.unwrap_or_default());
        let digest = digest.as_ref().try_into().unwrap_or([0; 32]);
        let (line, _) = self.line(&self.key(Era::Legacy, caller, digest)).await?;
        let Greeted { seat, mut inbox, line: message } = line.greet(&judged)?;
        let mut seating =
            Seating { host: self.clone(), place: Some(Place { conversation: line, seat }) };
        if let (Some(message), Some(place)) = (message, &seating.place) {
            place.conversation.write(message).await?;
        }
        let Some(answer) = inbox.next().await.transpose()? else { return Err(unanswered()) };
        let is_good = tollgate_mcp::reply::glance(&answer.message)
            .is_ok_and(|glance| glance.result.is_some());
        let session = match &seating.place {
            Some(place) if is_good => Some(self.open_session(place.clone())?),
            Some(_) | None => None,
        };
        if session.is_some() {
            seating.place = None;
        }
        Ok(Served::json(answer.message, session))
    }

    fn stream(&self, request: &Outgoing) -> Served {
        let place = named_session(request).and_then(|id| self.session(&id));
        let inbox = place.and_then(|place| place.conversation.open_stream(place.seat));
        inbox.map_or_else(|| Served::empty(StatusCode::NOT_FOUND), Served::events)
    }

    fn end(&self, request: &Outgoing) -> Served {
        let ended = named_session(request).is_some_and(|id| self.end_session(&id));
        Served::empty(if ended { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
    }
}

/// A place on a line that no session stands for yet. Dropped, it is given back.
struct Seating {
    host: Arc<Host>,
    place: Option<Place>,
}

impl Drop for Seating {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            self.host.vacate(place);
        }
    }
}

fn named_session(request: &Outgoing) -> Option<String> {
    let id = request.headers.get(&MCP_SESSION_ID)?;
    Some(std::str::from_utf8(id).ok()?.to_owned())
}

/// The reply to a POST, once its kind is known.
async fn reply(
    inbox: Option<Inbox>,
    host: Option<Arc<Host>>,
    is_batch: bool,
) -> Result<Served, SendError> {
    let Some(mut inbox) = inbox else { return Ok(Served::empty(StatusCode::ACCEPTED)) };
    if let Some(host) = host {
        inbox.keep(host);
    }
    let Some(first) = inbox.next().await.transpose()? else { return Err(unanswered()) };
    if first.is_answer && !is_batch {
        return Ok(Served::json(first.message, None));
    }
    inbox.unread(first);
    Ok(Served::events(inbox))
}

fn unanswered() -> SendError {
    SendError::Lost(Cause::Line(String::from("it ended the call without an answer")))
}

impl Judged {
    /// Whether it is all notifications and responses.
    fn expects_nothing(&self) -> bool {
        self.first().kind != tollgate_mcp::json::Kind::Request
    }
}
