//! What the peer says, on its way to whom it belongs.
//!
//! Answers find their call by number, progress by token, notifications of a subscription by its id.
//! For the rest the only call in flight is taken for the occasion; where there are several, a session
//! that is alone on the line; a line that several sessions share gives nothing to the wrong one, so
//! what cannot be attributed there is refused or dropped.
//!
//! SPEC: 2025-11-25 basic/transports; 2026-07-28 basic/transports/stdio, basic/patterns/subscriptions.

use crate::upstream::duplex::conversation::Conversation;
use crate::upstream::duplex::desk::{Ask, Desk, Role, Token, number};
use crate::upstream::duplex::noise::Noise;
use crate::upstream::duplex::sharing::severity;
use bytes::Bytes;
use tollgate_core::bounds::{BATCH_MAX, LINE_HELD_BYTES_MAX, LINE_HELD_MAX};
use tollgate_mcp::era::Era;
use tollgate_mcp::json::{Span, Text, find_path, splice};
use tollgate_mcp::reply::{Glance, GlanceKind, glance, glance_any};

/// What the line is fit for, after a message of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It goes on.
    Yes,
    /// The peer does not speak the era of this line.
    No,
}

impl Conversation {
    /// Takes one line of the peer.
    pub(super) fn take(&self, message: &Bytes, noise: &Noise) -> Fit {
        let glances = match glance_any(message, BATCH_MAX) {
            Ok(glances) => glances,
            Err(fault) => {
                noise.note(message, &fault);
                return Fit::Yes;
            }
        };
        let mut desk = self.desk();
        desk.has_spoken = true;
        let fit = match &*glances {
            [one] if one.span.start == 0 => self.route(&mut desk, message, one),
            several => {
                for each in several {
                    let part = message.slice(each.span.range());
                    // Again, for spans within the part. It cannot fail a second time.
                    let Ok(each) = glance(&part) else { continue };
                    self.route(&mut desk, &part, &each);
                }
                Fit::Yes
            }
        };
        let has_more = !desk.backlog.is_empty();
        drop(desk);
        if has_more {
            self.bell.notify_one();
        }
        fit
    }

    fn route(&self, desk: &mut Desk, message: &Bytes, glance: &Glance) -> Fit {
        match glance.kind {
            GlanceKind::Response | GlanceKind::ErrorResponse => answer(desk, message, glance),
            GlanceKind::Request => {
                self.asked(desk, message, glance);
                Fit::Yes
            }
            GlanceKind::Notification => {
                self.told(desk, message, glance);
                Fit::Yes
            }
        }
    }

    /// A request of the peer: passed on to the one it belongs to, or answered here.
    fn asked(&self, desk: &mut Desk, message: &Bytes, glance: &Glance) {
        let Some(id) = glance.id.map(|id| id.of(message)) else { return };
        if glance.method.is_some_and(|method| method.is(message, "ping")) {
            desk.write(result(id, b"{}"));
            return;
        }
        // SPEC: 2026-07-28: servers do not send requests.
        let place = if self.era == Era::Modern { Place::Nobody } else { place(desk) };
        let token = Token::of(id);
        let ask = match place {
            Place::Call(call) => desk
                .calls
                .get(&call)
                .and_then(|entry| Some(Ask { seat: entry.seat?, call: Some(call) })),
            Place::Session(seat) => Some(Ask { seat, call: None }),
            Place::Nobody => None,
        };
        let is_passed = ask.is_some_and(|ask| {
            desk.ask(token.clone(), ask) && deliver(desk, place, message.clone())
        });
        if !is_passed {
            desk.asks.remove(&token);
            desk.write(error(id, "no client can be asked this here"));
        }
    }

