//! Where does it go? A session's call goes to the endpoint that owns the session, for its whole
//! life; everything else goes to the less busy of two.
//!
//! The only maker of [`Routed`]. Next: `forward.rs`.

use crate::admit::Admitted;
use crate::call::{Ask, Call};
use crate::gate::Gate;
use crate::hub;
use crate::knowledge::Found;
use crate::listing;
use crate::probe;
use crate::session::{self, Bounds, Held, Room};
use crate::settings::UpstreamEra;
use crate::snapshot::{Leg, Plan, Snapshot};
use std::sync::Arc;
use tollgate_core::ids::UpstreamName;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::{self, Era};
use tollgate_mcp::json::Body;
use tollgate_mcp::methods::Method;

/// A call and the place it goes to.
#[derive(Debug)]
pub struct Routed {
    /// The call.
    pub call: Call,
    /// Who makes it.
    pub principal: Principal,
    /// Which way it goes.
    pub way: Way,
}

/// Which way a call goes.
#[derive(Debug)]
pub enum Way {
    /// Straight to the one upstream of its route.
    Straight(Arc<Leg>, Place),
    /// To the gate itself, which finds the upstream.
    Hub(Arc<hub::Plan>),
}

/// Where a call goes.
#[derive(Debug)]
pub enum Place {
    /// Any endpoint: a modern call, or a legacy one of a server without sessions.
    Any,
    /// A new session, on any endpoint; the caps have room for it.
    New(Room),
    /// The home of a session.
    Home(Held),
}

/// Finds the place of a call.
///
/// # Errors
/// [`Reason::SessionRequired`], [`Reason::SessionUnknown`], the refusals of full session books,
/// [`Reason::VersionUnsupported`] where the upstream does not speak the call's era,
/// [`Reason::HeaderMismatch`] where mirrored arguments are found wrong only now, and
/// [`Reason::MethodNotAllowed`] for session operations where there are no sessions.
pub async fn choose(
    gate: &Gate,
    snapshot: &Snapshot,
    admitted: Admitted,
) -> Result<Routed, Refusal> {
    let (call, principal) = admitted.into_parts();
    let way = match &call.route.plan {
        Plan::Straight(leg) => {
            let place = place(gate, snapshot, (&call, leg), &principal).await?;
            Way::Straight(leg.clone(), place)
        }
        Plan::Hub(plan) => Way::Hub(plan.clone()),
    };
    Ok(Routed { call, principal, way })
}

async fn place(
    gate: &Gate,
    snapshot: &Snapshot,
    (call, leg): (&Call, &Leg),
    principal: &Principal,
) -> Result<Place, Refusal> {
    match &call.ask {
        Ask::Post(post) if post.era == Era::Modern => {
            let speaks = probe::must_speak_modern(gate, leg, (call.caller, principal)).await;
            let is_probe = post.method == Method::Discover;
            speaks.map_err(|no| if is_probe { probe::undiscovered(no) } else { no })?;
            listing::check_params(gate, leg, (post, (call.caller, principal))).await?;
            Ok(Place::Any)
        }
        Ask::Post(post) if post.method == Method::Initialize => {
            must_speak_legacy(leg)?;
            Ok(Place::New(gate.sessions.room(call.caller, snapshot.settings.sessions.caps)?))
        }
        Ask::Post(_) | Ask::Stream { .. } | Ask::End => {
            must_speak_legacy(leg)?;
            in_session(gate, snapshot, (call, leg), principal)
        }
    }
}

fn must_speak_legacy(leg: &Leg) -> Result<(), Refusal> {
    match leg.upstream.settings().era {
        UpstreamEra::Modern => Err(modern_only()),
        UpstreamEra::Auto | UpstreamEra::Legacy | UpstreamEra::Both => Ok(()),
    }
}

/// The refusal of a legacy client by a server that has no sessions.
///
/// SPEC: 2026-07-28 basic/versioning: name the versions in the answer to `initialize`, since legacy
/// clients cannot find out otherwise.
#[must_use]
pub fn modern_only() -> Refusal {
    let text = "this server speaks only protocol version 2026-07-28, without `initialize`: connect \
                with a client of that version";
    Refusal::new(Reason::VersionUnsupported, text).offering(vec![era::modern::VERSION], "legacy")
}

fn in_session(
    gate: &Gate,
    snapshot: &Snapshot,
    (call, leg): (&Call, &Leg),
    principal: &Principal,
) -> Result<Place, Refusal> {
    let Some(id) = &call.session_id else { return without_session(call, leg) };
    let bounds = bounds(snapshot, call, (principal, leg.upstream.name()));
    let held = gate.sessions.find(bounds, id.as_bytes())?;
    if let Ask::Post(post) = &call.ask
        && matches!(post.messages, Body::Batch(_))
        && !held.version.allows_batches()
    {
        let text = "send one message per request: the version of this session has no batches";
        return Err(Refusal::new(Reason::InvalidRequest, text));
    }
    Ok(Place::Home(held))
}

/// What a session id of this call is checked against.
#[must_use]
pub fn bounds<'a>(
    snapshot: &'a Snapshot,
    call: &'a Call,
    (principal, upstream): (&'a Principal, &'a UpstreamName),
) -> Bounds<'a> {
    Bounds {
        seal: &snapshot.seal,
        route: &call.route.path,
        upstream,
        principal,
        life: snapshot.settings.sessions.life,
    }
}

fn without_session(call: &Call, leg: &Leg) -> Result<Place, Refusal> {
    let knowledge = &leg.knowledge;
    let is_stateless = !knowledge.mints_sessions();
    match &call.ask {
        Ask::Post(_) if is_stateless => Ok(Place::Any),
        Ask::Stream { .. } | Ask::End if is_stateless && knowledge.found().0 == Found::Modern => {
            // SPEC: 2026-07-28 streamable-http: a server without sessions answers 405.
            let text = "this server has no sessions: only POST is served";
            Err(Refusal::new(Reason::MethodNotAllowed, text))
        }
        Ask::Post(_) | Ask::Stream { .. } | Ask::End => Err(Refusal::new(
            Reason::SessionRequired,
            "`Mcp-Session-Id` is missing: send the id that `initialize` was answered with, or send \
             `initialize` first",
        )),
    }
}

/// The refusal for a session whose endpoint is gone.
#[must_use]
pub fn lost() -> Refusal {
    session::unknown()
}
