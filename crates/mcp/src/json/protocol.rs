//! The names that MCP's revisions give a meaning, from 2024-11-05 to 2026-07-28 and the tasks
//! extension. Only what agents send; what is not here is free and forwarded as it is.

/// Members of a message.
pub(super) const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
/// Members of `params` in any method of MCP.
pub(super) const PARAMS: &[&str] = &[
    "name",
    "arguments",
    "_meta",
    "uri",
    "cursor",
    "taskId",
    "requestState",
    "inputResponses",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "level",
    "notifications",
    "requestId",
    "progressToken",
    "ref",
    "argument",
    "context",
    "task",
];
/// Members of `params._meta`.
pub(super) const META: &[&str] = &[
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/subscriptionId",
    "io.modelcontextprotocol/related-task",
    "traceparent",
    "tracestate",
    "baggage",
];

/// The parameters whose JSON type a method defines; `None` for methods that are not MCP's.
pub(super) fn defined(method: &str) -> Option<&'static [&'static str]> {
    Some(match method {
        "tools/call" | "prompts/get" => &["name", "arguments", "requestState", "inputResponses"],
        "resources/read" => &["uri", "requestState", "inputResponses"],
        "resources/subscribe" | "resources/unsubscribe" => &["uri"],
        "tools/list"
        | "prompts/list"
        | "resources/list"
        | "resources/templates/list"
        | "tasks/list" => &["cursor"],
        "tasks/get" | "tasks/result" | "tasks/cancel" | "notifications/tasks/status" => &["taskId"],
        "tasks/update" => &["taskId", "inputResponses"],
        "initialize" => &["protocolVersion", "capabilities"],
        "logging/setLevel" => &["level"],
        "completion/complete" => &["ref"],
        "subscriptions/listen" => &["notifications"],
        "notifications/cancelled" => &["requestId"],
        "notifications/progress" => &["progressToken"],
        "server/discover"
        | "ping"
        | "notifications/initialized"
        | "notifications/roots/list_changed" => &[],
        _ => return None,
    })
}
