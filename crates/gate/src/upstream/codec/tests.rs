//! Replies as bytes: what they mean, and that cutting them up changes nothing.

use super::{Codec, Said};
use crate::upstream::{Cause, Head, Media};
use proptest::prelude::*;

/// How a whole reply was understood.
#[derive(Debug, Default, PartialEq)]
struct Understood {
    head: Option<Head>,
    body: Vec<u8>,
    /// What follows the reply.
    surplus: Vec<u8>,
    fault: Option<Cause>,
    keeps_alive: bool,
}

/// Reads `reply` in pieces of these lengths, then all that is left, then the close.
fn read(reply: &[u8], cuts: impl IntoIterator<Item = usize>, to_head: bool) -> Understood {
    let (mut codec, mut got) = (Codec::new(to_head), Understood::default());
    let (mut held, mut rest) = (Vec::new(), reply);
    let mut cuts = cuts.into_iter();
    loop {
        let length = cuts.next().unwrap_or(rest.len()).min(rest.len());
        let piece;
        (piece, rest) = rest.split_at(length);
        held.extend_from_slice(piece);
        loop {
            let mut used = 0;
            match codec.step(&held, &mut used) {
                Err(fault) => {
                    got.fault = Some(fault);
                    return got;
                }
                Ok(Said::More) => {
                    held.drain(..used);
                    break;
                }
                Ok(Said::Head(head)) => got.head = Some(head),
                Ok(Said::Data(range)) => got.body.extend_from_slice(&held[range]),
                Ok(Said::End) => {
                    held.drain(..used);
                    held.extend_from_slice(rest);
                    got.surplus = held;
                    got.keeps_alive = codec.keeps_alive();
                    return got;
                }
            }
            held.drain(..used);
        }
        if rest.is_empty() {
            got.fault = codec.close(&held).err();
            return got;
        }
    }
}

fn whole(reply: &str) -> Understood {
    let at_once = read(reply.as_bytes(), [], false);
    assert_eq!(at_once, read(reply.as_bytes(), std::iter::repeat(1), false), "{reply:.200}");
    at_once
}

fn body(reply: &str) -> String {
    let got = whole(reply);
    assert_eq!((got.fault, got.surplus), (None, Vec::new()), "{reply}");
    String::from_utf8(got.body).unwrap()
}

fn fault(reply: &str) -> Cause {
    whole(reply).fault.unwrap()
}

