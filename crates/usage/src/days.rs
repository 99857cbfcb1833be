//! Calendar days, as the ledger and the price book count them: UTC, days since 1970-01-01.
//!
//! Next: `money.rs`.

use jiff::civil::{Date, date};
use jiff::{Span, Unit};

/// Milliseconds of a day.
pub const DAY_MILLIS: u64 = 86_400_000;

const EPOCH: Date = date(1970, 1, 1);

/// The day of a Unix millisecond.
#[must_use]
pub fn of_millis(millis: u64) -> i64 {
    i64::try_from(millis / DAY_MILLIS).unwrap_or(i64::MAX)
}

/// The first Unix millisecond of a day; days before 1970 begin with it.
#[must_use]
pub fn millis(day: i64) -> u64 {
    u64::try_from(day).unwrap_or(0).saturating_mul(DAY_MILLIS)
}

/// The day as `2026-11-20`; `?` where no calendar goes.
#[must_use]
pub fn iso(day: i64) -> String {
    civil(day).map_or_else(|| "?".to_owned(), |date| date.to_string())
}

/// The day of `2026-11-20`.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    // The parser knows more forms than people are promised.
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = if is_plain { text.parse().ok()? } else { return None };
    Some(EPOCH.until((Unit::Day, date)).ok()?.get_days().into())
}

/// The first day of the day's month, and of the next month.
#[must_use]
pub fn month(day: i64) -> Option<(i64, i64)> {
    let first = civil(day)?.first_of_month();
    let next = first.checked_add(Span::new().months(1)).ok()?;
    let since = |date: Date| Some(i64::from(EPOCH.until((Unit::Day, date)).ok()?.get_days()));
    Some((since(first)?, since(next)?))
}

fn civil(day: i64) -> Option<Date> {
    EPOCH.checked_add(Span::new().try_days(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{iso, month, of_millis, parse};

    #[test]
    fn days_are_counted_from_1970_in_utc() {
        assert_eq!(iso(0), "1970-01-01");
        assert_eq!(of_millis(1_763_596_799_999), parse("2025-11-19").expect("a day"));
        assert_eq!(of_millis(1_763_596_800_000), parse("2025-11-20").expect("a day"));
        assert_eq!(parse("2024-02-29").map(iso).as_deref(), Some("2024-02-29"));
        assert_eq!(parse("2023-02-29"), None);
        assert_eq!(parse("2023-2-9"), None);
        assert_eq!(parse("2023-02-09T00:00:00"), None);
        assert_eq!(iso(i64::MAX), "?");
    }

    #[test]
    fn months_end_where_the_next_begins() {
        let day = |text| parse(text).expect("a day");
        assert_eq!(month(day("2024-02-29")), Some((day("2024-02-01"), day("2024-03-01"))));
        assert_eq!(month(day("2026-12-31")), Some((day("2026-12-01"), day("2027-01-01"))));
    }
}
