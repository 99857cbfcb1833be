//! Calls and lists of upstreams whose tools are pinned: what is not offered as it was approved is not
//! there, with or without a policy.
//!
//! Most calls are clear at one look: the list was read a moment ago and the tool is offered. Otherwise the
//! caller's own list is had first, read again where that is due. Lists on straight routes pass only after
//! the gate has read them itself, so that what was seen first is approved before anybody sees it.
//!
//! Next: `crate::pins` for what is offered.

use super::is_batch;
use super::judge::asks_for_list;
use super::refusing::{self, Denied};
use crate::body::GateBody;
use crate::call::{Ask, Call, Post};
use crate::gate::Gate;
use crate::hub::{self, Asking};
use crate::snapshot::Snapshot;
use crate::subject::{Absent, Subjects, Target};
use http::Response;
use std::sync::Arc;
use tollgate_core::clock::Millis;
use tollgate_core::party::ItemKind;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::json::{Kind, Message};
use tollgate_mcp::methods::Method;

/// Whether pins say nothing against a call at the first look.
pub(super) fn is_clear(call: &Call, now: Millis) -> bool {
    let legs = &call.route.legs;
    if !legs.iter().any(|leg| leg.knowledge.pins().is_on()) {
        return true;
    }
    let Ask::Post(post) = &call.ask else { return true };
    match &post.subjects {
        Subjects::One(Target::Item(subject)) if subject.kind == ItemKind::Tool => {
            let book = legs[subject.leg].knowledge.pins();
            !book.is_on() || (book.is_fresh(now) && book.allows(subject.name.as_str()))
        }
        Subjects::One(Target::Item(_)) => true,
        Subjects::One(Target::Nothing) => {
            post.method != Method::ToolsList || call.route.straight().is_none()
        }
        _ => false,
    }
}

/// Judges all messages of a call. `None` if it may go on, perhaps without some of them.
///
/// # Errors
/// `UpstreamDown` where nobody can say what the upstream has.
pub(super) async fn judge(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    (call, principal): (&mut Call, &Principal),
) -> Result<Option<Response<GateBody>>, Refusal> {
    let Ask::Post(post) = &call.ask else { return Ok(None) };
    let asking = Asking { gate, snapshot, call, principal };
    let mut denied = Vec::new();
    for (number, (message, target)) in post.all().iter().zip(post.subjects.all()).enumerate() {
        if let Some(no) = denial(asking, (post, message, target)).await? {
            denied.push((number, no));
        }
    }
    if denied.is_empty() { Ok(None) } else { refusing::answer(call, denied) }
}

/// Why a message may not go on.
async fn denial(
    asking: Asking<'_>,
    (post, message, target): (&Post, &Message, &Target),
) -> Result<Option<Denied>, Refusal> {
    let legs = &asking.call.route.legs;
    let absent = || Some(Denied::absent(Absent::Tool, None));
    let is_on = |leg: usize| legs[leg].knowledge.pins().is_on();
    match target {
        Target::Item(subject) if subject.kind == ItemKind::Tool && is_on(subject.leg) => {
            let book = legs[subject.leg].knowledge.pins();
            let name = subject.name.as_str();
            if !(book.is_fresh(asking.gate.clock.now()) && book.allows(name)) {
                hub::renew(asking, (post, message), subject.leg, Some(name)).await?;
            }
            Ok(if book.allows(name) { None } else { absent() })
        }
        Target::Shortened { leg, kind: ListKind::Tools, .. } if is_on(*leg) => Ok(absent()),
        Target::Unclear(why) if post.method == Method::ToolsCall => Ok(Some(Denied::unclear(why))),
        Target::Nothing if asking.call.route.straight().is_some() => {
            if !asks_for_list(post, message) {
                return Ok(None);
            }
            if is_batch(post) {
                let text = "ask for lists in a message of their own: the tools of this route are \
                            pinned, and lists in batches are not looked into";
                return Ok(Some(Denied::refused(Refusal::new(Reason::InvalidRequest, text))));
            }
            if post.method == Method::ToolsList && message.kind == Kind::Request {
                hub::renew(asking, (post, message), 0, None).await?;
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}
