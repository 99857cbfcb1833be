//! What is held against the policy after a call was allowed: its reply, and what its stream still says.
//!
//! A reply belongs to the policy in force when it is ready, not to the one the call began under. Lists lose
//! what their reader may not use; word of resources is kept from those who may not read them; a call that
//! is allowed no longer is refused its result; and whoever listens hears that its lists are others now.
//!
//! LIMIT: what a legacy stream is resumed for is not known, so of its answers only lists are looked into.
//! A call that began while there was no policy at all is not judged by the first one.

use super::judge::{Asked, Bench, Owners};
use super::{Rulebook, Sight, differing, subscription};
use crate::absence;
use crate::call::Post;
use crate::forward::Forward;
use crate::hub::News;
use crate::knowledge::Knowledge;
use crate::snapshot::Snapshot;
use crate::subject::{Absent, Target};
use crate::tasks::Tasks;
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::Stream;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_identity::DoorId;
use tollgate_mcp::era::Era;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::json::{Span, Text, find_path};
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::Glance;
use tollgate_mcp::sieve;

/// Word of changed configurations, for as long as a stream is open.
pub type Reloads = Pin<Box<dyn Stream<Item = ()> + Send>>;

const TOLD: [&str; 3] = [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
];

/// What one reply, or one stream, is held against.
#[derive(Debug)]
pub struct Watch {
    latest: Arc<ArcSwap<Snapshot>>,
    news: News,
    tasks: Tasks,
    // Not the route, which would keep all its upstreams at work.
    path: RoutePath,
    door: DoorId,
    upstream: UpstreamName,
    knowledge: Arc<Knowledge>,
    principal: Principal,
    caller: CallerKey,
    address: IpAddr,
    /// The policy it was judged by last.
    book: Option<Arc<Rulebook>>,
    body: Bytes,
    judged: Vec<Judged>,
    /// Who is told of changed lists, and with which `params`.
    told: Option<([bool; 3], String)>,
    /// Which edition of the pinned tools it was told of.
    edition: u64,
    /// What is said of a resource the upstream does not have.
    absent: Option<(Era, Bytes)>,
    is_stream_of_session: bool,
}

/// One message that was allowed.
#[derive(Debug)]
struct Judged {
    target: Target,
    method: Option<Text>,
    arguments: Option<Span>,
}

impl Watch {
    /// The watch over the reply to a POST; `None` where no policy is enforced and nothing pinned.
    pub(crate) fn of_post(forward: &Forward<'_>, post: &Post) -> Option<Box<Self>> {
        let is_lasting = post.method == Method::Listen;
        let is_pinned = post.method.is_list() && forward.leg.knowledge.pins().is_on();
        if !is_lasting && !is_pinned && forward.snapshot.permit.enforced().is_none() {
            return None;
        }
        let judged = post.all().iter().zip(post.subjects.all()).map(|(message, target)| Judged {
            target: target.clone(),
            method: message.method,
            arguments: message.fields.arguments,
        });
        let mut watch = Self::over(forward);
        watch.judged = judged.filter(|judged| judged.target != Target::Nothing).collect();
        watch.body = post.body.clone();
        let message = post.one();
        watch.absent = message.filter(|_| is_of_resource(post.method)).map(|message| {
            (post.era, Bytes::from(absence::message(post, message, Absent::Resource)))
        });
        let is_straight = forward.call.route.straight().is_some();
        watch.told = message.filter(|_| is_lasting && is_straight).map(|message| {
            let id =
                message.id.map_or("null".into(), |id| String::from_utf8_lossy(id.of(&post.body)));
            let params = format!(
                r#","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#
            );
            (subscription::lists(post, message), params)
        });
        Some(Box::new(watch))
    }

    /// The watch over the stream of a legacy session.
    pub(crate) fn of_session(forward: &Forward<'_>) -> Box<Self> {
        let mut watch = Self::over(forward);
        watch.is_stream_of_session = true;
        watch.told = forward.call.route.straight().map(|_| ([true; 3], String::new()));
        Box::new(watch)
    }

