//! What a process writes to stdout: lines that may be messages.
//!
//! Lines that cannot be messages are noise: servers print banners and logs there although they must
//! not. They are skipped and reported. Holds at most one line, and no line that is too long.

use crate::upstream::duplex::Noise;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::mpsc;
use tollgate_core::bounds::{KIB, LINE_BYTES_MAX};

const BUFFER_BYTES: usize = 64 * KIB;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why reading has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The output is closed.
    End,
    /// A line is longer than any message may be.
    TooLong,
    /// Nobody wants the messages any more.
    Unread,
}

/// The output of a process, to be read.
pub(super) type Input = BufReader<ChildStdout>;

/// Takes the output of a process.
pub(super) fn input(stdout: ChildStdout) -> Input {
    BufReader::with_capacity(BUFFER_BYTES, stdout)
}

/// Reads until the end.
pub(super) async fn read(
    input: &mut Input,
    messages: &mpsc::Sender<Bytes>,
    noise: &Noise,
) -> Stopped {
    let mut line = BytesMut::new();
    let stopped = loop {
        let (taken, is_whole) = match input.fill_buf().await {
            Ok([]) | Err(_) => break Stopped::End,
            Ok(bytes) => {
                let end = memchr::memchr(b'\n', bytes);
                let taken = end.unwrap_or(bytes.len());
                if line.len() + taken > LINE_BYTES_MAX {
                    break Stopped::TooLong;
                }
                line.extend_from_slice(&bytes[..taken]);
                (taken + usize::from(end.is_some()), end.is_some())
            }
        };
        input.consume(taken);
        if !is_whole {
            continue;
        }
        if let Some(message) = message(line.split().freeze(), noise)
            && messages.send(message).await.is_err()
        {
            break Stopped::Unread;
        }
    };
    // A line without its end is not whole, and so no message: it may be half of one.
    if stopped == Stopped::End && !line.is_empty() {
        noise.note(&line, &"its output ended within a line");
    }
    stopped
}

/// The message in a line, if it may hold one.
fn message(line: Bytes, noise: &Noise) -> Option<Bytes> {
    let start = if line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let inner = line[start..].trim_ascii();
    match inner.first() {
        None => None,
        Some(b'{' | b'[') => Some(line.slice_ref(inner)),
        Some(_) => {
            noise.note(inner, &"a line on stdout is not JSON: a server must log to stderr");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::message;
    use crate::upstream::duplex::Noise;
    use bytes::Bytes;

    #[test]
    fn only_what_may_be_json_is_a_message() {
        let noise = Noise::new("noisy".into());
        let read = |line: &'static [u8]| message(Bytes::from_static(line), &noise);
        assert_eq!(read(b"\xef\xbb\xbf {\"a\":1} \r").as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(read(b"[1]").as_deref(), Some(&b"[1]"[..]));
        for line in [&b""[..], b"\r", b"  ", b"Server started", b"\x1b[2J", b"\xff\xfe"] {
            assert_eq!(read(line), None);
        }
    }
}
