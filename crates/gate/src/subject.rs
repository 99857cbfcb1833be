//! What a call acts on: the tool, prompt, resource or task that each of its messages names.
//!
//! Rules speak of an upstream and the upstream's own name, whatever a route shows, so this is where
//! shown names become those; it decides nothing. What it finds is what is judged, counted and
//! forwarded: nothing looks a name up a second time. Only asked for where a policy, limits or a
//! ledger want to know. Next: `permit.rs`.

use crate::call::Post;
use crate::hub;
use crate::snapshot::{Plan, Route};
use bytes::Bytes;
use std::fmt;
use tollgate_core::party::{Item, ItemKind};
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::json::{Kind, Message, Span, Text, find_path};
use tollgate_mcp::methods::Method;

/// A name, sharing the memory of the body it was found in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Bytes);

impl Name {
    /// The value of a judged string.
    #[must_use]
    pub fn of(body: &Bytes, text: Text) -> Self {
        Self::within(body, &text.decode(body))
    }

    /// This name; shared if it lies within the body.
    fn within(body: &Bytes, name: &str) -> Self {
        let start = (name.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
        let shared = body.get(start..start.wrapping_add(name.len()));
        if shared.is_some_and(|there| there.as_ptr() == name.as_ptr()) {
            return Self(body.slice(start..start + name.len()));
        }
        Self::from(name)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // INVARIANT: made of a `str` only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(Bytes::copy_from_slice(name.as_bytes()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// A tool, prompt or resource of one upstream of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The number of the upstream on the route.
    pub leg: usize,
    /// What it is.
    pub kind: ItemKind,
    /// The upstream's own name of it, or its URI.
    pub name: Name,
}

impl Subject {
    /// The same, as rules see it.
    ///
    /// INVARIANT: `route` is the one it was found on.
    #[must_use]
    pub fn item<'a>(&'a self, route: &'a Route) -> Item<'a> {
        let upstream = route.legs[self.leg].upstream.name();
        Item { kind: self.kind, upstream, name: self.name.as_str() }
    }
}

/// What one message acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing that rules are about: greetings, lists, answers.
    Nothing,
    /// A tool, prompt or resource.
    Item(Subject),
    /// What only the list of this upstream can tell: a name that was cut to size on a hub.
    Shortened {
        /// The number of the upstream on the route.
        leg: usize,
        /// A tool or a prompt.
        kind: ListKind,
        /// The name as the hub made it.
        prefixed: Name,
    },
    /// A task.
    Task {
        /// The number of the upstream on the route.
        leg: usize,
        /// The upstream's own id of it.
        id: Name,
    },
    /// A subscription, to whatever its `notifications` name.
    Listen,
    /// A method that MCP does not define.
    Method(Name),
    /// Something that no upstream of the route can have.
    Absent(Absent),
    /// Nobody can say what: the sentence says why.
    Unclear(&'static str),
}

impl Target {
    /// The tool, prompt or resource.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Item(subject) => Some(subject),
            _ => None,
        }
    }
}

/// What is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// A tool of this name.
    Tool,
    /// A prompt of this name.
    Prompt,
    /// A resource at this URI.
    Resource,
    /// A task of this id.
    Task,
    /// A method of this name.
    Method,
}

impl From<ItemKind> for Absent {
    fn from(kind: ItemKind) -> Self {
        match kind {
            ItemKind::Tool => Self::Tool,
            ItemKind::Prompt => Self::Prompt,
            ItemKind::Resource => Self::Resource,
        }
    }
}

/// What each message of a body acts on, in order.
#[derive(Clone, Debug, Default)]
pub enum Subjects {
    /// Nobody asked.
    #[default]
    Off,
    /// Of a single message.
    One(Target),
    /// Of a batch.
    Many(Box<[Target]>),
}

impl Subjects {
    /// What the messages of a body act on, as far as that can be told at once.
    #[must_use]
    pub fn of(route: &Route, post: &Post) -> Self {
        match post.one() {
            Some(message) => Self::One(of_message(route, &post.body, (message, post.method))),
            None => Self::Many(
                post.all().iter().map(|message| in_batch(route, post, message)).collect(),
            ),
        }
    }

    /// All of them.
    #[must_use]
    pub const fn all(&self) -> &[Target] {
        match self {
            Self::Off => &[],
            Self::One(target) => std::slice::from_ref(target),
            Self::Many(targets) => targets,
        }
    }

    /// All of them, to be settled.
    pub const fn all_mut(&mut self) -> &mut [Target] {
        match self {
            Self::Off => &mut [],
            Self::One(target) => std::slice::from_mut(target),
            Self::Many(targets) => targets,
        }
    }

    /// That of the one message of a batch with this number, as a body of its own.
    #[must_use]
    pub fn alone(&self, number: usize) -> Self {
        self.all().get(number).map_or(Self::Off, |target| Self::One(target.clone()))
    }
}

fn in_batch(route: &Route, post: &Post, message: &Message) -> Target {
    let method = message.method.map_or(Method::Other, |name| Method::of(&name.decode(&post.body)));
    of_message(route, &post.body, (message, method))
}

