//! What a caller at a limit is told.
//!
//! One sentence a person and a language model can act on, and the facts behind it. Names are those of
//! the caller itself or of the configuration, so nothing is told about others.

use crate::budget::{Named, Shortfall};
use crate::key::Facts;
use crate::level::{Gauge, Lack, Wait};
use crate::settings::{BudgetSettings, CountedPer, Period, RateSettings};
use tollgate_core::refusal::{LimitFacts, LimitUnit, Reason};

/// Why a call may not be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// [`Reason::LimitReached`], [`Reason::BudgetExhausted`] or [`Reason::NeverFits`].
    pub reason: Reason,
    /// The facts, as they are told.
    pub facts: Box<LimitFacts>,
    sentence: String,
}

const NANOS_PER_MILLI: u64 = 1_000_000;

/// Longest name that is shown.
const NAME_CHARS_MAX: usize = 128;

impl Shortage {
    /// What to do about it, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.sentence.clone()
    }

    /// A limit has no room.
    pub(crate) fn of_level(gauge: &Gauge, lack: &Lack, needed: u64, facts: &Facts<'_>) -> Self {
        let settings = &gauge.settings;
        let rate = match lack.unit {
            LimitUnit::Requests => settings.requests,
            LimitUnit::Tokens | LimitUnit::Money => settings.tokens,
            LimitUnit::Concurrent => None,
        };
        let whom = whom(&settings.per, facts);
        let millis = match lack.wait {
            Wait::Nanos(nanos) => Some(nanos.div_ceil(NANOS_PER_MILLI)),
            Wait::Call | Wait::Ever => None,
        };
        let name = &settings.name;
        let unit = if lack.unit == LimitUnit::Tokens { "token" } else { "request" };
        let sentence = match (lack.wait, rate) {
            (Wait::Ever, Some(rate)) => format!(
                "this call needs {}, and {whom} may use at most {} at once (limit `{name}`): make it \
                 smaller",
                counted(needed, unit),
                grouped(rate.burst)
            ),
            (Wait::Nanos(_), Some(rate)) => format!(
                "wait {}: {whom} has used {} per {} (limit `{name}`)",
                duration(millis.unwrap_or(0)),
                counted(rate.amount, unit),
                window(&rate)
            ),
            _ => format!(
                "wait until one of the calls under way has ended: {whom} has {}, as many as may be at \
                 once (limit `{name}`)",
                settings.concurrent.unwrap_or(0)
            ),
        };
        let is_for_ever = lack.wait == Wait::Ever;
        Self {
            reason: if is_for_ever { Reason::NeverFits } else { Reason::LimitReached },
            facts: Box::new(LimitFacts {
                name: name.to_string(),
                scope: scope(&settings.per),
                unit: lack.unit,
                quota: rate.map_or_else(
                    || settings.concurrent.unwrap_or(0).into(),
                    |rate| if is_for_ever { rate.burst } else { rate.amount },
                ),
                window_secs: rate.map(|rate| rate.window_millis.div_ceil(1_000)),
                remaining: lack.remaining,
                retry_after_millis: millis,
            }),
            sentence,
        }
    }

    /// A budget has no room.
    pub(crate) fn of_budget(
        settings: &BudgetSettings,
        short: &Shortfall,
        needed: u64,
        named: &Named<'_>,
    ) -> Self {
        let of = named.label(&settings.per);
        let of = if of.is_empty() { String::new() } else { format!(" of {of}") };
        let name = &settings.name;
        let period = match settings.period {
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
        };
        let amount = |amount| match short.unit {
            LimitUnit::Money => decimal(amount),
            LimitUnit::Tokens => counted(amount, "token"),
            LimitUnit::Requests | LimitUnit::Concurrent => counted(amount, "call"),
        };
        let (millis, sentence) = match short.wait {
            Wait::Nanos(nanos) => {
                let millis = nanos.div_ceil(NANOS_PER_MILLI);
                let sentence = format!(
                    "the budget `{name}`{of} of {} a {period} is used up: it begins anew in {}",
                    amount(short.quota),
                    duration(millis)
                );
                (Some(millis), sentence)
            }
            Wait::Call | Wait::Ever => {
                let sentence = format!(
                    "this call needs {}, and the budget `{name}`{of} has {} a {period}: make it \
                     smaller",
                    amount(needed),
                    amount(short.quota)
                );
                (None, sentence)
            }
        };
        let length = short.period.end.saturating_sub(short.period.start);
        let scope = if settings.per.is_empty() && settings.team.is_some() {
            "team".to_owned()
        } else {
            scope(&settings.per)
        };
        Self {
            reason: if millis.is_some() { Reason::BudgetExhausted } else { Reason::NeverFits },
            facts: Box::new(LimitFacts {
                name: name.to_string(),
                scope,
                unit: short.unit,
                quota: short.quota,
                window_secs: u64::try_from(length).ok(),
                remaining: short.remaining,
                retry_after_millis: millis,
            }),
            sentence,
        }
    }

    /// For which of two a caller has to wait longer.
    pub(crate) fn worse(one: Option<Self>, other: Self) -> Option<Self> {
        let rank = |shortage: &Self| {
            let is_for_ever = shortage.reason == Reason::NeverFits;
            (is_for_ever, shortage.facts.retry_after_millis)
        };
        Some(match one {
            Some(one) if rank(&one) >= rank(&other) => one,
            _ => other,
        })
    }
}

