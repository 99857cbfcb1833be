//! Dates as people, HTTP and certificates write them, in seconds since 1970 and back.
//!
//! SPEC: RFC 9110 5.6.7 (IMF-fixdate), X.690 (UTCTime, GeneralizedTime), RFC 5280 4.1.2.5.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECS: i64 = 86_400;

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn of_http(text: &str) -> Option<u64> {
    let mut words = text.trim().split(' ');
    let (_, day, month) = (words.next()?, words.next()?, words.next()?);
    let (year, time, zone) = (words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let date = [year.parse().ok()?, i64::try_from(month).ok()?, day.parse().ok()?];
    (zone == "GMT").then(|| seconds(date, [hour, minute, second]))?
}

/// `991231235959Z` where `has_century` is false, `20491231235959Z` where it is true.
pub(crate) fn of_certificate(text: &[u8], has_century: bool) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let length = if has_century { 14 } else { 12 };
    if text.len() != length || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = text.split_at(length - 10);
    let year: i64 = year.parse().ok()?;
    let year = match year {
        year if has_century => year,
        0..50 => 2_000 + year,
        year => 1_900 + year,
    };
    let part = |at: usize| rest.get(at..at + 2).and_then(|part| part.parse::<i64>().ok());
    seconds([year, part(0)?, part(2)?], [part(4)?, part(6)?, part(8)?])
}

/// `2026-11-20`.
pub(crate) fn spell(secs: u64) -> String {
    let days = i64::try_from(secs).unwrap_or(i64::MAX) / DAY_SECS;
    // Years that start in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-20 14:46 UTC`.
pub(crate) fn spell_minute(secs: u64) -> String {
    let minutes = secs / 60;
    format!("{} {:02}:{:02} UTC", spell(secs), minutes / 60 % 24, minutes % 60)
}

fn seconds([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<u64> {
    let fits = (1_950..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !fits {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = era * 146_097 + of_era - 719_468;
    u64::try_from(days * DAY_SECS + hour * 3_600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests {
    use super::{of_certificate, of_http, spell, spell_minute};

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(of_http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(of_http("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for bad in
            ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "a b c d e f"]
        {
            assert_eq!(of_http(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_of_certificates_are_read() {
        assert_eq!(of_certificate(b"000229120000Z", false), Some(951_825_600));
        assert_eq!(of_certificate(b"20491231235959Z", true), Some(2_524_607_999));
        for bad in [&b"0002291200Z"[..], b"00022912000ZZ", b"001329120000Z", b"000229120000"] {
            assert_eq!(of_certificate(bad, false), None);
        }
    }

    #[test]
    fn days_are_spelled() {
        for (secs, day) in
            [(0, "1970-01-01"), (951_825_600, "2000-02-29"), (2_524_607_999, "2049-12-31")]
        {
            assert_eq!(spell(secs), day);
        }
        assert_eq!(spell_minute(951_825_660), "2000-02-29 12:01 UTC");
    }
}
