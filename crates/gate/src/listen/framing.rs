//! Follows the framing of an HTTP/1 byte stream while the bytes pass to hyper.
//!
//! A small strict state machine that sees every byte once, in any segmentation, and copies none on
//! the ordinary path: only a line cut by a read boundary is kept until its end arrives. It answers
//! one question, where the stream stops being unambiguous; after that nothing is a request any
//! more. It changes no byte and does no I/O.
//!
//! INVARIANT: on everything it lets pass, hyper sees the same message boundaries, since only one
//! reading is left: exactly one length or `chunked` alone, CRLF everywhere, plain chunk sizes.
//!
//! Next: `head.rs` for what a head may say, `wire.rs` for what happens on a violation.

use crate::listen::head::{BodyFraming, Head, TOKEN, Violation, field};
use tollgate_core::bounds::{CHUNK_LINE_BYTES_MAX, HEAD_BYTES_MAX, TRAILER_BYTES_MAX};

/// LIMIT: hex digits of a chunk size; eight are 4 GiB, far above any body we take.
const CHUNK_DIGITS_MAX: usize = 8;

/// Where in a message the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between messages.
    Idle,
    /// Inside a request head.
    Head,
    /// Inside a body, its chunk lines or its trailers.
    Body,
}

/// A violation and the index of the first byte that must not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) phase: Phase,
    pub(super) violation: Violation,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Head(Head),
    Length(u64),
    ChunkLine,
    ChunkData(u64),
    ChunkCr,
    ChunkLf,
    Trailer,
}

/// The machine. One per HTTP/1 connection.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    /// Messages begun so far, wrapping: tells a wait for this one from a wait for the next.
    begun: u32,
    /// Bytes of the current head, chunk line or trailer section so far.
    seen: usize,
    /// Start of a line whose end has not arrived. Bounded by the bound of its section.
    cut: Vec<u8>,
}

impl Framing {
    pub(super) const fn new() -> Self {
        Self { state: State::Idle, begun: 0, seen: 0, cut: Vec::new() }
    }

    pub(super) const fn phase(&self) -> Phase {
        match self.state {
            State::Idle => Phase::Idle,
            State::Head(_) => Phase::Head,
            _ => Phase::Body,
        }
    }

    /// Which message this is, of those that may be told apart.
    pub(super) const fn begun(&self) -> u32 {
        self.begun
    }

    /// Follows the next bytes. After an error the machine must not be asked again.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut at = 0;
        while let Some(&next) = bytes.get(at) {
            let rest = &bytes[at..];
            let broken = |at, phase, violation| Err(Broken { at, phase, violation });
            match self.state {
                State::Idle => {
                    // Empty lines before a request are refused: nobody sends them, and parsers
                    // disagree on how many to skip.
                    if !TOKEN[usize::from(next)] {
                        return broken(at, Phase::Head, Violation::RequestLine);
                    }
                    self.state = State::Head(Head::default());
                    self.begun = self.begun.wrapping_add(1);
                    self.seen = 0;
                }
                State::Length(left) => {
                    let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    at += taken;
                    self.state = match left - taken as u64 {
                        0 => State::Idle,
                        left => State::Length(left),
                    };
                }
                State::ChunkData(left) => {
                    let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    at += taken;
                    self.state = match left - taken as u64 {
                        0 => State::ChunkCr,
                        left => State::ChunkData(left),
                    };
                }
                State::ChunkCr if next == b'\r' => {
                    at += 1;
                    self.state = State::ChunkLf;
                }
                State::ChunkLf if next == b'\n' => {
                    at += 1;
                    self.seen = 0;
                    self.state = State::ChunkLine;
                }
                State::ChunkCr | State::ChunkLf => {
                    return broken(at, Phase::Body, Violation::Chunk);
                }
                State::Head(_) | State::ChunkLine | State::Trailer => match self.section(rest) {
                    Ok(taken) => at += taken,
                    Err((offset, violation)) => {
                        return broken(at + offset, self.phase(), violation);
                    }
                },
            }
        }
        Ok(())
    }

    /// Takes lines from the section at hand; returns how many bytes, or what is wrong and where.
    fn section(&mut self, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        let (bytes_max, too_large) = match self.state {
            State::Head(_) => (HEAD_BYTES_MAX, Violation::HeadTooLarge),
            State::Trailer => (TRAILER_BYTES_MAX, Violation::TrailersTooLarge),
            _ => (CHUNK_LINE_BYTES_MAX, Violation::Chunk),
        };
        let room = bytes_max - self.seen;
        let Some(end) = memchr::memchr(b'\n', &bytes[..bytes.len().min(room)]) else {
            if bytes.len() > room {
                return Err((room, too_large));
            }
            self.seen += bytes.len();
            self.cut.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let kept;
        let line = if self.cut.is_empty() {
            &bytes[..end]
        } else {
            self.cut.extend_from_slice(&bytes[..end]);
            // Gives the memory back: an idle connection or an open stream holds no line.
            kept = std::mem::take(&mut self.cut);
            &kept
        };
        match take_line(&mut self.state, line) {
            Ok(None) => self.seen += end + 1,
            Ok(Some(next)) => {
                self.state = next;
                self.seen = 0;
            }
            Err(violation) => return Err((end, violation)),
        }
        Ok(end + 1)
    }
}

