//! The part of HTTP/1.1 that the upstream and the load generator read: heads and bodies.
//!
//! Written for speed and for peers we started ourselves; it refuses what it does not need (bodies
//! that end with the connection) and never guesses. Does no I/O.
//!
//! Next: `connection.rs`, the client's side of a connection.

use bytes::{Buf, BytesMut};

/// Most headers in one head.
const HEADERS_MAX: usize = 64;
/// Longest head or chunk-size line.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Why bytes are not HTTP as we read it.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The head is not HTTP/1.1.
    #[error("bad head: {0}")]
    Head(#[from] httparse::Error),
    /// The head, or a chunk-size line, does not end.
    #[error("a head or chunk line of more than {HEAD_BYTES_MAX} bytes")]
    Endless,
    /// `Content-Length` is not a number.
    #[error("bad content length")]
    ContentLength,
    /// A chunk is not framed as RFC 9112 §7.1 says.
    #[error("bad chunk framing")]
    Chunk,
    /// The body has no length of its own.
    #[error("a body that ends with the connection")]
    Unframed,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many bytes.
    Exact(usize),
    /// In chunks.
    Chunked,
}

/// The head of a reply.
#[derive(Clone, Debug)]
pub struct ReplyHead {
    /// The status code.
    pub status: u16,
    /// Length of the head itself.
    pub bytes: usize,
    /// Length of the body.
    pub length: Length,
    /// The body is an event stream.
    pub is_events: bool,
    /// The peer closes the connection after this reply.
    pub closes: bool,
    /// `Mcp-Session-Id`.
    pub session: Option<String>,
}

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The verb.
    pub method: Method,
    /// The path is `/stats`.
    pub is_stats: bool,
    /// Length of the head itself.
    pub bytes: usize,
    /// Length of the body.
    pub length: Length,
    /// `Mcp-Session-Id` is there.
    pub has_session: bool,
    /// `MCP-Protocol-Version` is the modern one.
    pub is_modern: bool,
}

/// The verbs the upstream serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// DELETE.
    Delete,
    /// Any other.
    Other,
}

/// Reads the head of a reply; `None` when it is not all there yet.
pub fn reply_head(buf: &[u8]) -> Result<Option<ReplyHead>, WireError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut reply = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(bytes) = reply.parse(buf)? else {
        return if buf.len() > HEAD_BYTES_MAX { Err(WireError::Endless) } else { Ok(None) };
    };
    let status = reply.code.unwrap_or(0);
    let mut length = None;
    let (mut is_events, mut closes, mut session) = (false, false, None);
    for header in reply.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(Length::Exact(decimal(header.value)?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Some(Length::Chunked);
        } else if name.eq_ignore_ascii_case("content-type") {
            is_events = header.value.starts_with(b"text/event-stream");
        } else if name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        } else if name.eq_ignore_ascii_case("mcp-session-id") {
            session = Some(String::from_utf8_lossy(header.value).into_owned());
        }
    }
    let length = match length {
        Some(length) => length,
        None if status == 204 => Length::Exact(0),
        None => return Err(WireError::Unframed),
    };
    Ok(Some(ReplyHead { status, bytes, length, is_events, closes, session }))
}

/// Reads the head of a request; `None` when it is not all there yet.
pub fn request_head(buf: &[u8]) -> Result<Option<RequestHead>, WireError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(bytes) = request.parse(buf)? else {
        return if buf.len() > HEAD_BYTES_MAX { Err(WireError::Endless) } else { Ok(None) };
    };
    let mut head = RequestHead {
        method: match request.method {
            Some("GET") => Method::Get,
            Some("POST") => Method::Post,
            Some("DELETE") => Method::Delete,
            _ => Method::Other,
        },
        is_stats: request.path == Some("/stats"),
        bytes,
        length: Length::Exact(0),
        has_session: false,
        is_modern: false,
    };
    for header in request.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") {
            head.length = Length::Exact(decimal(header.value)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("mcp-session-id") {
            head.has_session = !header.value.is_empty();
        } else if name.eq_ignore_ascii_case("mcp-protocol-version") {
            head.is_modern = header.value == crate::tools::MODERN_REVISION.as_bytes();
        }
    }
    Ok(Some(head))
}

