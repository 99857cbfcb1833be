//! Finds out which eras an upstream speaks, with `server/discover`, which creates no session.
//!
//! Asked on the first modern call to an upstream whose era the operator did not state; the answer is
//! kept. A legacy server is never sent a modern call: it might serve it half-understood.
//!
//! SPEC: 2026-07-28 basic/versioning, Backward Compatibility: a DiscoverResult or a recognized modern
//! error identifies a modern server, anything else a legacy one.

use crate::forward::{down, refuse_credential};
use crate::gate::Gate;
use crate::inquiry::{Inquiry, Silence, Voice, modern_request};
use crate::knowledge::Found;
use crate::settings::UpstreamEra;
use crate::snapshot::Leg;
use crate::upstream::Whom;
use std::time::Duration;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::{legacy, modern};
use tollgate_mcp::json::find_path;

/// A server found to be legacy is asked again after this many milliseconds: it may be upgraded.
const ASK_AGAIN_MILLIS: u64 = 30_000;
const PROBE_SECS: u64 = 10;

/// Passes if the upstream speaks the modern era.
///
/// # Errors
/// [`Reason::VersionUnsupported`] naming the versions it does speak; [`Reason::UpstreamDown`] if it
/// cannot be asked.
pub async fn must_speak_modern(gate: &Gate, leg: &Leg, whom: Whom<'_>) -> Result<(), Refusal> {
    if let Some(known) = known(gate, leg) {
        return known;
    }
    let _asking = leg.knowledge.asking.lock().await;
    if let Some(known) = known(gate, leg) {
        return known;
    }
    // Boxed, as is everything that few calls do: the future of each call has room for it otherwise.
    let found = Box::pin(ask(gate, leg, whom)).await?;
    leg.knowledge.note_found(found, gate.clock.now());
    known(gate, leg).unwrap_or(Ok(()))
}

/// What [`must_speak_modern`] would say without asking; `None` where it would have to ask.
pub fn known(gate: &Gate, leg: &Leg) -> Option<Result<(), Refusal>> {
    match leg.upstream.settings().era {
        UpstreamEra::Modern | UpstreamEra::Both => return Some(Ok(())),
        UpstreamEra::Legacy => return Some(Err(legacy_only())),
        UpstreamEra::Auto => {}
    }
    match leg.knowledge.found() {
        (Found::Modern, _) => Some(Ok(())),
        (Found::LegacyOnly, at) if gate.clock.now().since(at) < ASK_AGAIN_MILLIS => {
            Some(Err(legacy_only()))
        }
        (Found::LegacyOnly | Found::Nothing, _) => None,
    }
}

fn legacy_only() -> Refusal {
    let text = "this server speaks only protocol versions with sessions: start with `initialize`";
    let supported = legacy::Version::OFFERED.map(legacy::Version::as_str).to_vec();
    Refusal::new(Reason::VersionUnsupported, text).offering(supported, modern::VERSION)
}

/// What `server/discover` is answered where the modern era is not spoken: what a server of the other
/// era would say. Clients that try both take it for one and go on with `initialize`, while the
/// refusal of a version tells some of them that there is nothing they could speak.
///
/// SPEC: 2026-07-28 basic/versioning: a recognized modern error identifies a modern server, anything
/// else a legacy one.
#[must_use]
pub fn undiscovered(refusal: Refusal) -> Refusal {
    if refusal.reason != Reason::VersionUnsupported {
        return refusal;
    }
    Refusal::new(Reason::MethodUnknown, refusal.text)
}

async fn ask(gate: &Gate, leg: &Leg, (caller, principal): Whom<'_>) -> Result<Found, Refusal> {
    let whom = leg.upstream.on_behalf_if_known(caller, principal);
    for _ in 0..3 {
        let endpoint = leg.upstream.pick().ok_or_else(down)?;
        let within = Duration::from_secs(PROBE_SECS);
        let (voice, on_behalf_of) = (Voice::Modern, whom.as_ref());
        let inquiry = Inquiry { gate, endpoint: &endpoint, voice, within, on_behalf_of };
        let body = modern_request("server/discover", "", "{}");
        match inquiry.ask("server/discover", body).await {
            Ok(answer) => {
                let versions = find_path(&answer.message, answer.result, &["supportedVersions"]);
                return Ok(if versions.is_some() { Found::Modern } else { Found::LegacyOnly });
            }
            Err(Silence::Error(-32022..=-32020)) => return Ok(Found::Modern),
            // A server in trouble says nothing about its era.
            Err(Silence::Status(status))
                if status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 429) => {}
            // The same for each instance.
            Err(Silence::Credential(fault)) => return Err(refuse_credential(&fault)),
            Err(Silence::Unreachable(_) | Silence::Nobody | Silence::Timeout) => {}
            Err(
                Silence::Error(_) | Silence::Status(_) | Silence::SessionLost | Silence::Unusable,
            ) => return Ok(Found::LegacyOnly),
        }
    }
    Err(down())
}
