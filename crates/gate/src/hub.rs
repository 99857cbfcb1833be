//! Routes with several upstreams: one MCP server towards agents, one client towards each upstream.
//!
//! What the hub itself is asked (capabilities, lists, its session), it answers from what it has read
//! (`catalog.rs`, `shelf.rs`, `answers.rs`); what belongs to one upstream goes there over the same path
//! as a call of any other route, with one value changed on the way there (`errand.rs`) and names made
//! to fit on the way back (`mcp/src/hub/rewrite.rs`). A session of the hub has a leg at each upstream
//! it called (`legs.rs`). A call reaches one upstream, never all.
//!
//! Until the eras are bridged, a hub speaks the modern era only if each of its upstreams does.

mod answers;
mod audience;
mod batch;
mod catalog;
mod curation;
mod desk;
mod errand;
mod known;
mod legs;
mod listen;
mod news;
mod plan;
mod shelf;
mod stage;
mod stream;

pub use desk::InFlight;
pub use plan::Plan;

pub(crate) use plan::Owned;

pub(crate) use catalog::Catalogs;
pub(crate) use known::{Asking, ensure, renew, settle};
pub(crate) use news::News;

use crate::body::GateBody;
use crate::call::{Ask, Call, Post};
use crate::forward::Forward;
use crate::gate::Gate;
use crate::probe;
use crate::reply;
use crate::route::bounds;
use crate::session::{Bounds, Held};
use crate::snapshot::{Leg, Snapshot};
use crate::upstream::Whom;
use audience::Audience;
use http::{Response, StatusCode};
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;
use tollgate_core::bounds::{GREETING_WAIT_SECS, START_WAIT_SECS};
use tollgate_core::ids::UpstreamName;
use tollgate_core::party::Party;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::{Era, legacy};
use tollgate_mcp::json::{Body, Kind, Message};
use tollgate_mcp::methods::Method;

/// What sessions of hubs are kept under: no upstream has this name.
pub(crate) static HERE: LazyLock<UpstreamName> = LazyLock::new(|| UpstreamName::from("*"));

/// One call of a hub while it is served.
#[derive(Clone, Copy)]
struct Front<'a> {
    gate: &'a Arc<Gate>,
    snapshot: &'a Arc<Snapshot>,
    call: &'a Call,
    principal: &'a Principal,
    plan: &'a Arc<Plan>,
}

/// Serves a call of a hub.
///
/// # Errors
/// Refusals of any blame. What a server itself would say no to (a tool it does not have) is no
/// refusal but an answer.
pub async fn serve(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    call: &Call,
    (principal, plan): (&Principal, &Arc<Plan>),
) -> Result<Response<GateBody>, Refusal> {
    let front = Front { gate, snapshot, call, principal, plan };
    match &call.ask {
        Ask::Post(post) if post.era == Era::Modern => front.modern(post).await,
        Ask::Post(post) if post.method == Method::Initialize => {
            Box::pin(front.initialize(post)).await
        }
        Ask::Post(post) => {
            let held = front.held()?;
            match &post.messages {
                Body::One(message) => front.legacy(&held, post, message).await,
                Body::Batch(_) => Box::pin(front.batch(&held, post)).await,
            }
        }
        Ask::Stream { last_event_id } => {
            Box::pin(front.listen_in(front.held()?, last_event_id.as_ref())).await
        }
        Ask::End => {
            Box::pin(front.end_all(&front.held()?)).await;
            Ok(reply::empty(StatusCode::NO_CONTENT))
        }
    }
}

