//! From a routed call to an upstream, and from its reply to the client's response.
//!
//! Headers are written anew from what was judged; nothing a client sent is copied except what a rule
//! here names. A call is sent a second time only where the first provably was not processed.
//!
//! `forward/legacy.rs` and `forward/modern.rs` hold what differs by era, `forward/answer.rs` what
//! becomes of replies. Next: `relay.rs`.

mod answer;

pub mod legacy;
mod modern;

use crate::body::GateBody;
use crate::call::{Ask, Call, Post};
use crate::expect::Expected;
use crate::gate::Gate;
use crate::hub;
use crate::permit::Watch;
use crate::route::{Place, Routed, Way};
use crate::snapshot::{Leg, Snapshot};
use crate::upstream::{
    Cause, CredentialFault, Deadlines, Endpoint, Fields, OnBehalf, Outgoing, ReplyHeaders,
    SendError,
};
use crate::ward::Ward;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method as HttpMethod, Response};
use std::sync::Arc;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::hub::rewrite::Face;
use tollgate_mcp::methods::Method;

/// Endpoints tried for one call that none of them received.
const TRIES_MAX: usize = 3;

/// One call while it is forwarded.
#[derive(Clone)]
pub(crate) struct Forward<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) call: &'a Call,
    pub(crate) principal: &'a Principal,
    pub(crate) leg: &'a Leg,
    /// How what the upstream says looks to the agent; `None` as it is.
    pub(crate) face: Option<Arc<Face>>,
}

/// Forwards a call and returns the response to it.
///
/// # Errors
/// Refusals whose blame is the upstream's, and [`Reason::SessionUnknown`] for lost sessions.
pub async fn send(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    routed: Routed,
) -> Result<Response<GateBody>, Refusal> {
    let Routed { call, principal, way } = routed;
    let (leg, place) = match way {
        Way::Straight(leg, place) => (leg, place),
        // Boxed: the future of every call would be as large as that of a hub's, and is moved.
        Way::Hub(plan) => {
            return Box::pin(hub::serve(gate, snapshot, &call, (&principal, &plan))).await;
        }
    };
    let forward =
        Forward { gate, snapshot, call: &call, principal: &principal, leg: &leg, face: None };
    match (&call.ask, place) {
        (Ask::Post(post), Place::New(room)) => Box::pin(forward.initialize(post, room)).await,
        (Ask::Post(post), Place::Home(held)) => forward.post_in_session(post, held).await,
        (Ask::Post(post), Place::Any) => forward.post_anywhere(post).await,
        (Ask::Stream { last_event_id }, Place::Home(held)) => {
            Box::pin(forward.open_stream(held, last_event_id.as_ref())).await
        }
        (Ask::End, Place::Home(held)) => Ok(Box::pin(forward.end(&held)).await),
        (Ask::Stream { .. } | Ask::End, Place::Any | Place::New(_)) => {
            Err(Refusal::new(Reason::SessionRequired, "`Mcp-Session-Id` is missing"))
        }
    }
}

impl Forward<'_> {
    /// Sends a request to some endpoint, trying others while it provably reached none.
    async fn try_any(
        &self,
        headers: impl Fn() -> Fields,
        body: &Bytes,
        post: &Post,
    ) -> Result<(Arc<Endpoint>, Sent), Refusal> {
        let mut last = None;
        for _ in 0..TRIES_MAX {
            let Some(endpoint) = self.leg.upstream.pick() else { break };
            match self.ask(&endpoint, headers(), body.clone(), post).await {
                Ok(sent) => return Ok((endpoint, sent)),
                // The same for each of its endpoints.
                Err(error @ SendError::NotSent(Cause::Credential(_))) => {
                    return Err(refuse_send(&error));
                }
                Err(SendError::NotSent(cause)) => {
                    last = Some(refuse_send(&SendError::NotSent(cause)))
                }
                Err(error) => return Err(refuse_send(&error)),
            }
        }
        Err(last.unwrap_or_else(down))
    }

    /// What a POST may be answered.
    fn expected(&self, post: &Post) -> Expected {
        Expected::answers_to(post, (self.leg.knowledge.clone(), self.face.clone()))
            .watched(Watch::of_post(self, post))
    }

    /// Whether this call's caller may hear of a resource of this leg's, given as a JSON string.
    pub(crate) fn may_hear_of(&self, uri: &str) -> bool {
        if self.snapshot.permit.enforced().is_none() {
            return true;
        }
        let uri: Result<String, _> = serde_json::from_str(uri);
        uri.is_ok_and(|uri| Watch::of_session(self).may_hear_of(&uri))
    }

    /// A request made for this call's caller.
    pub(crate) fn outgoing(&self, method: HttpMethod, headers: Fields, body: Bytes) -> Outgoing {
        Outgoing { method, headers, body, on_behalf_of: Some(self.on_behalf()) }
    }

    /// Whom this call's requests are made for.
    pub(crate) fn on_behalf(&self) -> OnBehalf {
        self.leg.upstream.on_behalf(self.call.caller, self.principal)
    }

    /// Sends a POST to one endpoint and waits for the head of its reply.
    async fn ask(
        &self,
        endpoint: &Arc<Endpoint>,
        headers: Fields,
        body: Bytes,
        post: &Post,
    ) -> Result<Sent, SendError> {
        let timeouts = self.leg.upstream.settings().timeouts;
        let is_lasting = post.method == Method::Listen;
        let deadlines = Deadlines {
            first_byte: timeouts.first_byte,
            pause: (!is_lasting).then_some(timeouts.pause),
            total: (!is_lasting).then_some(timeouts.total),
        };
        let exchange = endpoint.send(self.outgoing(HttpMethod::POST, headers, body), deadlines);
        let keeps = !post.era.disconnect_is_cancel();
        let mut ward = self.gate.orphanage.ward(exchange, keeps);
        post.tabs.note_sent(Some(self.leg.upstream.name()));
        if post.method == Method::Initialize && keeps {
            let unclaimed = self.unclaimed(endpoint);
            // Made for a client that left, and never to be claimed.
            ward.bequeath(move |headers| drop(unclaimed(headers)));
        }
        let (status, headers) = ward.head().await.inspect_err(|error| {
            if matches!(error, SendError::NotSent(_)) {
                post.tabs.note_sent(None);
            }
        })?;
        Ok(Sent { ward, status, headers })
    }
}

