//! The chunked transfer coding, read strictly.
//!
//! Takes exactly what the grammar allows, with line ends of CR LF only; a lenient reader and a strict
//! one disagree on where a body ends. Extensions and trailers are bounded and dropped.
//!
//! SPEC: RFC 9112 section 7.1. Next: `codec.rs`.

use crate::upstream::fault::Cause;
use crate::upstream::head::not_http;
use std::ops::Range;
use tollgate_core::bounds::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// LIMIT: digits of a chunk's size; more than 4 GiB in one chunk nobody sends.
const DIGITS_MAX: usize = 8;

/// Where in the coding the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    place: Place,
    /// Size of the chunk, as far as read; then what of it is still to come.
    left: u64,
    /// Bytes of the line, or of the trailer section, so far.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    /// At the begin of a line of the trailer section.
    Trailer,
    TrailerLine,
    TrailerLineEnd,
    TrailerEnd,
}

/// What comes next in a chunked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes of the input are data.
    Data(Range<usize>),
    /// The body is complete, after so many bytes of the input.
    End(usize),
    /// All of the input is used up.
    More,
}

impl Chunks {
    pub(crate) const START: Self = Self { place: Place::Size, left: 0, line: 0 };

    /// Reads on up to the next data.
    pub(crate) fn step(&mut self, input: &[u8]) -> Result<Piece, Cause> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if self.place == Place::Data {
                let there = u64::try_from(input.len() - at).unwrap_or(u64::MAX).min(self.left);
                self.left -= there;
                if self.left == 0 {
                    self.place = Place::DataCr;
                }
                let length = usize::try_from(there).unwrap_or(usize::MAX);
                return Ok(Piece::Data(at..at + length));
            }
            at += 1;
            if self.place == Place::TrailerEnd && byte == b'\n' {
                return Ok(Piece::End(at));
            }
            self.place = self.take(byte)?;
        }
        Ok(Piece::More)
    }

    fn take(&mut self, byte: u8) -> Result<Place, Cause> {
        self.line += 1;
        match (self.place, byte) {
            (Place::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.line <= DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                self.left = self.left * 16 + u64::from(digit);
                Ok(Place::Size)
            }
            (Place::Size, b';' | b' ' | b'\t') if self.line > 1 => Ok(Place::Extension),
            (Place::Size, b'\r') if self.line > 1 => Ok(Place::SizeEnd),
            (Place::Size, _) => Err(not_http("a chunk has no size")),
            (Place::Extension, _) if self.line > CHUNK_LINE_BYTES_MAX => {
                Err(not_http("a chunk's extension is too long"))
            }
            (Place::Extension, b'\r') => Ok(Place::SizeEnd),
            (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) => Ok(Place::Extension),
            (Place::SizeEnd, b'\n') => {
                self.line = 0;
                Ok(if self.left == 0 { Place::Trailer } else { Place::Data })
            }
            (Place::DataCr, b'\r') => Ok(Place::DataLf),
            (Place::DataLf, b'\n') => {
                self.line = 0;
                Ok(Place::Size)
            }
            (Place::Trailer | Place::TrailerLine, _) if self.line > TRAILER_BYTES_MAX => {
                Err(not_http("its trailer section is too long"))
            }
            (Place::Trailer, b'\r') => Ok(Place::TrailerEnd),
            (Place::TrailerLine, b'\r') => Ok(Place::TrailerLineEnd),
            (Place::Trailer | Place::TrailerLine, b'\t' | b' '..=b'~' | 0x80..) => {
                Ok(Place::TrailerLine)
            }
            (Place::TrailerLineEnd, b'\n') => Ok(Place::Trailer),
            _ => Err(not_http("a line of its chunked body is malformed")),
        }
    }
}
