//! A call on its way to the one upstream it belongs to: whose it is, and what changes in it.
//!
//! One value of the judged body is replaced, the name by what the upstream itself calls it, and
//! nothing else. A name that no upstream of the hub can have is answered as by a server that does not
//! know it, and reaches nobody.

use super::catalog::Need;
use super::plan::Owned;
use super::{Front, answers};
use crate::absence;
use crate::body::GateBody;
use crate::call::Post;
use crate::listing;
use crate::probe;
use crate::reply;
use crate::session::Held;
use crate::subject::{Absent, Target};
use http::{Response, StatusCode};
use std::borrow::Cow;
use std::time::Duration;
use tollgate_core::bounds::LIST_WAIT_SECS;
use tollgate_core::refusal::Refusal;
use tollgate_mcp::era::Era;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::json::{self, Body, Message, Span, find_path};
use tollgate_mcp::methods::Method;

type Served = Result<Response<GateBody>, Refusal>;

impl Front<'_> {
    /// A call of a tool or prompt.
    pub(super) async fn named(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
        kind: ListKind,
    ) -> Served {
        let Some(shown) = message.fields.name else {
            return Ok(answers::error(post, message, (-32602, "`params.name` is missing"), None));
        };
        let name = shown.decode(&post.body);
        let found = self.owner(kind, &name, (post, message, held)).await;
        let Some((leg, original)) = found else {
            return Ok(absence::answer(post, message, absent_of(kind)));
        };
        self.go((post, message), held, leg, (shown.span, &original)).await
    }

    /// Whose tool or prompt this is, and what it is called there.
    async fn owner<'n>(
        &'n self,
        kind: ListKind,
        shown: &'n str,
        about: (&'n Post, &Message, Option<&Held>),
    ) -> Option<(usize, Cow<'n, str>)> {
        // What was judged is what is forwarded, whatever lists say by now.
        match judged(about.0) {
            Judged::Item(leg, name) => return Some((leg, Cow::Borrowed(name))),
            Judged::Absent => return None,
            Judged::Not => {}
        }
        let owned = self.plan.named(kind, shown)?;
        match owned.name {
            Some(name) => Some((owned.leg, Cow::Borrowed(name))),
            None => {
                let original = Box::pin(self.original(&owned, kind, about)).await?;
                Some((owned.leg, Cow::Owned(original)))
            }
        }
    }

    /// The upstream's own name of what only its list can tell.
    async fn original(
        &self,
        owned: &Owned<'_>,
        kind: ListKind,
        (post, message, held): (&Post, &Message, Option<&Held>),
    ) -> Option<String> {
        let leg = self.call.route.legs.get(owned.leg)?;
        let audience = self.audience((post, message), held);
        let catalog = leg.knowledge.catalogs().of(&audience.at(leg), self.gate.clock.now());
        let wait = Duration::from_secs(LIST_WAIT_SECS) + leg.upstream.start_time();
        let there = (&leg.upstream, &leg.knowledge);
        let stock = catalog.want(self.gate, there, Need::List(kind), wait).await;
        let listed = stock.list(kind).and_then(|list| list.odd(owned.prefixed));
        // A name may merely look as if it were a shortened one.
        let plain = tollgate_mcp::hub::naming::split(owned.prefixed).map(|(_, rest)| rest);
        listed.map(|item| item.name.clone()).or_else(|| plain.map(str::to_owned))
    }

    /// A read of a resource, or a subscription to one.
    pub(super) async fn located(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
    ) -> Served {
        let Some(shown) = message.fields.uri else {
            return Ok(answers::error(post, message, (-32602, "`params.uri` is missing"), None));
        };
        let uri = shown.decode(&post.body);
        match self.whose(post, &uri) {
            Some((leg, original)) => {
                self.go((post, message), held, leg, (shown.span, &original)).await
            }
            None => Ok(absence::answer(post, message, Absent::Resource)),
        }
    }

    /// Whose resource, or template, a URI is.
    fn whose<'n>(&'n self, post: &'n Post, shown: &'n str) -> Option<(usize, Cow<'n, str>)> {
        match judged(post) {
            Judged::Item(leg, uri) => Some((leg, Cow::Borrowed(uri))),
            Judged::Absent => None,
            Judged::Not => self.plan.located(shown),
        }
    }

    /// A completion of an argument of a prompt, or of a resource template.
    pub(super) async fn complete(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
    ) -> Served {
        let within = |key| {
            let reference = message.fields.reference?;
            let span = find_path(&post.body, reference, &[key])?;
            let text: String = serde_json::from_slice(span.of(&post.body)).ok()?;
            Some((span, text))
        };
        if let Some((span, name)) = within("name") {
            let found = self.owner(ListKind::Prompts, &name, (post, message, held)).await;
            let Some((leg, original)) = found else {
                return Ok(absence::answer(post, message, Absent::Prompt));
            };
            return self.go((post, message), held, leg, (span, &original)).await;
        }
        let Some((span, uri)) = within("uri") else {
            let text = "`params.ref` names neither a prompt (`name`) nor a resource (`uri`)";
            return Ok(answers::error(post, message, (-32602, text), None));
        };
        match self.whose(post, &uri) {
            Some((leg, original)) => self.go((post, message), held, leg, (span, &original)).await,
            None => Ok(absence::answer(post, message, Absent::Resource)),
        }
    }

    /// A question about a task.
    pub(super) async fn task(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
    ) -> Served {
        let Some(shown) = message.fields.task_id else {
            return Ok(answers::error(post, message, (-32602, "`params.taskId` is missing"), None));
        };
        let id = shown.decode(&post.body);
        match self.plan.task(&id) {
            Some((leg, original)) => {
                self.go((post, message), held, leg, (shown.span, &original)).await
            }
            None => Ok(absence::answer(post, message, Absent::Task)),
        }
    }

    /// An answer of the agent's to a request of an upstream's.
    pub(super) async fn response(&self, held: &Held, post: &Post, message: &Message) -> Served {
        let asked = message.id.and_then(|id| Some((id, self.plan.asked(id.of(&post.body))?)));
        let Some((id, (leg, original))) = asked else { return accepted() };
        // Only a leg that is open can have asked.
        let Some(there) = self.open_leg(held, leg) else { return accepted() };
        let post = replaced(post, message, id, &original);
        self.forward(leg).post_in_session(&post, there).await
    }

    /// A notification of the agent's.
    pub(super) async fn notification(&self, held: &Held, post: &Post, message: &Message) -> Served {
        match post.method {
            Method::Initialized => crate::recovery::remember(self.gate, &held.session, post),
            Method::Cancelled => {
                let id = message.fields.request_id.map(|id| id.of(&post.body));
                let leg = id.and_then(|id| self.plan.desk.leg_of(held.session.key, id));
                let leg = leg.and_then(|upstream| self.plan.leg(upstream.as_str()));
                let there = leg.and_then(|leg| Some((leg, self.open_leg(held, leg)?)));
                if let Some((leg, there)) = there {
                    return self.forward(leg).post_in_session(post, there).await;
                }
            }
            _ => {
                let name = message.method.map(|name| name.decode(&post.body));
                if name.as_deref() == Some("notifications/roots/list_changed") {
                    self.tell_legs(held, post).await;
                }
            }
        }
        accepted()
    }

    /// Sends the same message to every open leg. Which of them takes it is between the two.
    pub(super) async fn tell_legs(&self, held: &Held, post: &Post) {
        let legs = (0..self.call.route.legs.len())
            .filter_map(|leg| self.open_leg(held, leg).map(|there| (leg, there)));
        let told = legs.map(|(leg, there)| async move {
            match self.forward(leg).post_in_session(post, there).await {
                Ok(response) => drop(response),
                Err(refusal) => tracing::debug!(text = %refusal.text, "a leg was not told"),
            }
        });
        futures_util::future::join_all(told).await;
    }

    /// Sends a call to its leg, with a value of it replaced by a string.
    async fn go(
        &self,
        (post, message): (&Post, &Message),
        held: Option<&Held>,
        leg: usize,
        (span, text): (Span, &str),
    ) -> Served {
        let id = message.id.map(|id| post.slice(id)).unwrap_or_default();
        let text = serde_json::to_string(text).unwrap_or_default();
        let post = replaced(post, message, span, text.as_bytes());
        let Some(held) = held else { return self.go_modern(&post, leg).await };
        let there = match post.era {
            Era::Legacy => self.leg(held, leg).await?,
            Era::Modern => None,
        };
        let upstream = self.call.route.legs[leg].upstream.name().clone();
        let in_flight = self.plan.desk.begin(held.session.key, id, upstream);
        let forward = self.forward(leg);
        let mut response = match there {
            Some(there) => forward.post_in_session(&post, there).await?,
            None => forward.post_anywhere(&post).await?,
        };
        if let GateBody::Stream(stream) = response.body_mut() {
            stream.hold(in_flight);
        }
        Ok(response)
    }

    async fn go_modern(&self, post: &Post, leg: usize) -> Served {
        let there = &self.call.route.legs[leg];
        probe::must_speak_modern(self.gate, there, self.whom()).await?;
        listing::check_params(self.gate, there, (post, self.whom())).await?;
        if let Some(message) = post.one() {
            there.knowledge.check_params(&post.body, message, &post.params)?;
        }
        self.forward(leg).post_anywhere(post).await
    }
}

