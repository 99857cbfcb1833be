//! `subscriptions/listen` under a policy: what the caller may not use is taken out of what it asks for.
//!
//! The subscription is written anew from what is understood, so that nothing unknown is asked for along
//! with it. Servers acknowledge what they honour, so a client sees what it did not get.
//!
//! SPEC: 2026-07-28 basic/patterns/subscriptions.

use super::Rulebook;
use super::judge::{Asked, Bench, Owners, place};
use crate::call::{Ask, Call, Post};
use crate::gate::Gate;
use crate::snapshot::{Route, Snapshot};
use crate::subject::{self, Target};
use tollgate_core::principal::Principal;
use tollgate_mcp::json::{Body, Message, Span, Text, elements, find_path, replace};
use tollgate_mcp::methods::Method;

/// The lists a subscription may ask to hear of, as [`crate::permit::differing`] orders them.
pub(super) const LISTS: [&str; 3] =
    ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];

/// Takes what is not allowed out of a subscription.
pub(super) fn narrow(
    gate: &Gate,
    (snapshot, book): (&Snapshot, &Rulebook),
    call: &mut Call,
    principal: &Principal,
) {
    let Ask::Post(post) = &call.ask else { return };
    let Some(message) = post.one().filter(|_| post.method == Method::Listen) else { return };
    let Some(wanted) = message.fields.notifications else { return };
    let bench = Bench::new(snapshot, book, call.party(principal), place(&call.route));
    let narrowed = narrowed((gate, &bench), &call.route, (post, message, wanted));
    let (body, message) = replace(&post.body, message, wanted, narrowed.as_bytes());
    if let Ask::Post(post) = &mut call.ask {
        post.body = body;
        post.messages = Body::One(Box::new(message));
    }
}

/// Which lists a subscription asks to hear of.
pub(super) fn lists(post: &Post, message: &Message) -> [bool; 3] {
    let Some(wanted) = message.fields.notifications else { return [false; 3] };
    LISTS.map(|key| {
        find_path(&post.body, wanted, &[key]).is_some_and(|span| span.of(&post.body) == b"true")
    })
}

fn narrowed(
    (gate, bench): (&Gate, &Bench<'_>),
    route: &Route,
    (post, message, wanted): (&Post, &Message, Span),
) -> String {
    let mut members: Vec<String> = LISTS
        .into_iter()
        .zip(lists(post, message))
        .filter(|(_, is_wanted)| *is_wanted)
        .map(|(key, _)| format!(r#""{key}":true"#))
        .collect();
    let kept = |key: &str, find: &dyn Fn(Text) -> Target| {
        let listed = find_path(&post.body, wanted, &[key])?;
        let allowed = elements(&post.body, listed).into_iter().filter_map(|span| {
            let is_text = span.of(&post.body).first() == Some(&b'"');
            let target = is_text.then(|| find(Text { span, escaped: true }))?;
            let asked = Asked { method: "subscriptions/listen", arguments: None };
            bench.target((&gate.tasks, Owners::Legs(route)), (&target, asked)).ok()?;
            Some(String::from_utf8_lossy(span.of(&post.body)).into_owned())
        });
        Some(format!(r#""{key}":[{}]"#, allowed.collect::<Vec<_>>().join(",")))
    };
    let uris = kept("resourceSubscriptions", &|text| subject::located(route, &post.body, text));
    let tasks = kept("taskIds", &|text| subject::task(route, &post.body, text));
    members.extend(uris);
    members.extend(tasks);
    format!("{{{}}}", members.join(","))
}
