//! Tool calls in a legacy session: the counter is the session's, and a person is asked by a request
//! of ours on the call's own stream.
//!
//! A call goes on when its reader leaves; it ends when it is cancelled, when its session ends or
//! when the instance stops.

use crate::legacy::quick;
use crate::message::Request;
use crate::reply::{Failure, Response, result, stream};
use crate::serve::Shared;
use crate::sessions::Session;
use crate::stream::{self, Events, Gone};
use crate::tools::{self, INFO, Tool};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a person may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// The tool and the arguments of a `tools/call`.
pub(crate) fn read(params: &Map<String, Value>) -> Result<(Tool, Map<String, Value>), Failure> {
    let Some(name) = params.get("name").and_then(Value::as_str) else {
        return Err(Failure::params("`name` must be a string"));
    };
    let tool = Tool::named(name)
        .ok_or_else(|| Failure::params(format!("Unknown tool: {}", name.escape_debug())))?;
    Ok((tool, tools::arguments(params).map_err(Failure::params)?))
}

/// The result of a tool that needs no time.
pub(crate) fn call_at_once(
    tool: Tool,
    arguments: &Map<String, Value>,
    session: &Session,
    shared: &Shared,
) -> Value {
    match tool {
        Tool::Count => match tools::step(arguments) {
            Ok(by) => count(by, session, &shared.name),
            Err(because) => tools::error(&because),
        },
        Tool::Whoami => tools::whoami(&shared.name, "legacy", session.id.get(..8)),
        Tool::Echo => tools::echo(arguments),
        Tool::SlowCount | Tool::AskName => tools::error("this tool streams its answer"),
    }
}

fn count(by: i64, session: &Session, instance: &str) -> Value {
    let Some(value) = session.count(by) else {
        return tools::error("the counter would overflow");
    };
    if session.logs(INFO) {
        session.tell(&tools::log(&format!("the counter is {value}")));
    }
    tools::counted(value, instance, None)
}

/// Answers requests one after the other on one stream.
pub(crate) fn stream_calls(
    requests: Vec<Request>,
    session: Arc<Session>,
    shared: &Arc<Shared>,
) -> Response {
    let (events, body) = stream::open();
    let shared = shared.clone();
    // Registered before the client sees the head of the answer, so that it can cancel from then on.
    let begin = |request: Request| (session.begin_call(&request.id), request);
    let calls: Vec<_> = requests.into_iter().map(begin).collect();
    // Owned by the session and the instance: it ends with whichever ends first.
    tokio::spawn(async move {
        let answering = async {
            for (cancelled, request) in calls {
                answer_on(&request, cancelled, &events, (&session, &shared)).await;
            }
        };
        tokio::select! {
            () = answering => {}
            () = session.ended() => {}
            () = shared.stopping() => {}
        }
    });
    stream(body)
}

async fn answer_on(
    request: &Request,
    cancelled: Option<oneshot::Receiver<()>>,
    events: &Events,
    (session, shared): (&Session, &Shared),
) {
    let answer = match cancelled {
        None => {
            let failure = Failure::params("too many calls in progress, or this id is in use");
            Some(failure.message(Some(&request.id)))
        }
        Some(cancelled) => {
            // The loser of a cancellation is dropped where it waits; nothing it did is undone.
            let answer = tokio::select! {
                answer = call(request, events, session, shared) => Some(answer),
                _cancelled = cancelled => None,
            };
            session.end_call(&request.id);
            answer
        }
    };
    if let Some(answer) = answer {
        // A reader that left has lost its answer: this server offers no resumption.
        let _: Result<(), Gone> = events.send(&answer).await;
    }
}

async fn call(request: &Request, events: &Events, session: &Session, shared: &Shared) -> Value {
    match quick(request, session, shared) {
        Some(answer) => answer,
        None => result(&request.id, &run(request, events, session).await),
    }
}

async fn run(request: &Request, events: &Events, session: &Session) -> Value {
    match read(&request.params) {
        Ok((Tool::SlowCount, arguments)) => {
            let token = tools::progress_token(&request.params);
            tools::slow_count(&arguments, token.as_ref(), events).await
        }
        Ok((Tool::AskName, _)) => ask_name(events, session).await,
        Ok(_) | Err(_) => tools::error("this tool does not stream"),
    }
}

async fn ask_name(events: &Events, session: &Session) -> Value {
    if !session.takes_questions {
        return tools::error("this client did not declare the capability `elicitation`");
    }
    let (id, answered) = session.ask();
    let question = json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "elicitation/create",
        "params": tools::question(),
    });
    let answer = match events.send(&question).await {
        Ok(()) => wait(answered).await,
        Err(Gone) => Err("nobody was there to be asked"),
    };
    session.forget(&id);
    match answer {
        Ok(answer) => tools::greeting(&answer),
        Err(because) => tools::error(because),
    }
}

async fn wait(answered: oneshot::Receiver<Option<Value>>) -> Result<Value, &'static str> {
    match tokio::time::timeout(ANSWER_WITHIN, answered).await {
        Ok(Ok(Some(answer))) => Ok(answer),
        Ok(Ok(None)) => Err("the client could not ask"),
        Ok(Err(_)) => Err("the session ended"),
        Err(_) => Err("nobody answered in time"),
    }
}
