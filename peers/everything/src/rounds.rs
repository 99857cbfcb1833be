//! Tools and a prompt of the modern era that need input: they answer `input_required`, and are
//! called again with the answers and, where they gave any, with their own sealed state.
//!
//! State that comes back is a stranger's input: what the seal does not fit is refused.
//!
//! Next: `jobs.rs` (tools that become tasks).

use crate::catalog::{complete, typed};
use crate::plain::text;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, GetPromptRequestParams,
    GetPromptResponse, InputRequest, InputRequiredResult, InputResponses, RequestStateCodec,
};
use serde_json::{Value, json};

/// The key of a test peer protects nothing, so it may stand here; it is long enough for the codec.
const KEY: &[u8] = b"everything-server: a key for tests and nothing else";
const TAMPERED: &str = "requestState was not sealed by this server";

/// The tools that need input in rounds.
#[derive(Debug)]
pub(crate) struct Rounds {
    seal: RequestStateCodec,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { seal: RequestStateCodec::new_unchecked(KEY) }
    }
}

impl Rounds {
    /// Answers one round; `None` for other tools.
    pub(crate) fn call(
        &self,
        request: &CallToolRequestParams,
        client: &ClientCapabilities,
    ) -> Option<Result<CallToolResponse, ErrorData>> {
        let answers = Answers(request.input_responses.as_ref());
        let state = request.request_state.as_deref();
        let name = request.name.strip_prefix("test_input_required_result_");
        Some(match name {
            Some("elicitation") => one(&answers, "user_name", name_question(), |answer| {
                format!("Hello, {}!", shown(&answer["content"]["name"]))
            }),
            Some("sampling") => one(&answers, "capital_question", capital_question(), |answer| {
                format!("The model says: {}", shown(&answer["content"]["text"]))
            }),
            Some("list_roots") => one(&answers, "client_roots", roots_question(), |answer| {
                format!("The roots are: {}", answer["roots"])
            }),
            Some("request_state" | "tampered_state") => self.confirmed(&answers, state),
            Some("multiple_inputs") => self.all_at_once(&answers, state),
            Some("multi_round") => self.one_by_one(&answers, state),
            Some("capabilities") => able(&answers, client),
            Some(_) => return None,
            None if request.name == "test_streaming_elicitation" => {
                one(&answers, "value", string_question("Please give a value", "value"), |answer| {
                    format!("The value is {}", shown(&answer["content"]["value"]))
                })
            }
            None => return None,
        })
    }

    fn confirmed(
        &self,
        answers: &Answers<'_>,
        state: Option<&str>,
    ) -> Result<CallToolResponse, ErrorData> {
        let opened = self.opened(state)?;
        if opened.is_some() && answers.get("confirm").is_some() {
            return text("Confirmed: state-ok").map(Into::into);
        }
        let question = form("Please confirm", &json!({"ok": {"type": "boolean"}}), "ok");
        required(vec![("confirm", question)], Some(self.sealed(1)?))
    }

    fn all_at_once(
        &self,
        answers: &Answers<'_>,
        state: Option<&str>,
    ) -> Result<CallToolResponse, ErrorData> {
        let questions = all_questions();
        let opened = self.opened(state)?;
        if opened.is_some() && questions.iter().all(|(key, _)| answers.get(key).is_some()) {
            return text("All three answers are here").map(Into::into);
        }
        required(questions, Some(self.sealed(1)?))
    }

    /// The state counts the answers given so far, so no answer can be skipped.
    fn one_by_one(
        &self,
        answers: &Answers<'_>,
        state: Option<&str>,
    ) -> Result<CallToolResponse, ErrorData> {
        let asked = self.opened(state)?.unwrap_or(0);
        let first = ("step1", name_question());
        let second = ("step2", string_question("What is your favourite colour?", "color"));
        match asked {
            0 => required(vec![first], Some(self.sealed(1)?)),
            1 if answers.get("step1").is_none() => required(vec![first], Some(self.sealed(1)?)),
            1 => required(vec![second], Some(self.sealed(2)?)),
            _ if answers.get("step2").is_none() => required(vec![second], Some(self.sealed(2)?)),
            _ => text("Both rounds are over").map(Into::into),
        }
    }