impl<'a> Front<'a> {
    fn bounds(&self) -> Bounds<'a> {
        bounds(self.snapshot, self.call, (self.principal, &HERE))
    }

    fn held(&self) -> Result<Held, Refusal> {
        let id = self.call.session_id.as_ref().ok_or_else(|| {
            let text = "`Mcp-Session-Id` is missing: send the id that `initialize` was answered \
                        with, or send `initialize` first";
            Refusal::new(Reason::SessionRequired, text)
        })?;
        self.gate.sessions.find(self.bounds(), id.as_bytes())
    }

    /// A call to one leg.
    fn forward(&self, leg: usize) -> Forward<'a> {
        let Self { gate, snapshot, call, principal, plan } = *self;
        let there: &'a Leg = &call.route.legs[leg];
        Forward { gate, snapshot, call, principal, leg: there, face: plan.face(leg) }
    }

    /// Whose lists a message is about.
    fn audience(&self, (post, message): (&Post, &Message), held: Option<&Held>) -> Audience {
        match held {
            Some(held) => self.audience_of(held),
            None => self.audience_here(Audience::of_message(&post.body, message)),
        }
    }

    /// Who calls.
    const fn whom(&self) -> Whom<'a> {
        (self.call.caller, self.principal)
    }

    /// The same, as rules see it.
    const fn party(&self) -> Party<'a> {
        self.call.party(self.principal)
    }

    fn audience_of(&self, held: &Held) -> Audience {
        let told = held.session.memory.as_ref();
        self.audience_here(Audience::of_session(told.map_or(&[], |told| &told.initialize)))
    }

    fn audience_here(&self, audience: Audience) -> Audience {
        audience.with_caller(&self.call.route.legs, (self.call.caller, self.principal))
    }

    async fn legacy(
        &self,
        held: &Held,
        post: &Post,
        message: &Message,
    ) -> Result<Response<GateBody>, Refusal> {
        // A call in progress is a use, however long it takes.
        let _in_use = self.gate.sessions.stream(held.session.clone());
        match message.kind {
            Kind::Request => self.request((post, message), Some(held)).await,
            Kind::Notification => Box::pin(self.notification(held, post, message)).await,
            Kind::Response => self.response(held, post, message).await,
        }
    }

    async fn modern(&self, post: &Post) -> Result<Response<GateBody>, Refusal> {
        let Some(message) = post.one().filter(|message| message.fields.meta.is_some()) else {
            // Nothing is defined for it: it is accepted and goes nowhere.
            return Ok(reply::empty(StatusCode::ACCEPTED));
        };
        if message.kind != Kind::Request {
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        // A call asks only the upstream it goes to.
        if post.method == Method::Discover || post.method == Method::Listen || post.method.is_list()
        {
            let is_probe = post.method == Method::Discover;
            let speaks = Box::pin(self.speaks_modern()).await;
            speaks.map_err(|no| if is_probe { probe::undiscovered(no) } else { no })?;
        }
        self.request((post, message), None).await
    }

    /// Passes if every upstream that can be asked speaks the modern era. One that cannot be asked
    /// now does not speak for the others, and is not waited for by each request.
    async fn speaks_modern(&self) -> Result<(), Refusal> {
        let now = self.gate.clock.now();
        let mut unknown = Vec::new();
        for leg in &self.call.route.legs {
            match probe::known(self.gate, leg) {
                Some(known) => known?,
                None if leg.knowledge.is_silent(now) => {}
                None => unknown.push(leg),
            }
        }
        let asked = unknown.into_iter().map(|leg| async move {
            let starting = leg.upstream.start_time().min(Duration::from_secs(START_WAIT_SECS));
            let limit = Duration::from_secs(GREETING_WAIT_SECS) + starting;
            let asking = probe::must_speak_modern(self.gate, leg, self.whom());
            match tokio::time::timeout(limit, asking).await {
                Ok(Err(refusal)) if refusal.reason == Reason::VersionUnsupported => Err(refusal),
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => {
                    leg.knowledge.note_silence(self.gate.clock.now());
                    Ok(())
                }
            }
        });
        futures_util::future::join_all(asked).await.into_iter().collect()
    }

    /// A request of either era.
    async fn request(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
    ) -> Result<Response<GateBody>, Refusal> {
        use tollgate_mcp::hub::items::ListKind;
        let ask = (post, message);
        match post.method {
            Method::Discover => Box::pin(self.discover(ask)).await,
            Method::Listen => Box::pin(self.listen(ask)).await,
            Method::Ping => Ok(answers::result(post, message, b"{}")),
            Method::SetLevel => Box::pin(self.set_level(ask, held)).await,
            Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourceTemplatesList => Box::pin(self.list(ask, held)).await,
            Method::ToolsCall => self.named(ask, held, ListKind::Tools).await,
            Method::PromptsGet => self.named(ask, held, ListKind::Prompts).await,
            Method::ResourcesRead | Method::Subscribe | Method::Unsubscribe => {
                self.located(ask, held).await
            }
            Method::Complete => Box::pin(self.complete(ask, held)).await,
            Method::TasksGet | Method::TasksUpdate | Method::TasksCancel | Method::TasksResult => {
                Box::pin(self.task(ask, held)).await
            }
            Method::Initialize | Method::Initialized | Method::Cancelled | Method::Other => {
                Ok(answers::unknown_method(post, message))
            }
        }
    }
}

/// The version a session of a hub speaks, given what its client asks for.
///
/// SPEC: 2025-11-25 basic/lifecycle, Version Negotiation.
fn negotiated(asked: &str) -> legacy::Version {
    legacy::Version::parse(asked).unwrap_or(legacy::NEWEST)
}
