//! The shape of JSON-RPC messages and of the parameters MCP gives a meaning.
//!
//! Members may come in any order, so `params` is read before its method may be known: what is
//! wrong in it is noted, and judged when the message is complete. Members of methods that MCP
//! does not define are free; `arguments` always are, apart from duplicates.
//!
//! Next: `json/protocol.rs` for the names, `json/scan.rs` for the grammar beneath.

use std::borrow::Cow;
use std::collections::HashSet;

use super::keys::look_alike;
use super::protocol::{ENVELOPE, META, PARAMS, defined};
use super::scan::{Scanner, Stop, Token, Value};
use super::{Body, FaultKind, Kind, Message, Meta, Params, Span, Text, text};

/// Reads the whole body.
pub(super) fn body(scanner: &mut Scanner<'_>) -> Result<Body, Stop> {
    match scanner.peek()? {
        b'{' => {
            let message = message(scanner, 1)?;
            scanner.end().inspect_err(|_| scanner.blame(message.id))?;
            Ok(Body::One(Box::new(message)))
        }
        b'[' => batch(scanner).inspect_err(|_| scanner.blame(None)).map(Body::Batch),
        _ => {
            // The grammar is judged first: not JSON is another answer than not a message.
            scanner.value(1)?;
            scanner.end()?;
            scanner.fault_at(FaultKind::NotAnObject, 0)
        }
    }
}

fn batch(scanner: &mut Scanner<'_>) -> Result<Vec<Message>, Stop> {
    scanner.at += 1;
    if scanner.peek()? == b']' {
        scanner.at += 1;
        scanner.end()?;
        return scanner.fault_at(FaultKind::BatchEmpty, 0);
    }
    let mut messages = Vec::new();
    loop {
        if messages.len() >= scanner.limits.batch_max {
            return scanner.fault(FaultKind::BatchTooLong);
        }
        scanner.count()?;
        if scanner.peek()? != b'{' {
            let start = scanner.at;
            scanner.value(2)?;
            return scanner.fault_at(FaultKind::NotAnObject, start);
        }
        messages.push(message(scanner, 2)?);
        match scanner.peek()? {
            b',' => scanner.at += 1,
            b']' => break,
            _ => return scanner.fault(FaultKind::Syntax),
        }
    }
    scanner.at += 1;
    scanner.end()?;
    let mut ids = HashSet::with_capacity(messages.len());
    for message in messages.iter().filter(|message| message.kind == Kind::Request) {
        let Some(id) = message.id else { continue };
        if !ids.insert(id_value(scanner.body, id)) {
            return scanner.fault_at(FaultKind::BatchDuplicateId, id.start as usize);
        }
    }
    Ok(messages)
}

/// An id for comparison: whether it is a string, and its value. Integers have one spelling each.
fn id_value(body: &[u8], id: Span) -> (bool, Cow<'_, [u8]>) {
    match id.of(body) {
        [b'"', inner @ .., b'"'] => (true, text::unescape(inner, true)),
        digits => (false, Cow::Borrowed(digits)),
    }
}

/// What was read of a message so far.
#[derive(Default)]
struct Draft {
    is_version_2: bool,
    id: Option<Span>,
    method: Option<Text>,
    params: Option<Span>,
    result: Option<Value>,
    error: Option<Value>,
    fields: Params,
    doubt: Doubts,
}