fn decimal(value: &[u8]) -> Result<usize, WireError> {
    let text = std::str::from_utf8(value).map_err(|_| WireError::ContentLength)?;
    text.trim().parse().map_err(|_| WireError::ContentLength)
}

/// Takes a chunked body apart as it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunks {
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Size,
    Data(usize),
    DataEnd,
    Trailer,
}

impl Chunks {
    /// Moves what has arrived of the body from `buf` to `out`; true when the body has ended.
    pub fn decode(&mut self, buf: &mut BytesMut, out: &mut Vec<u8>) -> Result<bool, WireError> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = line_end(buf)? else { return Ok(false) };
                    let size = chunk_size(&buf[..line])?;
                    buf.advance(line + 2);
                    self.state = if size == 0 { State::Trailer } else { State::Data(size) };
                }
                State::Data(left) => {
                    let here = left.min(buf.len());
                    out.extend_from_slice(&buf[..here]);
                    buf.advance(here);
                    if here < left {
                        self.state = State::Data(left - here);
                        return Ok(false);
                    }
                    self.state = State::DataEnd;
                }
                State::DataEnd => {
                    if buf.len() < 2 {
                        return Ok(false);
                    }
                    if &buf[..2] != b"\r\n" {
                        return Err(WireError::Chunk);
                    }
                    buf.advance(2);
                    self.state = State::Size;
                }
                State::Trailer => {
                    let Some(line) = line_end(buf)? else { return Ok(false) };
                    buf.advance(line + 2);
                    if line == 0 {
                        self.state = State::Size;
                        return Ok(true);
                    }
                }
            }
        }
    }
}

fn line_end(buf: &[u8]) -> Result<Option<usize>, WireError> {
    match buf.windows(2).take(HEAD_BYTES_MAX).position(|pair| pair == b"\r\n") {
        Some(at) => Ok(Some(at)),
        None if buf.len() > HEAD_BYTES_MAX => Err(WireError::Endless),
        None => Ok(None),
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, WireError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).map_err(|_| WireError::Chunk)?;
    usize::from_str_radix(text.trim(), 16).map_err(|_| WireError::Chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_body_survives_any_split() {
        let wire = b"5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nt: v\r\n\r\n";
        for split in 0..wire.len() {
            let (mut chunks, mut out) = (Chunks::default(), Vec::new());
            let mut buf = BytesMut::from(&wire[..split]);
            let early = chunks.decode(&mut buf, &mut out).unwrap();
            buf.extend_from_slice(&wire[split..]);
            let done = chunks.decode(&mut buf, &mut out).unwrap();
            assert_eq!((early, done, out.as_slice()), (false, true, &b"hello world"[..]));
        }
    }

    #[test]
    fn chunk_of_wrong_length_is_refused() {
        let mut buf = BytesMut::from(&b"2\r\nabc\r\n0\r\n\r\n"[..]);
        assert!(Chunks::default().decode(&mut buf, &mut Vec::new()).is_err());
    }

    #[test]
    fn reply_head_tells_length_and_session() {
        let head = reply_head(
            b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nMcp-Session-Id: s1\r\nContent-Type: \
              text/event-stream; charset=utf-8\r\n\r\n",
        );
        let head = head.unwrap().unwrap();
        assert_eq!(
            (head.status, head.length, head.session.as_deref(), head.is_events),
            (200, Length::Exact(12), Some("s1"), true)
        );
    }

    #[test]
    fn reply_that_ends_with_the_connection_is_refused() {
        assert!(matches!(reply_head(b"HTTP/1.1 200 OK\r\n\r\n"), Err(WireError::Unframed)));
    }
}
