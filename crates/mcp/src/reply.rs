//! A quick look at one JSON-RPC message from an upstream, on its way to an agent.
//!
//! Upstreams are configured, not anonymous, and their replies are large: only the outermost
//! members are read, what lies within them must balance and must not hold raw control characters
//! in strings. It finds what the gate must know (whose answer, which kind) and where it may have
//! to write (the start of `result`, the tokens of notifications). It changes nothing.
//!
//! Next: `json/walk.rs` for the walk, `json/splice.rs` for changing what was found.

use crate::json::{Skip, Span, Text, skip_space};

pub(crate) mod members;

use members::Members;

/// What a message from an upstream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlanceKind {
    /// An answer with a result.
    Response,
    /// An answer with an error; its id is absent where the upstream did not know it.
    ErrorResponse,
    /// A request of the upstream to the agent.
    Request,
    /// A notification.
    Notification,
}

/// What was found in a message.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// The whole object.
    pub span: Span,
    /// What it is.
    pub kind: GlanceKind,
    /// The id as a raw token, a string or an integer.
    pub id: Option<Span>,
    /// The method of a request or notification.
    pub method: Option<Text>,
    /// The code of an error.
    pub error_code: Option<i64>,
    /// The `error` object.
    pub error: Option<Span>,
    /// What is known of the `result` object.
    pub result: Option<ResultGlance>,
    /// What is known of the `params` object.
    pub params: Option<ParamsGlance>,
}

/// What was found in a `result` object.
#[derive(Clone, Copy, Debug)]
pub struct ResultGlance {
    /// The whole object; new members are inserted behind its first byte.
    pub span: Span,
    /// `resultType`.
    pub result_type: Option<Text>,
    /// Whether it has `ttlMs`.
    pub has_ttl_ms: bool,
    /// Whether it has `cacheScope`.
    pub has_cache_scope: bool,
    /// `protocolVersion`, of an answer to `initialize`.
    pub protocol_version: Option<Text>,
    /// `_meta`, if it is an object.
    pub meta: Option<Span>,
    /// `_meta["io.modelcontextprotocol/subscriptionId"]`, a raw id token.
    pub subscription_id: Option<Span>,
    /// Whether it has no members.
    pub is_empty: bool,
}

/// What was found in the `params` object of a request or notification.
#[derive(Clone, Copy, Debug)]
pub struct ParamsGlance {
    /// The whole object.
    pub span: Span,
    /// `progressToken`, a raw token.
    pub progress_token: Option<Span>,
    /// `requestId`, a raw token.
    pub request_id: Option<Span>,
    /// `uri`, of `notifications/resources/updated`.
    pub uri: Option<Text>,
    /// `_meta["io.modelcontextprotocol/subscriptionId"]`, a raw id token.
    pub subscription_id: Option<Span>,
}

/// Why a message from an upstream is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlanceFault {
    /// It is not UTF-8.
    #[error("the upstream's message is not valid utf-8")]
    NotUtf8,
    /// It ends too early.
    #[error("the upstream's message ends too early")]
    Truncated,
    /// It is not JSON.
    #[error("the upstream's message is not valid json")]
    Syntax,
    /// A string of it holds a raw control character.
    #[error("the upstream's message holds a raw control character")]
    ControlCharacter,
    /// It nests too deeply.
    #[error("the upstream's message is nested too deeply")]
    TooDeep,
    /// A member that the gate reads is there twice.
    #[error("the upstream's message has a protocol key twice")]
    DuplicateKey,
    /// It is JSON, but not a JSON-RPC message.
    #[error("the upstream's message is not a json-rpc message")]
    Shape,
}

impl From<Skip> for GlanceFault {
    fn from(skip: Skip) -> Self {
        match skip {
            Skip::Truncated => Self::Truncated,
            Skip::Syntax => Self::Syntax,
            Skip::ControlCharacter => Self::ControlCharacter,
            Skip::TooDeep => Self::TooDeep,
        }
    }
}

/// Looks at exactly one message.
///
/// # Errors
/// A [`GlanceFault`] if it is not one complete JSON-RPC message object.
pub fn glance(message: &[u8]) -> Result<Glance, GlanceFault> {
    std::str::from_utf8(message).map_err(|_| GlanceFault::NotUtf8)?;
    let (glance, end) = glance_at(message, skip_space(message, 0))?;
    if end != message.len() {
        return Err(GlanceFault::Syntax);
    }
    Ok(glance)
}

