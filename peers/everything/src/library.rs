//! Resources, prompts and completions: what they read as.
//!
//! Next: `rounds.rs` (the one prompt that needs input).

use crate::catalog;
use crate::plain::PNG;
use crate::watchers::WATCHED;
use rmcp::ErrorData;
use rmcp::model::{
    CompleteRequestParams, CompleteResult, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, ReadResourceResult,
};
use serde_json::{Value, json};

/// Reads one resource.
pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let mut content = match uri {
        "test://static-text" => json!({
            "mimeType": "text/plain",
            "text": "This is the content of the static text resource."
        }),
        "test://static-binary" => json!({"mimeType": "image/png", "blob": PNG}),
        WATCHED => json!({"mimeType": "text/plain", "text": "watched"}),
        _ => match uri.strip_prefix("test://template/").and_then(|id| id.strip_suffix("/data")) {
            Some(id) => {
                let data = format!("Data for ID: {id}");
                let text = json!({"id": id, "templateTest": true, "data": data}).to_string();
                json!({"mimeType": "application/json", "text": text})
            }
            None => {
                let message = format!("there is no resource `{uri}`");
                return Err(ErrorData::resource_not_found(message, Some(json!({"uri": uri}))));
            }
        },
    };
    content["uri"] = json!(uri);
    catalog::complete(json!({"contents": [content]}))
}

/// Fills one prompt.
pub(crate) fn prompt(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| -> Result<&str, ErrorData> {
        let arguments = request.arguments.as_ref();
        let value = arguments.and_then(|arguments| arguments.get(name)).and_then(Value::as_str);
        value.ok_or_else(|| ErrorData::invalid_params(format!("`{name}` is missing"), None))
    };
    let text = |text: String| json!({"type": "text", "text": text});
    let contents = match request.name.as_str() {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.".to_owned())],
        "test_prompt_with_arguments" => vec![text(format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1")?,
            argument("arg2")?
        ))],
        "test_prompt_with_embedded_resource" => vec![
            json!({"type": "resource", "resource": {
                "uri": argument("resourceUri")?,
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing."
            }}),
            text("Please process the embedded resource above.".to_owned()),
        ],
        "test_prompt_with_image" => vec![
            json!({"type": "image", "data": PNG, "mimeType": "image/png"}),
            text("Please analyze the image above.".to_owned()),
        ],
        "test_input_required_result_prompt" => return crate::rounds::prompt(request),
        name => {
            return Err(ErrorData::invalid_params(format!("there is no prompt `{name}`"), None));
        }
    };
    let messages: Vec<Value> =
        contents.iter().map(|content| json!({"role": "user", "content": content})).collect();
    let result: GetPromptResult = catalog::complete(json!({"messages": messages}))?;
    Ok(result.into())
}

/// Completes an argument with the three words that begin like it.
pub(crate) fn complete(request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    let begun = request.argument.value.as_str();
    let values: Vec<&str> =
        ["paris", "park", "party"].into_iter().filter(|word| word.starts_with(begun)).collect();
    let total = values.len();
    catalog::complete(json!({"completion": {"values": values, "total": total, "hasMore": false}}))
}
