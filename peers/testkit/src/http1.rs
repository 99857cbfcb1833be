//! Just enough HTTP/1.1 to read one message from a buffer, leniently and exactly.
//!
//! Lenient, because a peer that refuses odd bytes would hide what the gate let through.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Most header fields of one message.
const HEADERS_MAX: usize = 256;

/// The head of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// Method and path of a request; status and reason of a response.
    pub(crate) first: (String, String),
    pub(crate) headers: Vec<(String, String)>,
    /// Its length in bytes.
    pub(crate) len: usize,
}

impl Head {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    fn is_chunked(&self) -> bool {
        self.get("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked"))
    }
}

/// The first header of this name.
pub(crate) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
}

/// Reads a request head from the front of `bytes`; `None` while it is incomplete.
pub(crate) fn request_head(bytes: &[u8]) -> Result<Option<Head>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    Ok(match request.parse(bytes)? {
        httparse::Status::Partial => None,
        httparse::Status::Complete(len) => {
            let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
            let first = (text(request.method), text(request.path));
            Some(Head { first, headers: owned(request.headers), len })
        }
    })
}

/// Reads a response head from the front of `bytes`; `None` while it is incomplete.
pub(crate) fn response_head(bytes: &[u8]) -> Result<Option<Head>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    Ok(match response.parse(bytes)? {
        httparse::Status::Partial => None,
        httparse::Status::Complete(len) => {
            let code = response.code.unwrap_or_default().to_string();
            let first = (code, response.reason.unwrap_or_default().to_owned());
            Some(Head { first, headers: owned(response.headers), len })
        }
    })
}

fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect()
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Exactly(usize),
    Chunked,
    UntilClose,
}

impl Length {
    pub(crate) fn of_request(head: &Head) -> Self {
        match head.get("content-length").and_then(|length| length.parse().ok()) {
            _ if head.is_chunked() => Self::Chunked,
            Some(length) => Self::Exactly(length),
            None => Self::Exactly(0),
        }
    }

    pub(crate) fn of_response(head: &Head) -> Self {
        let status = head.first.0.as_str();
        match head.get("content-length").and_then(|length| length.parse().ok()) {
            _ if status.starts_with('1') || matches!(status, "204" | "304") => Self::Exactly(0),
            _ if head.is_chunked() => Self::Chunked,
            Some(length) => Self::Exactly(length),
            None => Self::UntilClose,
        }
    }
}

/// One chunk from the front of `bytes`: its data and the length of its whole text. `None` while it
/// is incomplete. The last chunk has no data; its text includes the trailers.
pub(crate) fn chunk(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    let size = std::str::from_utf8(bytes.get(..line)?).ok()?;
    let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
    let begin = line + 2;
    if size == 0 {
        let mut at = begin;
        loop {
            let end = bytes.get(at..)?.windows(2).position(|two| two == b"\r\n")?;
            at += end + 2;
            if end == 0 {
                return Some((&[], at));
            }
        }
    }
    bytes.get(begin..begin + size + 2)?;
    Some((&bytes[begin..begin + size], begin + size + 2))
}

/// A body, and the text of the trailers behind it.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Vec<u8>,
}

/// Reads a whole body from `buffer` and then from `source`, removing its text from the buffer.
pub(crate) async fn body(
    source: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    length: Length,
) -> io::Result<Body> {
    let mut body = Body::default();
    loop {
        match length {
            Length::Exactly(length) if buffer.len() >= length => {
                body.data.extend(buffer.drain(..length));
                return Ok(body);
            }
            Length::Chunked => {
                while let Some((data, len)) = chunk(buffer) {
                    let is_last = data.is_empty();
                    body.data.extend_from_slice(data);
                    let text: Vec<u8> = buffer.drain(..len).collect();
                    if is_last {
                        body.trailers = text;
                        return Ok(body);
                    }
                }
            }
            Length::Exactly(_) | Length::UntilClose => {}
        }
        if source.read_buf(buffer).await? == 0 {
            if length == Length::UntilClose {
                body.data.append(buffer);
                return Ok(body);
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
