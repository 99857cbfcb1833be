//! `tollgate tools`: lists and calls tools through a running gate, as an agent does.
//!
//! Results go to standard output, everything else to standard error. A tool that says it failed is a
//! failure of the command.
//!
//! Next: `tools/target.rs` (which server), `tools/arguments.rs` (what is typed), `tools/show.rs` (what
//! is shown).

mod arguments;

mod show;

mod target;

use crate::agent::{Agent, AgentError};
use crate::cli::{CallArgs, EXIT_FAILED, LogArgs, ToolsAction, ToolsArgs};
use crate::screen::{self, on_one_line};
use crate::{check, serve};
use arguments::ArgumentError;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use target::Target;
use tollgate_mcp::headers::annotations;
use tollgate_mcp::json::Span;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolsError {
    #[error("{at}: {why}{hint}", hint = hint(why))]
    Agent { at: String, why: AgentError },
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    #[error("there is no tool `{name}`{meant}; `tollgate tools list` shows all")]
    Unknown { name: String, meant: String },
}

/// What a person can do about a failure.
fn hint(error: &AgentError) -> &'static str {
    match error {
        AgentError::Send(_) => "; is the gate running? `tollgate doctor` looks",
        _ => "",
    }
}

/// Runs the command.
///
/// # Errors
/// The server cannot be asked, or refuses.
pub(crate) fn run(args: &ToolsArgs, log: &LogArgs) -> anyhow::Result<ExitCode> {
    let target = match target::find(&args.target) {
        Ok(target) => target,
        Err(target::TargetError::Configuration(report)) => return Ok(check::refuse(&report)?),
        Err(error) => return Err(error.into()),
    };
    serve::start_log(&serve::quiet(log))?;
    let patience = Duration::from_secs(args.target.timeout);
    serve::runtime()?.block_on(ask(args, target, patience))
}

async fn ask(args: &ToolsArgs, target: Target, patience: Duration) -> anyhow::Result<ExitCode> {
    let at = target.url.to_string();
    let failed = |why| ToolsError::Agent { at: at.clone(), why };
    let (mut agent, greeting) = Agent::connect(target.settings, patience).await.map_err(failed)?;
    tracing::debug!(server = %greeting.server, version = %greeting.version, "connected to {at}");
    let done = act(args, &mut agent).await;
    let mut diagnostics = std::io::stderr().lock();
    for question in &agent.declined {
        let question = on_one_line(question, 300);
        writeln!(diagnostics, "the server asked: {question} (declined: nobody can answer here)")?;
    }
    drop(diagnostics);
    agent.end().await;
    match done {
        Ok(Done { text, is_failure }) => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
            Ok(if is_failure { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
        }
        Err(ActError::Agent(why)) => Err(failed(why).into()),
        Err(ActError::Tools(error)) => Err(error.into()),
    }
}

/// What there is to print.
struct Done {
    text: String,
    is_failure: bool,
}

enum ActError {
    Agent(AgentError),
    Tools(ToolsError),
}

impl From<AgentError> for ActError {
    fn from(error: AgentError) -> Self {
        Self::Agent(error)
    }
}

async fn act(args: &ToolsArgs, agent: &mut Agent) -> Result<Done, ActError> {
    let (method, key) = match &args.action {
        ToolsAction::List => ("tools/list", "tools"),
        ToolsAction::Prompts => ("prompts/list", "prompts"),
        ToolsAction::Resources => ("resources/list", "resources"),
        ToolsAction::Call(call) => return call_tool(call, args.json, agent).await,
    };
    let items = agent.list(method, key).await?;
    let text = if args.json {
        format!("{}\n", screen::json(&Value::Array(items)))
    } else {
        show::list(&items, key)
    };
    Ok(Done { text, is_failure: false })
}

async fn call_tool(call: &CallArgs, as_json: bool, agent: &mut Agent) -> Result<Done, ActError> {
    let tools = agent.list("tools/list", "tools").await?;
    let Some(tool) = tools.iter().find(|tool| tool["name"] == call.name) else {
        return Err(ActError::Tools(unknown(&call.name, &tools)));
    };
    let arguments = arguments::read(call, &tool["inputSchema"])
        .map_err(|error| ActError::Tools(error.into()))?;
    let mirrors = mirrors(tool, &arguments);
    let params = json!({ "name": call.name, "arguments": arguments });
    let result = agent.ask("tools/call", params, &mirrors).await?;
    let is_failure = result["isError"] == true;
    let text = if as_json { format!("{}\n", screen::json(&result)) } else { show::result(&result) };
    Ok(Done { text, is_failure })
}

fn unknown(name: &str, tools: &[Value]) -> ToolsError {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let near = |known: &&str| distance(known) <= 2 || known.ends_with(&format!("__{name}"));
    let names = tools.iter().filter_map(|tool| tool["name"].as_str());
    let meant = names.filter(near).min_by_key(distance);
    let meant = meant.map(|meant| format!("; did you mean `{}`?", on_one_line(meant, 100)));
    ToolsError::Unknown { name: name.to_owned(), meant: meant.unwrap_or_default() }
}

/// The headers that repeat arguments, as the tool's schema asks for.
///
/// SPEC: 2026-07-28 basic/transports/streamable-http, `x-mcp-header`.
fn mirrors(tool: &Value, arguments: &Value) -> Vec<(http::HeaderName, http::HeaderValue)> {
    let list = json!({ "tools": [tool] }).to_string();
    let annotated = annotations(list.as_bytes(), Span::new(0, list.len())).unwrap_or_default();
    let mut headers = Vec::new();
    for annotation in annotated.into_iter().filter_map(|tool| tool.outcome.ok()).flatten() {
        let value = annotation.path.iter().try_fold(arguments, |value, key| value.get(key));
        let text = match value {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => continue,
        };
        headers.push((annotation.header, tollgate_mcp::headers::encode_value(&text)));
    }
    headers
}
