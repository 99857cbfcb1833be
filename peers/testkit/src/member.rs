//! A member of a hub: an MCP server of both eras whose lists and capabilities the test writes.
//!
//! Everything it answers names what it was asked by the upstream's own names, so that tests see
//! whether the gate led a call to the right member under the right name. What it says by itself,
//! the test says through it.

use crate::recorder::Recorded;
use crate::script::{Act, Feed, Pen, Reply};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The methods of lists, the member of the result and the member of an item that names it.
const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
];

/// An MCP server whose offer the test writes.
#[derive(Debug)]
pub struct Member {
    opened: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    capabilities: Value,
    instructions: Option<String>,
    lists: HashMap<&'static str, Vec<Value>>,
    page: usize,
    caching: (u64, &'static str),
    keeps_sessions: bool,
    sessions: HashSet<String>,
    streams: Vec<(String, Pen)>,
}

/// The item of a list that has this name.
#[must_use]
pub fn item(method: &str, name: &str) -> Value {
    match method {
        "tools/list" => json!({ "name": name, "inputSchema": { "type": "object" } }),
        "prompts/list" => json!({ "name": name }),
        "resources/list" => json!({ "uri": name, "name": "resource" }),
        _ => json!({ "uriTemplate": name, "name": "template" }),
    }
}

/// The member of an item that names it, for the method that lists it.
#[must_use]
pub fn key_of(method: &str) -> (&'static str, &'static str) {
    let found = LISTS.into_iter().find(|(of, _, _)| *of == method);
    let (_, member, key) = found.expect("a list");
    (member, key)
}

impl Member {
    /// A member without tools that keeps sessions and tells of no changes.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: AtomicU64::new(0),
            state: Mutex::new(State {
                capabilities: json!({ "tools": {} }),
                instructions: None,
                lists: HashMap::new(),
                page: usize::MAX,
                caching: (0, "private"),
                keeps_sessions: true,
                sessions: HashSet::new(),
                streams: Vec::new(),
            }),
        })
    }

    /// A member with these tools.
    #[must_use]
    pub fn with_tools(names: &[&str]) -> Arc<Self> {
        let member = Self::new();
        member.offer("tools/list", names);
        member
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has these names in a list from now on.
    pub fn offer(&self, method: &'static str, names: &[&str]) {
        self.offer_items(method, names.iter().map(|name| item(method, name)).collect());
    }

    /// Has these items in a list from now on.
    pub fn offer_items(&self, method: &'static str, items: Vec<Value>) {
        self.state().lists.insert(method, items);
    }

    /// Declares these capabilities.
    pub fn declare(&self, capabilities: Value) {
        self.state().capabilities = capabilities;
    }

    /// Gives these instructions.
    pub fn instruct(&self, text: &str) {
        self.state().instructions = Some(text.to_owned());
    }

    /// Gives lists in pages of so many items.
    pub fn page(&self, items: usize) {
        self.state().page = items;
    }

    /// Says how long modern lists are fresh, and for whom.
    pub fn cache(&self, ttl_millis: u64, scope: &'static str) {
        self.state().caching = (ttl_millis, scope);
    }

    /// Gives no session ids.
    pub fn keep_no_sessions(&self) {
        self.state().keeps_sessions = false;
    }

    /// Forgets every session and stream, as a restarted server does.
    pub fn forget(&self) {
        let mut state = self.state();
        state.sessions.clear();
        state.streams.clear();
    }

    /// Says this on every open stream.
    pub fn say(&self, message: &Value) {
        self.say_where(|_| true, message);
    }

    /// Says this on the stream of one session.
    pub fn say_in(&self, session: &str, message: &Value) {
        self.say_where(|of| of == session, message);
    }

    fn say_where(&self, is_meant: impl Fn(&str) -> bool, message: &Value) {
        let mut state = self.state();
        state.streams.retain(|(_, pen)| pen.is_heard());
        for (_, pen) in state.streams.iter().filter(|(session, _)| is_meant(session)) {
            pen.event(&message.to_string());
        }
    }

    /// The sessions, or the ids of the subscriptions, of the open streams.
    #[must_use]
    pub fn streams(&self) -> Vec<String> {
        let state = self.state();
        let open = state.streams.iter().filter(|(_, pen)| pen.is_heard());
        open.map(|(session, _)| session.clone()).collect()
    }

    /// The sessions that are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.state().sessions.len()
    }

    /// Answers one request.
    #[must_use]
    pub fn answer(&self, request: &Recorded) -> Reply {
        let session = request.header("mcp-session-id").unwrap_or_default();
        let mut state = self.state();
        if !session.is_empty() && !state.sessions.contains(session) {
            return Reply::status(404, &[], b"unknown session");
        }
        match request.method.as_str() {
            "GET" => Self::open_stream(&mut state, session, Reply::stream().chunk(b":\n\n")),
            "DELETE" => {
                state.sessions.remove(session);
                state.streams.retain(|(of, _)| of != session);
                Reply::status(200, &[], b"")
            }
            _ => match request.json() {
                Value::Array(messages) => {
                    let answers =
                        messages.iter().filter_map(|message| state.result(message, false));
                    let answers: Vec<Value> = answers.collect();
                    Reply::json(&Value::Array(answers))
                }
                message => self.answer_post(&mut state, request, &message),
            },
        }
    }

    fn open_stream(state: &mut State, name: &str, opening: Reply) -> Reply {
        let (pen, feed) = Feed::new();
        state.streams.push((name.to_owned(), pen));
        opening.then(Act::Follow(feed)).end()
    }

    fn answer_post(&self, state: &mut State, request: &Recorded, message: &Value) -> Reply {
        let is_modern = request.header("mcp-protocol-version") == Some("2026-07-28");
        match (message["method"].as_str(), is_modern) {
            (_, _) if message["id"].is_null() || message["method"].is_null() => Reply::accepted(),
            (Some("initialize"), false) => self.initialize(state, message),
            (Some("subscriptions/listen"), true) => {
                let about = json!({ "io.modelcontextprotocol/subscriptionId": message["id"] });
                let params =
                    json!({ "notifications": message["params"]["notifications"], "_meta": about });
                let said = json!({ "jsonrpc": "2.0", "params": params,
                                   "method": "notifications/subscriptions/acknowledged" });
                let name = message["id"].to_string();
                Self::open_stream(state, &name, Reply::stream().event(&said.to_string()))
            }
            _ => match state.result(message, is_modern) {
                Some(answer) if is_modern && answer["error"]["code"] == -32601 => {
                    let json = [("content-type", "application/json")];
                    Reply::status(404, &json, answer.to_string().as_bytes())
                }
                Some(answer) => Reply::json(&answer),
                None => Reply::accepted(),
            },
        }
    }

    fn initialize(&self, state: &mut State, message: &Value) -> Reply {
        let asked = message["params"]["protocolVersion"].as_str().unwrap_or_default();
        let known = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
        let version = known.into_iter().find(|known| *known == asked).unwrap_or("2025-11-25");
        let mut result = json!({
            "protocolVersion": version,
            "capabilities": state.capabilities,
            "serverInfo": { "name": "member", "version": "1" },
        });
        if let Some(instructions) = &state.instructions {
            result["instructions"] = json!(instructions);
        }
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string();
        if !state.keeps_sessions {
            return Reply::json_text(&[], &answer);
        }
        let session = format!("s-{}", self.opened.fetch_add(1, Ordering::Relaxed));
        state.sessions.insert(session.clone());
        Reply::json_text(&[("mcp-session-id", &session)], &answer)
    }
}

