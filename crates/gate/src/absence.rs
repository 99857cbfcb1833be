//! What is said of tools, prompts, resources, tasks and methods that are not there.
//!
//! One wording for each, whoever finds it out and why: what a route does not have, what its operator does
//! not show and what a policy does not allow look the same. Part of the conversation, not a refusal.

use crate::body::GateBody;
use crate::call::Post;
use crate::reply;
use crate::subject::Absent;
use bytes::Bytes;
use http::{Response, StatusCode};
use tollgate_mcp::era::{Era, modern};
use tollgate_mcp::json::{Message, Text, find_path};

/// Most characters of a name that are said back.
const SHOWN_CHARS_MAX: usize = 80;

/// The answer to a request for what is not there.
pub(crate) fn answer(post: &Post, message: &Message, absent: Absent) -> Response<GateBody> {
    let (code, text, uri) = words(&post.body, (message, post.era), absent);
    error(post, message, (code, &text), uri.as_deref())
}

/// The same as a message alone.
pub(crate) fn message(post: &Post, message: &Message, absent: Absent) -> Vec<u8> {
    let (code, text, uri) = words(&post.body, (message, post.era), absent);
    error_message(post, message, (code, &text), uri.as_deref())
}

/// A response with an error of the gate as a server.
pub(crate) fn error(
    post: &Post,
    message: &Message,
    (code, text): (i64, &str),
    uri: Option<&str>,
) -> Response<GateBody> {
    let whole = error_message(post, message, (code, text), uri);
    let status = match post.era {
        Era::Legacy => None,
        Era::Modern => modern::status_of(code).and_then(|status| StatusCode::from_u16(status).ok()),
    };
    reply::json(status.unwrap_or(StatusCode::OK), Bytes::from(whole))
}

/// Such an error as a message alone.
pub(crate) fn error_message(
    post: &Post,
    message: &Message,
    (code, text): (i64, &str),
    uri: Option<&str>,
) -> Vec<u8> {
    let mut error = serde_json::json!({ "code": code, "message": text });
    if let Some(uri) = uri {
        error["data"] = serde_json::json!({ "uri": uri });
    }
    let id = message.id.map_or(b"null".as_slice(), |id| id.of(&post.body));
    let error = error.to_string();
    [br#"{"jsonrpc":"2.0","id":"#, id, br#","error":"#, error.as_bytes(), b"}"].concat()
}

/// SPEC: 2025-11-25 server/tools and server/prompts, Error Handling: -32602; server/resources: -32002,
/// and -32602 from 2026-07-28 on.
fn words(
    body: &[u8],
    (message, era): (&Message, Era),
    absent: Absent,
) -> (i64, String, Option<String>) {
    let fields = &message.fields;
    let within = |key: &str| {
        let span = find_path(body, fields.reference?, &[key])?;
        Some(Text { span, escaped: true }.decode(body).into_owned())
    };
    let said = |text: Option<Text>, key: &str| {
        let name = text.map(|text| text.decode(body).into_owned()).or_else(|| within(key));
        name.unwrap_or_default()
    };
    let short = |name: String| {
        let name: String = name.chars().take(SHOWN_CHARS_MAX).collect();
        name.escape_debug().to_string()
    };
    match absent {
        Absent::Tool => {
            let name = short(said(fields.name, "name"));
            (-32602, format!("unknown tool `{name}`: `tools/list` has the names"), None)
        }
        Absent::Prompt => {
            let name = short(said(fields.name, "name"));
            (-32602, format!("unknown prompt `{name}`: `prompts/list` has the names"), None)
        }
        Absent::Resource => {
            let code = match era {
                Era::Legacy => -32002,
                Era::Modern => -32602,
            };
            let text = "resource not found: `resources/list` and `resources/templates/list` have \
                        the URIs";
            (code, text.to_owned(), Some(said(fields.uri, "uri")))
        }
        Absent::Task => {
            let id = short(said(fields.task_id, "taskId"));
            (-32602, format!("there is no task `{id}`"), None)
        }
        Absent::Method => {
            let name = short(said(message.method, "method"));
            (-32601, format!("unknown method `{name}`: this route has no such method"), None)
        }
    }
}
