//! What the lines of one event mean.
//!
//! Data that is one line is a slice of the event; only several lines are copied to be joined.
//! Fields that nobody defined, comments, ids with NUL and retries that are no number are ignored.

use bytes::{Bytes, BytesMut};

use super::Event;

/// Reads one block of lines; `None` if it has no field, as a block of comments has none.
pub(super) fn read(raw: Bytes) -> Option<Event> {
    let mut event =
        Event { raw, data: None, event: None, id: None, retry_millis: None, is_plain: true };
    let raw = event.raw.clone();
    let mut joined: Option<BytesMut> = None;
    let mut has_field = false;
    let mut at = 0;
    while at < raw.len() {
        let end = memchr::memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |found| at + found);
        let (name, value) = split_field(&raw, at, end);
        match &raw[at..name] {
            b"data" => {
                add_data(&mut event, &mut joined, raw.slice(value..end));
                has_field = true;
            }
            b"event" => {
                // NUL is left out where an event is written anew.
                event.is_plain &= event.event.is_none() && !raw[value..end].contains(&0);
                event.event = Some(raw.slice(value..end));
                has_field = true;
            }
            b"id" if memchr::memchr(0, &raw[value..end]).is_none() => {
                event.is_plain &= event.id.is_none();
                event.id = Some(raw.slice(value..end));
                has_field = true;
            }
            b"retry" => {
                event.is_plain = false;
                event.retry_millis = millis(&raw[value..end]).or(event.retry_millis);
                has_field |= event.retry_millis.is_some();
            }
            // The blank line that ends the event, and nothing else, may be empty.
            b"" if at == end => event.is_plain &= end + 1 == raw.len(),
            _ => event.is_plain = false,
        }
        event.is_plain &= raw.get(end) == Some(&b'\n');
        at = end + 1;
        if raw.get(end) == Some(&b'\r') && raw.get(at) == Some(&b'\n') {
            at += 1;
        }
    }
    if let Some(joined) = joined {
        event.data = Some(joined.freeze());
    }
    event.is_plain &= event.data.is_some();
    has_field.then_some(event)
}

/// Where the field's name ends and its value starts, in the line from `at` to `end`.
fn split_field(raw: &[u8], at: usize, end: usize) -> (usize, usize) {
    let Some(colon) = memchr::memchr(b':', &raw[at..end]) else { return (end, end) };
    let colon = at + colon;
    let has_space = raw[colon + 1..end].first() == Some(&b' ');
    (colon, colon + 1 + usize::from(has_space))
}

fn add_data(event: &mut Event, joined: &mut Option<BytesMut>, line: Bytes) {
    let Some(first) = &event.data else {
        event.data = Some(line);
        return;
    };
    event.is_plain = false;
    let joined = joined.get_or_insert_with(|| BytesMut::from(&first[..]));
    joined.extend_from_slice(b"\n");
    joined.extend_from_slice(&line);
}

fn millis(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