impl State {
    /// The answer to a request; `None` for what wants none.
    fn result(&self, message: &Value, is_modern: bool) -> Option<Value> {
        let id = message.get("id")?;
        let method = message["method"].as_str()?;
        let params = &message["params"];
        let mut result = match method {
            "server/discover" if is_modern => {
                json!({ "supportedVersions": ["2026-07-28"], "capabilities": self.capabilities,
                        "instructions": self.instructions.clone().unwrap_or_default() })
            }
            "tools/call" => {
                json!({ "content": [{ "type": "text", "text": params["name"] }] })
            }
            "prompts/get" => {
                let content = json!({ "type": "text", "text": params["name"] });
                json!({ "messages": [{ "role": "user", "content": content }] })
            }
            "resources/read" => json!({ "contents": [{ "uri": params["uri"], "text": "x" }] }),
            "completion/complete" => {
                json!({ "completion": { "values": [params["ref"].to_string()] } })
            }
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                json!({})
            }
            _ => match self.list(method, params) {
                Some(page) => page,
                None => {
                    let error = json!({ "code": -32601, "message": "unknown method" });
                    return Some(json!({ "jsonrpc": "2.0", "id": id, "error": error }));
                }
            },
        };
        if is_modern {
            result["resultType"] = json!("complete");
        }
        if is_modern && (method.ends_with("/list") || method == "server/discover") {
            result["ttlMs"] = json!(self.caching.0);
            result["cacheScope"] = json!(self.caching.1);
        }
        Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }

    fn list(&self, method: &str, params: &Value) -> Option<Value> {
        let (_, member, _) = LISTS.into_iter().find(|(of, _, _)| *of == method)?;
        let items = self.lists.get(method).map_or(&[][..], Vec::as_slice);
        let from: usize = params["cursor"].as_str().and_then(|at| at.parse().ok()).unwrap_or(0);
        let until = from.saturating_add(self.page).min(items.len());
        let mut page = json!({ member: items.get(from..until).unwrap_or_default() });
        if until < items.len() {
            page["nextCursor"] = json!(until.to_string());
        }
        Some(page)
    }
}
