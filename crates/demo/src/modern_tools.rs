//! Tool calls of the modern era: the counter travels in a sealed handle, and a person is asked by
//! a result that requires input, answered by a second request.
//!
//! Nothing is kept between requests: any instance of this process can take the next one.

use crate::legacy_tools::read;
use crate::message::Request;
use crate::modern::{client_can, complete, server_info, wants_log};
use crate::reply::{Failure, Response, result, stream, whole};
use crate::seal::{self, Purpose};
use crate::serve::Shared;
use crate::stream;
use crate::tools::{self, Tool};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// How long a question may wait for its answer, in seconds.
const QUESTION_SECS: u64 = 600;
/// The key of the one question this server asks.
const QUESTION: &str = "name";

/// Answers a `tools/call`.
pub(crate) fn call(request: &Request, shared: &Arc<Shared>) -> Result<Response, Failure> {
    let (tool, arguments) = read(&request.params)?;
    let value = match tool {
        Tool::Count => count(&arguments, &shared.name)?,
        Tool::Whoami => tools::whoami(&shared.name, "modern", None),
        Tool::Echo => tools::echo(&arguments),
        Tool::SlowCount => return Ok(slow_count(request, arguments, shared)),
        Tool::AskName => ask_name(request)?,
    };
    let value = if value.get("resultType").is_some() { value } else { complete(value) };
    Ok(whole(StatusCode::OK, &result(&request.id, &value)))
}

fn count(arguments: &Map<String, Value>, instance: &str) -> Result<Value, Failure> {
    let before = match arguments.get("handle") {
        None => 0,
        Some(handle) => handle
            .as_str()
            .and_then(|handle| seal::open(Purpose::Handle, handle))
            .and_then(|value| value.parse::<i64>().ok())
            .ok_or_else(|| Failure::params("`handle` is not one of ours"))?,
    };
    Ok(match tools::step(arguments).map(|by| before.checked_add(by)) {
        Ok(Some(value)) => {
            let handle = seal::seal(Purpose::Handle, &value.to_string());
            tools::counted(value, instance, Some(&handle))
        }
        Ok(None) => tools::error("the counter would overflow"),
        Err(because) => tools::error(&because),
    })
}

fn slow_count(request: &Request, arguments: Map<String, Value>, shared: &Arc<Shared>) -> Response {
    let (events, body) = stream::open();
    let id = request.id.clone();
    let token = tools::progress_token(&request.params);
    let logs = wants_log(&request.params);
    let shared = shared.clone();
    // SPEC: 2026-07-28 patterns/cancellation: closing the stream cancels the call.
    tokio::spawn(async move {
        let counting = async {
            // The owner below notices a reader that left.
            if logs {
                let _gone = events.send(&tools::log("begins to count")).await;
            }
            let value = tools::slow_count(&arguments, token.as_ref(), &events).await;
            let _gone = events.send(&result(&id, &complete(value))).await;
        };
        tokio::select! {
            () = counting => {}
            () = events.closed() => {}
            () = shared.stopping() => {}
        }
    });
    stream(body)
}

/// SPEC: 2026-07-28 basic/patterns/mrtr. The state holds when it was made and for which call.
fn ask_name(request: &Request) -> Result<Value, Failure> {
    if !client_can(&request.params, "elicitation") {
        return Err(Failure::capability(&json!({ "elicitation": {} })));
    }
    match request.params.get("requestState") {
        None => {}
        Some(state) if is_valid(state, &request.params) => {}
        Some(_) => return Err(Failure::params("`requestState` is not one of ours, or too old")),
    }
    let answer = request.params.get("requestState").and(request.params.get("inputResponses"));
    match answer.and_then(|answers| answers.get(QUESTION)) {
        Some(answer) => Ok(tools::greeting(answer)),
        None => Ok(input_required(&request.params)),
    }
}

fn input_required(params: &Map<String, Value>) -> Value {
    let mut question = tools::question();
    question["mode"] = json!("form");
    json!({
        "resultType": "input_required",
        "inputRequests": { QUESTION: { "method": "elicitation/create", "params": question } },
        "requestState": seal::seal(Purpose::Question, &format!("{} {}", age(), about(params))),
        "_meta": { "io.modelcontextprotocol/serverInfo": server_info() },
    })
}

fn is_valid(state: &Value, params: &Map<String, Value>) -> bool {
    let Some(state) = state.as_str().and_then(|state| seal::open(Purpose::Question, state)) else {
        return false;
    };
    let Some((asked, call)) = state.split_once(' ') else {
        return false;
    };
    let is_fresh = asked.parse().is_ok_and(|asked| age().saturating_sub(asked) <= QUESTION_SECS);
    is_fresh && call == about(params)
}

/// What a question is bound to: the arguments of its call.
fn about(params: &Map<String, Value>) -> String {
    params.get("arguments").map_or_else(|| "{}".to_owned(), Value::to_string)
}

/// Seconds since this process first asked: sealed values die with the process anyway.
fn age() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_secs()
}