/// A post with one value of its message replaced by other JSON.
pub(super) fn replaced(post: &Post, message: &Message, value: Span, text: &[u8]) -> Post {
    let (body, message) = json::replace(&post.body, message, value, text);
    Post {
        body,
        messages: Body::One(Box::new(message)),
        era: post.era,
        method: post.method,
        version: post.version,
        params: post.params.clone(),
        subjects: post.subjects.clone(),
        tabs: post.tabs.clone(),
        answered: Vec::new(),
    }
}

fn accepted() -> Served {
    Ok(reply::empty(StatusCode::ACCEPTED))
}

const fn absent_of(kind: ListKind) -> Absent {
    match kind {
        ListKind::Prompts => Absent::Prompt,
        ListKind::Tools | ListKind::Resources | ListKind::Templates => Absent::Tool,
    }
}

/// What was found out about the one message of a post before it came here.
enum Judged<'a> {
    /// Nothing: nobody asked.
    Not,
    /// What it acts on: the leg, and the name there.
    Item(usize, &'a str),
    /// That no upstream has what it names.
    Absent,
}

fn judged(post: &Post) -> Judged<'_> {
    match post.subjects.all() {
        [Target::Item(subject)] => Judged::Item(subject.leg, subject.name.as_str()),
        [Target::Absent(_)] => Judged::Absent,
        _ => Judged::Not,
    }
}
