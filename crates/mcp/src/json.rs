//! The strict judge of request bodies: one pass that either understands a body or refuses it.
//!
//! Whatever two parsers could read differently is refused here (duplicate keys, look-alike
//! protocol keys, lone surrogates, bad UTF-8), so that what is judged is what is forwarded. It
//! records spans into the body and converts nothing: numbers, key order and unknown members stay
//! the sender's bytes. It does not decide whether a batch, an era or a method is allowed.
//!
//! Next: `json/message.rs` for the shape of a message, `json/scan.rs` for the grammar,
//! `json/keys.rs` for duplicates and look-alikes, `json/splice.rs` for look-up and change.

use std::borrow::Cow;

use tollgate_core::bounds::{BATCH_MAX, ID_BYTES_MAX, JSON_DEPTH_MAX, JSON_ITEMS_MAX};

mod fault;
mod keys;
mod message;
mod protocol;
mod run;
mod scan;
mod shift;
mod splice;
mod text;
mod walk;

pub use fault::{Fault, FaultKind};
pub use shift::replace;
pub use splice::{elements, find_path, keys, members, splice};
pub(crate) use walk::{Skip, skip_space, skip_string, skip_value};

use scan::Scanner;

/// How large a judged body may be in every direction but bytes, which the reader of it caps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deepest nesting; the message object itself is level 1.
    pub depth_max: u16,
    /// Most members and elements in the whole body.
    pub items_max: u32,
    /// Most messages in a batch.
    pub batch_max: usize,
    /// Longest id in bytes of its JSON text, quotes included.
    pub id_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: JSON_DEPTH_MAX,
            items_max: JSON_ITEMS_MAX,
            batch_max: BATCH_MAX,
            id_bytes_max: ID_BYTES_MAX,
        }
    }
}

/// A range of bytes in a body. An empty span is a place where something can be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` up to `end`; offsets beyond 4 GiB do not occur, bodies are capped.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// The empty span at `offset`, for an insertion.
    #[must_use]
    pub fn at(offset: usize) -> Self {
        Self::new(offset, offset)
    }

    /// The bytes of this span in the body it was taken from; of another body, perhaps nothing.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        body.get(self.range()).unwrap_or_default()
    }

    /// This span as a range of offsets.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.range().len()
    }

    /// Whether the span covers nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// A JSON string in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where it is, quotes included.
    pub span: Span,
    /// Whether it holds an escape, so that its bytes are not its value.
    pub escaped: bool,
}

impl Text {
    /// The value of the string, unescaped.
    #[must_use]
    pub fn decode(self, body: &[u8]) -> Cow<'_, str> {
        match text::unescape(self.raw(body), self.escaped) {
            Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).unwrap_or_default()),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).unwrap_or_default()),
        }
    }

    /// The bytes between the quotes, as they were sent.
    #[must_use]
    pub fn raw(self, body: &[u8]) -> &[u8] {
        body.get(self.span.start as usize + 1..(self.span.end as usize).saturating_sub(1))
            .unwrap_or_default()
    }

    /// Whether the string's value is `wanted`, whatever its spelling.
    #[must_use]
    pub fn is(self, body: &[u8], wanted: &str) -> bool {
        text::unescape(self.raw(body), self.escaped).as_ref() == wanted.as_bytes()
    }
}

/// What a JSON-RPC message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A method and an id: somebody waits for the answer.
    Request,
    /// A method without an id.
    Notification,
    /// A result or an error for a request of the other side.
    Response,
}

/// One judged message.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// The whole object.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// The id as a raw token, quotes included; always a string or an integer.
    pub id: Option<Span>,
    /// The method of a request or notification.
    pub method: Option<Text>,
    /// The `params` object.
    pub params: Option<Span>,
    /// Whether this is a response that carries `error`.
    pub is_error_response: bool,
    /// The members of `params` that the gate understands.
    pub fields: Params,
}

