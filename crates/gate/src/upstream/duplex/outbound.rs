//! What agents say, on its way to the peer: renumbered, and each message on one line.
//!
//! Only ids and tokens change, spliced into the sender's own bytes. Notifications that would confuse
//! a peer several sessions share are kept back, and answers go only to requests that this very
//! session was asked.

use crate::upstream::duplex::conversation::Conversation;
use crate::upstream::duplex::desk::{Call, Desk, Role, Token};
use crate::upstream::duplex::mailbox::Mailbox;
use crate::upstream::duplex::served::{Held, Inbox, Ticket};
use crate::upstream::fault::SendError;
use bytes::Bytes;
use std::sync::Arc;
use tokio::time::Instant;
use tollgate_core::bounds::{BATCH_MAX, ID_BYTES_MAX};
use tollgate_mcp::era::Era;
use tollgate_mcp::json::{self, Body, Kind, Limits, Message, Span};
use tollgate_mcp::methods::Method;

/// A body and its messages.
#[derive(Debug)]
pub(super) struct Judged {
    body: Bytes,
    messages: Vec<Message>,
    /// Whether it was an array.
    pub(super) is_batch: bool,
}

/// The gate has judged the body by its own limits; these only bound the work.
const LIMITS: Limits = Limits {
    depth_max: 512,
    items_max: u32::MAX,
    batch_max: BATCH_MAX,
    id_bytes_max: ID_BYTES_MAX,
};

impl Judged {
    /// Reads a body; `None` if it is not JSON-RPC.
    pub(super) fn read(body: Bytes) -> Option<Self> {
        let (messages, is_batch) = match json::judge(&body, &LIMITS).ok()? {
            Body::One(one) => (vec![*one], false),
            Body::Batch(all) => (all, true),
        };
        (!messages.is_empty()).then_some(Self { body, messages, is_batch })
    }

    /// The body.
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The first message.
    pub(super) fn first(&self) -> &Message {
        // INVARIANT: `read` makes none without a message.
        &self.messages[0]
    }

    /// The method of the first message.
    pub(super) fn method(&self) -> Method {
        self.method_of(self.first())
    }

    fn method_of(&self, message: &Message) -> Method {
        message.method.map_or(Method::Other, |name| Method::of(&name.decode(&self.body)))
    }

    /// A part of the body.
    pub(super) fn slice(&self, span: Span) -> Bytes {
        self.body.slice(span.range())
    }

    /// A request as it goes onto the line, with its number for an id and for a token.
    pub(super) fn renumbered(&self, message: &Message, number: u64) -> Bytes {
        self.edited(message, &mut Vec::new(), number)
    }

    fn edited(&self, message: &Message, edits: &mut Vec<(Span, Vec<u8>)>, number: u64) -> Bytes {
        let token = message.fields.meta.and_then(|meta| meta.progress_token);
        for span in [message.id, token].into_iter().flatten() {
            edits.push((span, number.to_string().into_bytes()));
        }
        self.line(message, edits)
    }

    /// One message with some values replaced, on one line.
    fn line(&self, message: &Message, edits: &[(Span, Vec<u8>)]) -> Bytes {
        let start = message.span.start;
        let edits: Vec<(Span, &[u8])> = edits
            .iter()
            .map(|(span, bytes)| {
                let moved = Span { start: span.start - start, end: span.end - start };
                (moved, bytes.as_slice())
            })
            .collect();
        on_one_line(json::splice(&self.slice(message.span), &edits))
    }
}

/// Between tokens a line break is white space, and within strings there are none.
fn on_one_line(message: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    let mut line = message.to_vec();
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Bytes::from(line)
}

/// What becomes of a body.
#[derive(Debug)]
pub(super) struct Admitted {
    /// What must be written, in order.
    pub(super) lines: Vec<Bytes>,
    /// Where answers come; `None` if none is due.
    pub(super) inbox: Option<Inbox>,
}

impl Conversation {
    /// Takes the messages of one POST, made in a session or, in the modern era, in none.
    ///
    /// # Errors
    /// [`SendError::NotSent`] if the line takes no more.
    pub(super) fn admit(
        self: &Arc<Self>,
        seat: Option<u64>,
        judged: &Judged,
    ) -> Result<Admitted, SendError> {
        let mailbox = Mailbox::new();
        let (mut lines, mut numbers, mut is_answered) = (Vec::new(), Vec::new(), false);
        let mut desk = self.desk();
        self.check_room(&desk)?;
        desk.used_at = Instant::now();
        for message in &judged.messages {
            match message.kind {
                Kind::Request => match self.request(&mut desk, seat, (judged, message)) {
                    Step::Send(number, line, mut call) => {
                        call.mailbox = Some(mailbox.clone());
                        desk.begin(number, call);
                        numbers.push(number);
                        lines.push(line);
                    }
                    Step::Answered(answer) => is_answered |= mailbox.put(answer, true),
                },
                Kind::Notification => {
                    lines.extend(self.notification(&mut desk, seat, (judged, message)));
                }
                Kind::Response => lines.extend(response(&mut desk, seat, (judged, message))),
            }
        }
        if numbers.is_empty() {
            mailbox.finish();
        }
        if numbers.is_empty() && !is_answered {
            return Ok(Admitted { lines, inbox: None });
        }
        deliver_held(&mut desk, seat, &mailbox);
        drop(desk);
        let ticket = Ticket { conversation: self.clone(), of: Held::Calls(numbers) };
        Ok(Admitted { lines, inbox: Some(Inbox::new(mailbox, ticket)) })
    }