    fn told(&self, desk: &mut Desk, message: &Bytes, glance: &Glance) {
        let Some(method) = glance.method else { return };
        let method = method.decode(message);
        let params = glance.params;
        if let Some(subscription) = params.and_then(|params| params.subscription_id) {
            return to_call(desk, message, subscription, |call| Some(call.id.clone()));
        }
        match &*method {
            "notifications/progress" => {
                // LIMIT: progress of a task (2025-11-25) that outlives the call it began with is dropped.
                let Some(token) = params.and_then(|params| params.progress_token) else { return };
                to_call(desk, message, token, |call| call.token.clone());
            }
            "notifications/cancelled" => {
                let request = params.and_then(|params| params.request_id);
                if let Some(request) = request {
                    cancelled(desk, message, request);
                }
            }
            "notifications/resources/updated" => {
                let uri = params.and_then(|params| params.uri);
                self.to_subscribers(desk, message, uri);
            }
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => self.to_everybody(desk, message),
            "notifications/message" => {
                let level = params.and_then(|params| find_path(message, params.span, &["level"]));
                let level = level.and_then(|level| serde_json::from_slice(level.of(message)).ok());
                log(desk, message, level);
            }
            _ => {
                deliver(desk, place(desk), message.clone());
            }
        }
    }

    /// To each session with a stream; to one that is alone also without.
    fn to_everybody(&self, desk: &mut Desk, message: &Bytes) {
        if desk.seats.len() == 1 {
            let alone = desk.seats.first_key_value().filter(|(_, seat)| seat.stream.is_some());
            let place = alone.map_or_else(|| place(desk), |(seat, _)| Place::Session(*seat));
            deliver(desk, place, message.clone());
            return;
        }
        for stream in desk.seats.values().filter_map(|seat| seat.stream.as_ref()) {
            stream.put(message.clone(), false);
        }
    }

    fn to_subscribers(&self, desk: &mut Desk, message: &Bytes, uri: Option<Text>) {
        if !self.is_shared {
            return self.to_everybody(desk, message);
        }
        let Some(uri) = uri else { return };
        let uri = uri.decode(message);
        for seat in desk.seats.values() {
            // SPEC: 2025-11-25 server/resources: it may be a sub-resource of the subscribed URI.
            let wants = seat.uris.iter().any(|wanted| uri.starts_with(wanted.as_str()));
            if let Some(stream) = seat.stream.as_ref().filter(|_| wants) {
                stream.put(message.clone(), false);
            }
        }
    }
}

/// Where a message belongs that names no call.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// To this call.
    Call(u64),
    /// To this session.
    Session(u64),
    /// To nobody in particular.
    Nobody,
}

fn place(desk: &Desk) -> Place {
    let mut flights = desk.flights();
    let (newest, other) = (flights.next_back(), flights.next_back());
    let alone = (desk.seats.len() == 1).then(|| desk.seats.first_key_value()).flatten();
    match (newest, other, alone) {
        (Some((only, _)), None, _) => Place::Call(only),
        (_, _, Some((seat, state))) if state.stream.is_some() => Place::Session(*seat),
        (Some((newest, _)), Some(_), Some(_)) => Place::Call(newest),
        (None, _, Some((seat, _))) => Place::Session(*seat),
        (_, _, None) => Place::Nobody,
    }
}

/// Hands a message over; false if nobody takes it.
fn deliver(desk: &mut Desk, place: Place, message: Bytes) -> bool {
    match place {
        Place::Call(call) => {
            let mailbox = desk.calls.get(&call).and_then(|call| call.mailbox.as_ref());
            mailbox.is_some_and(|mailbox| mailbox.put(message, false))
        }
        Place::Session(seat) => {
            let Some(seat) = desk.seats.get_mut(&seat) else { return false };
            if let Some(stream) = &seat.stream {
                return stream.put(message, false);
            }
            let is_small = message.len() <= LINE_HELD_BYTES_MAX;
            let has_room = is_small && seat.held.len() < LINE_HELD_MAX;
            if has_room {
                seat.held.push_back(message);
            }
            has_room
        }
        Place::Nobody => false,
    }
}

/// Gives a message to the call whose number is at `span`, with what its sender calls it instead.
fn to_call(
    desk: &Desk,
    message: &Bytes,
    span: Span,
    own: impl FnOnce(&crate::upstream::duplex::desk::Call) -> Option<Bytes>,
) {
    let call = number(span.of(message)).and_then(|number| desk.calls.get(&number));
    let Some(call) = call else { return };
    if let (Some(mailbox), Some(own)) = (&call.mailbox, own(call)) {
        mailbox.put(splice(message, &[(span, &own)]), false);
    }
}

