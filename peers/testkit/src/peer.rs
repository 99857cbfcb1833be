//! The script of an ordinary MCP server: legacy with sessions, modern without, one tool `echo`.
//!
//! Ids are echoed as the raw text they came in, and `echo` returns the raw text of its arguments,
//! so that tests can hold both against what was sent, byte for byte.

use crate::recorder::Recorded;
use crate::script::{Act, Reply};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The methods it has in the modern era, besides `subscriptions/listen`.
const MODERN: [&str; 3] = ["server/discover", "tools/list", "tools/call"];

/// A small MCP server of both eras.
#[derive(Debug, Default)]
pub struct Peer {
    opened: AtomicU64,
    sessions: Mutex<HashSet<String>>,
}

pub(crate) type Members = HashMap<String, Box<RawValue>>;

impl Peer {
    /// Answers one request.
    #[must_use]
    pub fn answer(&self, request: &Recorded) -> Reply {
        let session = request.header("mcp-session-id").unwrap_or_default();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = sessions.contains(session);
        if !session.is_empty() && !is_known {
            return Reply::status(404, &[], b"unknown session");
        }
        match request.method.as_str() {
            "GET" => Reply::stream().chunk(b":\n\n").then(Act::Hang),
            "DELETE" => {
                sessions.remove(session);
                Reply::status(200, &[], b"")
            }
            _ => {
                drop(sessions);
                self.answer_post(request)
            }
        }
    }

    /// Forgets every session, as a restarted server does.
    pub fn forget(&self) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn answer_post(&self, request: &Recorded) -> Reply {
        let Ok(members) = serde_json::from_slice::<Members>(&request.body) else {
            return self.answer_batch(request);
        };
        let (Some(id), Some(method)) = (members.get("id"), request.rpc_method()) else {
            return Reply::accepted();
        };
        let is_modern = request.header("mcp-protocol-version") == Some("2026-07-28");
        match (method.as_str(), is_modern) {
            ("initialize", false) => self.initialize(id, &request.json()),
            (_, false) if request.header("mcp-session-id").is_none() => {
                Reply::status(400, &[], b"no session")
            }
            ("subscriptions/listen", true) => acknowledge(id),
            (method, true) if !MODERN.contains(&method) => {
                let json = [("content-type", "application/json")];
                Reply::status(404, &json, unknown(id).as_bytes())
            }
            (method, _) => Reply::json_text(&[], &answer_text(id, method, &members)),
        }
    }

    fn answer_batch(&self, request: &Recorded) -> Reply {
        let Ok(messages) = serde_json::from_slice::<Vec<Members>>(&request.body) else {
            return Reply::status(400, &[], b"not JSON");
        };
        let answers = messages.iter().filter_map(|members| {
            let method: String = serde_json::from_str(members.get("method")?.get()).ok()?;
            Some(answer_text(members.get("id")?, &method, members))
        });
        let answers: Vec<String> = answers.collect();
        match answers.is_empty() {
            true => Reply::accepted(),
            false => Reply::json_text(&[], &format!("[{}]", answers.join(","))),
        }
    }

    fn initialize(&self, id: &RawValue, request: &Value) -> Reply {
        let session = format!("peer-{}", self.opened.fetch_add(1, Ordering::Relaxed));
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(session.clone());
        let asked = request["params"]["protocolVersion"].as_str().unwrap_or_default();
        let known = ["2025-03-26", "2025-06-18", "2025-11-25"];
        let version = known.into_iter().find(|known| *known == asked).unwrap_or("2025-11-25");
        let result = json!({
            "protocolVersion": version,
            "capabilities": { "tools": {}, "logging": {}, "resources": { "subscribe": true } },
            "serverInfo": { "name": "peer", "version": "1" },
        });
        Reply::json_text(&[("mcp-session-id", &session)], &wrapped(id, &result.to_string()))
    }
}

fn unknown(id: &RawValue) -> String {
    let error = json!({ "code": -32601, "message": "unknown method" });
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

pub(crate) fn wrapped(id: &RawValue, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn acknowledge(id: &RawValue) -> Reply {
    let about = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let params = format!(r#"{{"notifications":{{}},"_meta":{about}}}"#);
    let method = "notifications/subscriptions/acknowledged";
    Reply::stream()
        .event(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#))
        .then(Act::Hang)
}

pub(crate) fn answer_text(id: &RawValue, method: &str, members: &Members) -> String {
    let cache = json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private" });
    let mut result = cache.clone();
    match method {
        "server/discover" => {
            result["supportedVersions"] = json!(["2026-07-28"]);
            result["capabilities"] = json!({ "tools": {} });
        }
        "tools/list" => {
            let schema = json!({ "type": "object" });
            result["tools"] = json!([{ "name": "echo", "inputSchema": schema }]);
        }
        "tools/call" => {
            let arguments = arguments(members).unwrap_or_else(|| "{}".to_owned());
            result = json!({
                "resultType": "complete",
                "content": [{ "type": "text", "text": arguments }],
            });
        }
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
            result = json!({});
        }
        _ => return unknown(id),
    }
    wrapped(id, &result.to_string())
}

/// The raw text of `params.arguments`.
fn arguments(members: &Members) -> Option<String> {
    let params: Members = serde_json::from_str(members.get("params")?.get()).ok()?;
    Some(params.get("arguments")?.get().to_owned())
}
