//! The decision about each message of a call, with all it may have to wait for.
//!
//! Whether something is there and whether the caller may use it are asked in this order for all alike, so
//! that neither the answer nor the way to it tells the two apart. Nothing has gone upstream yet.

use super::refusing::{self, Denied};
use super::tally::Shadowed;
use super::{Rulebook, is_batch, is_known, subscription};
use crate::body::GateBody;
use crate::call::{Ask, Call, Post};
use crate::gate::Gate;
use crate::hub::{self, Asking};
use crate::ledger::Ledger;
use crate::snapshot::{Route, Snapshot};
use crate::subject::{Absent, Target};
use crate::tasks::Tasks;
use http::Response;
use std::borrow::Cow;
use std::sync::Arc;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_identity::DoorId;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::json::{Kind, Message};
use tollgate_mcp::methods::Method;
use tollgate_mcp::uri;
use tollgate_oauth::scope;
use tollgate_policy::{Decision, Denial, Question, RuleId, Standing};

/// Where one caller's calls of one route are judged.
pub(super) struct Bench<'a> {
    snapshot: &'a Snapshot,
    pub(super) book: &'a Rulebook,
    pub(super) party: Party<'a>,
    path: &'a RoutePath,
    door: DoorId,
    standing: Standing,
}

/// Whose the subjects of a call are.
#[derive(Clone, Copy)]
pub(super) enum Owners<'a> {
    /// Each of one upstream of the route.
    Legs(&'a Route),
    /// All of this one.
    One(&'a UpstreamName),
}

impl<'a> Owners<'a> {
    fn of(self, leg: usize) -> &'a UpstreamName {
        match self {
            Self::Legs(route) => route.legs[leg].upstream.name(),
            Self::One(upstream) => upstream,
        }
    }
}

/// What is asked of an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) arguments: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// What a judged message asks.
    pub(super) fn of(post: &'a Post, message: &Message) -> Self {
        let method = message.method.map_or("", |name| match name.decode(&post.body) {
            Cow::Borrowed(name) => name,
            // Whoever spells it with escapes means a method of MCP, or none that a rule names.
            Cow::Owned(name) => known(&name),
        });
        let arguments = message.fields.arguments.map(|span| span.of(&post.body));
        Self { method, arguments }
    }
}

