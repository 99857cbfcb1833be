//! One request as the stages see it: judged, but not yet allowed to go anywhere.
//!
//! The stages wrap a [`Call`] in types that only they can build: `Framed`, `Permitted`, `Admitted`,
//! `Routed`. What comes after a stage takes that stage's type.

use crate::meter::Tabs;
use crate::snapshot::Route;
use crate::subject::Subjects;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_core::party::Party;
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_mcp::era::{Era, legacy};
use tollgate_mcp::json::{Body, Kind, Message};
use tollgate_mcp::methods::Method;

/// One judged request.
#[derive(Debug)]
pub struct Call {
    /// The route it came in by.
    pub route: Arc<Route>,
    /// What is asked.
    pub ask: Ask,
    /// The `Mcp-Session-Id` it names, as sent.
    pub session_id: Option<HeaderValue>,
    /// The client software, where the route recognises agents by it.
    pub user_agent: Option<HeaderValue>,
    /// Whom caps count it towards.
    pub caller: CallerKey,
    /// From where it comes.
    pub address: IpAddr,
    /// Whether somebody asked for it; otherwise the gate repeats what was asked, and counted, before.
    pub is_asked: bool,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Ask {
    /// POST: one message, or a batch of 2025-03-26.
    Post(Box<Post>),
    /// GET: the legacy stream of messages from the upstream.
    Stream {
        /// The last event the client saw, if it resumes.
        last_event_id: Option<HeaderValue>,
    },
    /// DELETE: the end of a session.
    End,
}

/// A POSTed body that passed the judge.
#[derive(Debug)]
pub struct Post {
    /// The bytes that were judged and that are forwarded.
    pub body: Bytes,
    /// What the judge found in them.
    pub messages: Body,
    /// The era the body belongs to.
    pub era: Era,
    /// The method of a single message; [`Method::Other`] for batches and responses.
    pub method: Method,
    /// The legacy version the client's header names.
    pub version: Option<legacy::Version>,
    /// `Mcp-Param-*` headers, which mirror arguments (modern era).
    pub params: Vec<(HeaderName, HeaderValue)>,
    /// What each message acts on, where that matters.
    pub subjects: Subjects,
    /// What each message has open.
    pub tabs: Tabs,
    /// Answers to messages that were taken out of a batch: nothing of those goes anywhere.
    pub answered: Vec<Bytes>,
}

impl Call {
    /// A call that is only there to have streams opened for it.
    #[must_use]
    pub const fn of_streams(route: Arc<Route>, (caller, address): (CallerKey, IpAddr)) -> Self {
        let ask = Ask::Stream { last_event_id: None };
        Self { route, ask, session_id: None, user_agent: None, caller, address, is_asked: false }
    }

    /// Who makes it, as rules see it.
    #[must_use]
    pub const fn party<'a>(&self, principal: &'a Principal) -> Party<'a> {
        Party { principal, caller: self.caller, address: self.address }
    }
}

impl Post {
    /// All messages of the body.
    #[must_use]
    pub fn all(&self) -> &[Message] {
        match &self.messages {
            Body::One(message) => std::slice::from_ref(message),
            Body::Batch(messages) => messages,
        }
    }

    /// The message of a body that is not a batch.
    #[must_use]
    pub const fn one(&self) -> Option<&Message> {
        match &self.messages {
            Body::One(message) => Some(message),
            Body::Batch(_) => None,
        }
    }

    /// Whether any message expects an answer.
    #[must_use]
    pub fn expects_answer(&self) -> bool {
        self.all().iter().any(|message| message.kind == Kind::Request)
    }

    /// The bytes of a span of the body, sharing its memory.
    #[must_use]
    pub fn slice(&self, span: tollgate_mcp::json::Span) -> Bytes {
        self.body.slice(span.start as usize..span.end as usize)
    }
}
