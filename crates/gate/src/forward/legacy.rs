//! Calls of the session-based era: opening a session, calling within it, its stream, its end.
//!
//! SPEC: 2025-11-25 basic/lifecycle and basic/transports. What happens when the session's endpoint
//! is gone is in `recovery.rs`.

use super::answer::{discard, stream_response};
use super::{Forward, Sent, post_headers, refuse_send};
use crate::body::GateBody;
use crate::call::Post;
use crate::expect::Expected;
use crate::farewell::{Parting, Unclaimed};
use crate::generation::Mark;
use crate::permit::Watch;
use crate::recovery;
use crate::reply;
use crate::route::{bounds, modern_only};
use crate::session::{self, Held, Room, Sessions};
use crate::settings::SessionLoss;
use crate::upstream::{Cause, Deadlines, Endpoint, Fields, Media, ReplyHeaders, SendError};
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Method as HttpMethod, Response, StatusCode};
use std::sync::Arc;
use tollgate_core::ids::UpstreamName;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_core::sessions::{Home, Session};
use tollgate_mcp::era::legacy::{self, Version};
use tollgate_mcp::headers::{LAST_EVENT_ID, MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use tollgate_mcp::json;
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::glance;

impl Forward<'_> {
    /// Opens a session on some endpoint and hands out its sealed id.
    pub(super) async fn initialize(
        &self,
        post: &Post,
        _until_opened: Room,
    ) -> Result<Response<GateBody>, Refusal> {
        let body = with_legacy_version(post);
        let (endpoint, sent) = self.try_any(post_headers, &body, post).await?;
        let expected = self.expected(post);
        let Sent { mut ward, status, headers } = sent;
        if !status.is_success() {
            return self.refused_initialize(Sent { ward, status, headers }, expected).await;
        }
        let made = self.unclaimed(&endpoint)(&headers);
        if headers.media != Media::Events {
            let whole = self.whole(&mut ward).await?;
            let mut expected = expected;
            let whole = expected.judge_whole(whole)?;
            let opened = self.open(post, made, &whole)?;
            return Ok(with_session(reply::json(StatusCode::OK, whole), opened));
        }
        let mut stream = self.stream(ward, expected, (None, Mark::NONE))?;
        let answer = stream.until_answer().await?;
        let opened = self.open(post, made, &answer)?;
        Ok(with_session(stream_response(stream), opened))
    }

    /// Finds the session in the head of an answer to `initialize`.
    pub(crate) fn unclaimed(
        &self,
        endpoint: &Endpoint,
    ) -> impl FnOnce(&ReplyHeaders) -> Option<Unclaimed> + Send + 'static {
        let (farewells, upstream) = (&self.gate.farewells, &self.leg.upstream);
        let (farewells, upstream) = (farewells.clone(), upstream.clone());
        let (endpoint, whom) = (endpoint.id().clone(), self.on_behalf());
        move |headers| farewells.unclaimed((upstream, endpoint), Some(whom), headers)
    }

    async fn refused_initialize(
        &self,
        sent: Sent,
        expected: Expected,
    ) -> Result<Response<GateBody>, Refusal> {
        let Sent { ward, status, headers } = sent;
        let refused = self.refused(ward, status, &headers, &expected).await;
        // What a server without `initialize` says to one: 400 (-32022) or 404 (-32601).
        let is_modern = self.leg.knowledge.found().0 == crate::knowledge::Found::Modern;
        if is_modern && matches!(status.as_u16(), 400 | 404) { Err(modern_only()) } else { refused }
    }

    /// Opens our session for an answer to `initialize`; `None` where there is none to open: the
    /// answer was an error, or the server keeps no sessions.
    fn open(
        &self,
        post: &Post,
        made: Option<Unclaimed>,
        answer: &[u8],
    ) -> Result<Option<HeaderValue>, Refusal> {
        let result = glance(answer).ok().and_then(|glance| glance.result);
        let Some(result) = result else { return Ok(None) };
        let negotiated = result.protocol_version.map(|version| version.decode(answer));
        let version = negotiated.as_deref().and_then(Version::parse);
        let Some(made) = made else { return Ok(None) };
        self.leg.knowledge.note_session();
        let Some(version) = version else {
            return Err(Refusal::new(
                Reason::UpstreamInvalid,
                "the server answered `initialize` with a protocol version that has none",
            ));
        };
        let memory = match self.leg.upstream.settings().sessions {
            SessionLoss::Strict => None,
            SessionLoss::Recoverable => self.gate.memories.begin(&with_legacy_version(post)),
        };
        let owner = (self.call.caller, self.snapshot.settings.sessions.caps);
        let owner_of = (self.principal, self.leg.upstream.name());
        let bounds = bounds(self.snapshot, self.call, owner_of);
        let opened =
            self.gate.sessions.open(bounds, owner, version, (made.home().clone(), memory))?;
        made.claim();
        Ok(Some(opened))
    }

    /// Forwards a POST to the home of its session.
    pub(crate) async fn post_in_session(
        &self,
        post: &Post,
        held: Held,
    ) -> Result<Response<GateBody>, Refusal> {
        let mut session = held.session;
        if post.expects_answer() {
            self.gate.sessions.keep_order(&session).await;
        }
        // What a hub answers by itself, or nobody waits for, tells the agent nothing of its legs.
        let is_told = post.expects_answer() && post.method != Method::SetLevel;
        // A call in progress is a use, however long it takes; so is the stream of its answer.
        let in_use = self.gate.sessions.stream(session.clone());
        for is_first_try in [true, false] {
            let sent = self.post_home(post, &session, held.version).await;
            let sent = match sent {
                Ok(sent) if sent.status != StatusCode::NOT_FOUND => sent,
                Err(error) if !means_lost(&error, &session) => return Err(refuse_send(&error)),
                // Forgotten or unreachable: either way the call was not processed.
                Ok(_) | Err(_) => {
                    session = self.recover(&session, held.version, (is_first_try, is_told)).await?;
                    continue;
                }
            };
            if sent.status.is_success() {
                recovery::remember(self.gate, &session, post);
            }
            let mark = Mark::of(&session);
            let expected = self.expected(post);
            return self.answer(sent, expected, post, (Some(in_use), mark)).await;
        }
        Err(session::unknown())
    }

    async fn post_home(
        &self,
        post: &Post,
        session: &Session,
        version: Version,
    ) -> Result<Sent, SendError> {
        let Some(endpoint) = self.leg.upstream.endpoint(&session.home.endpoint) else {
            return Err(gone());
        };
        let mut headers = post_headers();
        write_session(&mut headers, session, version);
        self.ask(&endpoint, headers, post.body.clone(), post).await
    }

    /// A new home for a lost session, if its upstream's sessions can be recovered. Otherwise the
    /// session ends: never another endpoint with silently lost state.
    async fn recover(
        &self,
        session: &Arc<Session>,
        version: Version,
        (may, is_told): (bool, bool),
    ) -> Result<Arc<Session>, Refusal> {
        let is_recoverable = self.leg.upstream.settings().sessions == SessionLoss::Recoverable;
        if may && is_recoverable && session.memory.is_some() {
            return Box::pin(recovery::recover(self, session, version)).await;
        }
        // A leg that is gone is replaced by the next call: only who tells the agent may let it go.
        if is_told || !session.is_leg {
            // Somebody else may have ended it meanwhile, which is the same.
            drop(self.gate.sessions.end(session));
        }
        Err(if session.is_leg { leg_lost(&session.upstream) } else { session::unknown() })
    }

    /// Opens the stream of messages that the upstream sends by itself.
    pub(crate) async fn open_stream(
        &self,
        held: Held,
        last_event_id: Option<&HeaderValue>,
    ) -> Result<Response<GateBody>, Refusal> {
        let mut session = held.session;
        let _opening = Sessions::opening(&session);
        for is_first_try in [true, false] {
            let mark = Mark::of(&session);
            let resumed = last_event_id.and_then(|id| mark.unmark(id.as_bytes()));
            match self.get_home(&session, held.version, resumed).await {
                Ok(sent) if sent.status != StatusCode::NOT_FOUND => {
                    return self.session_stream(sent, session, resumed.is_some()).await;
                }
                Err(error) if !means_lost(&error, &session) => return Err(refuse_send(&error)),
                Ok(_) | Err(_) => {
                    session = self.recover(&session, held.version, (is_first_try, false)).await?;
                }
            }
        }
        Err(session::unknown())
    }

    async fn get_home(
        &self,
        session: &Session,
        version: Version,
        last_event_id: Option<&[u8]>,
    ) -> Result<Sent, SendError> {
        let upstream = &self.leg.upstream;
        let Some(endpoint) = upstream.endpoint(&session.home.endpoint) else {
            return Err(gone());
        };
        let mut headers = Fields::new();
        headers.add(&ACCEPT, &HeaderValue::from_static("text/event-stream"));
        write_session(&mut headers, session, version);
        if let Some(Ok(id)) = last_event_id.map(HeaderValue::from_bytes) {
            headers.add(&LAST_EVENT_ID, &id);
        }
        let first_byte = upstream.settings().timeouts.first_byte;
        let deadlines = Deadlines { first_byte, pause: None, total: None };
        let exchange =
            endpoint.send(self.outgoing(HttpMethod::GET, headers, Bytes::new()), deadlines);
        let mut ward = self.gate.orphanage.ward(exchange, false);
        let (status, headers) = ward.head().await?;
        Ok(Sent { ward, status, headers })
    }

    async fn session_stream(
        &self,
        sent: Sent,
        session: Arc<Session>,
        resumes: bool,
    ) -> Result<Response<GateBody>, Refusal> {
        let Sent { mut ward, status, headers } = sent;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            discard(&mut ward).await;
            let text = "this server sends nothing by itself: go on without this stream";
            return Err(Refusal::new(Reason::MethodNotAllowed, text));
        }
        let view = (self.leg.knowledge.clone(), self.face.clone());
        let expected =
            Expected::session_stream(resumes, view).watched(Some(Watch::of_session(self)));
        if !status.is_success() {
            return self.refused(ward, status, &headers, &expected).await;
        }
        if headers.media != Media::Events {
            ward.abandon();
            let text = "the server answered the stream request with something else";
            return Err(Refusal::new(Reason::UpstreamInvalid, text));
        }
        let mark = Mark::of(&session);
        let open = self.gate.sessions.lasting_stream(session);
        Ok(stream_response(self.stream(ward, expected, (Some(open), mark))?))
    }

    /// Ends a session here and upstream. The client is done with it, whatever the upstream says.
    pub(super) async fn end(&self, held: &Held) -> Response<GateBody> {
        if let Some(session) = self.gate.sessions.end(&held.session) {
            let upstream = &self.leg.upstream;
            self.gate.farewells.say(upstream, &Parting::of(upstream, &session)).await;
        }
        reply::empty(StatusCode::NO_CONTENT)
    }
}

