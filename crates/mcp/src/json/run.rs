//! Runs of plain string bytes: where the next quote, backslash or control character is.
//!
//! The innermost loop of the judge and of the glance at replies, and the only place where bytes
//! are looked at several at a time. It knows nothing of JSON but these three ends of a run.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of a word that end a plain run. The lowest mark is exact; a higher one may be
/// wrong through a borrow, which does not matter to who takes the lowest.
#[inline]
const fn ends(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let slashes = slash.wrapping_sub(ONES) & !slash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | slashes | controls) & HIGHS
}

/// The offset, at or after `at`, of the first quote, backslash or control character; the length
/// of the body if there is none. Eight bytes at a time, and long strings in wider blocks.
#[inline]
pub(crate) fn plain_run(body: &[u8], mut at: usize) -> usize {
    for _ in 0..8 {
        let Some(word) = body.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
            return at + tail_run(body.get(at..).unwrap_or_default());
        };
        let marks = ends(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    long_run(body, at)
}

fn long_run(body: &[u8], mut at: usize) -> usize {
    const BLOCK: usize = 64;
    while let Some(block) = body.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        // One verdict for the block, without an early exit, is what the compiler turns into
        // vector instructions.
        if block.iter().fold(false, |any, &byte| any | is_end(byte)) {
            break;
        }
        at += BLOCK;
    }
    while let Some(word) = body.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let marks = ends(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + tail_run(body.get(at..).unwrap_or_default())
}

fn tail_run(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| is_end(byte)).unwrap_or(rest.len())
}

#[inline]
const fn is_end(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}
