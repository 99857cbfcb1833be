//! What an upstream may say in answer to one request, and what becomes of it.
//!
//! Each message of a reply is glanced at: answers must carry an id that was asked for, modern
//! streams carry no requests, logs come only where asked for, progress only for the request's own
//! token. What does not belong is dropped and counted, never delivered. What lacks members that its
//! revision demands gets them spliced in; everything else passes byte for byte.
//!
//! SPEC: 2026-07-28 basic/transports/streamable-http (no requests to clients), basic/patterns/
//! subscriptions, server/utilities/logging; 2025-11-25 basic/transports.
//!
//! `expect/whole.rs` has what is not one message of a stream: batches, JSON replies and error replies.

mod whole;

use crate::call::Post;
use crate::knowledge::Knowledge;
use crate::meter::{Parking, Tabs};
use crate::permit::Watch;
use bytes::Bytes;
use std::sync::Arc;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_mcp::era::{Era, modern};
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::hub::rewrite::Face;
use tollgate_mcp::json::{Kind, Span};
use tollgate_mcp::methods::Method;
use tollgate_mcp::reply::{self, Glance, GlanceKind};

/// What is still expected, and the rules for everything else.
#[derive(Debug)]
pub struct Expected {
    era: Era,
    method: Method,
    body: Bytes,
    first: Option<Span>,
    more: Vec<Span>,
    tokens: Vec<Span>,
    wants_log: bool,
    acknowledged: bool,
    is_stream_of_session: bool,
    may_answer: bool,
    is_first_page: bool,
    error: Option<i64>,
    knowledge: Arc<Knowledge>,
    face: Option<Arc<Face>>,
    tabs: Tabs,
    parking: Option<Parking>,
    settled_elsewhere: usize,
    watch: Option<Box<Watch>>,
}

/// What is known of the upstream, and how what it says looks to the agent (`None`: as it is).
pub type View = (Arc<Knowledge>, Option<Arc<Face>>);

/// What becomes of one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed on; more may follow.
    Pass(Bytes),
    /// It is passed on, and it was the last answer.
    Last(Bytes),
    /// It does not belong here.
    Drop,
}

impl Expected {
    /// What a POST may be answered.
    #[must_use]
    pub fn answers_to(post: &Post, (knowledge, face): View) -> Self {
        let mut ids = post.all().iter().filter(|message| message.kind == Kind::Request);
        let metas = || post.all().iter().filter_map(|message| message.fields.meta);
        Self {
            era: post.era,
            method: post.method,
            body: post.body.clone(),
            first: ids.next().and_then(|message| message.id),
            more: ids.filter_map(|message| message.id).collect(),
            tokens: metas().filter_map(|meta| meta.progress_token).collect(),
            wants_log: metas().any(|meta| meta.log_level.is_some()),
            acknowledged: post.method != Method::Listen,
            is_stream_of_session: false,
            may_answer: true,
            error: None,
            is_first_page: post.one().is_some_and(|message| message.fields.cursor.is_none()),
            knowledge,
            face,
            tabs: post.tabs.clone(),
            parking: None,
            settled_elsewhere: 0,
            watch: None,
        }
    }

    /// What the GET stream of a legacy session may carry. Answers only if it resumes another stream.
    #[must_use]
    pub fn session_stream(resumes: bool, (knowledge, face): View) -> Self {
        Self {
            era: Era::Legacy,
            method: Method::Other,
            body: Bytes::new(),
            first: None,
            more: Vec::new(),
            tokens: Vec::new(),
            wants_log: true,
            acknowledged: true,
            is_stream_of_session: true,
            may_answer: resumes,
            is_first_page: false,
            error: None,
            knowledge,
            face,
            tabs: Tabs::None,
            parking: None,
            settled_elsewhere: 0,
            watch: None,
        }
    }

    /// The same, held against the policy.
    #[must_use]
    pub fn watched(mut self, watch: Option<Box<Watch>>) -> Self {
        self.watch = watch;
        self
    }

    /// What holds it against the policy, if anything does.
    pub fn watch(&mut self) -> Option<&mut Watch> {
        self.watch.as_deref_mut()
    }