/// Whether a failure means that the endpoint is gone, and with it the session.
///
/// A session that can be recovered moves whenever its call provably was not processed. One that
/// cannot is given up only for an endpoint that is certainly not there: a slow one may come back.
fn means_lost(error: &SendError, session: &Session) -> bool {
    match error {
        SendError::NotSent(Cause::Refused | Cause::Unreachable(_)) => true,
        SendError::NotSent(Cause::Credential(_)) => false,
        SendError::NotSent(_) => session.memory.is_some(),
        SendError::Lost(_) | SendError::Timeout(_) | SendError::Invalid(_) => false,
    }
}

/// One of several servers lost what it kept for the agent; the others did not.
fn leg_lost(upstream: &UpstreamName) -> Refusal {
    let text = format!(
        "the server `{upstream}` lost its session: what it kept for you is gone and this call was \
         not made; the next call to it begins a new session"
    );
    Refusal::new(Reason::UpstreamLost, text)
}

/// The endpoint is configured no more, or its name no longer resolves to it.
fn gone() -> SendError {
    SendError::NotSent(Cause::Unreachable("the endpoint is gone".into()))
}

fn with_session(mut response: Response<GateBody>, id: Option<HeaderValue>) -> Response<GateBody> {
    if let Some(id) = id {
        response.headers_mut().insert(MCP_SESSION_ID, id);
    }
    response
}

/// Names the session and its version towards the upstream.
pub(crate) fn write_session(headers: &mut Fields, session: &Session, version: Version) {
    write_home(headers, Some(&session.home), version);
}

/// The same for a session that is only known by its home, or for a server that keeps none.
pub(crate) fn write_home(headers: &mut Fields, home: Option<&Home>, version: Version) {
    if let Some(Ok(id)) = home.map(|home| HeaderValue::from_str(home.upstream_session.as_str())) {
        headers.add(&MCP_SESSION_ID, &id);
    }
    if version.carries_version_header() {
        headers.add(&MCP_PROTOCOL_VERSION, &HeaderValue::from_static(version.as_str()));
    }
}

/// The body of `initialize`, asking for a version that has it.
pub(crate) fn with_legacy_version(post: &Post) -> Bytes {
    let asked = post.one().and_then(|message| message.fields.protocol_version);
    let Some(asked) = asked else { return post.body.clone() };
    let decoded = asked.decode(&post.body);
    let wanted = legacy::requested(&decoded);
    if wanted == decoded {
        return post.body.clone();
    }
    json::splice(&post.body, &[(asked.span, format!("\"{wanted}\"").as_bytes())])
}
