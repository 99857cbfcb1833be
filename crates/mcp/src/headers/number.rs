//! Equality of JSON numbers by value, on their digits alone.
//!
//! `42.0` equals `42` and `4.2e1`, and integers of any length are compared exactly: nothing is
//! converted to a float. What is no number in JSON's grammar equals nothing.

/// A number as `0.d₁d₂…dₙ × 10^exponent` with d₁ and dₙ not zero; zero has no digits.
#[derive(PartialEq, Eq)]
struct Normal {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

/// Whether both are JSON numbers of the same value.
pub(super) fn are_equal(left: &[u8], right: &[u8]) -> bool {
    match (normalise(left), normalise(right)) {
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

fn normalise(number: &[u8]) -> Option<Normal> {
    let (is_negative, rest) = match number {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (whole, rest) = split_digits(rest);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => {
            let (fraction, rest) = split_digits(rest);
            if fraction.is_empty() {
                return None;
            }
            (fraction, rest)
        }
        rest => (&[][..], rest),
    };
    let scale = match rest {
        [] => 0,
        [b'e' | b'E', exponent @ ..] => exponent_of(exponent)?,
        _ => return None,
    };
    let all: Vec<u8> = whole.iter().chain(fraction).copied().collect();
    let leading = all.iter().take_while(|digit| **digit == b'0').count();
    let trailing = all.iter().rev().take_while(|digit| **digit == b'0').count();
    if leading == all.len() {
        return Some(Normal { is_negative: false, digits: Vec::new(), exponent: 0 });
    }
    let point = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?;
    Some(Normal {
        is_negative,
        digits: all[leading..all.len() - trailing].to_vec(),
        exponent: scale.checked_add(point)?,
    })
}

/// The exponent's value. LIMIT: beyond 64 bits it is no number, and equals nothing.
fn exponent_of(exponent: &[u8]) -> Option<i64> {
    let digits = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(exponent).ok()?.parse().ok()
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(end)
}
