//! What the gate asks an upstream by itself: one message of its own, and the answer.
//!
//! Bounded in time and bytes; repeats nothing. What the upstream asks back meanwhile is answered: the
//! gate itself has no roots, samples nothing and asks nobody, and says so rather than stay silent.

use crate::forward::{legacy, post_headers};
use crate::gate::Gate;
use crate::upstream::{
    Cause, CredentialFault, Deadlines, Endpoint, Fields, Media, OnBehalf, Outgoing, ReplyHeaders,
    SendError,
};
use crate::ward::Ward;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Method as HttpMethod, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::REPLY_BYTES_MAX;
use tollgate_core::sessions::Home;
use tollgate_mcp::era::{legacy::Version, modern};
use tollgate_mcp::headers::{MCP_METHOD, MCP_PROTOCOL_VERSION};
use tollgate_mcp::json::Span;
use tollgate_mcp::reply::{Glance, GlanceKind, glance};
use tollgate_mcp::sse::Splitter;

/// Why there is no answer, in words for `/status`.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Silence {
    /// The exchange failed.
    #[error("{0}")]
    Unreachable(Arc<str>),
    /// The gate has no token for it.
    #[error("{0}")]
    Credential(CredentialFault),
    /// No endpoint is usable.
    #[error("no instance of it is reachable")]
    Nobody,
    /// The session of the gate's own is gone.
    #[error("it forgot the gate's session")]
    SessionLost,
    /// It answered no success.
    #[error("it answered HTTP {0}")]
    Status(StatusCode),
    /// It answered an error in JSON-RPC.
    #[error("it answered JSON-RPC error {0}")]
    Error(i64),
    /// What it answered is no answer to the question, or too long.
    #[error("its answer is not usable")]
    Unusable,
    /// It took too long.
    #[error("it did not answer in time")]
    Timeout,
}

impl From<&SendError> for Silence {
    fn from(error: &SendError) -> Self {
        match error {
            SendError::NotSent(Cause::Credential(fault)) => Self::Credential(fault.clone()),
            _ => Self::Unreachable(error.to_string().into()),
        }
    }
}

/// An answer with a result.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The whole message.
    pub(crate) message: Bytes,
    /// Its `result` object.
    pub(crate) result: Span,
    /// What the reply's headers said.
    pub(crate) headers: ReplyHeaders,
}

/// As whom the gate speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Voice<'a> {
    /// Within a session of its own, or to a server without sessions.
    Legacy(Option<&'a Home>, Version),
    /// Before there is a session.
    Stranger,
    /// Without sessions.
    Modern,
}

/// Asks one endpoint, within a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inquiry<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) voice: Voice<'a>,
    pub(crate) within: Duration,
    /// For whom it is asked, where that matters.
    pub(crate) on_behalf_of: Option<&'a OnBehalf>,
}

