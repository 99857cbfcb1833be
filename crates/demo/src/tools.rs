//! The tools as both eras offer them: their list, their arguments and the shape of their results.
//!
//! What differs between the eras (where the counter lives, how a person is asked) is in
//! `legacy_tools.rs` and `modern_tools.rs`.

use crate::reply::notification;
use crate::stream::{Events, Gone};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Most steps of one `slow_count`.
const STEPS_MAX: u64 = 1_000;
/// Longest pause between two of them, in milliseconds.
const PAUSE_MILLIS_MAX: u64 = 10_000;

/// The log levels of MCP, from the least to the most severe.
const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
/// The rank of `info`, at which this server logs.
pub(crate) const INFO: usize = 1;

/// The tools of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Count,
    Whoami,
    Echo,
    SlowCount,
    AskName,
}

impl Tool {
    /// The tool with this name, compared exactly.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "count" => Self::Count,
            "whoami" => Self::Whoami,
            "echo" => Self::Echo,
            "slow_count" => Self::SlowCount,
            "ask_name" => Self::AskName,
            _ => return None,
        })
    }
}

/// The tool list. `has_handle` for the era in which the counter travels in a handle.
pub(crate) fn list(has_handle: bool) -> Value {
    let mut count = json!({
        "by": { "type": "integer", "description": "what to add; 1 if absent" },
    });
    if has_handle {
        count["handle"] = json!({
            "type": "string",
            "description": "the handle of the previous result; absent for a new counter",
        });
    }
    json!([
        tool(
            "count",
            "Adds to this session's counter and says which instance did it.",
            &count,
            &[]
        ),
        tool("whoami", "Says which instance answers, in which era and session.", &json!({}), &[]),
        tool("echo", "Returns the text.", &json!({ "text": { "type": "string" } }), &["text"]),
        tool(
            "slow_count",
            "Counts slowly and reports its progress.",
            &json!({
                "n": { "type": "integer", "minimum": 1, "maximum": STEPS_MAX },
                "ms": { "type": "integer", "minimum": 0, "maximum": PAUSE_MILLIS_MAX },
            }),
            &["n"]
        ),
        tool("ask_name", "Asks the user for a name and greets it.", &json!({}), &[]),
    ])
}

fn tool(name: &str, description: &str, properties: &Value, required: &[&str]) -> Value {
    json!({
        "name": name,
        "description": description,
        "inputSchema": { "type": "object", "properties": properties, "required": required },
    })
}

/// The arguments of `count`: what to add.
pub(crate) fn step(arguments: &Map<String, Value>) -> Result<i64, String> {
    match arguments.get("by") {
        None => Ok(1),
        Some(by) => by.as_i64().ok_or_else(|| "`by` must be an integer".to_owned()),
    }
}

/// The result of `count`.
pub(crate) fn counted(value: i64, instance: &str, handle: Option<&str>) -> Value {
    let mut result = text(&format!("{value} (counted by {instance})"));
    result["structuredContent"] = json!({ "value": value, "instance": instance });
    if let Some(handle) = handle {
        result["structuredContent"]["handle"] = json!(handle);
    }
    result
}

/// The result of `echo`.
pub(crate) fn echo(arguments: &Map<String, Value>) -> Value {
    match arguments.get("text").and_then(Value::as_str) {
        Some(given) => text(given),
        None => error("`text` must be a string"),
    }
}

/// The result of `whoami`.
pub(crate) fn whoami(instance: &str, era: &str, session: Option<&str>) -> Value {
    let mut result = text(&format!("{instance}, {era} era, {}", session.unwrap_or("no session")));
    result["structuredContent"] = json!({ "instance": instance, "era": era, "session": session });
    result
}

/// The question of `ask_name`, as the parameters of `elicitation/create`.
pub(crate) fn question() -> Value {
    json!({
        "message": "What is your name?",
        "requestedSchema": {
            "type": "object",
            "properties": { "name": { "type": "string" } },
            "required": ["name"],
        },
    })
}

/// The result of `ask_name` once the client has answered.
pub(crate) fn greeting(answer: &Value) -> Value {
    match (answer["action"].as_str(), answer["content"]["name"].as_str()) {
        (Some("accept"), Some(name)) => text(&format!("hello, {name}")),
        (Some("decline" | "cancel"), _) => text("hello, whoever you are"),
        _ => error("the answer is not an elicitation result with a `name`"),
    }
}

/// A text result.
pub(crate) fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// A failed call: a result the model reads, not a protocol error.
pub(crate) fn error(because: &str) -> Value {
    let mut result = text(because);
    result["isError"] = json!(true);
    result
}

/// The rank of a log level.
pub(crate) fn rank(level: Option<&Value>) -> Option<usize> {
    let level = level?.as_str()?;
    LEVELS.iter().position(|known| *known == level)
}

/// A log message at `info`.
pub(crate) fn log(text: &str) -> Value {
    let params = json!({ "level": LEVELS[INFO], "logger": "demo", "data": text });
    notification("notifications/message", &params)
}

/// Counts slowly, reporting each step under the client's token, if it gave one.
pub(crate) async fn slow_count(
    arguments: &Map<String, Value>,
    token: Option<&Value>,
    out: &Events,
) -> Value {
    let number = |name, absent| arguments.get(name).map_or(Some(absent), Value::as_u64);
    let (Some(n), Some(ms)) = (number("n", 0), number("ms", 100)) else {
        return error("`n` and `ms` must be integers");
    };
    if !(1..=STEPS_MAX).contains(&n) || ms > PAUSE_MILLIS_MAX {
        return error(&format!("`n` is 1 to {STEPS_MAX}, `ms` is 0 to {PAUSE_MILLIS_MAX}"));
    }
    for done in 1..=n {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        if let Some(token) = token {
            let params = json!({ "progressToken": token, "progress": done, "total": n });
            // A reader that left does not end a legacy call; a modern one is dropped by its owner.
            let _: Result<(), Gone> =
                out.send(&notification("notifications/progress", &params)).await;
        }
    }
    text(&format!("counted to {n}"))
}

/// The client's progress token: a string or an integer.
pub(crate) fn progress_token(params: &Map<String, Value>) -> Option<Value> {
    let token = crate::door::meta(params)?.get("progressToken")?;
    (token.is_string() || token.is_i64() || token.is_u64()).then(|| token.clone())
}

/// The `arguments` of a call; absent is empty.
pub(crate) fn arguments(params: &Map<String, Value>) -> Result<Map<String, Value>, &'static str> {
    match params.get("arguments") {
        None => Ok(Map::new()),
        Some(Value::Object(arguments)) => Ok(arguments.clone()),
        Some(_) => Err("`arguments` must be an object"),
    }
}
