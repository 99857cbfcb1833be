//! Tools of the tasks extension: where the client takes tasks, a call of theirs becomes one.
//!
//! Whoever does not take tasks gets the result itself from the tools that can wait, and -32021
//! from those that cannot.
//!
//! Next: `watchers.rs` (who is told about changes).

use crate::catalog::typed;
use crate::plain::{failure, text};
use crate::rounds::{form, shown, string_question};
use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult,
    InputRequiredResult,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions};
use serde_json::{Map, Value, json};
use std::future::Future;
use std::time::Duration;

/// Longest `slow_compute`, in seconds.
const SLOWEST: f64 = 60.0;

/// The tools that become tasks, and the tasks.
#[derive(Clone, Default)]
pub(crate) struct Jobs {
    /// The tasks, for `tasks/get` and its siblings.
    pub(crate) tasks: TaskManager,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jobs({} running)", self.tasks.running_task_count())
    }
}

impl Jobs {
    /// Answers one call; `None` for other tools.
    pub(crate) async fn call(
        &self,
        request: &CallToolRequestParams,
        client: &ClientCapabilities,
    ) -> Option<Result<CallToolResponse, ErrorData>> {
        let name = request.name.as_ref();
        let no_arguments = Map::new();
        let arguments = request.arguments.as_ref().unwrap_or(&no_arguments);
        let takes_tasks = client.supports_tasks();
        let only_as_task = matches!(
            name,
            "failing_job" | "confirm_delete" | "multi_input" | "test_tool_with_task"
        );
        if only_as_task && !takes_tasks {
            let needed = ClientCapabilities::builder().enable_tasks().build();
            return Some(Err(ErrorData::missing_required_client_capability(needed)));
        }
        Some(match name {
            "greet" => {
                let whom = arguments.get("name").map_or_else(|| "you".to_owned(), shown);
                text(format!("Hello, {whom}!")).map(Into::into)
            }
            "slow_compute" if takes_tasks => {
                let (span, label) = slowness(arguments);
                self.start(move |task| async move {
                    tokio::select! {
                        () = task.cancelled() => Err(TaskExit::Cancelled),
                        () = tokio::time::sleep(span) => computed(&label),
                    }
                })
            }
            "slow_compute" => {
                let (span, label) = slowness(arguments);
                tokio::time::sleep(span).await;
                text(format!("{label} is computed")).map(Into::into)
            }
            "protocol_error_job" if !takes_tasks => Err(broken()),
            "failing_job" => self.start(|_| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                failure("the job failed, as it should").map_err(TaskExit::Error)
            }),
            "protocol_error_job" => self.start(|_| async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(TaskExit::Error(broken()))
            }),
            "confirm_delete" => {
                let file = arguments.get("filename").map_or_else(|| "a file".to_owned(), shown);
                self.start(move |task| delete(task, file))
            }
            "multi_input" => self.start(two_inputs),
            "test_tool_with_task" => self.greeting(request),
            _ => return None,
        })
    }

    fn greeting(&self, request: &CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
        let answer = request.input_responses.as_ref().and_then(|answers| answers.get("user_name"));
        let Some(answer) = answer else {
            let question = typed(string_question("What is your name?", "name"))?;
            let requests = [("user_name".to_owned(), question)].into();
            return Ok(InputRequiredResult::from_input_requests(requests).into());
        };
        let whom = shown(&answer["content"]["name"]);
        self.start(move |_| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            text(format!("Hello, {whom}, out of a task")).map_err(TaskExit::Error)
        })
    }

    fn start<F, Fut>(&self, work: F) -> Result<CallToolResponse, ErrorData>
    where
        F: FnOnce(TaskContext) -> Fut,
        Fut: Future<Output = Result<CallToolResult, TaskExit>> + Send + 'static,
    {
        let task = self.tasks.spawn(TaskOptions::default(), |task| Box::pin(work(task)));
        Ok(CreateTaskResult::new(task).into())
    }
}

fn slowness(arguments: &Map<String, Value>) -> (Duration, String) {
    let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(1.0);
    let label = arguments.get("label").map_or_else(|| "it".to_owned(), shown);
    (Duration::from_secs_f64(seconds.clamp(0.0, SLOWEST)), label)
}

fn computed(label: &str) -> Result<CallToolResult, TaskExit> {
    text(format!("{label} is computed")).map_err(TaskExit::Error)
}

fn broken() -> ErrorData {
    ErrorData::internal_error("the job broke the protocol, as it should", None)
}

async fn delete(task: TaskContext, file: String) -> Result<CallToolResult, TaskExit> {
    let question =
        form(&format!("Delete {file}?"), &json!({"confirm": {"type": "boolean"}}), "confirm");
    let question = typed(question).map_err(TaskExit::Error)?;
    let answer = task.request_input("confirm", question).await?;
    let agreed = answer["content"]["confirm"].as_bool().unwrap_or(false);
    text(format!("{file}: {}", if agreed { "deleted" } else { "kept" })).map_err(TaskExit::Error)
}

async fn two_inputs(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let question = |which: &str| {
        typed(string_question(&format!("The {which} value?"), "value")).map_err(TaskExit::Error)
    };
    let first = task.request_input("first", question("first")?);
    let second = task.request_input("second", question("second")?);
    let (first, second) = tokio::try_join!(first, second)?;
    let said = [&first, &second].map(|answer| shown(&answer["content"]["value"]));
    text(said.join(" and ")).map_err(TaskExit::Error)
}