/// What one judged message acts on. Notifications that look like calls are taken for those.
fn of_message(route: &Route, body: &Bytes, (message, method): (&Message, Method)) -> Target {
    if message.kind == Kind::Response {
        return Target::Nothing;
    }
    let fields = &message.fields;
    match method {
        Method::ToolsCall => named(route, body, (ListKind::Tools, fields.name)),
        Method::PromptsGet => named(route, body, (ListKind::Prompts, fields.name)),
        Method::ResourcesRead | Method::Subscribe | Method::Unsubscribe => match fields.uri {
            Some(uri) => located(route, body, uri),
            None => Target::Unclear("`params.uri` is missing"),
        },
        Method::Complete => completed(route, body, fields.reference),
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel | Method::TasksResult => {
            match fields.task_id {
                Some(id) => task(route, body, id),
                None => Target::Unclear("`params.taskId` is missing"),
            }
        }
        Method::Listen => Target::Listen,
        Method::Initialize
        | Method::Initialized
        | Method::Ping
        | Method::Cancelled
        | Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::SetLevel => Target::Nothing,
        Method::Other => match message.method {
            Some(name) if is_housekeeping(body, message, name) => Target::Nothing,
            Some(name) => Target::Method(Name::of(body, name)),
            None => Target::Nothing,
        },
    }
}

/// Notifications of agents that MCP defines, besides those that are methods of their own.
fn is_housekeeping(body: &[u8], message: &Message, name: Text) -> bool {
    let known = [
        "notifications/progress",
        "notifications/roots/list_changed",
        "notifications/tasks/status",
    ];
    message.kind == Kind::Notification && known.into_iter().any(|known| name.is(body, known))
}

fn named(route: &Route, body: &Bytes, (kind, shown): (ListKind, Option<Text>)) -> Target {
    let Some(shown) = shown else { return Target::Unclear("`params.name` is missing") };
    let (is, absent) = match kind {
        ListKind::Prompts => (ItemKind::Prompt, Absent::Prompt),
        _ => (ItemKind::Tool, Absent::Tool),
    };
    let plan = match &route.plan {
        Plan::Straight(_) => {
            return Target::Item(Subject { leg: 0, kind: is, name: Name::of(body, shown) });
        }
        Plan::Hub(plan) => plan,
    };
    let shown = shown.decode(body);
    match plan.named(kind, &shown) {
        None => Target::Absent(absent),
        Some(hub::Owned { leg, name: Some(name), .. }) => {
            Target::Item(Subject { leg, kind: is, name: Name::within(body, name) })
        }
        Some(hub::Owned { leg, name: None, prefixed }) => {
            Target::Shortened { leg, kind, prefixed: Name::within(body, prefixed) }
        }
    }
}

/// The resource, or resource template, at a shown URI.
pub(crate) fn located(route: &Route, body: &Bytes, shown: Text) -> Target {
    let kind = ItemKind::Resource;
    match &route.plan {
        Plan::Straight(_) => Target::Item(Subject { leg: 0, kind, name: Name::of(body, shown) }),
        Plan::Hub(plan) => match plan.located(&shown.decode(body)) {
            Some((leg, uri)) => Target::Item(Subject { leg, kind, name: Name::within(body, &uri) }),
            None => Target::Absent(Absent::Resource),
        },
    }
}

/// The task of a shown id.
pub(crate) fn task(route: &Route, body: &Bytes, shown: Text) -> Target {
    match &route.plan {
        Plan::Straight(_) => Target::Task { leg: 0, id: Name::of(body, shown) },
        Plan::Hub(plan) => match plan.task(&shown.decode(body)) {
            Some((leg, id)) => Target::Task { leg, id: Name::within(body, &id) },
            None => Target::Absent(Absent::Task),
        },
    }
}

/// What `completion/complete` completes an argument of. What two readers could take for different
/// things is nothing.
///
/// SPEC: 2025-11-25 and 2026-07-28 schema, `PromptReference`, `ResourceTemplateReference`.
fn completed(route: &Route, body: &Bytes, reference: Option<Span>) -> Target {
    let unclear = Target::Unclear(
        "`params.ref` must be `{\"type\": \"ref/prompt\", \"name\": …}` or `{\"type\": \
         \"ref/resource\", \"uri\": …}` and nothing else",
    );
    let Some(reference) = reference else { return unclear };
    let text = |key: &str| {
        let span = find_path(body, reference, &[key])?;
        (span.of(body).first() == Some(&b'"')).then_some(Text { span, escaped: true })
    };
    let members = tollgate_mcp::json::keys(body, reference);
    let is_known = |key: &str| matches!(key, "type" | "name" | "uri" | "title");
    if !members.iter().all(|key| is_known(&key.decode(body))) {
        return unclear;
    }
    let has = |key: &str| members.iter().any(|member| member.is(body, key));
    match text("type") {
        Some(kind) if kind.is(body, "ref/prompt") && !has("uri") => match text("name") {
            Some(name) => named(route, body, (ListKind::Prompts, Some(name))),
            None => unclear,
        },
        Some(kind) if kind.is(body, "ref/resource") && !has("name") => match text("uri") {
            Some(uri) => located(route, body, uri),
            None => unclear,
        },
        _ => unclear,
    }
}

#[cfg(test)]
#[path = "subject/tests.rs"]
mod tests;
