//! Tools of the legacy era that ask the client in the middle of a call: its model
//! (`sampling/createMessage`) or its user (`elicitation/create`).
//!
//! On a modern request rmcp refuses to send these; the refusal becomes the tool's error.
//!
//! Next: `rounds.rs` (the modern way to ask).

use crate::catalog::typed;
use crate::plain::{failure, text, word};
use rmcp::model::{CallToolResult, ServerRequest};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value, json};

/// Answers the asking tools; `None` for other tools.
pub(crate) async fn call(
    name: &str,
    arguments: &Map<String, Value>,
    cx: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResult, ErrorData>> {
    Some(match name {
        "test_sampling" => match word(arguments, "prompt") {
            Ok(prompt) => sampling(prompt, cx).await,
            Err(error) => Err(error),
        },
        "test_elicitation" => match word(arguments, "message") {
            Ok(message) => elicitation(message, &person(), cx).await,
            Err(error) => Err(error),
        },
        "test_elicitation_sep1034_defaults" => {
            elicitation("Please review these defaults", &defaults(), cx).await
        }
        "test_elicitation_sep1330_enums" => elicitation("Please choose", &choices(), cx).await,
        _ => return None,
    })
}

async fn sampling(
    prompt: &str,
    cx: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let params = json!({
        "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
        "maxTokens": 100
    });
    match ask(cx, "sampling/createMessage", params).await? {
        Ok(reply) => {
            let said = reply["content"]["text"].as_str().unwrap_or("nothing");
            text(format!("LLM response: {said}"))
        }
        Err(refused) => failure(refused),
    }
}

async fn elicitation(
    message: &str,
    schema: &Value,
    cx: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let params = json!({"message": message, "requestedSchema": schema});
    match ask(cx, "elicitation/create", params).await? {
        Ok(reply) => {
            let action = reply["action"].as_str().unwrap_or("unknown");
            text(format!("User response: action={action}, content={}", reply["content"]))
        }
        Err(refused) => failure(refused),
    }
}

/// Sends a request to the client and waits. The inner error is what the client answered, or why it
/// could not be asked.
async fn ask(
    cx: &RequestContext<RoleServer>,
    method: &str,
    params: Value,
) -> Result<Result<Value, String>, ErrorData> {
    let request: ServerRequest = typed(json!({"method": method, "params": params}))?;
    match cx.peer.send_request(request).await {
        Ok(reply) => match serde_json::to_value(reply) {
            Ok(reply) => Ok(Ok(reply)),
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        },
        Err(error) => Ok(Err(format!("{method} was not answered: {error}"))),
    }
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"}
        },
        "required": ["username", "email"]
    })
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": true}
        }
    })
}

fn choices() -> Value {
    let titled = |names: [&str; 3]| -> Value {
        let options = ["value1", "value2", "value3"].into_iter().zip(names);
        options.map(|(value, title)| json!({"const": value, "title": title})).collect()
    };
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
            "titledSingle": {
                "type": "string",
                "oneOf": titled(["First Option", "Second Option", "Third Option"])
            },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]
            },
            "untitledMulti": {
                "type": "array",
                "items": {"type": "string", "enum": ["option1", "option2", "option3"]}
            },
            "titledMulti": {
                "type": "array",
                "items": {"anyOf": titled(["First Choice", "Second Choice", "Third Choice"])}
            }
        }
    })
}
