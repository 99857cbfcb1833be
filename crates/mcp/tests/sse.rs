//! Splitting and writing event streams.

use bytes::Bytes;
use tollgate_mcp::sse::{Event, KEEPALIVE, Splitter, SseFault, encode};

fn drain(splitter: &mut Splitter) -> Vec<Event> {
    std::iter::from_fn(|| splitter.next().unwrap_or_else(|fault| panic!("{fault}"))).collect()
}

fn split(stream: &[u8]) -> Vec<Event> {
    let mut splitter = Splitter::new(1024);
    splitter.push(Bytes::copy_from_slice(stream));
    drain(&mut splitter)
}

fn data(events: &[Event]) -> Vec<Option<&[u8]>> {
    events.iter().map(|event| event.data.as_deref()).collect()
}

#[test]
fn fields_are_read_as_the_standard_says() {
    let events = split(b"event: message\nid: 7\ndata:{}\n\n");
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.event.as_deref(), Some(&b"message"[..]));
    assert_eq!(event.id.as_deref(), Some(&b"7"[..]));
    assert_eq!(event.data.as_deref(), Some(&b"{}"[..]));
    assert!(event.is_plain);
    let events = split(b"data\ndata:  a:b\ndata:c\nretry: 20\nretry: x\nid: a\0b\nfoo: bar\n\n");
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.data.as_deref(), Some(&b"\n a:b\nc"[..]));
    assert_eq!((event.retry_millis, event.id.as_ref(), event.is_plain), (Some(20), None, false));
}

#[test]
fn every_line_end_and_mixture_ends_lines() {
    let wanted: Vec<Option<&[u8]>> = vec![Some(b"a"), Some(b"b")];
    for stream in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\rdata: b\r\r",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "data: a\r\n\ndata: b\n\r\n",
        "data: a\n\r\ndata: b\r\r\n",
        "\n\r\n\rdata: a\n\n\n\ndata: b\n\n\r",
    ] {
        assert_eq!(data(&split(stream.as_bytes())), wanted, "{stream:?}");
    }
}

#[test]
fn byte_order_mark_at_the_start_is_ignored_and_later_is_not() {
    let events = split("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n".as_bytes());
    assert_eq!(data(&events), [Some(&b"a"[..]), Some(b"c")]);
}

#[test]
fn priming_event_has_empty_data_and_comments_are_no_events() {
    let events = split(b": hello\n\n:\n\nid: 1\ndata:\n\nid: 2\n\nevent: x\ndata: y\n");
    assert_eq!(data(&events), [Some(&b""[..]), None]);
    assert!(split(KEEPALIVE).is_empty());
}

#[test]
fn unfinished_event_is_held_back() {
    let mut splitter = Splitter::new(64);
    splitter.push(Bytes::from_static(b"data: a\n"));
    assert!(drain(&mut splitter).is_empty() && splitter.is_mid_event());
    splitter.push(Bytes::from_static(b"\n"));
    assert_eq!(drain(&mut splitter).len(), 1);
    assert!(!splitter.is_mid_event());
}

#[test]
fn event_ended_by_a_return_does_not_wait_for_a_line_feed() {
    let mut splitter = Splitter::new(64);
    splitter.push(Bytes::from_static(b"data: a\r\n\r"));
    assert_eq!(data(&drain(&mut splitter)), [Some(&b"a"[..])]);
    splitter.push(Bytes::from_static(b"\ndata: b\r\r"));
    let events = drain(&mut splitter);
    assert_eq!(data(&events), [Some(&b"b"[..])]);
    assert_eq!(&events[0].raw[..], b"data: b\r\r");
}

#[test]
fn event_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
    let mut splitter = Splitter::new(64);
    splitter.push(chunk.clone());
    let events = drain(&mut splitter);
    assert_eq!(events[1].raw.as_ptr(), chunk[9..].as_ptr());
    assert_eq!(events[1].data.as_ref().expect("data").as_ptr(), chunk[15..].as_ptr());
}

#[test]
fn only_events_that_may_be_forwarded_untouched_are_plain() {
    let plain = |stream: &str| split(stream.as_bytes())[0].is_plain;
    assert!(plain("data: a\n\n") && plain("id: 1\nevent: m\ndata: a\n\n"));
    for stream in [
        "data: a\r\n\r\n",
        "data: a\n\r\n",
        "data: a\ndata: b\n\n",
        "retry: 1\ndata: a\n\n",
        ": c\ndata: a\n\n",
        "foo: a\ndata: a\n\n",
        "id: 1\nid: 2\ndata: a\n\n",
        "id: 1\n\n",
        "id: \0\ndata: a\n\n",
    ] {
        assert!(!plain(stream), "{stream:?}");
    }
}

#[test]
fn event_without_bound_is_refused_while_it_arrives() {
    let mut splitter = Splitter::new(16);
    for _ in 0..2 {
        splitter.push(Bytes::from_static(b": 345678"));
        assert_eq!(splitter.next(), Ok(None));
    }
    splitter.push(Bytes::from_static(b"x"));
    assert_eq!(splitter.next(), Err(SseFault::TooLong));
    splitter.push(Bytes::from_static(b"\n\ndata: a\n\n"));
    assert_eq!(splitter.next(), Err(SseFault::TooLong));
}

#[test]
fn bytes_that_are_not_utf8_end_the_stream() {
    let mut splitter = Splitter::new(64);
    splitter.push(Bytes::from_static(b"data: \xff\n\n"));
    assert_eq!(splitter.next(), Err(SseFault::NotUtf8));
}

#[test]
fn written_event_holds_no_line_that_its_data_forged() {
    let event = encode(
        Some("message\nid: 9"),
        Some(b"1\r\n2\0"),
        Some(5),
        b"a\r\n\r\nevent: evil\rdata: x\n",
    );
    let read = split(&event);
    assert_eq!(
        &event[..],
        b"event: messageid: 9\nid: 12\nretry: 5\ndata: a\ndata: \ndata: event: evil\ndata: data: x\ndata: \n\n"
    );
    assert_eq!(data(&read), [Some(&b"a\n\nevent: evil\ndata: x\n"[..])]);
    assert_eq!(&encode(None, None, None, b"{}")[..], b"data: {}\n\n");
}

#[test]
fn a_whole_reply_gives_the_same_messages_as_a_document_and_as_a_stream() {
    let read = |reply: &'static str| -> Vec<Bytes> {
        tollgate_mcp::sse::messages(Bytes::from_static(reply.as_bytes()), 64).collect()
    };
    assert_eq!(read("{\"id\":1}"), ["{\"id\":1}"]);
    assert_eq!(read("id: 1\ndata:\n\ndata: {\"id\":1}\n\ndata: cut off"), ["", "{\"id\":1}"]);
}

#[test]
fn nothing_is_kept_behind_a_fault() {
    let mut splitter = Splitter::new(16);
    splitter.push(Bytes::from_static(b"data: much longer than that"));
    assert_eq!(splitter.next(), Err(SseFault::TooLong));
    splitter.push(Bytes::from_static(b"data: x\n\n"));
    assert!(!splitter.is_mid_event());
    assert_eq!(splitter.next(), Err(SseFault::TooLong));
}