#[test]
fn body_ends_where_its_framing_says() {
    for (head, wire, wanted) in [
        ("content-length: 4", "pong", "pong"),
        ("Content-Length: 4\r\ncontent-length: 4", "pong", "pong"),
        ("content-length: 0", "", ""),
        ("transfer-encoding: chunked", "4\r\npong\r\n0\r\n\r\n", "pong"),
        ("Transfer-Encoding: Chunked", "2\r\npo\r\n0002\r\nng\r\n000\r\n\r\n", "pong"),
        (
            "transfer-encoding: chunked",
            "4;a=\"b\" ;c\r\npong\r\n0 ;x\r\nt: 1\r\nu:\r\n\r\n",
            "pong",
        ),
        ("transfer-encoding: chunked", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("x: y", "until close", "until close"),
    ] {
        assert_eq!(body(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{wire}")), wanted, "{head}");
    }
}

#[test]
fn some_replies_have_no_body_whatever_their_head_says() {
    for status in [204, 304] {
        let got = whole(&format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\n"));
        assert_eq!((got.fault, got.body, got.keeps_alive), (None, Vec::new(), true), "{status}");
    }
    let head = read(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", [], true);
    assert_eq!((head.fault, head.body), (None, Vec::new()));
}

#[test]
fn interim_replies_are_passed_over_but_not_without_end() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!";
    assert_eq!(body(&format!("{}{last}", interim.repeat(32))), "!");
    assert!(matches!(fault(&format!("{}{last}", interim.repeat(33))), Cause::NotHttp(_)));
}

#[test]
fn doubtful_framing_is_refused() {
    let chunked = "transfer-encoding: chunked";
    for (head, wire) in [
        ("content-length: 4\r\ncontent-length: 5", "pong"),
        ("content-length: 4, 4", "pong"),
        ("content-length: +4", "pong"),
        ("content-length: -4", "pong"),
        ("content-length: 0x4", "pong"),
        ("content-length:", "pong"),
        ("content-length: 9999999999999999999", "pong"),
        ("content-length: 4\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        (chunked, "\r\n"),
        (chunked, "zz\r\n"),
        (chunked, "-1\r\n"),
        (chunked, " 4\r\npong\r\n"),
        (chunked, "0x4\r\npong\r\n"),
        (chunked, "123456789\r\n"),
        (chunked, "4\npong\r\n0\r\n\r\n"),
        (chunked, "4;a\nb\r\npong\r\n0\r\n\r\n"),
        (chunked, "4\rpong\r\n0\r\n\r\n"),
        (chunked, "4\r\npongs\r\n0\r\n\r\n"),
        (chunked, "4\r\npong\n0\r\n\r\n"),
        (chunked, "4\r\npong\r\n0\r\n\n"),
        (chunked, "4\r\npong\r\n0\r\nt: 1\n\r\n"),
        (chunked, "4\r\npong\r\n0\r\nt\0: 1\r\n\r\n"),
    ] {
        let fault = fault(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{wire}"));
        assert!(matches!(fault, Cause::NotHttp(_)), "{head} {wire:?}: {fault:?}");
    }
    let old = fault("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert!(matches!(old, Cause::NotHttp(_)), "{old:?}");
}

#[test]
fn codings_nobody_asked_for_are_refused() {
    for (head, coding) in [
        ("content-encoding: gzip", "gzip"),
        ("transfer-encoding: gzip, chunked", "gzip, chunked"),
        ("transfer-encoding: identity", "identity"),
    ] {
        let fault = fault(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nx"));
        assert_eq!(fault, Cause::Encoded(coding.to_owned()));
    }
    assert_eq!(fault("HTTP/1.1 101 X\r\nupgrade: h2c\r\n\r\n"), Cause::Switched);
}

#[test]
fn lines_without_end_are_cut_off() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = "x".repeat(40_000);
    let many = "a: b\r\n".repeat(101);
    for endless in [
        format!("HTTP/1.1 200 OK\r\nx: {long}"),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("{chunked}4;{long}"),
        format!("{chunked}0\r\n{long}"),
        format!("{chunked}0\r\n{}", "t: 1\r\n".repeat(1_000)),
    ] {
        let fault = fault(&endless);
        assert!(matches!(fault, Cause::HeadTooLarge | Cause::NotHttp(_)), "{fault:?}");
    }
}

#[test]
fn what_is_cut_short_is_never_complete() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4;x\r\npong\r\n0\r\nt: 1\r\n\r\n",
    ] {
        for length in 0..reply.len() {
            assert_eq!(fault(&reply[..length]), Cause::Closed, "{:?}", &reply[..length]);
        }
        assert_eq!(body(reply), "pong");
    }
}

#[test]
fn connection_lives_on_only_where_both_sides_say_so() {
    for (reply, keeps) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
    ] {
        assert_eq!(whole(reply).keeps_alive, keeps, "{reply}");
    }
}

#[test]
fn surplus_is_not_taken_for_the_body() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n0\r\n\r\n",
    ] {
        let got = whole(&format!("{reply}poison"));
        assert_eq!((&got.body[..], &got.surplus[..]), (&b"pong"[..], &b"poison"[..]));
    }
}

#[test]
fn head_says_what_the_gate_reads() {
    let head = |fields: &str| {
        whole(&format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{fields}\r\n"))
            .head
            .unwrap()
            .headers
    };
    let full = head(
        "Content-Type: Application/JSON; charset=utf-8\r\nMCP-Session-Id: a b\r\nRetry-After: 7\r\n",
    );
    assert_eq!(
        (full.media, full.session.as_deref(), full.retry_after_secs),
        (Media::Json, Some("a b"), Some(7))
    );
    assert_eq!(head("content-type: text/event-stream\r\n").media, Media::Events);
    for other in ["", "content-type: application/jsonp\r\n", "content-type: text/plain\r\n"] {
        assert_eq!(head(other).media, Media::Other, "{other}");
    }
    let odd = head("mcp-session-id: caf\u{e9}\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n");
    assert_eq!((odd.session, odd.retry_after_secs), (None, None));
}

/// Pieces of replies, so that random texts get past the head often.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 100 C\r\n\r\n",
        "HTTP/1.1 204 N\r\n",
        "content-length: 5\r\n",
        "content-length: 3\r\n",
        "transfer-encoding: chunked\r\n",
        "connection: close\r\n",
        "content-encoding: gzip\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "5\r\n",
        "hello",
        "0\r\n",
        "0\r\n\r\n",
        "a;b\r\n",
        "t: 1\r\n",
        "10\r\n",
        "x",
    ]);
    let piece = prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    let begin = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "",
    ]);
    (begin, prop::collection::vec(piece, 0..14))
        .prop_map(|(begin, pieces)| [begin.as_bytes().to_vec(), pieces.concat()].concat())
}

proptest! {
    #[test]
    fn cutting_a_reply_up_changes_nothing(
        reply in fragments(),
        cuts in prop::collection::vec(0_usize..9, 0..40),
        to_head in any::<bool>(),
    ) {
        prop_assert_eq!(read(&reply, [], to_head), read(&reply, cuts, to_head));
    }

    #[test]
    fn chunked_bodies_survive_any_chunking(
        body in prop::collection::vec(any::<u8>(), 0..600),
        sizes in prop::collection::vec(1_usize..70, 1..40),
        cuts in prop::collection::vec(0_usize..50, 0..60),
    ) {
        let mut wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let (mut rest, mut sizes) = (&body[..], sizes.into_iter().cycle());
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(sizes.next().unwrap().min(rest.len()));
            wire.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
            rest = more;
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let got = read(&wire, cuts, false);
        prop_assert_eq!((got.fault, got.body, got.keeps_alive), (None, body, true));
    }
}