/// Looks at one message, or at each of a batch (2025-03-26). A batch is never empty.
///
/// # Errors
/// A [`GlanceFault`] if it is neither, or has more than `batch_max` messages.
pub fn glance_any(message: &[u8], batch_max: usize) -> Result<Vec<Glance>, GlanceFault> {
    let start = skip_space(message, 0);
    if message.get(start) != Some(&b'[') {
        return glance(message).map(|glance| vec![glance]);
    }
    std::str::from_utf8(message).map_err(|_| GlanceFault::NotUtf8)?;
    let mut found = Vec::new();
    let mut at = start;
    loop {
        if found.len() == batch_max {
            return Err(GlanceFault::Shape);
        }
        let (glance, end) = glance_at(message, skip_space(message, at + 1))?;
        found.push(glance);
        at = end;
        match message.get(at) {
            Some(b',') => {}
            Some(b']') => break,
            Some(_) => return Err(GlanceFault::Syntax),
            None => return Err(GlanceFault::Truncated),
        }
    }
    if skip_space(message, at + 1) != message.len() {
        return Err(GlanceFault::Syntax);
    }
    Ok(found)
}

/// The outermost members of a message, each at most once.
#[derive(Default)]
struct Envelope {
    version: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    error: Option<Span>,
    code: Option<i64>,
    params: Option<ParamsGlance>,
    result: Option<ResultGlance>,
}

/// Looks at the message at `start`; also the offset behind it and the white space after it.
fn glance_at(body: &[u8], start: usize) -> Result<(Glance, usize), GlanceFault> {
    let mut members = Members::open(body, start)?;
    let mut envelope = Envelope::default();
    while let Some(key) = members.next_key()? {
        if key.is(body, "result") {
            let (result, end) = result(body, members.at)?;
            put(&mut envelope.result, result)?;
            members.at = end;
        } else if key.is(body, "params") {
            let (params, end) = params(body, members.at)?;
            put(&mut envelope.params, params)?;
            members.at = end;
        } else if key.is(body, "error") {
            let (span, code, end) = error(body, members.at)?;
            put(&mut envelope.error, span)?;
            envelope.code = code;
            members.at = end;
        } else if key.is(body, "jsonrpc") {
            put(&mut envelope.version, members.value()?)?;
        } else if key.is(body, "id") {
            put(&mut envelope.id, members.value()?)?;
        } else if key.is(body, "method") {
            put(&mut envelope.method, members.value()?)?;
        } else {
            members.value()?;
        }
    }
    let glance = shape(body, Span::new(start, members.at), envelope)?;
    Ok((glance, skip_space(body, members.at)))
}

fn shape(body: &[u8], span: Span, envelope: Envelope) -> Result<Glance, GlanceFault> {
    let text = |span: Span| text_of(body, span);
    let is_version_2 = envelope.version.and_then(text).is_some_and(|text| text.is(body, "2.0"));
    let method = envelope.method.map(|span| text(span).ok_or(GlanceFault::Shape)).transpose()?;
    let kind = match (method, envelope.result, envelope.error, envelope.id) {
        (Some(_), None, None, Some(_)) => GlanceKind::Request,
        (Some(_), None, None, None) => GlanceKind::Notification,
        (None, Some(_), None, Some(_)) => GlanceKind::Response,
        (None, None, Some(_), _) => GlanceKind::ErrorResponse,
        _ => return Err(GlanceFault::Shape),
    };
    let id = match envelope.id {
        Some(id) if kind == GlanceKind::ErrorResponse && id.of(body) == b"null" => None,
        Some(id) => Some(id_of(body, id).ok_or(GlanceFault::Shape)?),
        None => None,
    };
    if !is_version_2 {
        return Err(GlanceFault::Shape);
    }
    Ok(Glance {
        span,
        kind,
        id,
        method,
        error_code: envelope.code,
        error: envelope.error,
        result: envelope.result,
        params: envelope.params,
    })
}