fn known(name: &str) -> &'static str {
    match Method::of(name) {
        Method::ToolsCall => "tools/call",
        Method::PromptsGet => "prompts/get",
        Method::ResourcesRead => "resources/read",
        Method::Subscribe => "resources/subscribe",
        Method::Unsubscribe => "resources/unsubscribe",
        Method::Complete => "completion/complete",
        _ => "",
    }
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        book: &'a Rulebook,
        party: Party<'a>,
        (path, door): (&'a RoutePath, DoorId),
    ) -> Self {
        let standing = book.policy.standing(&party, path);
        Self { snapshot, book, party, path, door, standing }
    }

    /// Whether an item may be used.
    pub(super) fn item(&self, item: &Item<'_>, asked: Asked<'_>) -> Result<RuleId, Denied> {
        let absent = Absent::from(item.kind);
        // What a rule says of one spelling must hold for what is read.
        if item.kind == ItemKind::Resource && !uri::is_unambiguous(item.name) {
            return Err(Denied::absent(absent, None));
        }
        let (party, route) = (self.party, self.path);
        let Asked { method, arguments } = asked;
        let question = Question { party, route, method, item: *item, arguments };
        match self.book.policy.decide(&self.standing, &question) {
            Decision::Allow { rule } => Ok(rule),
            Decision::Deny(Denial::Hidden { rule: None }) => Err(match self.offered(&question) {
                Some(scope) => refusing::for_scopes((self.snapshot, self.door), &[scope]),
                None => Denied::absent(absent, None),
            }),
            Decision::Deny(Denial::Hidden { rule }) => Err(Denied::absent(absent, rule)),
            Decision::Deny(Denial::Scope { scopes }) => {
                Err(refusing::for_scopes((self.snapshot, self.door), &scopes))
            }
            Decision::Deny(Denial::Arguments { rule, message }) => {
                Err(refusing::for_arguments((&self.book.policy, rule), message.as_deref()))
            }
        }
    }

    /// The scope that names just this item, where it would help and everybody may know of it: the
    /// route's metadata offers it.
    fn offered(&self, question: &Question<'_>) -> Option<Box<str>> {
        let facts = self.snapshot.identify.verifier()?.door(self.door);
        let Item { kind, upstream, name } = question.item;
        let asked = format!("{}:{upstream}__{name}", kind.as_str());
        let helps = scope::covers(&facts.offered, &asked)
            && scope::parse(&asked).is_ok_and(|scopes| scopes.len() == 1)
            && self.book.policy.item_scope_helps(&self.standing, question);
        helps.then(|| asked.into())
    }

    /// Whether lists show an item to this caller.
    pub(super) fn shows(&self, item: &Item<'_>) -> bool {
        (item.kind != ItemKind::Resource || uri::is_unambiguous(item.name))
            && self.book.policy.shows(&self.standing, &self.party, self.path, item)
    }

    /// Whether a task is this caller's, and of a tool it may still use.
    fn task(&self, tasks: &Tasks, (upstream, id): (&UpstreamName, &str)) -> Result<(), Denied> {
        let subject = tasks.of(upstream, id, &self.party);
        let item =
            subject.as_ref().map(|of| Item { kind: of.kind, upstream, name: of.name.as_str() });
        match item {
            Some(item) if self.shows(&item) => Ok(()),
            _ => Err(Denied::absent(Absent::Task, None)),
        }
    }

    /// Whether what a message acts on may be used. Says nothing about whether it is there.
    pub(super) fn target(
        &self,
        (tasks, owners): (&Tasks, Owners<'_>),
        (target, asked): (&Target, Asked<'_>),
    ) -> Result<Option<RuleId>, Denied> {
        match target {
            Target::Nothing | Target::Listen => Ok(None),
            Target::Item(subject) => {
                let (kind, name) = (subject.kind, subject.name.as_str());
                let item = Item { kind, upstream: owners.of(subject.leg), name };
                self.item(&item, asked).map(Some)
            }
            Target::Task { leg, id } => {
                self.task(tasks, (owners.of(*leg), id.as_str())).map(|()| None)
            }
            Target::Method(name) => {
                let allows = self.book.policy.allows_method(&self.standing, name.as_str());
                if allows { Ok(None) } else { Err(Denied::absent(Absent::Method, None)) }
            }
            Target::Absent(absent) => Err(Denied::absent(*absent, None)),
            // Its upstream's list does not have it, or there was none.
            Target::Shortened { kind, .. } => Err(Denied::absent(absent_of(*kind), None)),
            Target::Unclear(why) => Err(Denied::unclear(why)),
        }
    }
}

const fn absent_of(kind: ListKind) -> Absent {
    match kind {
        ListKind::Prompts => Absent::Prompt,
        ListKind::Tools | ListKind::Resources | ListKind::Templates => Absent::Tool,
    }
}

/// Judges all messages of a call. `None` if it may go on, perhaps without some of them.
pub(super) async fn all(
    gate: &Arc<Gate>,
    (snapshot, book): (&Arc<Snapshot>, &Rulebook),
    (call, principal): (&mut Call, &Principal),
    ledger: &mut Ledger,
) -> Result<Option<Response<GateBody>>, Refusal> {
    let Ask::Post(post) = &call.ask else { return Ok(None) };
    let mut denied = Vec::new();
    for (number, message) in post.all().iter().enumerate() {
        let Some(target) = post.subjects.all().get(number) else { continue };
        if book.is_enforced() {
            let asking = Asking { gate, snapshot, call, principal };
            if let Some((leg, kind)) = listed(target) {
                hub::ensure(asking, (post, message), (leg, kind)).await?;
            }
        }
        let bench = Bench::new(snapshot, book, call.party(principal), place(&call.route));
        let verdict = verdict(gate, &bench, call, (post, message, target));
        match verdict {
            Ok(rule) => note_allowed(book, rule, ledger),
            Err(no) if book.is_enforced() => {
                book.tally.note_denied();
                ledger.note_denied(no.rule());
                denied.push((number, no));
            }
            Err(no) => {
                ledger.note_shadowed(no.rule());
                shadowed(gate, (&call.route, &bench), target, &no);
            }
        }
    }
    if !denied.is_empty() {
        return refusing::answer(call, denied);
    }
    if book.is_enforced() {
        subscription::narrow(gate, (snapshot, book), call, principal);
    }
    Ok(None)
}

/// Where the calls of a route are judged.
pub(super) fn place(route: &Route) -> (&RoutePath, DoorId) {
    (&route.path, route.door)
}

fn note_allowed(book: &Rulebook, rule: Option<RuleId>, ledger: &mut Ledger) {
    let Some(rule) = rule else { return };
    book.tally.note_allowed();
    ledger.note_allowed(rule);
}

/// The list that can tell whether a target is there.
fn listed(target: &Target) -> Option<(usize, ListKind)> {
    match target {
        Target::Item(subject) => match subject.kind {
            ItemKind::Tool => Some((subject.leg, ListKind::Tools)),
            ItemKind::Prompt => Some((subject.leg, ListKind::Prompts)),
            ItemKind::Resource => None,
        },
        Target::Shortened { leg, kind, .. } => Some((*leg, *kind)),
        _ => None,
    }
}

/// Whether a message may go on, were it alone.
fn verdict(
    gate: &Gate,
    bench: &Bench<'_>,
    call: &Call,
    (post, message, target): (&Post, &Message, &Target),
) -> Result<Option<RuleId>, Denied> {
    let owners = Owners::Legs(&call.route);
    let allowed = bench.target((&gate.tasks, owners), (target, Asked::of(post, message)));
    if !bench.book.is_enforced() {
        return allowed;
    }
    if let Target::Item(subject) = target
        && !is_known(call, subject.leg, (subject.kind, subject.name.as_str()))
    {
        return Err(Denied::absent(Absent::from(subject.kind), None));
    }
    if is_batch(post) && call.route.straight().is_some() && asks_for_list(post, message) {
        let text = "ask for lists in a message of their own: this route has a policy, and lists in \
                    batches are not looked into";
        return Err(Denied::refused(Refusal::new(Reason::InvalidRequest, text)));
    }
    allowed
}

pub(super) fn asks_for_list(post: &Post, message: &Message) -> bool {
    message.kind == Kind::Request
        && message.method.is_some_and(|name| Method::of(&name.decode(&post.body)).is_list())
}

fn shadowed(gate: &Gate, (route, bench): (&Route, &Bench<'_>), target: &Target, no: &Denied) {
    let what = match target {
        Target::Item(subject) => {
            let item = subject.item(route);
            format!("{}__{}", item.upstream, item.name)
        }
        Target::Task { id, .. } => format!("task {}", id.as_str()),
        Target::Method(name) => name.as_str().to_owned(),
        // Not policy's doing: the upstream says what it is.
        _ => return,
    };
    let agent = bench.party.agent();
    let shadowed = Shadowed { rule: no.rule(), what: &what, agent };
    bench.book.tally.note_shadowed(bench.book, shadowed, gate.clock.now());
}