    /// The era of the exchange.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// Whether this is a stream that lives until somebody ends it, rather than a call.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.is_stream_of_session || self.method == Method::Listen
    }

    /// The JSON-RPC error code of the last answer, if it was an error.
    #[must_use]
    pub const fn error(&self) -> Option<i64> {
        self.error
    }

    /// Whether every request was answered.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.first.is_none() && !self.is_stream_of_session
    }

    /// The ids that are still unanswered, as raw JSON.
    pub fn unanswered(&self) -> impl Iterator<Item = &[u8]> {
        self.first.iter().chain(&self.more).map(|id| id.of(&self.body))
    }

    /// Closes what is still unanswered: whoever waits was told that no answer comes.
    pub fn give_up(&self) {
        for tab in self.unanswered().filter_map(|id| self.tabs.of(id)) {
            tab.failed();
        }
    }

    /// The answer with which a listening modern stream ends in good order.
    ///
    /// SPEC: 2026-07-28 basic/patterns/subscriptions: the server sends the result, then closes.
    #[must_use]
    pub fn farewell(&self) -> Option<Bytes> {
        let id = self.first.filter(|_| self.method == Method::Listen)?;
        let id = String::from_utf8_lossy(id.of(&self.body));
        Some(Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        )))
    }

    /// Judges one message of a stream.
    ///
    /// # Errors
    /// [`Reason::UpstreamInvalid`] if it is not a JSON-RPC message at all.
    pub fn judge(&mut self, message: Bytes) -> Result<Verdict, Refusal> {
        if let Some(watch) = &mut self.watch {
            watch.recheck()?;
        }
        if message.first() == Some(&b'[') {
            return self.judge_batch(message);
        }
        let glance = reply::glance(&message).map_err(|fault| invalid(&fault))?;
        let verdict = match glance.kind {
            GlanceKind::Response | GlanceKind::ErrorResponse => {
                self.judge_answer(message, &glance)?
            }
            GlanceKind::Request if self.era == Era::Modern => Verdict::Drop,
            GlanceKind::Request => Verdict::Pass(match &self.face {
                Some(face) => face.request(message, &glance),
                None => message,
            }),
            GlanceKind::Notification => self.judge_notification(message, &glance),
        };
        match &verdict {
            Verdict::Drop => self.knowledge.note_dropped(),
            // Of what is no answer. Answers are counted whole.
            Verdict::Pass(message) if glance.id.is_none() || glance.method.is_some() => {
                self.tabs.flow(message.len());
            }
            Verdict::Pass(_) | Verdict::Last(_) => {}
        }
        Ok(verdict)
    }

    fn may_answer_anything(&self) -> bool {
        self.is_stream_of_session && self.may_answer
    }

    fn judge_answer(&mut self, message: Bytes, glance: &Glance) -> Result<Verdict, Refusal> {
        let waiting = self.watch.is_some().then(|| (self.first, self.more.clone()));
        let Some(own) = self.settle(&message, glance) else {
            if !self.may_answer_anything() {
                return Ok(Verdict::Drop);
            }
            let message = self.resumed(message, glance);
            let Ok(glance) = &reply::glance(&message) else { return Ok(Verdict::Drop) };
            let seen = self.seen(message, glance);
            return Ok(seen.map_or(Verdict::Drop, |message| Verdict::Pass(self.faced(message))));
        };
        let tab = self.tabs.of(own.of(&self.body)).cloned();
        let cut = tab.as_ref().and_then(|tab| tab.fit(&message, glance));
        let cut = cut.and_then(|cut| reply::glance(&cut).ok().map(|glance| (cut, glance)));
        let (message, glance) = match &cut {
            Some((cut, glance)) => (cut.clone(), glance),
            None => (message, glance),
        };
        let message = match self.delivered(message, glance) {
            Ok(message) => message,
            Err(refusal) => {
                // It is still unanswered: the refusal is the answer.
                (self.first, self.more) = waiting.unwrap_or_default();
                return Err(refusal);
            }
        };
        if let Some(tab) = tab {
            tab.answered(&message, glance.kind == GlanceKind::ErrorResponse);
        }
        Ok(if self.is_done() { Verdict::Last(message) } else { Verdict::Pass(message) })
    }

    /// An answer as it reaches the agent.
    fn delivered(&mut self, message: Bytes, glance: &Glance) -> Result<Bytes, Refusal> {
        self.error = glance.error_code;
        let completed = self.complete(message.clone(), glance);
        let completed = self.seen(completed, glance)?;
        // Most answers lack nothing, and then the first glance still holds.
        let is_same = completed.as_ptr() == message.as_ptr() && completed.len() == message.len();
        Ok(match &self.face {
            Some(face) if is_same => face.answer(message, glance, self.method),
            Some(_) => self.faced(completed),
            None => completed,
        })
    }

    /// An answer as the policy lets its reader have it. Members may have been added at the start of its
    /// result since the glance, and nothing else.
    fn seen(&mut self, message: Bytes, glance: &Glance) -> Result<Bytes, Refusal> {
        match &mut self.watch {
            Some(watch) => watch.answer(message, glance, self.method),
            None => Ok(message),
        }
    }

    /// Strikes the answered id off, and says where it was asked; `None` if nobody did.
    fn settle(&mut self, message: &Bytes, glance: &Glance) -> Option<Span> {
        let answered = glance.id.map(|id| id.of(message))?;
        let is_it = |id: &Span| same_id(id.of(&self.body), answered);
        if self.first.as_ref().is_some_and(is_it) {
            return std::mem::replace(&mut self.first, self.more.pop());
        }
        let at = self.more.iter().position(is_it)?;
        Some(self.more.swap_remove(at))
    }

    fn judge_notification(&mut self, message: Bytes, glance: &Glance) -> Verdict {
        let method = glance.method.map(|name| name.decode(&message));
        let method = method.as_deref().unwrap_or("");
        if let Some(watch) = &self.watch
            && method == "notifications/resources/updated"
        {
            let uri = glance.params.as_ref().and_then(|params| params.uri);
            if !uri.is_some_and(|uri| watch.may_hear_of(&uri.decode(&message))) {
                return Verdict::Drop;
            }
        }
        if method == "notifications/tools/list_changed" && self.knowledge.pins().is_on() {
            self.knowledge.catalogs().note_changed(ListKind::Tools);
            self.knowledge.pins().note_stale();
        }
        if self.method == Method::Listen {
            let ours =
                glance.params.as_ref().and_then(|params| params.subscription_id).is_some_and(
                    |id| self.first.is_some_and(|own| same_id(own.of(&self.body), id.of(&message))),
                );
            let is_ack = method == "notifications/subscriptions/acknowledged";
            let belongs = ours
                && (is_ack || self.acknowledged)
                && !matches!(method, "notifications/message" | "notifications/progress");
            self.acknowledged |= ours && is_ack;
            return if belongs { self.pass_notification(message, glance) } else { Verdict::Drop };
        }
        let belongs = match method {
            "notifications/message" => self.era == Era::Legacy || self.wants_log,
            "notifications/progress" => self.owns_token(&message, glance),
            _ => true,
        };
        if belongs { self.pass_notification(message, glance) } else { Verdict::Drop }
    }

    fn pass_notification(&self, message: Bytes, glance: &Glance) -> Verdict {
        Verdict::Pass(match &self.face {
            Some(face) => face.notification(message, glance),
            None => message,
        })
    }

    /// An answer as agents of a hub see it.
    fn faced(&self, message: Bytes) -> Bytes {
        let Some(face) = &self.face else { return message };
        // Members may have been added since the first glance.
        match reply::glance(&message) {
            Ok(glance) => face.answer(message, &glance, self.method),
            Err(_) => message,
        }
    }

    /// Progress belongs to the request that gave its token. A legacy session's own stream may carry
    /// that of any of its requests, and so may the streams of its tasks.
    fn owns_token(&self, message: &Bytes, glance: &Glance) -> bool {
        if self.is_stream_of_session || self.method == Method::TasksResult {
            return true;
        }
        glance.params.as_ref().and_then(|params| params.progress_token).is_some_and(|token| {
            self.tokens.iter().any(|own| same_id(own.of(&self.body), token.of(message)))
        })
    }

    /// Adds what the revision demands of a result and its server forgot, and hides tools that a
    /// client of that revision must not see.
    fn complete(&self, message: Bytes, glance: &Glance) -> Bytes {
        let Some(result) = glance.result.as_ref().filter(|_| self.era == Era::Modern) else {
            return message;
        };
        let missing = modern::missing_members(self.method, result, &message);
        // Tools are behind the result's opening brace, so hiding some does not move it.
        let message = match self.method {
            Method::ToolsList => {
                self.knowledge.take_tools(message, result.span, self.is_first_page)
            }
            _ => message,
        };
        let Some(missing) = missing else { return message };
        let at = Span::at(result.span.start as usize + 1);
        tollgate_mcp::json::splice(&message, &[(at, missing.as_bytes())])
    }

    /// Whether an error is said in the words for a resource that is not there.
    #[must_use]
    pub fn means_absent(&self, code: i64) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.absence(code).is_some())
    }
}

/// Whether two JSON tokens are the same id: equal text, or strings that decode to equal text.
fn same_id(ours: &[u8], theirs: &[u8]) -> bool {
    if ours == theirs {
        return true;
    }
    let decoded = |token: &[u8]| serde_json::from_slice::<String>(token).ok();
    ours.first() == Some(&b'"') && decoded(ours).is_some_and(|id| Some(id) == decoded(theirs))
}

fn invalid(fault: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(
        Reason::UpstreamInvalid,
        format!("the upstream answered something that is not an MCP message: {fault}"),
    )
}
