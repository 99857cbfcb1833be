//! The head of a reply: what of it the gate reads, and how the body behind it is framed.
//!
//! Refuses whatever would leave in doubt where the body ends: that doubt is how replies are smuggled
//! from one caller to another. Keeps the few fields that anybody here reads and drops the rest.
//!
//! SPEC: RFC 9112 sections 4, 6 and 9.3. Next: `codec.rs`.

use crate::upstream::fault::Cause;
use http::StatusCode;
use httparse::{Header, ParserConfig, Status};
use std::mem::MaybeUninit;
use tollgate_core::bounds::{HEAD_BYTES_MAX, HEADERS_MAX};

/// What the gate reads of a reply's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyHeaders {
    /// `content-type`, as far as it matters.
    pub media: Media,
    /// `mcp-session-id`, if it is visible ASCII.
    pub session: Option<Box<str>>,
    /// `retry-after`, where it is a number of seconds.
    pub retry_after_secs: Option<u32>,
}

/// The media types that mean something here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Media {
    /// `application/json`
    Json,
    /// `text/event-stream`
    Events,
    /// Any other, or none.
    #[default]
    Other,
}

impl Media {
    fn of(value: &[u8]) -> Self {
        let is = |kind: &[u8]| {
            value.len() >= kind.len()
                && value[..kind.len()].eq_ignore_ascii_case(kind)
                && value.get(kind.len()).is_none_or(|next| matches!(next, b';' | b' ' | b'\t'))
        };
        if is(b"application/json") {
            Self::Json
        } else if is(b"text/event-stream") {
            Self::Events
        } else {
            Self::Other
        }
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// When the upstream closes.
    UntilClose,
}

/// The head of a final reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: ReplyHeaders,
    pub(crate) framing: Framing,
    pub(crate) keeps_alive: bool,
}

/// What a piece of input is, taken for a head.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A final head of so many bytes.
    Final(Head, usize),
    /// A head of so many bytes that announces another.
    Interim(usize),
    /// Not a whole one.
    Partial,
}

/// Reads a head. `bodiless` where the request was a HEAD.
pub(crate) fn parse(input: &[u8], bodiless: bool) -> Result<Parsed, Cause> {
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        &input[..input.len().min(HEAD_BYTES_MAX)],
        &mut fields,
    );
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if input.len() >= HEAD_BYTES_MAX => return Err(Cause::HeadTooLarge),
        Ok(Status::Partial) => return Ok(Parsed::Partial),
        Err(httparse::Error::TooManyHeaders) => return Err(Cause::HeadTooLarge),
        Err(error) => return Err(Cause::NotHttp(error.to_string())),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| not_http("its status is no number of HTTP"))?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Cause::Switched);
    }
    if status.is_informational() {
        return Ok(Parsed::Interim(length));
    }
    let mut reading = Reading::new(response.version == Some(1));
    for field in response.headers.iter() {
        reading.take(field)?;
    }
    let bodiless = bodiless || matches!(status.as_u16(), 204 | 304);
    let framing = reading.framing()?;
    let framing = if bodiless { Framing::Length(0) } else { framing };
    let keeps_alive = reading.keeps_alive && framing != Framing::UntilClose;
    Ok(Parsed::Final(Head { status, headers: reading.kept, framing, keeps_alive }, length))
}

/// The fields of a head, one after the other.
struct Reading {
    is_1_1: bool,
    kept: ReplyHeaders,
    media_seen: bool,
    length: Option<u64>,
    chunked: bool,
    keeps_alive: bool,
}

impl Reading {
    fn new(is_1_1: bool) -> Self {
        Self {
            is_1_1,
            kept: ReplyHeaders::default(),
            media_seen: false,
            length: None,
            chunked: false,
            keeps_alive: is_1_1,
        }
    }

    fn take(&mut self, field: &Header<'_>) -> Result<(), Cause> {
        let value = field.value;
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        // By length first: most fields are none of these.
        match field.name.len() {
            10 if is("connection") => {
                let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                self.keeps_alive &= !tokens.any(|token| token.eq_ignore_ascii_case(b"close"));
            }
            11 if is("retry-after") => {
                let secs = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                self.kept.retry_after_secs = self.kept.retry_after_secs.or(secs);
            }
            12 if is("content-type") && !self.media_seen => {
                self.media_seen = true;
                self.kept.media = Media::of(value);
            }
            14 if is("content-length") => self.note_length(value)?,
            14 if is("mcp-session-id") && self.kept.session.is_none() => {
                let visible = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
                let text = std::str::from_utf8(value).ok().filter(|_| visible);
                self.kept.session = text.map(Box::from);
            }
            16 if is("content-encoding") && !value.eq_ignore_ascii_case(b"identity") => {
                return Err(encoded(value));
            }
            17 if is("transfer-encoding") => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(encoded(value));
                }
                if self.chunked || !self.is_1_1 {
                    return Err(not_http("its transfer coding is ambiguous"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), Cause> {
        // At most 18 digits: always below 2^63, and `parse` would take a sign.
        let plain = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| plain);
        let length = text.and_then(|text| text.parse().ok());
        let length: u64 = length.ok_or_else(|| not_http("its content-length is no number"))?;
        if self.length.is_some_and(|known| known != length) {
            return Err(not_http("it has two lengths"));
        }
        self.length = Some(length);
        Ok(())
    }

    fn framing(&self) -> Result<Framing, Cause> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(not_http("it has both a length and a transfer coding")),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::UntilClose),
        }
    }
}

/// A fault of framing, in words.
pub(crate) fn not_http(why: &str) -> Cause {
    Cause::NotHttp(why.to_owned())
}

fn encoded(value: &[u8]) -> Cause {
    Cause::Encoded(String::from_utf8_lossy(value).chars().take(64).collect())
}