/// A log message, for sessions that want that much.
fn log(desk: &mut Desk, message: &Bytes, level: Option<String>) {
    let level = level.as_deref().and_then(severity);
    let place = place(desk);
    let seat = match place {
        Place::Call(call) => desk.calls.get(&call).and_then(|call| call.seat),
        Place::Session(seat) => Some(seat),
        Place::Nobody => None,
    };
    let wanted = seat.and_then(|seat| desk.seats.get(&seat)?.level);
    if wanted.zip(level).is_none_or(|(wanted, level)| level >= wanted) {
        deliver(desk, place, message.clone());
    }
}

/// The peer takes back a request of its own, or ends a subscription.
fn cancelled(desk: &mut Desk, message: &Bytes, request: Span) {
    let raw = request.of(message);
    if let Some(ask) = desk.asks.remove(&Token::of(raw)) {
        let place = ask.call.map_or(Place::Session(ask.seat), Place::Call);
        deliver(desk, place, message.clone());
        return;
    }
    let listening = number(raw)
        .filter(|number| desk.calls.get(number).is_some_and(|call| call.role == Role::Listen));
    let Some(call) = listening.and_then(|number| desk.settle(number)) else { return };
    if let Some(mailbox) = call.mailbox {
        // SPEC: 2026-07-28 basic/patterns/subscriptions: over HTTP the result ends the stream.
        let id = String::from_utf8_lossy(&call.id);
        let end = format!(
            r#"{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#
        );
        mailbox.put(result(&call.id, end.as_bytes()), true);
        mailbox.finish();
    }
}

/// An answer of the peer: back to whoever asked, under the id they gave.
fn answer(desk: &mut Desk, message: &Bytes, glance: &Glance) -> Fit {
    let number = match glance.id {
        Some(id) => number(id.of(message)),
        // It could not read the id, so there is no doubt only if there is one call.
        None => {
            let mut calls = desk.calls.keys();
            calls.next().filter(|_| calls.next().is_none()).copied()
        }
    };
    let Some(call) = number.and_then(|number| desk.settle(number)) else {
        tracing::debug!("an answer that nobody waits for");
        return Fit::Yes;
    };
    let restored = match glance.id {
        Some(id) => {
            let subscription = glance.result.and_then(|result| result.subscription_id);
            let edits: Vec<(Span, &[u8])> =
                [Some(id), subscription].into_iter().flatten().map(|at| (at, &*call.id)).collect();
            splice(message, &edits)
        }
        None => {
            let failure = glance.error.map(|error| error.of(message)).unwrap_or(b"{}");
            Bytes::from(
                [br#"{"jsonrpc":"2.0","id":"#, &*call.id, br#","error":"#, failure, b"}"].concat(),
            )
        }
    };
    let is_good = glance.kind == GlanceKind::Response;
    let speaks_modern =
        is_good || glance.error_code.is_some_and(|code| (-32022..=-32020).contains(&code));
    let is_only_legacy = call.role == Role::Discover && call.mailbox.is_some() && !speaks_modern;
    let fit = if is_only_legacy { Fit::No } else { Fit::Yes };
    if call.role == Role::Initialize {
        desk.greeted(message, glance);
    } else if is_good {
        desk.settle_role(call.seat, call.role);
    }
    if let Some(mailbox) = call.mailbox {
        mailbox.put(restored, true);
        if !desk.has_more_for(&mailbox) {
            mailbox.finish();
        }
    }
    fit
}

impl Desk {
    /// A session has ended: what it was asked is answered in its place.
    pub(super) fn void_asks_of(&mut self, seat: u64) {
        let void: Vec<Token> = self
            .asks
            .iter()
            .filter(|(_, ask)| ask.seat == seat)
            .map(|(token, _)| token.clone())
            .collect();
        for token in void {
            self.asks.remove(&token);
            let id = match token {
                Token::Text(text) => serde_json::Value::String(text).to_string().into_bytes(),
                Token::Number(raw) => raw.into_vec(),
            };
            self.write(error(&id, "the client has ended its session"));
        }
    }
}

fn result(id: &[u8], result: &[u8]) -> Bytes {
    Bytes::from([br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#, result, b"}"].concat())
}

/// The answer that there is no such method here.
pub(super) fn error(id: &[u8], text: &str) -> Bytes {
    let id = String::from_utf8_lossy(id);
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"{text}"}}}}"#
    ))
}
