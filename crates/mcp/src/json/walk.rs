//! A quick walk over one value: brackets and strings must balance, no more.
//!
//! For values that were judged already, and for upstream replies, where only the outermost members
//! matter and megabytes of text go by. Raw control characters in strings are refused, so that a
//! reply cannot break the framing of an event stream. The grammar between brackets is not judged.

use super::run::plain_run;

/// Deepest nesting walked over. Replies may nest deeper than requests; this bounds the stack.
const DEPTH_MAX: usize = 512;

/// Why a value could not be walked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// It ends too early.
    Truncated,
    /// A byte stands where no JSON value could have it.
    Syntax,
    /// A raw control character stands in a string.
    ControlCharacter,
    /// It nests deeper than [`DEPTH_MAX`].
    TooDeep,
}

/// The offset of the first byte at or after `at` that is not white space.
#[inline]
pub(crate) fn skip_space(body: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = body.get(at) {
        at += 1;
    }
    at
}

/// The offset behind the string whose opening quote is at `at`, and whether it has escapes.
#[inline]
pub(crate) fn skip_string(body: &[u8], at: usize) -> Result<(usize, bool), Skip> {
    let mut at = plain_run(body, at + 1);
    let mut escaped = false;
    loop {
        match body.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                match body.get(at + 1) {
                    Some(0..0x20) => return Err(Skip::ControlCharacter),
                    Some(_) => at = plain_run(body, at + 2),
                    None => return Err(Skip::Truncated),
                }
            }
            Some(_) => return Err(Skip::ControlCharacter),
            None => return Err(Skip::Truncated),
        }
    }
}

/// The offset behind the value that starts at `at`.
pub(crate) fn skip_value(body: &[u8], at: usize) -> Result<usize, Skip> {
    match body.get(at) {
        Some(b'"') => skip_string(body, at).map(|(end, _)| end),
        Some(b'{' | b'[') => skip_nested(body, at),
        Some(byte) if is_scalar(*byte) => Ok(skip_scalar(body, at)),
        Some(_) => Err(Skip::Syntax),
        None => Err(Skip::Truncated),
    }
}

/// Whether a number or a literal can hold this byte.
#[inline]
const fn is_scalar(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'E' | b'a'..=b'z')
}

fn skip_scalar(body: &[u8], mut at: usize) -> usize {
    while body.get(at).is_some_and(|byte| is_scalar(*byte)) {
        at += 1;
    }
    at
}

fn skip_nested(body: &[u8], mut at: usize) -> Result<usize, Skip> {
    // One bit a level: set for an object.
    let mut levels = [0_u64; DEPTH_MAX / 64];
    let mut depth = 0_usize;
    loop {
        let Some(&byte) = body.get(at) else { return Err(Skip::Truncated) };
        match byte {
            b'"' => {
                at = skip_string(body, at)?.0;
                continue;
            }
            b'{' | b'[' => {
                if depth == DEPTH_MAX {
                    return Err(Skip::TooDeep);
                }
                let bit = 1 << (depth % 64);
                if byte == b'{' {
                    levels[depth / 64] |= bit;
                } else {
                    levels[depth / 64] &= !bit;
                }
                depth += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                let is_object = levels[depth / 64] >> (depth % 64) & 1 == 1;
                if is_object != (byte == b'}') {
                    return Err(Skip::Syntax);
                }
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
            _ if is_scalar(byte) => {}
            _ => return Err(Skip::Syntax),
        }
        at += 1;
    }
}
