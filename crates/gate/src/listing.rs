//! Asks an upstream for its tools when a call mirrors arguments into headers and no list has passed
//! by yet: without the tools' schemas, such headers could not be judged.
//!
//! Once per upstream, by the first such call; others wait for it. If the upstream does not answer,
//! the headers are carried unjudged, as unknown ones are: the upstream judges them too.
//!
//! SPEC: 2026-07-28 streamable-http, Server Validation: whoever processes the body compares it with
//! its mirrors. Next: `knowledge.rs`.

use crate::call::Post;
use crate::forward::post_headers;
use crate::gate::Gate;
use crate::snapshot::{Leg, Snapshot};
use crate::upstream::{Deadlines, Outgoing};
use bytes::Bytes;
use http::{HeaderValue, Method as HttpMethod};
use std::time::Duration;
use tollgate_core::refusal::Refusal;
use tollgate_mcp::era::modern;
use tollgate_mcp::headers::{MCP_METHOD, MCP_PROTOCOL_VERSION};
use tollgate_mcp::json::find_path;
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::glance;
use tollgate_mcp::sse;

const PAGES_MAX: usize = 10;
const LISTING_SECS: u64 = 10;

/// Judges mirrored arguments of a call whose tool no list has described yet.
///
/// # Errors
/// `HeaderMismatch` if a mirror contradicts its argument, is missing, or mirrors nothing.
pub async fn check_params(
    gate: &Gate,
    snapshot: &Snapshot,
    leg: &Leg,
    post: &Post,
) -> Result<(), Refusal> {
    let Some(message) = post.one() else { return Ok(()) };
    let is_mirroring = post.method == Method::ToolsCall && !post.params.is_empty();
    if !is_mirroring || leg.knowledge.has_listed() {
        return Ok(());
    }
    let _asking = leg.knowledge.asking.lock().await;
    if !leg.knowledge.has_listed() {
        list(gate, snapshot, leg).await;
        // Also where it failed: one attempt, not one for every call.
        leg.knowledge.note_listed();
    }
    leg.knowledge.check_params(&post.body, message, &post.params)
}

async fn list(gate: &Gate, snapshot: &Snapshot, leg: &Leg) {
    let mut cursor: Option<String> = None;
    for page in 0..PAGES_MAX {
        let Some(answer) = ask(gate, snapshot, leg, cursor.as_deref()).await else { return };
        let result = glance(&answer).ok().and_then(|glance| glance.result);
        let Some(result) = result else { return };
        // Only learned from; nobody is shown this list.
        drop(leg.knowledge.take_tools(answer.clone(), result.span, page == 0));
        let next = find_path(&answer, result.span, &["nextCursor"]);
        match next.map(|span| String::from_utf8_lossy(span.of(&answer)).into_owned()) {
            Some(text) if text.starts_with('"') => cursor = Some(text),
            Some(_) | None => return,
        }
    }
}

async fn ask(gate: &Gate, snapshot: &Snapshot, leg: &Leg, cursor: Option<&str>) -> Option<Bytes> {
    let cursor = cursor.map(|text| format!(r#""cursor":{text},"#)).unwrap_or_default();
    let version = modern::VERSION;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"tollgate-list","method":"tools/list","params":{{{cursor}"_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"tollgate","version":"0.1"}}}}}}}}"#
    );
    let mut headers = post_headers();
    headers.add(&MCP_PROTOCOL_VERSION, &HeaderValue::from_static(version));
    headers.add(&MCP_METHOD, &HeaderValue::from_static("tools/list"));
    let limit = Duration::from_secs(LISTING_SECS);
    let deadlines = Deadlines { first_byte: limit, pause: Some(limit), total: Some(limit) };
    let outgoing =
        Outgoing { method: HttpMethod::POST, headers, body: Bytes::from(body), on_behalf_of: None };
    let exchange = leg.upstream.pick()?.send(outgoing, deadlines);
    let mut ward = gate.orphanage.ward(exchange, false);
    let (status, _) = ward.head().await.ok()?;
    let bytes_max = snapshot.settings.limits.reply_bytes_max;
    let answer = ward.gather(bytes_max).await.ok()?;
    if !status.is_success() {
        return None;
    }
    sse::messages(answer, bytes_max)
        .find(|message| glance(message).is_ok_and(|glance| glance.result.is_some()))
}
