//! Money and other decimals as text, exactly: integers in millionths, never floating point.
//!
//! Next: `prices.rs`.

/// Digits after the point.
const DIGITS: usize = 6;
const ONE: u64 = 1_000_000;

/// Reads a decimal of at most six digits after the point, such as `0.0025`, into millionths. `None` if
/// it is none, is negative, has more digits, or is too large.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction = match fraction.trim_end_matches('0') {
        long if long.len() > DIGITS => return None,
        short => format!("{short:0<DIGITS$}"),
    };
    let whole: i64 = whole.parse().ok()?;
    whole.checked_mul(i64::try_from(ONE).ok()?)?.checked_add(fraction.parse().ok()?)
}

/// Writes millionths as a decimal, without zeros at its end but with at least two digits after the
/// point.
#[must_use]
pub fn text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let fraction = format!("{:0DIGITS$}", micros % ONE);
    let kept = fraction.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{}", micros / ONE, &fraction[..kept])
}

#[cfg(test)]
mod tests {
    use super::{parse, text};
    use proptest::prelude::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        assert_eq!(parse("0.0025"), Some(2_500));
        assert_eq!(parse("12"), Some(12_000_000));
        assert_eq!(parse("0.1000000000"), Some(100_000));
        for wrong in ["", ".5", "1.", "-1", "+1", "1e3", "0.0000001", "1,5", "0x1", "9223372036855"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn money_has_at_least_cents() {
        assert_eq!(text(0), "0.00");
        assert_eq!(text(1_500_000), "1.50");
        assert_eq!(text(-1), "-0.000001");
        assert_eq!(text(i64::MIN), "-9223372036854.775808");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(micros in 0..=i64::MAX) {
            prop_assert_eq!(parse(&text(micros)), Some(micros));
        }
    }
}
