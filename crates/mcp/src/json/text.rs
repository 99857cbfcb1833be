//! What a JSON string means: unescaping of strings that were already judged.
//!
//! Never fails: what the judge would have refused becomes U+FFFD. Nobody decides on the value of a
//! string that was not judged, except the reader of upstream replies, for whom that is harmless.

use std::borrow::Cow;

/// The value of a string's inner bytes.
pub(super) fn unescape(raw: &[u8], escaped: bool) -> Cow<'_, [u8]> {
    if !escaped {
        return Cow::Borrowed(raw);
    }
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(slash) = memchr::memchr(b'\\', rest) {
        value.extend_from_slice(&rest[..slash]);
        rest = &rest[slash + 1..];
        let Some((&letter, after)) = rest.split_first() else { break };
        rest = after;
        match letter {
            b'b' => value.push(0x08),
            b'f' => value.push(0x0c),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'u' => rest = push_code_point(rest, &mut value),
            other => value.push(other),
        }
    }
    value.extend_from_slice(rest);
    Cow::Owned(value)
}

/// Reads the digits of a `\u` escape, and its second half where it has one.
fn push_code_point<'a>(digits: &'a [u8], value: &mut Vec<u8>) -> &'a [u8] {
    let Some(first) = hex4(digits) else {
        value.extend_from_slice("\u{fffd}".as_bytes());
        return digits;
    };
    let mut rest = &digits[4..];
    let mut code_point = u32::from(first);
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = rest.strip_prefix(b"\\u").and_then(hex4)
        && (0xdc00..0xe000).contains(&second)
    {
        code_point = 0x10000 + ((u32::from(first) - 0xd800) << 10) + (u32::from(second) - 0xdc00);
        rest = &rest[6..];
    }
    let character = char::from_u32(code_point).unwrap_or('\u{fffd}');
    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

/// The value of the first four hexadecimal digits.
pub(super) fn hex4(digits: &[u8]) -> Option<u16> {
    let mut value = 0_u16;
    for &digit in digits.first_chunk::<4>()? {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        value = value << 4 | u16::from(nibble);
    }
    Some(value)
}