    fn sealed(&self, asked: u64) -> Result<String, ErrorData> {
        self.seal
            .seal_json(&json!({"asked": asked}))
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }

    fn opened(&self, state: Option<&str>) -> Result<Option<u64>, ErrorData> {
        let Some(state) = state else { return Ok(None) };
        let opened: Value =
            self.seal.open_json(state).map_err(|_| ErrorData::invalid_params(TAMPERED, None))?;
        Ok(Some(opened["asked"].as_u64().unwrap_or(0)))
    }
}

/// Answers the prompt that needs input.
pub(crate) fn prompt(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let answers = Answers(request.input_responses.as_ref());
    let Some(answer) = answers.get("user_context") else {
        let question = string_question("Which context?", "context");
        return Ok(asking(vec![("user_context", question)], None)?.into());
    };
    let said = format!("The context is: {}", shown(&answer["content"]["context"]));
    let result: rmcp::model::GetPromptResult = complete(json!({
        "messages": [{"role": "user", "content": {"type": "text", "text": said}}]
    }))?;
    Ok(result.into())
}

/// The client's answers so far. What is not an object is no answer.
struct Answers<'a>(Option<&'a InputResponses>);

impl Answers<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0?.get(key).filter(|answer| answer.is_object())
    }
}

fn one(
    answers: &Answers<'_>,
    key: &'static str,
    question: Value,
    said: impl Fn(&Value) -> String,
) -> Result<CallToolResponse, ErrorData> {
    match answers.get(key) {
        Some(answer) => text(said(answer)).map(Into::into),
        None => required(vec![(key, question)], None),
    }
}

fn able(answers: &Answers<'_>, client: &ClientCapabilities) -> Result<CallToolResponse, ErrorData> {
    let can = |key: &str| match key {
        "user_name" => client.elicitation.is_some(),
        "greeting" => client.sampling.is_some(),
        _ => client.roots.is_some(),
    };
    let open: Vec<_> = all_questions()
        .into_iter()
        .filter(|(key, _)| can(key) && answers.get(key).is_none())
        .collect();
    if open.is_empty() {
        return text("Everything the client can answer is answered").map(Into::into);
    }
    required(open, None)
}

fn required(
    questions: Vec<(&str, Value)>,
    state: Option<String>,
) -> Result<CallToolResponse, ErrorData> {
    Ok(asking(questions, state)?.into())
}

fn asking(
    questions: Vec<(&str, Value)>,
    state: Option<String>,
) -> Result<InputRequiredResult, ErrorData> {
    let requests = questions
        .into_iter()
        .map(|(key, question)| Ok((key.to_owned(), typed::<InputRequest>(question)?)))
        .collect::<Result<_, ErrorData>>()?;
    Ok(InputRequiredResult::new(Some(requests), state))
}

fn all_questions() -> Vec<(&'static str, Value)> {
    vec![
        ("user_name", name_question()),
        ("greeting", sampling_question("Say hello in one sentence")),
        ("client_roots", roots_question()),
    ]
}

fn name_question() -> Value {
    string_question("What is your name?", "name")
}

fn capital_question() -> Value {
    sampling_question("What is the capital of France?")
}

fn roots_question() -> Value {
    json!({"method": "roots/list"})
}

fn sampling_question(prompt: &str) -> Value {
    json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
        "maxTokens": 100
    }})
}

/// A question to the user with one string for an answer.
pub(crate) fn string_question(message: &str, field: &str) -> Value {
    form(message, &json!({field: {"type": "string"}}), field)
}

/// A question to the user with one required field.
pub(crate) fn form(message: &str, properties: &Value, required: &str) -> Value {
    json!({"method": "elicitation/create", "params": {
        "mode": "form",
        "message": message,
        "requestedSchema": {"type": "object", "properties": properties, "required": [required]}
    }})
}

/// A string without its quotes, anything else as JSON.
pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
