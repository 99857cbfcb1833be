//! Reads server-sent events as a client does: fields, multi-line data, comments.

use crate::http1;
use serde_json::Value;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its `id`, if it has one.
    pub id: Option<String>,
    /// Its `event`, if it has one.
    pub kind: Option<String>,
    /// Its data lines, joined.
    pub data: String,
    /// Whether it consists of comments only.
    pub is_comment: bool,
}

impl Event {
    /// Its data as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }
}

/// Cuts events out of the bytes of a body.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    is_chunked: bool,
    is_over: bool,
    text: Vec<u8>,
}

impl EventReader {
    pub(crate) fn new(is_chunked: bool) -> Self {
        Self { is_chunked, is_over: false, text: Vec::new() }
    }

    /// Whether the body has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes what arrived out of `buffer`, and the next whole event out of that.
    pub(crate) fn take(&mut self, buffer: &mut Vec<u8>) -> Option<Event> {
        if self.is_chunked {
            while let Some((data, len)) = http1::chunk(buffer) {
                self.is_over |= data.is_empty();
                self.text.extend_from_slice(data);
                buffer.drain(..len);
            }
        } else {
            self.text.append(buffer);
        }
        let end = self.text.windows(2).position(|two| two == b"\n\n")?;
        let text: Vec<u8> = self.text.drain(..end + 2).collect();
        Some(parse(&String::from_utf8_lossy(&text)))
    }
}

/// The data of all events of a whole body that have some.
pub(crate) fn data_of(body: &[u8]) -> Vec<String> {
    let mut reader = EventReader::new(false);
    let mut buffer = body.to_vec();
    std::iter::from_fn(|| reader.take(&mut buffer))
        .map(|event| event.data)
        .filter(|data| !data.is_empty())
        .collect()
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    let mut data: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.kind = Some(value.to_owned()),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.is_comment = data.is_empty() && event.id.is_none() && event.kind.is_none();
    event.data = data.join("\n");
    event
}