/// The word for what is counted apart: `agent`, `agent+tool`; `total` where all count together.
fn scope(per: &[CountedPer]) -> String {
    if per.is_empty() {
        return "total".to_owned();
    }
    per.iter().map(|per| word(*per)).collect::<Vec<_>>().join("+")
}

pub(crate) const fn word(per: CountedPer) -> &'static str {
    match per {
        CountedPer::Agent => "agent",
        CountedPer::User => "user",
        CountedPer::Group => "group",
        CountedPer::Team => "team",
        CountedPer::Address => "address",
        CountedPer::Route => "route",
        CountedPer::Upstream => "upstream",
        CountedPer::Item => "tool",
    }
}

fn whom(per: &[CountedPer], facts: &Facts<'_>) -> String {
    let party = &facts.request.party;
    let item = facts.request.item.as_ref();
    let name = |per: &CountedPer| {
        let name = match per {
            CountedPer::Agent => party.agent().to_owned(),
            CountedPer::User => party.user().unwrap_or(party.agent()).to_owned(),
            CountedPer::Team => facts.team.map(ToString::to_string).unwrap_or_default(),
            CountedPer::Route => facts.request.route.to_string(),
            CountedPer::Upstream => item.map(|item| item.upstream.to_string()).unwrap_or_default(),
            CountedPer::Item => {
                item.map(|item| format!("{}__{}", item.upstream, item.name)).unwrap_or_default()
            }
            // Which of several groups is nothing the caller could act on.
            CountedPer::Group => return "your group".to_owned(),
            CountedPer::Address => return "your address".to_owned(),
        };
        format!("{} `{}`", word(*per), shown(&name))
    };
    match per {
        [] => "everybody together".to_owned(),
        per => per.iter().map(name).collect::<Vec<_>>().join(" with "),
    }
}

/// A name as far as it is shown: a caller can write whole books into the name of a tool.
pub(crate) fn shown(name: &str) -> String {
    let is_long = name.chars().nth(NAME_CHARS_MAX).is_some();
    let plain = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    plain.take(NAME_CHARS_MAX).chain(is_long.then_some('…')).collect()
}

/// How many of something.
fn counted(amount: u64, of: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{} {of}{plural}", grouped(amount))
}

fn window(rate: &RateSettings) -> String {
    match rate.window_millis {
        1_000 => "second".to_owned(),
        60_000 => "minute".to_owned(),
        3_600_000 => "hour".to_owned(),
        86_400_000 => "day".to_owned(),
        millis => duration(millis),
    }
}

/// A time in the unit people would use, rounded up.
fn duration(millis: u64) -> String {
    let secs = millis.div_ceil(1_000).max(1);
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs.div_ceil(60)),
        7_200..172_800 => format!("{} h", secs.div_ceil(3_600)),
        _ => format!("{} days", secs.div_ceil(86_400)),
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Millionths as a decimal number.
fn decimal(micros: u64) -> String {
    let (whole, part) = (grouped(micros / 1_000_000), micros % 1_000_000);
    let part = format!("{part:06}");
    let part = part.trim_end_matches('0');
    format!("{whole}.{part:0<2}")
}

#[cfg(test)]
mod tests {
    use super::{decimal, duration, grouped};

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(
            [7, 1_000, 200_000, 50_000_000].map(grouped),
            ["7", "1,000", "200,000", "50,000,000"]
        );
        assert_eq!([1_500_000, 2_000_000, 1].map(decimal), ["1.50", "2.00", "0.000001"]);
    }

    #[test]
    fn times_are_never_shorter_than_they_are() {
        assert_eq!([1, 11_001, 121_000, 7_200_001].map(duration), ["1 s", "12 s", "3 min", "3 h"]);
    }
}
