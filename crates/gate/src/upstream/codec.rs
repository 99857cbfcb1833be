//! Replies of HTTP/1.1, byte for byte, without any input or output of its own.
//!
//! Given what has arrived, says what it is: a head, data, the end, or not enough to tell. However
//! the bytes are cut into pieces, they mean the same. Never guesses: what is not certainly framed is
//! a fault, and a body cut short is never complete.
//!
//! Next: `head.rs` and `chunks.rs` for the grammar; `link.rs` for the connection it reads.

use crate::upstream::chunks::{Chunks, Piece};
use crate::upstream::fault::Cause;
use crate::upstream::head::{Framing, Head, Parsed, not_http, parse};
use std::ops::Range;
use tollgate_core::bounds::HEAD_BYTES_MAX;

/// LIMIT: interim replies before the final one.
const INTERIM_MAX: u8 = 32;

/// Where in its reply a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    state: State,
    /// The request was a HEAD: no body follows, whatever the head says.
    bodiless: bool,
    keeps_alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `seen` bytes of the input hold no whole head; so many interim ones went before.
    Head {
        seen: usize,
        interim: u8,
    },
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Done,
}

/// What the input is.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// The head; what follows it is the body.
    Head(Head),
    /// These bytes of the input are data of the body.
    Data(Range<usize>),
    /// The reply is complete.
    End,
    /// Nothing that could be told yet.
    More,
}

impl Codec {
    /// Awaits the reply to a request; `to_head` if its method was HEAD.
    #[must_use]
    pub fn new(to_head: bool) -> Self {
        let state = State::Head { seen: 0, interim: 0 };
        Self { state, bodiless: to_head, keeps_alive: false }
    }

    /// Reads on. Adds to `used` how much of `input` it is done with; the rest is to be given again,
    /// with more behind it after [`Said::More`].
    ///
    /// # Errors
    /// Causes that make the reply invalid.
    pub fn step(&mut self, input: &[u8], used: &mut usize) -> Result<Said, Cause> {
        match &mut self.state {
            State::Head { .. } => self.head(input, used),
            State::Length(0) | State::Done => {
                self.state = State::Done;
                Ok(Said::End)
            }
            _ if input.is_empty() => Ok(Said::More),
            State::Length(left) => {
                let there = u64::try_from(input.len()).unwrap_or(u64::MAX).min(*left);
                *left -= there;
                let length = usize::try_from(there).unwrap_or(usize::MAX);
                *used += length;
                Ok(Said::Data(0..length))
            }
            State::UntilClose => {
                *used += input.len();
                Ok(Said::Data(0..input.len()))
            }
            State::Chunked(chunks) => match chunks.step(input)? {
                Piece::Data(range) => {
                    *used += range.end;
                    Ok(Said::Data(range))
                }
                Piece::End(length) => {
                    *used += length;
                    self.state = State::Done;
                    Ok(Said::End)
                }
                Piece::More => {
                    *used += input.len();
                    Ok(Said::More)
                }
            },
        }
    }

    fn head(&mut self, input: &[u8], used: &mut usize) -> Result<Said, Cause> {
        let mut rest = input;
        while let State::Head { seen, interim } = &mut self.state {
            // A head in many pieces is parsed again once for each line, not for each piece.
            let fresh = rest.get(*seen..).unwrap_or_default();
            if *seen > 0 && rest.len() < HEAD_BYTES_MAX && memchr::memchr(b'\n', fresh).is_none() {
                *seen = rest.len();
                return Ok(Said::More);
            }
            match parse(rest, self.bodiless)? {
                Parsed::Partial => {
                    *seen = rest.len();
                    return Ok(Said::More);
                }
                Parsed::Interim(_) if *interim == INTERIM_MAX => {
                    return Err(not_http("it sends interim replies without end"));
                }
                Parsed::Interim(length) => {
                    (*seen, *interim) = (0, *interim + 1);
                    *used += length;
                    rest = &rest[length..];
                }
                Parsed::Final(head, length) => {
                    *used += length;
                    self.keeps_alive = head.keeps_alive;
                    self.state = match head.framing {
                        Framing::Length(0) => State::Done,
                        Framing::Length(length) => State::Length(length),
                        Framing::Chunked => State::Chunked(Chunks::START),
                        Framing::UntilClose => State::UntilClose,
                    };
                    return Ok(Said::Head(head));
                }
            }
        }
        Ok(Said::More)
    }

    /// The upstream closes; `rest` is what was read and not used.
    ///
    /// # Errors
    /// Unless the reply is complete by that.
    pub fn close(&mut self, rest: &[u8]) -> Result<(), Cause> {
        match self.state {
            State::Done | State::UntilClose | State::Length(0) => {
                self.state = State::Done;
                self.keeps_alive = false;
                Ok(())
            }
            State::Head { .. } if !rest.is_empty() => {
                // What is already wrong stays wrong, however much of it arrived at once.
                parse(rest, self.bodiless).and(Err(Cause::Closed))
            }
            State::Head { .. } | State::Length(_) | State::Chunked(_) => Err(Cause::Closed),
        }
    }

    /// Whether the reply is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Length(0))
    }

    /// Whether the connection may carry another request after this reply.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Bytes of the body still to come, where that is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            State::Head { .. } | State::Chunked(_) | State::UntilClose => None,
        }
    }
}

#[cfg(test)]
mod tests;
