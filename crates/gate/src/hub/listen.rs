//! The streams agents open to hear what happens by itself: GET in a legacy session, and
//! `subscriptions/listen` in the modern era.

use super::errand::replaced;
use super::stage::Stage;
use super::stream::{AsyncOpening, Chorus};
use super::{Front, answers};
use crate::body::GateBody;
use crate::call::Post;
use crate::generation::Mark;
use crate::relay::StreamBody;
use crate::session::{Held, Sessions};
use crate::snapshot::Leg;
use bytes::Bytes;
use http::{HeaderValue, Response};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tollgate_core::bounds::{LEG_STREAM_TRIES_MAX, SUBSCRIBED_WAIT_SECS};
use tollgate_core::ids::UpstreamName;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::json::{Message, Span, elements, find_path};
use tollgate_mcp::reply::glance;
use tollgate_mcp::sse;

impl Front<'_> {
    /// The stream of a legacy session.
    pub(super) async fn listen_in(
        &self,
        held: Held,
        last_event_id: Option<&HeaderValue>,
    ) -> Result<Response<GateBody>, Refusal> {
        let max = self.snapshot.settings.limits.streams_per_caller_max;
        let slot = self.gate.streams.open(self.call.caller, max)?;
        let open = self.gate.sessions.lasting_stream(held.session.clone());
        let stage = self.stage(Some(held.clone()), self.audience_of(&held));
        let mut chorus = Chorus::new(stage, Some(open), slot);
        let resumed = last_event_id.and_then(|id| Mark::leg_of(id.as_bytes()));
        let resumed = resumed.and_then(|name| {
            let legs = &self.call.route.legs;
            legs.iter().position(|leg| leg.upstream.name().as_str().as_bytes() == name)
        });
        chorus.listening = Some(self.plan.desk.listen(held.session.key));
        for leg in 0..self.call.route.legs.len() {
            if self.open_leg(&held, leg).is_some() {
                let id = last_event_id.filter(|_| resumed == Some(leg));
                let upstream = self.call.route.legs[leg].upstream.name();
                chorus.join(upstream, id.map(|id| Bytes::copy_from_slice(id.as_bytes())));
            }
        }
        Ok(chorus.respond(Nothing))
    }

    /// SPEC: 2026-07-28 basic/patterns/subscriptions.
    pub(super) async fn listen(
        &self,
        (post, message): (&Post, &Message),
    ) -> Result<Response<GateBody>, Refusal> {
        let Some(id) = message.id.map(|id| id.of(&post.body)) else {
            return Err(Refusal::new(Reason::InvalidRequest, "`subscriptions/listen` has an id"));
        };
        let Some(wanted) = message.fields.notifications else {
            let text = "`params.notifications` is missing: say what to hear of";
            return Ok(answers::error(post, message, (-32602, text), None));
        };
        let max = self.snapshot.settings.limits.streams_per_caller_max;
        let slot = self.gate.streams.open(self.call.caller, max)?;
        let stage = self.stage(None, self.audience((post, message), None));
        let mut chorus = Chorus::new(stage, None, slot);
        let id = String::from_utf8_lossy(id).into_owned();
        let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
        chorus.params = Some(format!(r#","params":{{"_meta":{meta}}}"#));
        chorus.farewell = Some(Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{meta}}}}}"#
        )));
        let is_wanted = |key| {
            find_path(&post.body, wanted, &[key]).is_some_and(|span| span.of(&post.body) == b"true")
        };
        let keys = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
        chorus.wants = keys.map(is_wanted);
        chorus.stage.attend(chorus.wants);
        let mut waiting = Vec::new();
        let asked = self.shares(post, wanted).into_iter();
        let asked = asked.map(|(leg, share)| self.subscribe((post, message), leg, (wanted, share)));
        for (leg, stream) in futures_util::future::join_all(asked).await.into_iter().flatten() {
            waiting.push(leg.upstream.name().clone());
            chorus.read(leg, stream);
        }
        Ok(chorus.respond(Acknowledgement { meta, waiting }))
    }

    /// Subscribes at one upstream; `None` if it does not grant it in good time.
    async fn subscribe(
        &self,
        (post, message): (&Post, &Message),
        leg: usize,
        (wanted, share): (Span, String),
    ) -> Option<(Arc<Leg>, StreamBody)> {
        let share = replaced(post, message, wanted, share.as_bytes());
        let forward = self.forward(leg);
        let limit = Duration::from_secs(SUBSCRIBED_WAIT_SECS);
        let granted = tokio::time::timeout(limit, forward.post_anywhere(&share)).await;
        match granted.ok()?.ok()?.into_body() {
            GateBody::Stream(stream) => Some((self.call.route.legs[leg].clone(), *stream)),
            _ => None,
        }
    }

    /// What of a subscription each upstream has to know: its resources and tasks, in its own names.
    fn shares(&self, post: &Post, wanted: Span) -> BTreeMap<usize, String> {
        let mut shares: BTreeMap<usize, [Vec<String>; 2]> = BTreeMap::new();
        for (at, key) in ["resourceSubscriptions", "taskIds"].into_iter().enumerate() {
            let listed = find_path(&post.body, wanted, &[key]);
            for span in listed.map(|span| elements(&post.body, span)).unwrap_or_default() {
                let Ok(shown) = serde_json::from_slice::<String>(span.of(&post.body)) else {
                    continue;
                };
                let owned =
                    if at == 0 { self.plan.located(&shown) } else { self.plan.task(&shown) };
                let Some((leg, name)) = owned else { continue };
                let Ok(name) = serde_json::to_string(&name) else { continue };
                shares.entry(leg).or_default()[at].push(name);
            }
        }
        let text = |[uris, tasks]: [Vec<String>; 2]| {
            let (uris, tasks) = (uris.join(","), tasks.join(","));
            if tasks.is_empty() {
                // Servers without tasks need not know the member.
                return format!(r#"{{"resourceSubscriptions":[{uris}]}}"#);
            }
            format!(r#"{{"resourceSubscriptions":[{uris}],"taskIds":[{tasks}]}}"#)
        };
        shares.into_iter().map(|(leg, share)| (leg, text(share))).collect()
    }
}

impl Stage {
    /// The stream of a leg of this session; `None` if it has none to give.
    pub(super) async fn leg_stream(
        &self,
        leg: usize,
        resumed: Option<Bytes>,
    ) -> Option<StreamBody> {
        let front = self.front();
        let resumed = resumed.and_then(|id| HeaderValue::from_bytes(&id).ok());
        for attempt in 1..=LEG_STREAM_TRIES_MAX {
            let there = front.open_leg(self.held.as_ref()?, leg)?;
            let _opening = Sessions::opening(&there.session);
            let opened = front.forward(leg).open_stream(there, resumed.as_ref()).await;
            match opened.map(Response::into_body) {
                Ok(GateBody::Stream(stream)) => return Some(*stream),
                Ok(_) => return None,
                Err(refusal) if refusal.reason == Reason::MethodNotAllowed => return None,
                // Many servers allow one stream a session, and are slow to see that the last has gone.
                Err(refusal) => {
                    tracing::debug!(text = %refusal.text, attempt, "a leg gave no stream");
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                }
            }
        }
        None
    }
}

struct Nothing;

impl AsyncOpening for Nothing {
    async fn open(self, _: &mut Chorus, _: &mpsc::Sender<Bytes>) -> bool {
        true
    }
}

/// The first message of a modern subscription, which waits a moment for those of the upstreams.
struct Acknowledgement {
    meta: String,
    waiting: Vec<UpstreamName>,
}

impl AsyncOpening for Acknowledgement {
    async fn open(mut self, chorus: &mut Chorus, out: &mpsc::Sender<Bytes>) -> bool {
        let until = Instant::now() + Duration::from_secs(SUBSCRIBED_WAIT_SECS);
        let mut honoured: [Vec<String>; 2] = Default::default();
        let mut early = Vec::new();
        while !self.waiting.is_empty() {
            let Some((leg, event)) = chorus.next(until).await else { break };
            let Some(message) = event.data.clone().filter(|data| !data.is_empty()) else {
                continue;
            };
            if is_acknowledgement(&message) {
                self.waiting.retain(|waiting| waiting != leg.upstream.name());
                for (at, key) in ["resourceSubscriptions", "taskIds"].into_iter().enumerate() {
                    let whole = Span::new(0, message.len());
                    let listed = find_path(&message, whole, &["params", "notifications", key]);
                    let listed = listed.map(|span| elements(&message, span)).unwrap_or_default();
                    let text = |span: Span| String::from_utf8_lossy(span.of(&message)).into_owned();
                    honoured[at].extend(listed.into_iter().map(text));
                }
            } else {
                early.extend(chorus.hear(&leg, &event));
            }
        }
        let keys = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
        let lists = keys.into_iter().zip(chorus.wants).filter(|(_, wanted)| *wanted);
        let mut members: Vec<String> = lists.map(|(key, _)| format!(r#""{key}":true"#)).collect();
        for (key, names) in ["resourceSubscriptions", "taskIds"].into_iter().zip(&honoured) {
            if !names.is_empty() {
                members.push(format!(r#""{key}":[{}]"#, names.join(",")));
            }
        }
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{{}}},"_meta":{}}}}}"#,
            members.join(","),
            self.meta
        );
        let first = sse::encode(Some("message"), None, None, message.as_bytes());
        let mut pieces = std::iter::once(first).chain(early);
        loop {
            let Some(piece) = pieces.next() else { return true };
            if out.send(piece).await.is_err() {
                return false;
            }
        }
    }
}

fn is_acknowledgement(message: &[u8]) -> bool {
    let method = glance(message).ok().and_then(|found| found.method);
    method.is_some_and(|name| name.is(message, "notifications/subscriptions/acknowledged"))
}
