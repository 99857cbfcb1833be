//! What the server lists: tools, resources, a template, prompts. Names and schemas are those the
//! conformance suite looks for; a few tools of our own (`echo`, `count`, `wait`, `waits_cancelled`,
//! `test_touch_watched_resource`) let real clients see sessions, cancellation and subscriptions.
//!
//! Everything is JSON as it goes over the wire, so that it can be held against the specification
//! at a glance.
//!
//! Next: `plain.rs`, `asks.rs`, `rounds.rs`, `jobs.rs` (what the tools answer).

use rmcp::ErrorData;
use serde_json::{Value, json};

/// Reads JSON of ours into a type of rmcp's.
pub(crate) fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("own JSON is wrong: {error}"), None))
}

/// Reads a result of ours into a type of rmcp's, marked complete; rmcp takes the mark away again
/// where the era has none.
pub(crate) fn complete<T: serde::de::DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["resultType"] = json!("complete");
    typed(value)
}

/// Tools without arguments: name and description.
const BARE: &[(&str, &str)] = &[
    ("test_simple_text", "answers one text"),
    ("test_image_content", "answers one image"),
    ("test_audio_content", "answers one sound"),
    ("test_embedded_resource", "answers one embedded resource"),
    ("test_multiple_content_types", "answers text, image and resource"),
    ("test_tool_with_logging", "logs three messages while it works"),
    ("test_tool_with_progress", "reports progress three times while it works"),
    ("test_error_handling", "answers an error of the tool"),
    ("test_elicitation_sep1034_defaults", "asks the user for values that have defaults"),
    ("test_elicitation_sep1330_enums", "asks the user to choose, in each shape of enum"),
    ("test_reconnection", "answers on a stream that can be resumed"),
    ("test_missing_capability", "needs a client that samples"),
    ("test_logging_tool", "logs if the request asks for it"),
    ("test_streaming_elicitation", "needs a value from the user"),
    ("test_trigger_tool_change", "tells listeners that the tools changed"),
    ("test_trigger_prompt_change", "tells listeners that the prompts changed"),
    ("test_touch_watched_resource", "tells subscribers that the watched resource changed"),
    ("test_input_required_result_elicitation", "needs one answer of the user"),
    ("test_input_required_result_sampling", "needs one answer of the model"),
    ("test_input_required_result_list_roots", "needs the client's roots"),
    ("test_input_required_result_request_state", "carries sealed state through the client"),
    ("test_input_required_result_multiple_inputs", "needs three answers at once"),
    ("test_input_required_result_multi_round", "needs two answers, one after the other"),
    ("test_input_required_result_tampered_state", "refuses state it did not seal"),
    ("test_input_required_result_capabilities", "needs only what the client can give"),
    ("failing_job", "a task that ends in an error of the tool"),
    ("protocol_error_job", "a task that ends in an error of the protocol"),
    ("multi_input", "a task that needs two answers at once"),
    ("test_tool_with_task", "needs one answer and becomes a task then"),
    ("count", "counts the calls of this session"),
    ("waits_cancelled", "says how many calls of `wait` were cancelled"),
];

/// All tools, always in the same order.
pub(crate) fn tools() -> Value {
    let mut tools: Vec<Value> = BARE
        .iter()
        .map(|(name, about)| tool(name, about, &json!({"type": "object", "properties": {}})))
        .collect();
    tools.extend([
        tool("echo", "answers its argument", &words(&["message"])),
        tool("test_sampling", "asks the client's model", &words(&["prompt"])),
        tool("test_elicitation", "asks the user", &words(&["message"])),
        tool(
            "test_custom_header",
            "takes an argument that a header mirrors",
            &json!({
                "type": "object",
                "properties": {"value": {"type": "string", "x-mcp-header": "Value"}},
                "required": ["value"]
            }),
        ),
        tool("json_schema_2020_12_tool", "has a schema with 2020-12 keywords", &address_schema()),
        tool("greet", "greets; never a task", &optional(&[("name", "string")])),
        tool(
            "slow_compute",
            "takes its time",
            &optional(&[("seconds", "number"), ("label", "string")]),
        ),
        tool("confirm_delete", "a task that asks first", &optional(&[("filename", "string")])),
        tool("wait", "waits until it is cancelled or over", &optional(&[("millis", "integer")])),
    ]);
    Value::Array(tools)
}

/// The one tool with this name.
pub(crate) fn tool_named(name: &str) -> Option<Value> {
    let Value::Array(tools) = tools() else { return None };
    tools.into_iter().find(|tool| tool["name"] == name)
}

fn tool(name: &str, about: &str, schema: &Value) -> Value {
    json!({"name": name, "description": about, "inputSchema": schema})
}

fn words(required: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        required.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn optional(arguments: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> =
        arguments.iter().map(|(name, kind)| ((*name).to_owned(), json!({"type": kind}))).collect();
    json!({"type": "object", "properties": properties})
}

fn address_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}}
        }},
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"}
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}, {"required": ["name"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["name"]},
        "additionalProperties": false
    })
}

/// All resources that have a fixed address.
pub(crate) fn resources() -> Value {
    json!([
        {"uri": "test://static-text", "name": "static-text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "static-binary", "mimeType": "image/png"},
        {"uri": "test://watched-resource", "name": "watched-resource", "mimeType": "text/plain"}
    ])
}

/// The one family of resources.
pub(crate) fn templates() -> Value {
    json!([{
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "mimeType": "application/json"
    }])
}

/// All prompts.
pub(crate) fn prompts() -> Value {
    json!([
        {"name": "test_simple_prompt", "description": "one message"},
        {
            "name": "test_prompt_with_arguments",
            "description": "one message from two arguments",
            "arguments": [
                {"name": "arg1", "description": "the first", "required": true},
                {"name": "arg2", "description": "the second", "required": true}
            ]
        },
        {
            "name": "test_prompt_with_embedded_resource",
            "description": "a resource and a message",
            "arguments": [{"name": "resourceUri", "description": "which one", "required": true}]
        },
        {"name": "test_prompt_with_image", "description": "an image and a message"},
        {"name": "test_input_required_result_prompt", "description": "needs an answer of the user"}
    ])
}
