//! Finds out which eras an upstream speaks, with `server/discover`, which creates no session.
//!
//! Asked on the first modern call to an upstream whose era the operator did not state; the answer is
//! kept. A legacy server is never sent a modern call: it might serve it half-understood.
//!
//! SPEC: 2026-07-28 basic/versioning, Backward Compatibility: a DiscoverResult or a recognized modern
//! error identifies a modern server, anything else a legacy one.

use crate::forward::{down, post_headers};
use crate::gate::Gate;
use crate::knowledge::Found;
use crate::settings::UpstreamEra;
use crate::snapshot::{Leg, Snapshot};
use crate::upstream::{Deadlines, Fields, Outgoing};
use bytes::Bytes;
use http::{HeaderValue, Method};
use std::time::Duration;
use tollgate_core::bounds::MIB;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::{legacy, modern};
use tollgate_mcp::headers::{MCP_METHOD, MCP_PROTOCOL_VERSION};
use tollgate_mcp::reply::glance;
use tollgate_mcp::sse;

/// A server found to be legacy is asked again after this many milliseconds: it may be upgraded.
const ASK_AGAIN_MILLIS: u64 = 30_000;
const PROBE_SECS: u64 = 10;
const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":"tollgate-probe","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"VERSION","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"tollgate","version":"0.1"}}}}"#;

/// Passes if the upstream speaks the modern era.
///
/// # Errors
/// [`Reason::VersionUnsupported`] naming the versions it does speak; [`Reason::UpstreamDown`] if it
/// cannot be asked.
pub async fn must_speak_modern(gate: &Gate, snapshot: &Snapshot, leg: &Leg) -> Result<(), Refusal> {
    if let Some(known) = known(gate, leg) {
        return known;
    }
    let _asking = leg.knowledge.asking.lock().await;
    if let Some(known) = known(gate, leg) {
        return known;
    }
    let found = ask(gate, snapshot, leg).await?;
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

async fn ask(gate: &Gate, snapshot: &Snapshot, leg: &Leg) -> Result<Found, Refusal> {
    let limit = Duration::from_secs(PROBE_SECS);
    let deadlines = Deadlines { first_byte: limit, pause: Some(limit), total: Some(limit) };
    for _ in 0..3 {
        let endpoint = leg.upstream.pick().ok_or_else(down)?;
        let body = Bytes::from(DISCOVER.replace("VERSION", modern::VERSION));
        let exchange = endpoint.send(
            Outgoing { method: Method::POST, headers: probe_headers(), body, on_behalf_of: None },
            deadlines,
        );
        let mut ward = gate.orphanage.ward(exchange, false);
        let Ok((status, _)) = ward.head().await else { continue };
        let limit = snapshot.settings.limits.reply_bytes_max.min(MIB);
        let Ok(answer) = ward.gather(limit).await else { continue };
        // A server in trouble says nothing about its era.
        if status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 429) {
            continue;
        }
        return Ok(if says_modern(&answer) { Found::Modern } else { Found::LegacyOnly });
    }
    Err(down())
}

fn probe_headers() -> Fields {
    let mut headers = post_headers();
    headers.add(&MCP_PROTOCOL_VERSION, &HeaderValue::from_static(modern::VERSION));
    headers.add(&MCP_METHOD, &HeaderValue::from_static("server/discover"));
    headers
}

/// Whether an answer to `server/discover` is that of a modern server.
fn says_modern(answer: &Bytes) -> bool {
    let is_modern = |message: &Bytes| {
        glance(message).is_ok_and(|glance| {
            let discovered = glance.result.is_some()
                && memchr::memmem::find(message, b"\"supportedVersions\"").is_some();
            discovered || glance.error_code.is_some_and(|code| (-32022..=-32020).contains(&code))
        })
    };
    sse::messages(answer.clone(), MIB).any(|message| is_modern(&message))
}
