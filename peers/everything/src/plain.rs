//! Tools that answer out of themselves, with logging and progress on the way where their names say
//! so. They ask nobody anything and remember nothing.
//!
//! Next: `asks.rs` (tools that ask the client).

use crate::catalog::{complete, typed};
use rmcp::model::{CallToolResult, ProgressToken, ServerNotification};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A red dot: the smallest PNG that is one.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
/// A WAV file without a single sample.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
/// Between two notifications, so that a reader who waits for the whole answer would be noticed.
const PAUSE: Duration = Duration::from_millis(50);

/// The member of `_meta` with which a modern request asks for log messages.
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// A result of one text.
pub(crate) fn text(text: impl Into<String>) -> Result<CallToolResult, ErrorData> {
    complete(json!({"content": [{"type": "text", "text": text.into()}], "isError": false}))
}

/// A failure that the tool itself reports.
pub(crate) fn failure(text: impl Into<String>) -> Result<CallToolResult, ErrorData> {
    complete(json!({"content": [{"type": "text", "text": text.into()}], "isError": true}))
}

/// Answers the tools with constant content; `None` for other tools.
pub(crate) fn constant(name: &str) -> Option<Result<CallToolResult, ErrorData>> {
    let image = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let content = match name {
        "test_simple_text" => {
            json!([{"type": "text", "text": "This is a simple text response for testing."}])
        }
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]),
        "test_embedded_resource" => json!([{"type": "resource", "resource": {
            "uri": "test://embedded-resource",
            "mimeType": "text/plain",
            "text": "This is an embedded resource content."
        }}]),
        "test_multiple_content_types" => json!([
            {"type": "text", "text": "Multiple content types test:"},
            image,
            {"type": "resource", "resource": {
                "uri": "test://mixed-content-resource",
                "mimeType": "application/json",
                "text": "{\"test\":\"data\",\"value\":123}"
            }}
        ]),
        "test_error_handling" => {
            return Some(failure("This tool intentionally returns an error for testing"));
        }
        _ => return None,
    };
    Some(complete(json!({"content": content, "isError": false})))
}

/// Logs three messages and answers.
///
/// SPEC: 2026-07-28: a server must not log for a request that does not ask for it with a level.
pub(crate) async fn logging(cx: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if !is_modern(cx) || cx.meta.get(LOG_LEVEL).is_some() {
            log(cx, "info", message).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    text("Tool with logging executed successfully")
}

/// Logs one message at the level the request itself asks for, or none.
pub(crate) async fn logging_if_asked(
    cx: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    if let Some(level) = cx.meta.get(LOG_LEVEL).and_then(Value::as_str) {
        log(cx, level, "logged because the request asks for it").await?;
    }
    text("Logging tool completed")
}

/// Reports 0, 50 and 100 of 100, if the request has a progress token, and answers.
pub(crate) async fn progress(cx: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    let token: Option<ProgressToken> = cx.meta.get_progress_token();
    for done in [0, 50, 100] {
        if let Some(token) = &token {
            let params = json!({
                "progressToken": token,
                "progress": done,
                "total": 100,
                "message": format!("Completed step {done} of 100")
            });
            notify(cx, "notifications/progress", params).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    text("Tool with progress executed successfully")
}

/// The string argument with this name.
pub(crate) fn word<'a>(
    arguments: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a str, ErrorData> {
    arguments.get(name).and_then(Value::as_str).ok_or_else(|| {
        ErrorData::invalid_params(format!("argument `{name}` must be a string"), None)
    })
}

fn is_modern(cx: &RequestContext<RoleServer>) -> bool {
    cx.protocol_version().is_some_and(|version| !version.has_initialize())
}

async fn log(cx: &RequestContext<RoleServer>, level: &str, data: &str) -> Result<(), ErrorData> {
    let params = json!({"level": level, "logger": "everything", "data": data});
    notify(cx, "notifications/message", params).await
}

async fn notify(
    cx: &RequestContext<RoleServer>,
    method: &str,
    params: Value,
) -> Result<(), ErrorData> {
    let notification: ServerNotification = typed(json!({"method": method, "params": params}))?;
    cx.peer
        .send_notification(notification)
        .await
        .map_err(|error| ErrorData::internal_error(format!("notification not sent: {error}"), None))
}