/// The members of `params` that MCP gives a meaning. A member of another JSON type than the
/// protocol's is absent here when the method does not define it, and a fault when it does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params {
    /// `name` of a tool or prompt.
    pub name: Option<Text>,
    /// `uri` of a resource.
    pub uri: Option<Text>,
    /// `taskId`.
    pub task_id: Option<Text>,
    /// `cursor` of a list.
    pub cursor: Option<Text>,
    /// `requestState` of a multi-round-trip retry.
    pub request_state: Option<Text>,
    /// `protocolVersion` of `initialize`.
    pub protocol_version: Option<Text>,
    /// `level` of `logging/setLevel`.
    pub level: Option<Text>,
    /// `arguments`, an object.
    pub arguments: Option<Span>,
    /// `capabilities`, an object.
    pub capabilities: Option<Span>,
    /// `notifications` of `subscriptions/listen`, an object.
    pub notifications: Option<Span>,
    /// `requestId` of `notifications/cancelled`, a raw id token.
    pub request_id: Option<Span>,
    /// `progressToken` of `notifications/progress`, a raw id token.
    pub progress_token: Option<Span>,
    /// `inputResponses` of a multi-round-trip retry, an object.
    pub input_responses: Option<Span>,
    /// `ref` of `completion/complete`, an object.
    pub reference: Option<Span>,
    /// `_meta`, an object.
    pub meta: Option<Meta>,
}

/// The members of `params._meta` that MCP gives a meaning.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// The whole object.
    pub span: Span,
    /// `io.modelcontextprotocol/protocolVersion`.
    pub protocol_version: Option<Text>,
    /// `io.modelcontextprotocol/clientCapabilities`, an object.
    pub client_capabilities: Option<Span>,
    /// `io.modelcontextprotocol/clientInfo`, an object.
    pub client_info: Option<Span>,
    /// `io.modelcontextprotocol/logLevel`.
    pub log_level: Option<Text>,
    /// `progressToken`, a raw id token.
    pub progress_token: Option<Span>,
    /// `io.modelcontextprotocol/subscriptionId`, a raw id token.
    pub subscription_id: Option<Span>,
}

/// A judged body.
#[derive(Clone, Debug)]
pub enum Body {
    /// One message, the ordinary case.
    One(Box<Message>),
    /// A top-level array of messages, in order; whether that is allowed is the caller's business.
    Batch(Vec<Message>),
}

/// Judges a whole request body.
///
/// # Errors
/// The first [`Fault`] found, with the id of the request where that was already read.
pub fn judge(body: &[u8], limits: &Limits) -> Result<Body, Fault> {
    if body.starts_with(b"\xef\xbb\xbf") {
        return Err(Fault::new(FaultKind::ByteOrderMark, 0));
    }
    if u32::try_from(body.len()).is_err() {
        return Err(Fault::new(FaultKind::TooManyItems, 0));
    }
    if let Err(error) = std::str::from_utf8(body) {
        return Err(Fault::new(FaultKind::NotUtf8, error.valid_up_to()));
    }
    let mut scanner = Scanner::new(body, limits);
    let judged = message::body(&mut scanner);
    let fault = scanner.retire();
    // INVARIANT: who stops leaves a fault, so the other one is never made.
    judged.map_err(|_| fault.unwrap_or(Fault::new(FaultKind::Syntax, 0)))
}

/// Judges one value that is no message, for values of upstreams that are put beside others': one
/// that a strict parser refuses would take the others down with it.
///
/// # Errors
/// The first [`Fault`] found.
pub fn judge_value(value: &[u8], limits: &Limits) -> Result<(), Fault> {
    if u32::try_from(value.len()).is_err() {
        return Err(Fault::new(FaultKind::TooManyItems, 0));
    }
    if let Err(error) = std::str::from_utf8(value) {
        return Err(Fault::new(FaultKind::NotUtf8, error.valid_up_to()));
    }
    let mut scanner = Scanner::new(value, limits);
    let judged = scanner.value(1).and_then(|_| scanner.end());
    let fault = scanner.retire();
    // INVARIANT: as in `judge`.
    judged.map_err(|_| fault.unwrap_or(Fault::new(FaultKind::Syntax, 0)))
}
