//! What is asked of the ledger: by what, since when, about whom. Read from the command line, or from
//! the query of a URL with the same names.
//!
//! Next: `bill.rs`.

use crate::cli::{SpanArgs, UsageArgs, UsageFormat};
use crate::config::duration;
use clap::ValueEnum as _;
use tollgate_core::stores::{UsageBy, UsageFilter};
use tollgate_usage::days;
use url::form_urlencoded;

/// The question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) by: Vec<UsageBy>,
    pub(super) filter: UsageFilter,
    pub(super) format: UsageFormat,
}

/// Why it is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskedError {
    #[error("usage is not kept by `{0}`; by: {1}")]
    By(String, String),
    #[error("`{0}` is no day: write `2026-11-20`, or how long ago in whole days (UTC): `7d`")]
    Day(String),
    #[error("the span ends before it begins")]
    Span,
    #[error("`{0}` is no format: `table`, `csv`, `json` or `focus`")]
    Format(String),
    #[error(
        "`{0}` is nothing that can be asked for: by, since, until, agent, team, upstream, format"
    )]
    Key(String),
}

/// By what usage can be asked for.
const BY: [(&str, UsageBy); 10] = [
    ("agent", UsageBy::Agent),
    ("user", UsageBy::User),
    ("team", UsageBy::Team),
    ("tool", UsageBy::Tool),
    ("upstream", UsageBy::Upstream),
    ("route", UsageBy::Route),
    ("day", UsageBy::Day),
    ("price", UsageBy::Price),
    ("counted-by", UsageBy::CountedBy),
    ("correction", UsageBy::Correction),
];

/// The word for it.
pub(super) fn word(by: UsageBy) -> &'static str {
    BY.iter().find(|(_, one)| *one == by).map_or("", |(word, _)| word)
}

impl Asked {
    /// What the command line asks at this time (Unix seconds).
    pub(super) fn of_args(args: &UsageArgs, now: u64) -> Result<Self, AskedError> {
        let filter = filter(&args.span, now)?;
        Ok(Self { by: by(&args.by)?, filter, format: args.format })
    }

    /// What the query of a URL asks.
    pub(super) fn of_query(query: &str, now: u64) -> Result<Self, AskedError> {
        let mut span =
            SpanArgs { since: None, until: None, agent: None, team: None, upstream: None };
        let mut asked_by = "agent".to_owned();
        let mut format = UsageFormat::Json;
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match &*key {
                "by" => asked_by = value,
                "since" => span.since = Some(value),
                "until" => span.until = Some(value),
                "agent" => span.agent = Some(value),
                "team" => span.team = Some(value),
                "upstream" => span.upstream = Some(value),
                "format" => {
                    format = UsageFormat::from_str(&value, false)
                        .map_err(|_| AskedError::Format(value))?;
                }
                _ => return Err(AskedError::Key(key.into_owned())),
            }
        }
        Ok(Self { by: by(&asked_by)?, filter: filter(&span, now)?, format })
    }
}

fn by(text: &str) -> Result<Vec<UsageBy>, AskedError> {
    let mut found = Vec::new();
    for word in text.split(',').map(str::trim) {
        let Some((_, by)) = BY.iter().find(|(name, _)| *name == word) else {
            let all: Vec<&str> = BY.iter().map(|(name, _)| *name).collect();
            return Err(AskedError::By(word.to_owned(), all.join(", ")));
        };
        if !found.contains(by) {
            found.push(*by);
        }
    }
    Ok(found)
}

/// Which rows are asked for at this time.
pub(super) fn filter(span: &SpanArgs, now: u64) -> Result<UsageFilter, AskedError> {
    let today = days::of_millis(now.saturating_mul(1_000));
    let month = days::month(today).map_or(today, |(first, _)| first);
    let day = |text: &Option<String>| text.as_deref().map(|text| day(text, today)).transpose();
    let since_millis = days::millis(day(&span.since)?.unwrap_or(month));
    let until_millis = day(&span.until)?.map(days::millis);
    if until_millis.is_some_and(|until| until <= since_millis) {
        return Err(AskedError::Span);
    }
    Ok(UsageFilter {
        since_millis,
        until_millis,
        agent: span.agent.clone(),
        team: span.team.clone(),
        upstream: span.upstream.clone(),
    })
}

fn day(text: &str, today: i64) -> Result<i64, AskedError> {
    let ago = || {
        let millis = u64::try_from(duration(text).ok()?.as_millis()).ok()?;
        let days = (millis % days::DAY_MILLIS == 0).then_some(millis / days::DAY_MILLIS)?;
        today.checked_sub(i64::try_from(days).ok()?)
    };
    days::parse(text).or_else(ago).ok_or_else(|| AskedError::Day(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Asked, AskedError, UsageBy};
    use crate::cli::UsageFormat;
    use tollgate_usage::days;

    /// 2026-11-20 13:00 UTC.
    const NOW: u64 = 20_777 * 86_400 + 13 * 3_600;

    fn asked(query: &str) -> Result<Asked, AskedError> {
        Asked::of_query(query, NOW)
    }

    fn day(text: &str) -> u64 {
        days::millis(days::parse(text).expect("a day"))
    }

    #[test]
    fn nothing_said_is_this_month_by_agent() {
        let asked = asked("").expect("a question");
        assert_eq!((asked.by, asked.format), (vec![UsageBy::Agent], UsageFormat::Json));
        assert_eq!(asked.filter.since_millis, day("2026-11-01"));
        assert_eq!(asked.filter.until_millis, None);
    }

    #[test]
    fn days_are_named_or_counted_back() {
        let asked = asked("since=7d&until=2026-11-20&by=day,tool&agent=a%20b").expect("a question");
        assert_eq!(asked.filter.since_millis, day("2026-11-13"));
        assert_eq!(asked.filter.until_millis, Some(day("2026-11-20")));
        assert_eq!(asked.by, [UsageBy::Day, UsageBy::Tool]);
        assert_eq!(asked.filter.agent.as_deref(), Some("a b"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_what_can() {
        assert!(matches!(asked("by=color"), Err(AskedError::By(..))));
        assert!(matches!(asked("since=12h"), Err(AskedError::Day(_))));
        assert!(matches!(asked("since=yesterday"), Err(AskedError::Day(_))));
        assert_eq!(asked("since=1d&until=2d"), Err(AskedError::Span));
        assert!(matches!(asked("format=pdf"), Err(AskedError::Format(_))));
        assert!(matches!(asked("limit=3"), Err(AskedError::Key(_))));
    }
}