/// What is wrong in `params` if the method turns out to define it; the first of each sort.
#[derive(Default)]
struct Doubts {
    look_alike: Option<(&'static str, usize)>,
    ill_typed: Vec<(&'static str, usize)>,
}

fn message(scanner: &mut Scanner<'_>, depth: u16) -> Result<Message, Stop> {
    let start = scanner.at;
    let mut draft = Draft::default();
    match members(scanner, depth, &mut draft).and_then(|()| complete(scanner, &draft)) {
        Ok(kind) => Ok(Message {
            span: Span::new(start, scanner.at),
            kind,
            id: draft.id,
            method: draft.method,
            params: draft.params,
            is_error_response: draft.error.is_some(),
            fields: draft.fields,
        }),
        Err(stop) => {
            scanner.blame(draft.id);
            Err(stop)
        }
    }
}

fn members(scanner: &mut Scanner<'_>, depth: u16, draft: &mut Draft) -> Result<(), Stop> {
    let body = scanner.body;
    let mut object = scanner.open(depth)?;
    loop {
        let next = scanner.next_key(&mut object);
        if next.is_err() {
            // The second of two ids may be here, and two ids are no id: whose answer would it be?
            draft.id = None;
        }
        let Some(key) = next? else { return Ok(()) };
        let name = text::unescape(key.raw(body), key.escaped);
        match name.as_ref() {
            b"jsonrpc" => {
                let value = scanner.value(depth + 1)?;
                draft.is_version_2 = text_of(value).is_some_and(|text| text.is(body, "2.0"));
            }
            b"id" => {
                let value = scanner.value(depth + 1)?;
                draft.id = Some(id(scanner, value)?);
            }
            b"method" => {
                let value = scanner.value(depth + 1)?;
                draft.method = Some(expect(scanner, value, text_of(value), FaultKind::Method)?);
            }
            b"params" => {
                let start = scanner.at;
                if scanner.peek()? != b'{' {
                    scanner.value(depth + 1)?;
                    return scanner.fault_at(FaultKind::Params, start);
                }
                params(scanner, depth + 1, draft)?;
                draft.params = Some(Span::new(start, scanner.at));
            }
            b"result" => draft.result = Some(scanner.value(depth + 1)?),
            b"error" => draft.error = Some(scanner.value(depth + 1)?),
            other => {
                if let Some(wanted) = look_alike(other, ENVELOPE) {
                    let at = key.span.start as usize;
                    return scanner.fault_at(FaultKind::LookAlike(wanted), at);
                }
                scanner.value(depth + 1)?;
            }
        }
    }
}

fn params(scanner: &mut Scanner<'_>, depth: u16, draft: &mut Draft) -> Result<(), Stop> {
    let body = scanner.body;
    let mut object = scanner.open(depth)?;
    while let Some(key) = scanner.next_key(&mut object)? {
        let name = text::unescape(key.raw(body), key.escaped);
        if name.as_ref() == b"_meta" {
            draft.fields.meta = meta(scanner, depth + 1)?;
            continue;
        }
        let value = scanner.value(depth + 1)?;
        let fields = &mut draft.fields;
        let doubts = &mut draft.doubt;
        match name.as_ref() {
            b"name" => fields.name = doubts.text("name", value),
            b"uri" => fields.uri = doubts.text("uri", value),
            b"taskId" => fields.task_id = doubts.text("taskId", value),
            b"cursor" => fields.cursor = doubts.optional_text("cursor", value),
            b"requestState" => fields.request_state = doubts.optional_text("requestState", value),
            b"protocolVersion" => fields.protocol_version = doubts.text("protocolVersion", value),
            b"level" => fields.level = doubts.text("level", value),
            b"arguments" => fields.arguments = doubts.optional_object("arguments", value),
            b"capabilities" => fields.capabilities = doubts.object("capabilities", value),
            b"notifications" => fields.notifications = doubts.object("notifications", value),
            b"inputResponses" => {
                fields.input_responses = doubts.optional_object("inputResponses", value);
            }
            b"ref" => fields.reference = doubts.object("ref", value),
            b"requestId" => fields.request_id = doubts.id("requestId", body, value),
            b"progressToken" => fields.progress_token = doubts.id("progressToken", body, value),
            b"clientInfo" | b"argument" | b"context" | b"task" => {}
            other => {
                if doubts.look_alike.is_none() {
                    doubts.look_alike =
                        look_alike(other, PARAMS).map(|name| (name, key.span.start as usize));
                }
            }
        }
    }
    Ok(())
}

/// Reads `_meta`. `null` is as good as absent: some clients write every optional member.
fn meta(scanner: &mut Scanner<'_>, depth: u16) -> Result<Option<Meta>, Stop> {
    let body = scanner.body;
    let start = scanner.at;
    if scanner.peek()? != b'{' {
        let value = scanner.value(depth)?;
        let absent = (value.token == Token::Null).then_some(None);
        return expect(scanner, value, absent, FaultKind::ParamType("_meta"));
    }
    let mut meta = Meta {
        span: Span::at(start),
        protocol_version: None,
        client_capabilities: None,
        client_info: None,
        log_level: None,
        progress_token: None,
        subscription_id: None,
    };
    let mut object = scanner.open(depth)?;
    while let Some(key) = scanner.next_key(&mut object)? {
        let name = text::unescape(key.raw(body), key.escaped);
        let Some(&known) = META.iter().find(|known| known.as_bytes() == name.as_ref()) else {
            if let Some(wanted) = look_alike(&name, META) {
                let at = key.span.start as usize;
                return scanner.fault_at(FaultKind::LookAlike(wanted), at);
            }
            scanner.value(depth + 1)?;
            continue;
        };
        let value = scanner.value(depth + 1)?;
        let kind = FaultKind::MetaType(known);
        let (text, object, id) = (text_of(value), object_of(value), id_of(body, value));
        match known.strip_prefix("io.modelcontextprotocol/").unwrap_or(known) {
            "progressToken" => meta.progress_token = Some(expect(scanner, value, id, kind)?),
            "protocolVersion" => meta.protocol_version = Some(expect(scanner, value, text, kind)?),
            "clientCapabilities" => {
                meta.client_capabilities = Some(expect(scanner, value, object, kind)?);
            }
            "clientInfo" => meta.client_info = Some(expect(scanner, value, object, kind)?),
            "logLevel" => meta.log_level = Some(expect(scanner, value, text, kind)?),
            "subscriptionId" => meta.subscription_id = Some(expect(scanner, value, id, kind)?),
            _ => {}
        }
    }
    meta.span = Span::new(start, scanner.at);
    Ok(Some(meta))
}

/// Judges what can only be judged when all members are known.
fn complete(scanner: &mut Scanner<'_>, draft: &Draft) -> Result<Kind, Stop> {
    let last = scanner.at.saturating_sub(1);
    let mut fault = |kind| scanner.fault_at(kind, last);
    if !draft.is_version_2 {
        return fault(FaultKind::Version);
    }
    let kind = match (draft.method, draft.id, draft.result, draft.error) {
        (Some(_), Some(_), None, None) => Kind::Request,
        (Some(_), None, None, None) => Kind::Notification,
        (None, Some(_), Some(_), None) | (None, Some(_), None, Some(_)) => Kind::Response,
        _ => return fault(FaultKind::Shape),
    };
    for (name, outcome) in [("result", draft.result), ("error", draft.error)] {
        if outcome.is_some_and(|value| value.token != Token::Object) {
            return fault(FaultKind::Outcome(name));
        }
    }
    let Some(defined) = draft.method.and_then(|method| defined(&method.decode(scanner.body)))
    else {
        return Ok(kind);
    };
    if let Some((name, at)) = draft.doubt.look_alike {
        return scanner.fault_at(FaultKind::LookAlike(name), at);
    }
    match draft.doubt.ill_typed.iter().find(|(name, _)| defined.contains(name)) {
        Some(&(name, at)) => scanner.fault_at(FaultKind::ParamType(name), at),
        None => Ok(kind),
    }
}

impl Doubts {
    fn note<T>(&mut self, name: &'static str, value: Value, read: Option<T>) -> Option<T> {
        if read.is_none() {
            self.ill_typed.push((name, value.span.start as usize));
        }
        read
    }

    fn text(&mut self, name: &'static str, value: Value) -> Option<Text> {
        self.note(name, value, text_of(value))
    }

    fn object(&mut self, name: &'static str, value: Value) -> Option<Span> {
        self.note(name, value, object_of(value))
    }

    fn id(&mut self, name: &'static str, body: &[u8], value: Value) -> Option<Span> {
        self.note(name, value, id_of(body, value))
    }

    fn optional_text(&mut self, name: &'static str, value: Value) -> Option<Text> {
        if value.token == Token::Null { None } else { self.text(name, value) }
    }

    fn optional_object(&mut self, name: &'static str, value: Value) -> Option<Span> {
        if value.token == Token::Null { None } else { self.object(name, value) }
    }
}

fn id(scanner: &mut Scanner<'_>, value: Value) -> Result<Span, Stop> {
    let id = id_of(scanner.body, value);
    let id = expect(scanner, value, id, FaultKind::Id)?;
    let short = (id.len() <= scanner.limits.id_bytes_max).then_some(id);
    expect(scanner, value, short, FaultKind::IdTooLong)
}

/// What was read of the value, or the fault that it is something else.
fn expect<T>(
    scanner: &mut Scanner<'_>,
    value: Value,
    read: Option<T>,
    kind: FaultKind,
) -> Result<T, Stop> {
    match read {
        Some(read) => Ok(read),
        None => scanner.fault_at(kind, value.span.start as usize),
    }
}

/// A string or an integer in its one spelling; `-0`, which parsers disagree about, is neither.
fn id_of(body: &[u8], value: Value) -> Option<Span> {
    match value.token {
        Token::Plain | Token::Escaped => Some(value.span),
        Token::Integer if value.span.of(body) != b"-0" => Some(value.span),
        _ => None,
    }
}

fn text_of(value: Value) -> Option<Text> {
    match value.token {
        Token::Plain => Some(Text { span: value.span, escaped: false }),
        Token::Escaped => Some(Text { span: value.span, escaped: true }),
        _ => None,
    }
}

fn object_of(value: Value) -> Option<Span> {
    (value.token == Token::Object).then_some(value.span)
}