impl Inquiry<'_> {
    /// Sends a request and waits for its result.
    pub(crate) async fn ask(&self, method: &'static str, body: String) -> Result<Answer, Silence> {
        let (mut ward, status, headers) = self.post(method, body).await?;
        if headers.media != Media::Events || !status.is_success() {
            let reply = ward.gather(REPLY_BYTES_MAX).await.map_err(|_| Silence::Unusable)?;
            let found = glance(&reply).ok();
            // A server in trouble says nothing about what it was asked, whatever the body holds.
            if status.is_server_error() {
                return Err(Silence::Status(status));
            }
            if !status.is_success() {
                let code = found.and_then(|glance| glance.error_code);
                return Err(code.map_or(Silence::Status(status), Silence::Error));
            }
            let found = found.ok_or(Silence::Unusable)?;
            return answer(&found, reply, headers).unwrap_or(Err(Silence::Unusable));
        }
        let mut splitter = Splitter::new(REPLY_BYTES_MAX);
        loop {
            while let Some(event) = splitter.next().map_err(|_| Silence::Unusable)? {
                let Some(message) = event.data.filter(|data| !data.is_empty()) else { continue };
                let Ok(found) = glance(&message) else { return Err(Silence::Unusable) };
                if found.kind == GlanceKind::Request {
                    self.answer_back(&message, &found).await;
                } else if let Some(answered) = answer(&found, message, headers.clone()) {
                    return answered;
                }
            }
            match std::future::poll_fn(|context| ward.poll_data(context)).await {
                Some(Ok(data)) => splitter.push(data),
                Some(Err(error)) => return Err(Silence::from(&error)),
                None => return Err(Silence::Unusable),
            }
        }
    }

    /// Sends a notification or a response.
    pub(crate) async fn tell(&self, method: &'static str, body: String) -> Result<(), Silence> {
        let (mut ward, status, _) = self.post(method, body).await?;
        // Too much of it, or a broken end, only means that the connection is not used again.
        drop(ward.gather(REPLY_BYTES_MAX).await);
        if status.is_success() { Ok(()) } else { Err(Silence::Status(status)) }
    }

    /// Answers a request of the upstream's.
    pub(crate) async fn answer_back(&self, message: &Bytes, asked: &Glance) {
        let (Some(id), Some(method)) = (asked.id, asked.method) else { return };
        let id = String::from_utf8_lossy(id.of(message)).into_owned();
        let body = match &*method.decode(message) {
            "ping" => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#),
            "roots/list" => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[]}}}}"#),
            _ => format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"this session only reads lists: nobody is there to answer"}}}}"#
            ),
        };
        // Boxed: telling may not ask in turn, but the compiler cannot know.
        let told = Box::pin(self.tell("response", body)).await;
        if let Err(silence) = told {
            tracing::debug!(%silence, "an upstream's question went unanswered");
        }
    }

    /// Opens the stream of what the upstream says by itself: with a message, or with GET.
    pub(crate) async fn listen(
        &self,
        message: Option<(&'static str, String)>,
    ) -> Result<Ward, Silence> {
        let deadlines = Deadlines { first_byte: self.within, pause: None, total: None };
        let (method, headers, body) = match message {
            Some((method, body)) => (HttpMethod::POST, self.headers(method), Bytes::from(body)),
            None => {
                let mut headers = Fields::new();
                headers.add(&ACCEPT, &HeaderValue::from_static("text/event-stream"));
                self.speak(&mut headers, "");
                (HttpMethod::GET, headers, Bytes::new())
            }
        };
        let (ward, status, headers) = self.send((method, headers, body), deadlines).await?;
        let is_stream = status.is_success() && headers.media == Media::Events;
        if is_stream { Ok(ward) } else { Err(Silence::Status(status)) }
    }

    async fn post(
        &self,
        method: &'static str,
        body: String,
    ) -> Result<(Ward, StatusCode, ReplyHeaders), Silence> {
        let within = self.within;
        let deadlines = Deadlines { first_byte: within, pause: Some(within), total: Some(within) };
        let request = (HttpMethod::POST, self.headers(method), Bytes::from(body));
        let (ward, status, headers) = self.send(request, deadlines).await?;
        let in_session = matches!(self.voice, Voice::Legacy(Some(_), _));
        if in_session && status == StatusCode::NOT_FOUND {
            return Err(Silence::SessionLost);
        }
        Ok((ward, status, headers))
    }

    fn headers(&self, method: &'static str) -> Fields {
        let mut headers = post_headers();
        self.speak(&mut headers, method);
        headers
    }

    fn speak(&self, headers: &mut Fields, method: &'static str) {
        match self.voice {
            Voice::Stranger => {}
            Voice::Legacy(home, version) => legacy::write_home(headers, home, version),
            Voice::Modern => {
                headers.add(&MCP_PROTOCOL_VERSION, &HeaderValue::from_static(modern::VERSION));
                headers.add(&MCP_METHOD, &HeaderValue::from_static(method));
            }
        }
    }

    async fn send(
        &self,
        (method, headers, body): (HttpMethod, Fields, Bytes),
        deadlines: Deadlines,
    ) -> Result<(Ward, StatusCode, ReplyHeaders), Silence> {
        let on_behalf_of = self.on_behalf_of.cloned();
        let outgoing = Outgoing { method, headers, body, on_behalf_of };
        let exchange = self.endpoint.send(outgoing, deadlines);
        let mut ward = self.gate.orphanage.ward(exchange, false);
        let (status, headers) = ward.head().await.map_err(|error| Silence::from(&error))?;
        Ok((ward, status, headers))
    }
}

/// The outcome a message is; `None` if it is none.
fn answer(
    found: &Glance,
    message: Bytes,
    headers: ReplyHeaders,
) -> Option<Result<Answer, Silence>> {
    match (found.kind, found.result) {
        (GlanceKind::Response, Some(result)) => {
            Some(Ok(Answer { message, result: result.span, headers }))
        }
        (GlanceKind::ErrorResponse, _) => {
            Some(Err(Silence::Error(found.error_code.unwrap_or_default())))
        }
        _ => None,
    }
}

/// A modern request of the gate's own, with these members of `params` before `_meta`, by a client
/// of these capabilities.
pub(crate) fn modern_request(method: &str, members: &str, capabilities: &str) -> String {
    let version = modern::VERSION;
    let comma = if members.is_empty() { "" } else { "," };
    let own = env!("CARGO_PKG_VERSION");
    format!(
        r#"{{"jsonrpc":"2.0","id":"tollgate","method":"{method}","params":{{{members}{comma}"_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{capabilities},"io.modelcontextprotocol/clientInfo":{{"name":"tollgate","version":"{own}"}}}}}}}}"#
    )
}
