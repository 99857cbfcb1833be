//! Calendar periods in a time zone: when the one we are in began, and when the next begins.
//!
//! Days are as long as the calendar says, also those with a change of the clock.

use crate::settings::Period;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// From when to when, in Unix seconds; the end belongs to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl Span {
    pub(crate) const fn holds(self, unix_secs: i64) -> bool {
        self.start <= unix_secs && unix_secs < self.end
    }
}

/// Whether this is the name of a time zone.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// The period that this second is in. What is beyond the calendar is one long period.
pub(crate) fn of(period: Period, zone: &TimeZone, unix_secs: i64) -> Span {
    within_calendar(period, zone, unix_secs).unwrap_or(Span { start: unix_secs, end: i64::MAX })
}

fn within_calendar(period: Period, zone: &TimeZone, unix_secs: i64) -> Option<Span> {
    let today = Timestamp::from_second(unix_secs).ok()?.to_zoned(zone.clone()).date();
    let (first, next) = match period {
        Period::Day => (today, today.tomorrow().ok()?),
        Period::Week => {
            let since_monday = i64::from(today.weekday().to_monday_zero_offset());
            let monday = today.checked_sub(since_monday.days()).ok()?;
            (monday, monday.checked_add(7.days()).ok()?)
        }
        Period::Month => {
            let first = today.first_of_month();
            (first, first.checked_add(1.month()).ok()?)
        }
    };
    Some(Span { start: midnight(first, zone)?, end: midnight(next, zone)? })
}

/// The first second of a day. Where the clock is put forward at midnight, that is one o'clock.
fn midnight(day: Date, zone: &TimeZone) -> Option<i64> {
    Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::settings::Period;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    fn around(period: Period, zone: &str, at: &str) -> (String, String) {
        let zone = TimeZone::get(zone).expect("a zone");
        let at: Timestamp = at.parse().expect("a time");
        let span = of(period, &zone, at.as_second());
        assert!(span.holds(at.as_second()));
        let text = |secs| Timestamp::from_second(secs).expect("a time").to_string();
        (text(span.start), text(span.end))
    }

    fn span(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn days_with_a_change_of_the_clock_have_23_and_25_hours() {
        let day = |at| around(Period::Day, "Europe/Berlin", at);
        let forward = span("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        assert_eq!(day("2026-03-28T23:00:00Z"), forward);
        assert_eq!(day("2026-03-29T21:59:59Z"), forward);
        let back = span("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        assert_eq!(day("2026-10-25T22:30:00Z"), back);
    }

    #[test]
    fn a_day_begins_at_one_where_there_is_no_midnight() {
        // Beirut puts the clock forward at midnight.
        let day = around(Period::Day, "Asia/Beirut", "2026-03-29T12:00:00Z");
        assert_eq!(day, span("2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"));
    }

    #[test]
    fn weeks_begin_on_monday() {
        let week = |at| around(Period::Week, "UTC", at);
        let whole = span("2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
        assert_eq!(week("2026-11-16T00:00:00Z"), whole);
        assert_eq!(week("2026-11-22T23:59:59Z"), whole);
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        let month = |zone, at| around(Period::Month, zone, at);
        let february = span("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        assert_eq!(month("UTC", "2028-02-29T23:00:00Z"), february);
        let december = span("2026-12-01T05:00:00Z", "2027-01-01T05:00:00Z");
        assert_eq!(month("America/New_York", "2027-01-01T04:59:59Z"), december);
    }
}
