//! Event streams: splitting what an upstream sends into events, and writing our own.
//!
//! [`Splitter`] takes chunks as they arrive and gives whole events, without copying an event that
//! lies within one chunk. It refuses events above a bound while they are still coming in, and
//! bytes that are not UTF-8. It keeps no `Last-Event-ID` and does no reconnecting.
//!
//! SPEC: WHATWG HTML 9.2.6 "Interpreting an event stream". Deviation: invalid UTF-8 is a fault
//! instead of U+FFFD, because what is judged must be what is forwarded.
//!
//! Next: `sse/boundary.rs` for where an event ends, `sse/fields.rs` for what its lines mean.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

mod boundary;
mod fields;

use boundary::Boundary;

/// A comment that keeps a silent stream alive.
pub const KEEPALIVE: &[u8] = b":\n\n";

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event as it came, its blank line included.
    pub raw: Bytes,
    /// The data, its lines joined by line feeds; absent if the event has no `data` line.
    pub data: Option<Bytes>,
    /// The event type; absent means `message`.
    pub event: Option<Bytes>,
    /// The event id; an empty one resets the stream's last id.
    pub id: Option<Bytes>,
    /// The reconnection time that the upstream asks for, in milliseconds.
    pub retry_millis: Option<u64>,
    /// Whether `raw` may be forwarded as it is: line feeds only, exactly one `data` line, and
    /// besides it at most one `event` and one `id`.
    pub is_plain: bool,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseFault {
    /// An event is longer than allowed.
    #[error("the upstream's event is too long")]
    TooLong,
    /// An event is not UTF-8.
    #[error("the upstream's event stream is not valid utf-8")]
    NotUtf8,
}

/// The messages of a whole reply, be it one JSON document or an event stream. A broken stream ends
/// where it breaks.
pub fn messages(reply: Bytes, event_bytes_max: usize) -> impl Iterator<Item = Bytes> {
    let mut splitter = Splitter::new(event_bytes_max);
    let is_json = matches!(reply.first(), Some(b'{' | b'['));
    let document = is_json.then(|| reply.clone());
    if !is_json {
        splitter.push(reply);
    }
    let events = std::iter::from_fn(move || splitter.next().ok().flatten());
    document.into_iter().chain(events.filter_map(|event| event.data))
}

/// Splits the chunks of a stream into events.
#[derive(Debug)]
pub struct Splitter {
    event_bytes_max: usize,
    /// Chunks not looked at yet; the caller drains events after each push, so this is short.
    chunks: VecDeque<Bytes>,
    /// The beginning of an event whose end has not arrived.
    partial: BytesMut,
    boundary: Boundary,
    is_at_start: bool,
    fault: Option<SseFault>,
}

impl Splitter {
    /// A splitter that refuses events longer than `event_bytes_max`, line ends included.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            chunks: VecDeque::new(),
            partial: BytesMut::new(),
            boundary: Boundary::default(),
            is_at_start: true,
            fault: None,
        }
    }

    /// Takes the next chunk. Call [`Splitter::next`] until it gives nothing before the next one.
    /// After a fault, nothing is kept any more.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() && self.fault.is_none() {
            self.chunks.push_back(chunk);
        }
    }

    /// The next whole event; `None` until more chunks come.
    ///
    /// # Errors
    /// A [`SseFault`], from then on always the same one.
    #[expect(clippy::should_implement_trait, reason = "it may give events again after `None`")]
    pub fn next(&mut self) -> Result<Option<Event>, SseFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let next = self.advance();
        if let Err(fault) = next {
            self.fault = Some(fault);
            self.chunks.clear();
            self.partial = BytesMut::new();
        }
        next
    }

    /// Whether the stream, if it ended now, would end within an event.
    #[must_use]
    pub fn is_mid_event(&self) -> bool {
        !self.partial.is_empty() || !self.chunks.is_empty()
    }

    fn advance(&mut self) -> Result<Option<Event>, SseFault> {
        while let Some(mut chunk) = self.chunks.pop_front() {
            let stray = self.boundary.stray_line_feed(&chunk);
            chunk.advance(stray);
            let end = self.boundary.find_end(&chunk);
            let taken = end.unwrap_or(chunk.len());
            if self.partial.len() + taken > self.event_bytes_max {
                return Err(SseFault::TooLong);
            }
            if end.is_none() {
                self.partial.extend_from_slice(&chunk);
                continue;
            }
            let head = chunk.split_to(taken);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
            let raw = if self.partial.is_empty() {
                head
            } else {
                self.partial.extend_from_slice(&head);
                std::mem::take(&mut self.partial).freeze()
            };
            if let Some(event) = self.read(raw)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn read(&mut self, mut raw: Bytes) -> Result<Option<Event>, SseFault> {
        if std::mem::take(&mut self.is_at_start) && raw.starts_with(b"\xef\xbb\xbf") {
            raw.advance(3);
        }
        if std::str::from_utf8(&raw).is_err() {
            return Err(SseFault::NotUtf8);
        }
        Ok(fields::read(raw))
    }
}

/// Writes one event. Line ends of any kind within `data` become further `data` lines; within
/// `event` and `id`, where they would forge fields, they and NUL are left out.
#[must_use]
pub fn encode(
    event: Option<&str>,
    id: Option<&[u8]>,
    retry_millis: Option<u64>,
    data: &[u8],
) -> Bytes {
    let mut written = BytesMut::with_capacity(data.len() + 64);
    if let Some(event) = event {
        put_line(&mut written, b"event: ", event.as_bytes());
    }
    if let Some(id) = id {
        put_line(&mut written, b"id: ", id);
    }
    if let Some(millis) = retry_millis {
        put_line(&mut written, b"retry: ", millis.to_string().as_bytes());
    }
    let mut rest = data;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest);
        written.extend_from_slice(b"data: ");
        written.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
        written.extend_from_slice(b"\n");
        let Some(end) = end else { break };
        let is_pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_pair)..];
    }
    written.extend_from_slice(b"\n");
    written.freeze()
}

fn put_line(written: &mut BytesMut, field: &[u8], value: &[u8]) {
    written.extend_from_slice(field);
    written.extend(value.iter().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)));
    written.extend_from_slice(b"\n");
}