/// What is in the result at `start`, and the offset behind it.
fn result(body: &[u8], start: usize) -> Result<(ResultGlance, usize), GlanceFault> {
    let mut members = Members::open(body, start)?;
    let (mut result_type, mut protocol_version) = (None, None);
    let (mut ttl, mut scope, mut meta) = (None, None, None);
    while let Some(key) = members.next_key()? {
        let value = members.value()?;
        if key.is(body, "resultType") {
            put(&mut result_type, text_of(body, value).ok_or(GlanceFault::Shape)?)?;
        } else if key.is(body, "ttlMs") {
            put(&mut ttl, value)?;
        } else if key.is(body, "cacheScope") {
            put(&mut scope, value)?;
        } else if key.is(body, "protocolVersion") {
            put(&mut protocol_version, value)?;
        } else if key.is(body, "_meta") {
            put(&mut meta, value)?;
        }
    }
    let meta = meta.filter(|span| span.of(body).first() == Some(&b'{'));
    let glance = ResultGlance {
        span: Span::new(start, members.at),
        result_type,
        has_ttl_ms: ttl.is_some(),
        has_cache_scope: scope.is_some(),
        protocol_version: protocol_version.and_then(|span| text_of(body, span)),
        meta,
        subscription_id: meta.map(|meta| subscription_id(body, meta)).transpose()?.flatten(),
        is_empty: members.is_first,
    };
    Ok((glance, members.at))
}

/// What is in the params at `start`, and the offset behind them.
fn params(body: &[u8], start: usize) -> Result<(ParamsGlance, usize), GlanceFault> {
    let mut members = Members::open(body, start)?;
    let (mut progress_token, mut request_id, mut uri, mut meta) = (None, None, None, None);
    while let Some(key) = members.next_key()? {
        let value = members.value()?;
        if key.is(body, "progressToken") {
            put(&mut progress_token, value)?;
        } else if key.is(body, "requestId") {
            put(&mut request_id, value)?;
        } else if key.is(body, "uri") {
            put(&mut uri, value)?;
        } else if key.is(body, "_meta") {
            put(&mut meta, value)?;
        }
    }
    let meta = meta.filter(|span| span.of(body).first() == Some(&b'{'));
    let glance = ParamsGlance {
        span: Span::new(start, members.at),
        progress_token: progress_token.and_then(|span| id_of(body, span)),
        request_id: request_id.and_then(|span| id_of(body, span)),
        uri: uri.and_then(|span| text_of(body, span)),
        subscription_id: meta.map(|meta| subscription_id(body, meta)).transpose()?.flatten(),
    };
    Ok((glance, members.at))
}

/// The error object at `start`, its code, and the offset behind it.
fn error(body: &[u8], start: usize) -> Result<(Span, Option<i64>, usize), GlanceFault> {
    let mut members = Members::open(body, start)?;
    let mut code = None;
    while let Some(key) = members.next_key()? {
        let value = members.value()?;
        if key.is(body, "code") {
            put(&mut code, value)?;
        }
    }
    let code = code.and_then(|span| std::str::from_utf8(span.of(body)).ok()?.parse().ok());
    Ok((Span::new(start, members.at), code, members.at))
}

fn subscription_id(body: &[u8], meta: Span) -> Result<Option<Span>, GlanceFault> {
    let mut members = Members::open(body, meta.start as usize)?;
    let mut id = None;
    while let Some(key) = members.next_key()? {
        let value = members.value()?;
        if key.is(body, "io.modelcontextprotocol/subscriptionId") {
            put(&mut id, value)?;
        }
    }
    Ok(id.and_then(|span| id_of(body, span)))
}

fn put<T>(slot: &mut Option<T>, value: T) -> Result<(), GlanceFault> {
    if slot.is_some() {
        return Err(GlanceFault::DuplicateKey);
    }
    *slot = Some(value);
    Ok(())
}

fn text_of(body: &[u8], value: Span) -> Option<Text> {
    let bytes = value.of(body);
    (bytes.first() == Some(&b'"'))
        .then(|| Text { span: value, escaped: memchr::memchr(b'\\', bytes).is_some() })
}

/// A string, or an integer in its one spelling.
fn id_of(body: &[u8], value: Span) -> Option<Span> {
    let bytes = value.of(body);
    let is_id = match bytes.strip_prefix(b"-").unwrap_or(bytes) {
        [b'"', ..] => bytes.first() == Some(&b'"'),
        b"0" => bytes.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_id.then_some(value)
}