/// Judges one line that ended with LF, and says what comes after it if not more of the same.
fn take_line(state: &mut State, line: &[u8]) -> Result<Option<State>, Violation> {
    let [line @ .., b'\r'] = line else { return Err(Violation::Line) };
    match state {
        State::Head(head) => Ok(head.line(line)?.map(|body| match body {
            BodyFraming::Length(0) => State::Idle,
            BodyFraming::Length(length) => State::Length(length),
            BodyFraming::Chunked => State::ChunkLine,
        })),
        State::Trailer if line.is_empty() => Ok(Some(State::Idle)),
        State::Trailer => field(line).map(|_| None),
        State::Idle
        | State::Length(_)
        | State::ChunkLine
        | State::ChunkData(_)
        | State::ChunkCr
        | State::ChunkLf => chunk_size(line).map(|size| match size {
            0 => Some(State::Trailer),
            size => Some(State::ChunkData(size)),
        }),
    }
}

/// SPEC: RFC 9112 7.1, without white space around the size. Extensions are read over.
fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    let digits = memchr::memchr(b';', line).unwrap_or(line.len());
    let (size, extension) = line.split_at(digits);
    let is_plain = extension.iter().all(|&byte| byte == b'\t' || (0x20..0x7f).contains(&byte));
    if !(1..=CHUNK_DIGITS_MAX).contains(&size.len()) || !is_plain {
        return Err(Violation::Chunk);
    }
    size.iter().try_fold(0_u64, |sum, &byte| {
        char::from(byte)
            .to_digit(16)
            .map(|digit| sum * 16 + u64::from(digit))
            .ok_or(Violation::Chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::{Framing, Phase};
    use proptest::prelude::*;

    /// Follows pieces; the index in the whole of the first byte that must not pass, or the phase.
    fn follow(pieces: &[&[u8]]) -> Result<Phase, usize> {
        let mut framing = Framing::new();
        let mut start = 0;
        for piece in pieces {
            framing.follow(piece).map_err(|broken| start + broken.at)?;
            start += piece.len();
        }
        Ok(framing.phase())
    }

    const PIECES: [&str; 18] = [
        "POST / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "Host: a\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "X: y\r\n",
        "\r\n",
        "\n",
        "\r",
        "abc",
        "3\r\nabc\r\n",
        "0\r\n",
        "a;b=c\r\n",
        "\0",
        " ",
        ":",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    ];

    proptest! {
        #[test]
        fn segmentation_changes_nothing(
            picks in prop::collection::vec(0..PIECES.len(), 1..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = picks.iter().map(|pick| PIECES[*pick]).collect::<String>().into_bytes();
            let whole = follow(&[&bytes]);
            let cut = cut.index(bytes.len());
            prop_assert_eq!(follow(&[&bytes[..cut], &bytes[cut..]]), whole);
            prop_assert_eq!(follow(&bytes.chunks(1).collect::<Vec<_>>()), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let whole = follow(&[&bytes]);
            prop_assert_eq!(follow(&bytes.chunks(3).collect::<Vec<_>>()), whole);
        }
    }

    #[test]
    fn an_ordinary_head_is_not_copied() {
        let mut framing = Framing::new();
        framing.follow(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a good head");
        assert_eq!(framing.cut.capacity(), 0);
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut framing = Framing::new();
        framing.follow(b"GET / HTTP/1.1\r\nX: ").expect("a good start");
        let broken = (0..100).find_map(|_| framing.follow(&[b'x'; 1024]).err());
        assert!(broken.is_some() && framing.cut.len() <= tollgate_core::bounds::HEAD_BYTES_MAX);
    }
}