    fn over(forward: &Forward<'_>) -> Self {
        let call = forward.call;
        Self {
            latest: forward.gate.latest(),
            news: forward.gate.news.clone(),
            tasks: forward.gate.tasks.clone(),
            path: call.route.path.clone(),
            door: call.route.door,
            upstream: forward.leg.upstream.name().clone(),
            knowledge: forward.leg.knowledge.clone(),
            principal: forward.principal.clone(),
            caller: call.caller,
            address: call.address,
            book: forward.snapshot.permit.book().cloned(),
            body: Bytes::new(),
            judged: Vec::new(),
            told: None,
            edition: forward.leg.knowledge.pins().editions(),
            absent: None,
            is_stream_of_session: false,
        }
    }

    const fn party(&self) -> Party<'_> {
        Party { principal: &self.principal, caller: self.caller, address: self.address }
    }

    /// Whether the call is still allowed by the policy in force.
    ///
    /// # Errors
    /// `PolicyDenied` if it is not.
    pub fn recheck(&mut self) -> Result<(), Refusal> {
        let snapshot = self.latest.load();
        let now = snapshot.permit.book();
        if self.judged.is_empty() || is_same(now, self.book.as_ref()) {
            return Ok(());
        }
        let Some(book) = now.filter(|book| book.is_enforced()) else { return Ok(()) };
        let bench = Bench::new(&snapshot, book, self.party(), (&self.path, self.door));
        for judged in &self.judged {
            let method = judged.method.map(|name| name.decode(&self.body)).unwrap_or_default();
            let arguments = judged.arguments.map(|span| span.of(&self.body));
            let asked = Asked { method: &method, arguments };
            if bench
                .target((&self.tasks, Owners::One(&self.upstream)), (&judged.target, asked))
                .is_err()
            {
                let text = "the policy changed while this was under way, and no longer allows it: \
                            its result is withheld, though it may have been carried out";
                return Err(Refusal::new(Reason::PolicyDenied, text));
            }
        }
        let book = now.cloned();
        drop(snapshot);
        self.book = book;
        Ok(())
    }

    /// An answer as this caller may have it.
    ///
    /// # Errors
    /// `UpstreamInvalid` for a list that cannot be looked into.
    pub fn answer(
        &mut self,
        message: Bytes,
        glance: &Glance,
        method: Method,
    ) -> Result<Bytes, Refusal> {
        let Some(result) = glance.result else {
            let words = glance.error_code.and_then(|code| self.absence(code));
            return Ok(words.unwrap_or(message));
        };
        if method == Method::ToolsCall {
            self.note_task(&message, result.span);
        }
        let kinds = match ListKind::of(method) {
            Some(kind) => vec![kind],
            None if self.is_stream_of_session => sieve::kinds(&message, result.span),
            None => return Ok(message),
        };
        kinds.into_iter().try_fold(message, |message, kind| self.sieve(message, result.span, kind))
    }

    /// What is said instead of an upstream's own words for a resource it does not have.
    #[must_use]
    pub fn absence(&self, code: i64) -> Option<Bytes> {
        let (era, words) = self.absent.as_ref()?;
        let is_absent = code == -32002 || (*era == Era::Modern && code == -32602);
        is_absent.then(|| words.clone())
    }

    fn sieve(&self, message: Bytes, result: Span, kind: ListKind) -> Result<Bytes, Refusal> {
        let snapshot = self.latest.load();
        let book = snapshot.permit.book().map(|book| &**book);
        let sight = Sight::new(book, self.party(), &self.path);
        let pins = self.knowledge.pins();
        let is_pinned = kind == ListKind::Tools && pins.is_on();
        let (mut seen, mut is_otherwise) = (Vec::new(), false);
        let shows = |name: &str, item: &[u8]| {
            if is_pinned && !pins.passes(name, item) {
                is_otherwise = true;
                return false;
            }
            seen.push(name.to_owned());
            let kind = super::kind_of(kind);
            sight.shows(&Item { kind, upstream: &self.upstream, name })
        };
        let sieved = sieve::sieve(&message, result, kind, shows).map_err(|fault| {
            let text =
                format!("the server's list cannot be looked into, so it is withheld: {fault}");
            Refusal::new(Reason::UpstreamInvalid, text)
        })?;
        self.knowledge.roster().note_seen(kind, seen);
        if is_otherwise {
            // It has to be read again before anybody may call anything of it.
            self.knowledge.catalogs().note_stale(kind);
            pins.note_stale();
        }
        Ok(sieved)
    }

    /// SPEC: 2025-11-25 basic/utilities/tasks: `task.taskId`; the tasks extension of 2026-07-28:
    /// `taskId` of a result whose `resultType` is `task`.
    fn note_task(&self, message: &[u8], result: Span) {
        if memchr::memmem::find(message, b"taskId").is_none() {
            return;
        }
        let Some(Target::Item(subject)) = self.judged.first().map(|judged| &judged.target) else {
            return;
        };
        for path in [&["task", "taskId"][..], &["taskId"][..]] {
            let found = find_path(message, result, path);
            if let Some(span) = found.filter(|span| span.of(message).first() == Some(&b'"')) {
                let id = Text { span, escaped: true }.decode(message).into_owned();
                self.tasks.note(&self.upstream, &id, (self.party(), subject));
            }
        }
    }

    /// Whether this caller may hear that a resource changed.
    #[must_use]
    pub fn may_hear_of(&self, uri: &str) -> bool {
        let snapshot = self.latest.load();
        let Some(book) = snapshot.permit.enforced() else { return true };
        let bench = Bench::new(&snapshot, book, self.party(), (&self.path, self.door));
        let item = Item { kind: ItemKind::Resource, upstream: &self.upstream, name: uri };
        let asked = Asked { method: "resources/subscribe", arguments: None };
        bench.item(&item, asked).is_ok()
    }

    /// Whether what answers several at once can be passed: nothing in it is looked into.
    #[must_use]
    pub fn may_pass_whole(&self, method: Method) -> bool {
        !self.is_stream_of_session && !method.is_list()
    }

    /// Word of new configurations.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        let heard = self.news.hear();
        Box::pin(futures_util::stream::unfold(heard, |mut heard| async {
            heard.changed().await.ok()?;
            Some(((), heard))
        }))
    }

    /// What the configuration in force has the stream say: which lists are others now.
    ///
    /// # Errors
    /// As [`Self::recheck`].
    pub fn renewed(&mut self) -> Result<Vec<Bytes>, Refusal> {
        let snapshot = self.latest.load_full();
        let now = snapshot.permit.book();
        let has_other_tools = self.has_other_tools();
        if is_same(now, self.book.as_ref()) {
            let told = self.told.as_ref().filter(|(wants, _)| wants[0] && has_other_tools);
            return Ok(told.map(|(_, params)| changed(TOLD[0], params)).into_iter().collect());
        }
        let before = self.book.clone();
        self.recheck()?;
        self.book = now.cloned();
        let Some((wants, params)) = &self.told else { return Ok(Vec::new()) };
        let sight = |book| Sight::new(book, self.party(), &self.path);
        let (before, after) = (before.as_deref(), now.map(|book| &**book));
        let there = (&self.upstream, &*self.knowledge);
        let mut differing = differing((&sight(before), &sight(after)), there, |_, _| true);
        differing[0] |= has_other_tools;
        let others = TOLD.into_iter().zip(differing).zip(wants);
        let others = others.filter(|((_, differs), wanted)| *differs && **wanted);
        Ok(others.map(|((method, _), _)| changed(method, params)).collect())
    }

    /// Whether pins have the upstream offer other tools than when this was last asked.
    fn has_other_tools(&mut self) -> bool {
        let now = self.knowledge.pins().editions();
        let before = std::mem::replace(&mut self.edition, now);
        // Nobody has seen a list before the gate had read one.
        before != now && before > 0
    }
}

fn changed(method: &str, params: &str) -> Bytes {
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","method":"{method}"{params}}}"#))
}

const fn is_of_resource(method: Method) -> bool {
    matches!(method, Method::ResourcesRead | Method::Subscribe | Method::Unsubscribe)
}

fn is_same(one: Option<&Arc<Rulebook>>, other: Option<&Arc<Rulebook>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
