//! What a server is answered that asks its client something: politely, that nobody is there.

use serde_json::{Value, json};

/// Most questions that are remembered to be shown.
const SHOWN_MAX: usize = 20;

/// What this client says it can be asked. It can only decline, but a server that may ask goes on after
/// that, while one that may not refuses the whole call.
pub(super) fn capabilities() -> Value {
    json!({ "elicitation": {} })
}

/// The result for a request of the server's; `None` where the only answer is an error.
pub(super) fn answer(request: &Value, declined: &mut Vec<String>) -> Option<Value> {
    match request["method"].as_str() {
        Some("ping") => Some(json!({})),
        Some("roots/list") => Some(json!({ "roots": [] })),
        Some("elicitation/create") => {
            if declined.len() < SHOWN_MAX {
                let message = request["params"]["message"].as_str().unwrap_or("something");
                declined.push(message.to_owned());
            }
            Some(json!({ "action": "decline" }))
        }
        Some(_) | None => None,
    }
}

/// The message that answers a request of the server's.
pub(super) fn message(request: &Value, declined: &mut Vec<String>) -> Value {
    match answer(request, declined) {
        Some(result) => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
        None => {
            let text = "this client is a shell: it has no model and no user to ask";
            let error = json!({ "code": -32601, "message": text });
            json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })
        }
    }
}

/// What a request asks for, in words.
pub(super) fn method_of(request: &Value) -> String {
    request["method"].as_str().unwrap_or("something").to_owned()
}

#[cfg(test)]
mod tests {
    use super::message;
    use serde_json::json;

    #[test]
    fn a_question_is_declined_and_remembered() {
        let mut declined = Vec::new();
        let question =
            json!({ "id": 7, "method": "elicitation/create", "params": { "message": "name?" } });
        let answer = message(&question, &mut declined);
        assert_eq!(answer, json!({ "jsonrpc": "2.0", "id": 7, "result": { "action": "decline" } }));
        assert_eq!(declined, ["name?"]);
    }

    #[test]
    fn a_model_is_not_lent() {
        let request = json!({ "id": "a", "method": "sampling/createMessage" });
        assert_eq!(message(&request, &mut Vec::new())["error"]["code"], -32601);
    }
}
