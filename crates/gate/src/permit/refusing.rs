//! What a denied call is answered.
//!
//! Most are answered as by a server that does not have what they name; where the caller may know why,
//! a refusal says what would help. A notification is accepted and goes nowhere, whatever is wrong with it.
//! Of a batch on a hub the other messages go on; a straight route's goes whole or not at all.

use crate::absence;
use crate::body::GateBody;
use crate::call::{Ask, Call, Post};
use crate::identify;
use crate::reply;
use crate::snapshot::Snapshot;
use crate::subject::{Absent, Subjects};
use bytes::Bytes;
use http::{Response, StatusCode};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_identity::DoorId;
use tollgate_mcp::json::{Body, Kind, Message};
use tollgate_policy::{Policy, RuleId};

/// A denial, and which rule it is by.
#[derive(Debug)]
pub(super) struct Denied {
    how: How,
    rule: Option<RuleId>,
}

#[derive(Debug)]
enum How {
    Absent(Absent),
    Unclear(&'static str),
    Refused(Box<Refusal>),
}

impl Denied {
    pub(super) const fn absent(what: Absent, rule: Option<RuleId>) -> Self {
        Self { how: How::Absent(what), rule }
    }

    pub(super) const fn unclear(why: &'static str) -> Self {
        Self { how: How::Unclear(why), rule: None }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { how: How::Refused(Box::new(refusal)), rule: None }
    }

    pub(super) const fn rule(&self) -> Option<RuleId> {
        self.rule
    }

    /// The answer to a request.
    fn response(self, post: &Post, message: &Message) -> Result<Response<GateBody>, Refusal> {
        match self.how {
            How::Absent(absent) => Ok(absence::answer(post, message, absent)),
            How::Unclear(why) => Ok(absence::error(post, message, (-32602, why), None)),
            How::Refused(refusal) => Err(*refusal),
        }
    }

    /// The same as a message of a batch.
    fn message(&self, post: &Post, message: &Message) -> Vec<u8> {
        match &self.how {
            How::Absent(absent) => absence::message(post, message, *absent),
            How::Unclear(why) => absence::error_message(post, message, (-32602, why), None),
            How::Refused(refusal) => {
                reply::error_message(refusal, message.id.map(|id| id.of(&post.body)))
            }
        }
    }
}

/// A credential with these scopes would be allowed.
pub(super) fn for_scopes((snapshot, door): (&Snapshot, DoorId), scopes: &[Box<str>]) -> Denied {
    Denied::refused(identify::insufficient(&snapshot.identify, door, scopes))
}

/// Other arguments might be allowed.
pub(super) fn for_arguments((policy, rule): (&Policy, RuleId), message: Option<&str>) -> Denied {
    let name = policy.rule(rule);
    let text = match message {
        Some(message) => format!("policy `{name}` does not allow these arguments: {message}"),
        None => format!("policy `{name}` does not allow these arguments: others may be allowed"),
    };
    let how = How::Refused(Box::new(Refusal::new(Reason::PolicyDenied, text)));
    Denied { how, rule: Some(rule) }
}

/// Answers a call of which these messages are denied; `None` if the others go on without them.
pub(super) fn answer(
    call: &mut Call,
    denied: Vec<(usize, Denied)>,
) -> Result<Option<Response<GateBody>>, Refusal> {
    let is_straight = call.route.straight().is_some();
    let Ask::Post(post) = &mut call.ask else { return Ok(None) };
    match &post.messages {
        Body::One(message) => match denied.into_iter().next() {
            Some((_, no)) if message.kind == Kind::Request => no.response(post, message).map(Some),
            _ => Ok(Some(reply::empty(StatusCode::ACCEPTED))),
        },
        Body::Batch(_) if is_straight => Ok(Some(whole_batch(post, &denied))),
        Body::Batch(_) => {
            without(post, &denied);
            Ok(None)
        }
    }
}

/// The answer to a batch of which nothing is carried.
fn whole_batch(post: &Post, denied: &[(usize, Denied)]) -> Response<GateBody> {
    let other = "another message of this batch is not allowed, so none was carried: send this one by \
                 itself";
    let other = Denied::refused(Refusal::new(Reason::PolicyDenied, other));
    let requests = post.all().iter().enumerate().filter(|(_, it)| it.kind == Kind::Request);
    let answers = requests.map(|(number, message)| {
        let found = denied.iter().find(|(at, _)| *at == number);
        found.map_or(&other, |(_, no)| no).message(post, message)
    });
    let answers: Vec<Vec<u8>> = answers.collect();
    if answers.is_empty() {
        return reply::empty(StatusCode::ACCEPTED);
    }
    let whole = [b"[", &*answers.join(&b','), b"]"].concat();
    reply::json(StatusCode::OK, Bytes::from(whole))
}

/// Takes denied messages out of a batch, leaving their answers in their place.
fn without(post: &mut Post, denied: &[(usize, Denied)]) {
    let is_denied = |number: &usize| denied.iter().any(|(at, _)| at == number);
    let answered = denied.iter().filter_map(|(number, no)| {
        let message = post.all().get(*number).filter(|message| message.kind == Kind::Request)?;
        Some(Bytes::from(no.message(post, message)))
    });
    let answered: Vec<Bytes> = answered.collect();
    let kept = |number: &usize| !is_denied(number);
    let numbers = 0..post.all().len();
    let numbers: Vec<usize> = numbers.filter(kept).collect();
    let messages = numbers.iter().filter_map(|at| post.all().get(*at).copied()).collect();
    let targets = numbers.iter().filter_map(|at| post.subjects.all().get(*at).cloned()).collect();
    post.messages = Body::Batch(messages);
    post.subjects = Subjects::Many(targets);
    // Policy and pins each take out what they deny.
    post.answered.extend(answered);
}
