//! Why a body was refused, and what to tell its sender.
//!
//! Each kind maps to one JSON-RPC code and one sentence that names the remedy. Nothing of the body
//! is repeated in a sentence except an offset, so a fault can be logged and answered as it is.

use super::Span;

/// The cause of a refusal of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The body starts with a byte order mark.
    #[error("the body starts with a byte order mark; send plain utf-8 json")]
    ByteOrderMark,
    /// The body is not UTF-8.
    #[error("the body is not valid utf-8; encode it as utf-8")]
    NotUtf8,
    /// The body ends before its value does.
    #[error("the json ends too early; send the whole message")]
    Truncated,
    /// A byte stands where the grammar does not allow it.
    #[error("the body is not valid json; send strict json as of rfc 8259")]
    Syntax,
    /// Something follows the value.
    #[error("there is more after the json value; send exactly one message in a body")]
    Trailing,
    /// A control character stands unescaped in a string.
    #[error("a json string holds a raw control character; escape it")]
    ControlCharacter,
    /// A string holds an escape that JSON does not have.
    #[error("a json string holds an unknown escape; use only the escapes of rfc 8259")]
    Escape,
    /// A `\u` escape names half of a surrogate pair.
    #[error("a json string holds a lone surrogate escape; send complete characters")]
    Surrogate,
    /// Nesting is deeper than allowed.
    #[error("the json is nested too deeply; flatten the message")]
    TooDeep,
    /// More members and elements than allowed.
    #[error("the json has too many members and elements; send a smaller message")]
    TooManyItems,
    /// An object has the same key twice.
    #[error("an object has the same key twice; send each key once")]
    DuplicateKey,
    /// A key is not, but could be taken for, a protocol key.
    #[error("a key looks like the protocol key `{0}` but is not; spell it exactly or drop it")]
    LookAlike(&'static str),
    /// The message is not a JSON object.
    #[error("the message is not a json object; send one json-rpc message object")]
    NotAnObject,
    /// `jsonrpc` is missing or not `"2.0"`.
    #[error("`jsonrpc` must be the string \"2.0\"")]
    Version,
    /// The id is neither a string nor an integer.
    #[error("`id` must be a string or an integer, and must not be null")]
    Id,
    /// The id is longer than allowed.
    #[error("`id` is too long; use a shorter one")]
    IdTooLong,
    /// `method` is not a string.
    #[error("`method` must be a string")]
    Method,
    /// `params` is not an object.
    #[error("`params` must be an object; mcp has no positional parameters")]
    Params,
    /// The message is neither a request, a notification nor a response, or several at once.
    #[error("a message has either `method`, or `id` with exactly one of `result` and `error`")]
    Shape,
    /// `result` or `error` is not an object.
    #[error("`{0}` of a response must be an object")]
    Outcome(&'static str),
    /// A parameter has a JSON type that the protocol does not give it.
    #[error("`params.{0}` has the wrong json type; see the schema of the method")]
    ParamType(&'static str),
    /// A member of `params._meta` has a JSON type that the protocol does not give it.
    #[error("`params._meta` member `{0}` has the wrong json type; see the schema")]
    MetaType(&'static str),
    /// The batch has no messages.
    #[error("the batch is empty; send at least one message")]
    BatchEmpty,
    /// The batch has more messages than allowed.
    #[error("the batch has too many messages; send fewer at once")]
    BatchTooLong,
    /// Two requests of a batch have the same id.
    #[error("two requests of the batch have the same id; give each its own")]
    BatchDuplicateId,
}

impl FaultKind {
    /// Whether the body is no JSON at all (`-32700`).
    #[must_use]
    pub const fn is_parse_error(self) -> bool {
        matches!(
            self,
            Self::ByteOrderMark
                | Self::NotUtf8
                | Self::Truncated
                | Self::Syntax
                | Self::Trailing
                | Self::ControlCharacter
                | Self::Escape
                | Self::Surrogate
        )
    }

    /// Whether the message is well-formed and its parameters are not (`-32602`).
    #[must_use]
    pub const fn is_invalid_params(self) -> bool {
        matches!(self, Self::ParamType(_) | Self::MetaType(_))
    }

    /// The JSON-RPC error code to answer with.
    #[must_use]
    pub const fn code(self) -> i32 {
        if self.is_parse_error() {
            -32700
        } else if self.is_invalid_params() {
            -32602
        } else {
            -32600
        }
    }
}

/// A refusal of a body: why, where, and for which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (at byte {at})")]
pub struct Fault {
    /// Why.
    pub kind: FaultKind,
    /// Offset of the first byte that is wrong.
    pub at: usize,
    /// The raw id token, where the fault belongs to one request and its id was already read.
    pub id: Option<Span>,
}

impl Fault {
    pub(super) const fn new(kind: FaultKind, at: usize) -> Self {
        Self { kind, at, id: None }
    }
}
