//! Asks an upstream for its tools when a call mirrors arguments into headers and no list has passed
//! by yet: without the tools' schemas, such headers could not be judged.
//!
//! Once per upstream, by the first such call; others wait for it. If the upstream does not answer,
//! the headers are carried unjudged, as unknown ones are: the upstream judges them too.
//!
//! SPEC: 2026-07-28 streamable-http, Server Validation: whoever processes the body compares it with
//! its mirrors. Next: `knowledge.rs`.

use crate::call::Post;
use crate::gate::Gate;
use crate::inquiry::{Inquiry, Voice, modern_request};
use crate::snapshot::Leg;
use crate::upstream::Whom;
use std::time::Duration;
use tollgate_core::refusal::Refusal;
use tollgate_mcp::json::find_path;
use tollgate_mcp::methods::Method;

const PAGES_MAX: usize = 10;
const LISTING_SECS: u64 = 10;

/// Judges mirrored arguments of a call whose tool no list has described yet.
///
/// # Errors
/// `HeaderMismatch` if a mirror contradicts its argument, is missing, or mirrors nothing.
pub async fn check_params(
    gate: &Gate,
    leg: &Leg,
    (post, whom): (&Post, Whom<'_>),
) -> Result<(), Refusal> {
    let Some(message) = post.one() else { return Ok(()) };
    let is_mirroring = post.method == Method::ToolsCall && !post.params.is_empty();
    if !is_mirroring || leg.knowledge.has_listed() {
        return Ok(());
    }
    let _asking = leg.knowledge.asking.lock().await;
    if !leg.knowledge.has_listed() {
        Box::pin(list(gate, leg, whom)).await;
        // Also where it failed: one attempt, not one for every call.
        leg.knowledge.note_listed();
    }
    leg.knowledge.check_params(&post.body, message, &post.params)
}

async fn list(gate: &Gate, leg: &Leg, (caller, principal): Whom<'_>) {
    let Some(endpoint) = leg.upstream.pick() else { return };
    let within = Duration::from_secs(LISTING_SECS);
    let whom = leg.upstream.on_behalf_if_known(caller, principal);
    let (voice, on_behalf_of) = (Voice::Modern, whom.as_ref());
    let inquiry = Inquiry { gate, endpoint: &endpoint, voice, within, on_behalf_of };
    let mut cursor = String::new();
    for page in 0..PAGES_MAX {
        let body = modern_request("tools/list", &cursor, "{}");
        let Ok(answer) = inquiry.ask("tools/list", body).await else { return };
        let next = find_path(&answer.message, answer.result, &["nextCursor"]);
        let next = next.map(|span| String::from_utf8_lossy(span.of(&answer.message)).into_owned());
        // Only learned from; nobody is shown this list.
        drop(leg.knowledge.take_tools(answer.message, answer.result, page == 0));
        match next {
            Some(text) if text.starts_with('"') => cursor = format!(r#""cursor":{text}"#),
            Some(_) | None => return,
        }
    }
}