    fn request(
        &self,
        desk: &mut Desk,
        seat: Option<u64>,
        (judged, message): (&Judged, &Message),
    ) -> Step {
        let id = message.id.map(|id| judged.slice(id)).unwrap_or_default();
        let (fields, body) = (&message.fields, judged.body());
        let mut edits = Vec::new();
        let role = match judged.method_of(message) {
            Method::Discover => Role::Discover,
            Method::Listen => Role::Listen,
            Method::Subscribe | Method::Unsubscribe if self.is_shared => {
                let is_on = judged.method_of(message) == Method::Subscribe;
                let uri = fields.uri.map(|uri| uri.decode(body).into_owned()).unwrap_or_default();
                match desk.subscription(seat, uri, is_on) {
                    Some(role) => role,
                    None => return Step::Answered(empty_result(&id)),
                }
            }
            Method::SetLevel if self.is_shared => {
                let level = fields.level.map(|level| level.decode(body).into_owned());
                match desk.log_level(seat, level.as_deref()) {
                    Some((role, told)) => {
                        edits
                            .extend(fields.level.zip(told).map(|(level, told)| (level.span, told)));
                        role
                    }
                    None => return Step::Answered(empty_result(&id)),
                }
            }
            _ => Role::Ordinary,
        };
        let number = desk.number();
        let token =
            fields.meta.and_then(|meta| meta.progress_token).map(|token| judged.slice(token));
        let line = judged.edited(message, &mut edits, number);
        Step::Send(number, line, Call { id, token, seat, mailbox: None, role })
    }

    fn notification(
        &self,
        desk: &mut Desk,
        seat: Option<u64>,
        (judged, message): (&Judged, &Message),
    ) -> Option<Bytes> {
        // SPEC: 2026-07-28 streamable-http defines none from clients.
        let seat = seat.filter(|_| self.era == Era::Legacy)?;
        let method = message.method.map(|name| name.decode(judged.body()))?;
        match &*method {
            "notifications/initialized" => {
                let is_first = !std::mem::replace(&mut desk.greeting.is_confirmed, true);
                is_first.then(|| judged.line(message, &[]))
            }
            "notifications/cancelled" => {
                let request = message.fields.request_id?;
                let wanted = Token::of(&judged.slice(request));
                let mut calls = desk.calls.iter();
                let (number, _) = calls.find(|(_, call)| {
                    call.seat == Some(seat)
                        && call.role != Role::Initialize
                        && Token::of(&call.id) == wanted
                })?;
                Some(judged.line(message, &[(request, number.to_string().into_bytes())]))
            }
            "notifications/progress" => {
                let is_asked = desk.asks.values().any(|ask| ask.seat == seat);
                is_asked.then(|| judged.line(message, &[]))
            }
            _ => Some(judged.line(message, &[])),
        }
    }
}

/// What becomes of a request.
enum Step {
    /// It is sent under this number.
    Send(u64, Bytes, Call),
    /// It needs not be sent.
    Answered(Bytes),
}

/// An agent's answer goes to the peer only if this session was asked.
fn response(
    desk: &mut Desk,
    seat: Option<u64>,
    (judged, message): (&Judged, &Message),
) -> Option<Bytes> {
    let token = Token::of(&judged.slice(message.id?));
    let is_asked = desk.asks.get(&token).is_some_and(|ask| Some(ask.seat) == seat);
    if !is_asked {
        tracing::debug!("an agent answered what its session was not asked");
        return None;
    }
    desk.asks.remove(&token);
    Some(judged.line(message, &[]))
}

/// A session without a stream gets what came meanwhile along with its next call.
fn deliver_held(desk: &mut Desk, seat: Option<u64>, mailbox: &Mailbox) {
    let seat = seat.and_then(|seat| desk.seats.get_mut(&seat));
    if let Some(seat) = seat.filter(|seat| seat.stream.is_none()) {
        for message in std::mem::take(&mut seat.held) {
            mailbox.put(message, false);
        }
    }
}

fn empty_result(id: &[u8]) -> Bytes {
    Bytes::from([br#"{"jsonrpc":"2.0","id":"#, id, br#","result":{}}"#].concat())
}
