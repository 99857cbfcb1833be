//! Where the protocol lets an upstream name resources, tasks and requests, in every revision.
//!
//! One walk over a message: what can hold a name is descended into, the rest is skipped. Whether a
//! member is a name can depend on one behind it (`type`, `resultType`), so such finds wait until
//! their object ends. A value of another JSON type than the protocol's is skipped.
//!
//! Next: `blocks.rs` for the content of tool results, prompts and samples.

use super::super::array::each_element;
use super::blocks::{content, prompt_messages};
use crate::json::{Span, Text, skip_string, skip_value};
use crate::methods::Method;
use crate::reply::GlanceFault;
use crate::reply::members::Members;

/// Something to change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    pub(super) span: Span,
    pub(super) name: Name,
}

/// What stands at an edit's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A string, the URI of a resource.
    Uri,
    /// A string, the id of a task.
    Task,
    /// A string, the logger of a log message.
    Logger,
    /// A logger that is no string.
    LoggerOther,
    /// Nothing: the place for a logger before other members, or as the only one.
    LoggerMissing {
        /// Whether other members follow.
        has_others: bool,
    },
    /// An id token of one of the upstream's requests.
    Request,
}

/// The offset behind what was walked over.
pub(super) type Walked = Result<usize, GlanceFault>;

/// What is found while walking.
pub(super) type Edits = Vec<Edit>;

/// What a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Of a tool.
    Call,
    /// A prompt.
    Prompt,
    /// The contents of resources.
    Read,
    /// The state of a task, with its outcome where it has one.
    Task,
}

/// What to change in the result of a method.
pub(super) fn result(body: &[u8], result: Span, method: Method) -> Result<Edits, GlanceFault> {
    let outcome = match method {
        Method::ToolsCall | Method::TasksResult => Outcome::Call,
        Method::PromptsGet => Outcome::Prompt,
        Method::ResourcesRead => Outcome::Read,
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => Outcome::Task,
        Method::Initialize
        | Method::Initialized
        | Method::Ping
        | Method::Cancelled
        | Method::Discover
        | Method::Listen
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::SetLevel
        | Method::Complete
        | Method::Other => return Ok(Vec::new()),
    };
    let mut edits = Vec::new();
    walk_outcome(body, result.start as usize, outcome, &mut edits)?;
    Ok(edits)
}

/// What to change in an `error` object.
pub(super) fn error(body: &[u8], error: Span) -> Result<Edits, GlanceFault> {
    let mut edits = Vec::new();
    walk_error(body, error.start as usize, &mut edits)?;
    Ok(edits)
}

/// What to change in the `params` of a notification.
pub(super) fn notification(body: &[u8], params: Span, method: &str) -> Result<Edits, GlanceFault> {
    let mut edits = Vec::new();
    let start = params.start as usize;
    match method {
        // Carries the whole state of a task.
        "notifications/tasks" | "notifications/tasks/status" => {
            walk_outcome(body, start, Outcome::Task, &mut edits)?;
        }
        "notifications/message" => walk_log(body, start, &mut edits)?,
        _ => {
            each_member(body, start, |key, at| match method {
                "notifications/resources/updated" if key.is(body, "uri") => {
                    string(body, at, Name::Uri, &mut edits)
                }
                "notifications/subscriptions/acknowledged" if key.is(body, "notifications") => {
                    acknowledged(body, at, &mut edits)
                }
                // An upstream takes back a request of its own.
                "notifications/cancelled" if key.is(body, "requestId") => {
                    let end = skip_value(body, at)?;
                    let is_id = matches!(body.get(at), Some(b'"' | b'-' | b'0'..=b'9'));
                    if is_id {
                        edits.push(Edit { span: Span::new(at, end), name: Name::Request });
                    }
                    Ok(end)
                }
                _ if key.is(body, "_meta") => meta(body, at, &mut edits),
                _ => Ok(skip_value(body, at)?),
            })?;
        }
    }
    Ok(edits)
}

/// What to change in the `params` of a request, apart from its id.
pub(super) fn request(body: &[u8], params: Span, is_sampling: bool) -> Result<Edits, GlanceFault> {
    let mut edits = Vec::new();
    walk_request(body, params.start as usize, is_sampling, &mut edits)?;
    Ok(edits)
}

fn walk_outcome(body: &[u8], at: usize, outcome: Outcome, edits: &mut Edits) -> Walked {
    let mut ids = Vec::new();
    let mut is_task = outcome == Outcome::Task;
    let end = each_member(body, at, |key, at| {
        if key.is(body, "_meta") {
            return meta(body, at, edits);
        }
        if key.is(body, "inputRequests") {
            return input_requests(body, at, edits);
        }
        match outcome {
            Outcome::Call if key.is(body, "content") => content(body, at, edits),
            Outcome::Call if key.is(body, "resultType") => {
                let (end, text) = text(body, at)?;
                is_task |= text.is_some_and(|text| text.is(body, "task"));
                Ok(end)
            }
            // SPEC: 2025-11-25 basic/utilities/tasks: the answer to a call that becomes a task.
            Outcome::Call if key.is(body, "task") => each_member(body, at, |key, at| {
                if key.is(body, "taskId") {
                    string(body, at, Name::Task, edits)
                } else {
                    skip(body, at)
                }
            }),
            Outcome::Call | Outcome::Task if key.is(body, "taskId") => {
                string(body, at, Name::Task, &mut ids)
            }
            Outcome::Task if key.is(body, "result") => walk_outcome(body, at, Outcome::Call, edits),
            Outcome::Task if key.is(body, "error") => walk_error(body, at, edits),
            Outcome::Prompt if key.is(body, "messages") => prompt_messages(body, at, edits),
            Outcome::Read if key.is(body, "contents") => {
                array(body, at, |at| with_uri(body, at, edits))
            }
            Outcome::Call | Outcome::Task | Outcome::Prompt | Outcome::Read => skip(body, at),
        }
    })?;
    if is_task {
        edits.append(&mut ids);
    }
    Ok(end)
}