/// A request that was answered, up to the head of the reply.
pub(crate) struct Sent {
    pub(crate) ward: Ward,
    pub(crate) status: http::StatusCode,
    pub(crate) headers: ReplyHeaders,
}

/// The headers every POST towards an upstream carries.
pub(crate) fn post_headers() -> Fields {
    let mut headers = Fields::new();
    headers.add(&CONTENT_TYPE, &HeaderValue::from_static("application/json"));
    // SPEC: 2025-11-25 basic/transports: a client must take both.
    headers.add(&ACCEPT, &HeaderValue::from_static("application/json, text/event-stream"));
    headers
}

/// No endpoint is usable.
pub(crate) fn down() -> Refusal {
    let text = "no instance of this server is reachable: retry in a few seconds";
    Refusal::new(Reason::UpstreamDown, text).retry_after(5)
}

/// The call was not made for want of a token.
pub(crate) fn refuse_credential(fault: &CredentialFault) -> Refusal {
    match fault {
        CredentialFault::Anonymous => Refusal::new(
            Reason::UpstreamRefused,
            "this server is only for callers who prove who they are; the call was not made",
        ),
        CredentialFault::Stranger => Refusal::new(
            Reason::UpstreamRefused,
            "this server is not for callers of your issuer; the call was not made: ask the operator",
        ),
        CredentialFault::Unavailable(_) => Refusal::new(
            Reason::UpstreamDown,
            "the gate cannot get a token for this server just now, because its token server is not \
             available; the call was not made: retry in a few seconds",
        )
        .retry_after(5),
        CredentialFault::Refused(code) => Refusal::new(
            Reason::UpstreamRefused,
            format!(
                "the gate was refused a token for this server ({code}); the call was not made: the \
                 operator must see to it"
            ),
        ),
        CredentialFault::Unusable(_) => Refusal::new(
            Reason::UpstreamRefused,
            "the gate got no usable token for this server; the call was not made: the operator must \
             see to it",
        ),
    }
}

/// What a failed exchange means for the caller.
pub(crate) fn refuse_send(error: &SendError) -> Refusal {
    tracing::debug!(%error, "upstream failed");
    match error {
        SendError::NotSent(Cause::Line(why)) => {
            let public = why.lines().next().unwrap_or_default();
            let text = format!("the server is not available; the call was not made: {public}");
            Refusal::new(Reason::UpstreamDown, text).retry_after(5)
        }
        SendError::NotSent(Cause::Credential(fault)) => refuse_credential(fault),
        SendError::NotSent(_) => Refusal::new(
            Reason::UpstreamDown,
            "the server cannot be reached; the call was not made: retry in a few seconds",
        )
        .retry_after(5),
        SendError::Lost(_) => Refusal::new(
            Reason::UpstreamLost,
            "the server broke the connection; the call may or may not have been made: check before \
             repeating it",
        ),
        SendError::Timeout(_) => Refusal::new(
            Reason::UpstreamTimeout,
            "the server did not answer in time; the call may or may not have been made",
        ),
        SendError::Invalid(_) => Refusal::new(
            Reason::UpstreamInvalid,
            "the server answered something that is not usable HTTP",
        ),
    }
}
