//! What an upstream has, for who must know before a call is made: on routes with a policy the gate itself
//! says what is not there, also on those that lead straight to one upstream.
//!
//! The caller's own list is read once and waited for; afterwards a name that is missing has it read again
//! beside the call, once in a while. Where no list can be read, nothing is let through.

use super::audience::Audience;
use super::catalog::Need;
use crate::call::{Ask, Call, Post};
use crate::gate::Gate;
use crate::route::bounds;
use crate::snapshot::{Leg, Snapshot};
use crate::subject::{Absent, Name, Subject, Target};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::LIST_WAIT_SECS;
use tollgate_core::party::ItemKind;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::Era;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::hub::naming;
use tollgate_mcp::json::Message;

/// Who asks for what an upstream has.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) call: &'a Call,
    pub(crate) principal: &'a Principal,
}

/// Sees to it that what the upstream has is known as well as it can be.
///
/// # Errors
/// [`Reason::UpstreamDown`] if no list can be had.
pub(crate) async fn ensure(
    asking: Asking<'_>,
    (post, message): (&Post, &Message),
    (leg, kind): (usize, ListKind),
) -> Result<(), Refusal> {
    let leg = &asking.call.route.legs[leg];
    let now = asking.gate.clock.now();
    let audience = asking.audience(post, message);
    let catalog = leg.knowledge.catalogs().of(&audience.at(leg), now);
    let there = (&leg.upstream, &leg.knowledge);
    if catalog.stock().lacks(kind) {
        let wait = Duration::from_secs(LIST_WAIT_SECS) + leg.upstream.start_time();
        let stock = catalog.want(asking.gate, there, Need::List(kind), wait).await;
        // What others, or lists that passed by, have told is as good.
        if stock.lacks(kind) && leg.knowledge.roster().names(kind).is_none() {
            return Err(unreadable(leg));
        }
    } else if leg.knowledge.roster().may_reread(kind, now) {
        catalog.read_again(asking.gate, there, kind);
    }
    Ok(())
}

/// Sees to it that the tools of an upstream that pins them are known as they are now: reads them again where
/// that is due, and beside the call where a name is missing.
///
/// # Errors
/// [`Reason::UpstreamDown`] if no list can be had.
pub(crate) async fn renew(
    asking: Asking<'_>,
    (post, message): (&Post, &Message),
    leg: usize,
    name: Option<&str>,
) -> Result<(), Refusal> {
    let leg = &asking.call.route.legs[leg];
    let (gate, kind) = (asking.gate, ListKind::Tools);
    let audience = asking.audience(post, message);
    let catalog = leg.knowledge.catalogs().of(&audience.at(leg), gate.clock.now());
    let there = (&leg.upstream, &leg.knowledge);
    let wait = Duration::from_secs(LIST_WAIT_SECS) + leg.upstream.start_time();
    let stock = catalog.want(gate, there, Need::List(kind), wait).await;
    gate.pins.settle_names(gate);
    let book = leg.knowledge.pins();
    if stock.lacks(kind) && !book.is_settled() {
        return Err(unreadable(leg));
    }
    if name.is_some_and(|name| !book.allows(name))
        && leg.knowledge.roster().may_reread(kind, gate.clock.now())
    {
        catalog.read_again(gate, there, kind);
    }
    Ok(())
}

fn unreadable(leg: &Leg) -> Refusal {
    tracing::debug!(upstream = %leg.upstream.name(), "a call was refused: no list can be read");
    let text = "the gate cannot read what this server offers just now, and lets through only what a \
                list has; the call was not made: retry in a few seconds";
    Refusal::new(Reason::UpstreamDown, text).retry_after(5)
}

/// Finds out what shortened names stand for.
pub(crate) async fn settle(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    (call, principal): (&mut Call, &Principal),
) {
    let mut found = Vec::new();
    if let Ask::Post(post) = &call.ask {
        let asking = Asking { gate, snapshot, call, principal };
        for (number, (target, message)) in post.subjects.all().iter().zip(post.all()).enumerate() {
            if let Target::Shortened { leg, kind, prefixed } = target {
                let original = asking.original((post, message), (*leg, *kind), prefixed).await;
                found.push((number, original));
            }
        }
    }
    let Ask::Post(post) = &mut call.ask else { return };
    for (number, target) in found {
        if let Some(slot) = post.subjects.all_mut().get_mut(number) {
            *slot = target;
        }
    }
}

impl Asking<'_> {
    /// What a shortened name stands for; itself where there is no list to tell.
    async fn original(
        &self,
        (post, message): (&Post, &Message),
        (number, kind): (usize, ListKind),
        prefixed: &Name,
    ) -> Target {
        let leg = &self.call.route.legs[number];
        let audience = self.audience(post, message);
        let catalog = leg.knowledge.catalogs().of(&audience.at(leg), self.gate.clock.now());
        let wait = Duration::from_secs(LIST_WAIT_SECS) + leg.upstream.start_time();
        let there = (&leg.upstream, &leg.knowledge);
        let stock = catalog.want(self.gate, there, Need::List(kind), wait).await;
        if stock.lacks(kind) {
            let prefixed = prefixed.clone();
            return Target::Shortened { leg: number, kind, prefixed };
        }
        let listed = stock.list(kind).and_then(|list| list.odd(prefixed.as_str()));
        // A name may merely look as if it were a shortened one.
        let plain = naming::split(prefixed.as_str()).map(|(_, rest)| rest);
        let (item, absent) = match kind {
            ListKind::Prompts => (ItemKind::Prompt, Absent::Prompt),
            _ => (ItemKind::Tool, Absent::Tool),
        };
        match listed.map(|item| item.name.as_str()).or(plain) {
            Some(name) => Target::Item(Subject { leg: number, kind: item, name: Name::from(name) }),
            None => Target::Absent(absent),
        }
    }

    /// Whose lists the call is about.
    fn audience(&self, post: &Post, message: &Message) -> Audience {
        let audience = match post.era {
            Era::Modern => Audience::of_message(&post.body, message),
            Era::Legacy => self.audience_of_session(),
        };
        let whom = (self.call.caller, self.principal);
        audience.with_caller(&self.call.route.legs, whom)
    }

    fn audience_of_session(&self) -> Audience {
        let told = |id: &http::HeaderValue| {
            let keeper = self.call.route.keeper();
            let bounds = bounds(self.snapshot, self.call, (self.principal, keeper));
            let held = self.gate.sessions.find(bounds, id.as_bytes()).ok()?;
            let memory = held.session.memory.clone()?;
            Some(Audience::of_session(&memory.initialize))
        };
        let told = self.call.session_id.as_ref().and_then(told);
        told.unwrap_or_else(|| Audience::of_session(&[]))
    }
}