fn walk_error(body: &[u8], at: usize, edits: &mut Edits) -> Walked {
    each_member(body, at, |key, at| {
        if key.is(body, "data") { with_uri(body, at, edits) } else { skip(body, at) }
    })
}

fn walk_request(body: &[u8], at: usize, is_sampling: bool, edits: &mut Edits) -> Walked {
    each_member(body, at, |key, at| {
        if is_sampling && key.is(body, "messages") {
            prompt_messages(body, at, edits)
        } else if key.is(body, "_meta") {
            meta(body, at, edits)
        } else {
            skip(body, at)
        }
    })
}

fn walk_log(body: &[u8], at: usize, edits: &mut Edits) -> Result<(), GlanceFault> {
    let (mut has_logger, mut has_others) = (false, false);
    each_member(body, at, |key, at| {
        has_others = true;
        if key.is(body, "_meta") {
            return meta(body, at, edits);
        }
        if !key.is(body, "logger") {
            return skip(body, at);
        }
        has_logger = true;
        let (end, text) = text(body, at)?;
        let name = if text.is_some() { Name::Logger } else { Name::LoggerOther };
        edits.push(Edit { span: Span::new(at, end), name });
        Ok(end)
    })?;
    if !has_logger {
        let name = Name::LoggerMissing { has_others };
        edits.push(Edit { span: Span::at(at + 1), name });
    }
    Ok(())
}

/// The requests of a multi-round-trip result, by their keys.
fn input_requests(body: &[u8], at: usize, edits: &mut Edits) -> Walked {
    each_member(body, at, |_, at| {
        let (mut found, mut is_sampling) = (Vec::new(), false);
        let end = each_member(body, at, |key, at| {
            if key.is(body, "method") {
                let (end, text) = text(body, at)?;
                is_sampling |= text.is_some_and(|text| text.is(body, "sampling/createMessage"));
                Ok(end)
            } else if key.is(body, "params") {
                walk_request(body, at, true, &mut found)
            } else {
                skip(body, at)
            }
        })?;
        if is_sampling {
            edits.append(&mut found);
        }
        Ok(end)
    })
}

fn acknowledged(body: &[u8], at: usize, edits: &mut Edits) -> Walked {
    each_member(body, at, |key, at| {
        let name = if key.is(body, "resourceSubscriptions") {
            Name::Uri
        } else if key.is(body, "taskIds") {
            Name::Task
        } else {
            return skip(body, at);
        };
        array(body, at, |at| string(body, at, name, edits))
    })
}

fn meta(body: &[u8], at: usize, edits: &mut Edits) -> Walked {
    each_member(body, at, |key, at| {
        if key.is(body, "io.modelcontextprotocol/related-task") {
            each_member(body, at, |key, at| {
                if key.is(body, "taskId") {
                    string(body, at, Name::Task, edits)
                } else {
                    skip(body, at)
                }
            })
        } else if key.is(body, "ui") {
            each_member(body, at, |key, at| {
                if key.is(body, "resourceUri") {
                    string(body, at, Name::Uri, edits)
                } else {
                    skip(body, at)
                }
            })
        } else if key.is(body, "ui/resourceUri") {
            string(body, at, Name::Uri, edits)
        } else {
            skip(body, at)
        }
    })
}

/// An object whose `uri` is that of a resource.
pub(super) fn with_uri(body: &[u8], at: usize, edits: &mut Edits) -> Walked {
    each_member(body, at, |key, at| {
        if key.is(body, "uri") { string(body, at, Name::Uri, edits) } else { skip(body, at) }
    })
}

/// Notes the string at `at` as a name; skips what is not a string.
pub(super) fn string(body: &[u8], at: usize, name: Name, edits: &mut Edits) -> Walked {
    let end = skip_value(body, at)?;
    if body.get(at) == Some(&b'"') {
        edits.push(Edit { span: Span::new(at, end), name });
    }
    Ok(end)
}

/// Walks over a value; it, if it is a string.
pub(super) fn text(body: &[u8], at: usize) -> Result<(usize, Option<Text>), GlanceFault> {
    if body.get(at) != Some(&b'"') {
        return Ok((skip_value(body, at)?, None));
    }
    let (end, escaped) = skip_string(body, at)?;
    Ok((end, Some(Text { span: Span::new(at, end), escaped })))
}

/// Walks over a value.
pub(super) fn skip(body: &[u8], at: usize) -> Walked {
    Ok(skip_value(body, at)?)
}

/// Calls `visit` with each key of the object at `at` and the offset of its value; it returns the
/// offset behind the value. Skips what is not an object.
pub(super) fn each_member(
    body: &[u8],
    at: usize,
    mut visit: impl FnMut(Text, usize) -> Walked,
) -> Walked {
    if body.get(at) != Some(&b'{') {
        return skip(body, at);
    }
    let mut members = Members::open(body, at)?;
    while let Some(key) = members.next_key()? {
        members.at = visit(key, members.at)?;
    }
    Ok(members.at)
}

/// Calls `visit` for each element of the array at `at`; skips what is not an array.
pub(super) fn array(body: &[u8], at: usize, visit: impl FnMut(usize) -> Walked) -> Walked {
    if body.get(at) != Some(&b'[') {
        return skip(body, at);
    }
    each_element(body, at, visit)
}
