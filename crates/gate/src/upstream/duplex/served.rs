//! What an exchange over a line is towards `exchange.rs` and `reply.rs`: a wait for the head of the
//! reply, and a body that may still be arriving.
//!
//! Dropped before their end they give up: the line is told where the era has words for that.

use crate::upstream::deadline::{Alarm, Due};
use crate::upstream::duplex::conversation::Conversation;
use crate::upstream::duplex::host::Host;
use crate::upstream::duplex::mailbox::{Mailbox, Said};
use crate::upstream::endpoint::InFlight;
use crate::upstream::fault::{Phase, SendError};
use crate::upstream::head::{Media, ReplyHeaders};
use bytes::Bytes;
use http::StatusCode;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tollgate_mcp::sse;

/// A reply of a host.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) status: StatusCode,
    pub(crate) headers: ReplyHeaders,
    pub(crate) body: ServedBody,
}

/// Its body.
#[derive(Debug)]
pub(crate) enum ServedBody {
    /// All of it.
    Whole(Bytes),
    /// Events, as they come.
    Events(Inbox),
}

impl Served {
    /// A reply without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        let body = ServedBody::Whole(Bytes::new());
        Self { status, headers: ReplyHeaders::default(), body }
    }

    /// A JSON answer.
    pub(super) fn json(message: Bytes, session: Option<Box<str>>) -> Self {
        let headers = ReplyHeaders { media: Media::Json, session, ..ReplyHeaders::default() };
        Self { status: StatusCode::OK, headers, body: ServedBody::Whole(message) }
    }

    /// An event stream.
    pub(super) fn events(inbox: Inbox) -> Self {
        let headers = ReplyHeaders { media: Media::Events, ..ReplyHeaders::default() };
        Self { status: StatusCode::OK, headers, body: ServedBody::Events(inbox) }
    }
}

/// The future of a reply of a host.
pub(crate) type Serving = Pin<Box<dyn Future<Output = Result<Served, SendError>> + Send>>;

/// A wait for a reply of a host, with its deadlines.
pub(crate) struct Waiting {
    serving: Serving,
    pub(crate) due: Due,
    pub(crate) alarm: Alarm,
    pub(crate) account: InFlight,
}

impl Waiting {
    pub(crate) fn new(serving: Serving, due: Due, account: InFlight) -> Box<Self> {
        Box::new(Self { serving, due, alarm: Alarm::default(), account })
    }

    /// Waits for the reply, or the deadline that passes first.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Result<Served, SendError>, Phase>> {
        if let Poll::Ready(served) = self.serving.as_mut().poll(cx) {
            return Poll::Ready(Ok(served));
        }
        match self.alarm.poll(cx, &mut self.due) {
            Some(phase) => Poll::Ready(Err(phase)),
            None => Poll::Pending,
        }
    }
}

/// The reader's end of an exchange. Dropped, it gives its calls up.
#[derive(Debug)]
pub(crate) struct Inbox {
    mailbox: Arc<Mailbox>,
    first: Option<Said>,
    // In this order: the calls are given up while the host is still there.
    _ticket: Ticket,
    /// A call keeps the host, and so its line, where the configuration has moved on meanwhile.
    host: Option<Arc<Host>>,
}

impl Inbox {
    pub(super) fn new(mailbox: Arc<Mailbox>, ticket: Ticket) -> Self {
        Self { mailbox, first: None, _ticket: ticket, host: None }
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Option<Result<Said, SendError>> {
        poll_fn(|cx| self.mailbox.poll_next(cx)).await
    }

    /// Keeps the host for as long as the call goes on.
    pub(super) fn keep(&mut self, host: Arc<Host>) {
        self.host = Some(host);
    }

    /// Puts a message back to the front.
    pub(super) fn unread(&mut self, said: Said) {
        self.first = Some(said);
    }

    /// The next event.
    pub(crate) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, SendError>>> {
        let next = match self.first.take() {
            Some(said) => Poll::Ready(Some(Ok(said))),
            None => self.mailbox.poll_next(cx),
        };
        next.map(|next| {
            next.map(|said| Ok(sse::encode(Some("message"), None, None, &said?.message)))
        })
    }
}

/// What a reader holds on a line. Dropped, it lets go of it.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The line.
    pub(super) conversation: Arc<Conversation>,
    /// Of what.
    pub(super) of: Held,
}

/// What a reader holds.
#[derive(Debug)]
pub(super) enum Held {
    /// Calls, by their ids on the line.
    Calls(Vec<u64>),
    /// The stream of a session.
    Stream(u64, Arc<Mailbox>),
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match &self.of {
            Held::Calls(ids) => self.conversation.give_up(ids),
            Held::Stream(seat, mailbox) => self.conversation.close_stream(*seat, mailbox),
        }
    }
}
