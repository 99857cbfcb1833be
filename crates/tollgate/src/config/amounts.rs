//! How much: amounts, alone and per window or period.
//!
//! Refuses what could be read in two ways: a window or period that is not said, numbers with commas.

use crate::config::decode::Decode;
use crate::config::reading::Reading;
use crate::config::scalars::{Scalar, words};
use crate::config::tree::{Kind, Node};
use serde_json::{Value, json};
use tollgate_limits::settings::Period;

/// Largest amount: beyond it, arithmetic elsewhere would have to think of overflows.
const AMOUNT_MAX: u64 = 1_000_000_000_000_000;

/// Matches text with a reference in it, for the patterns of the schema.
const OR_REFERENCE: &str = r"|\$\{(env|file):";

/// Windows by their names, in milliseconds.
const WINDOWS: [(&str, u64); 8] = [
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("min", 60_000),
    ("minute", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("day", 86_400_000),
];

/// An amount of requests or tokens: `600`, `200k`, `50M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount(pub(super) u64);

impl Scalar for Amount {
    const KIND: &'static str = "an amount";
    const FORM: &'static str =
        "write a whole number above zero: `600`, `200k` (thousand) or `50M` (million)";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        amount(text).map(Self).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": ["integer", "string"], "minimum": 1, "pattern": format!("^[0-9]+[kM]?${OR_REFERENCE}") })
    }
}

/// An amount in a window: `600/min`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PerWindow {
    pub(super) amount: u64,
    pub(super) window_millis: u64,
}

impl Scalar for PerWindow {
    const KIND: &'static str = "an amount in a window";
    const FORM: &'static str =
        "write the amount, `/` and `s`, `min`, `h` or `day`: `10/s`, `600/min` or `200k/min`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let (number, unit) = text.split_once('/').ok_or_else(|| missing(text, "min"))?;
        let named = WINDOWS.iter().find(|(name, _)| *name == unit.trim());
        let (_, window_millis) = named.ok_or_else(|| match unit.trim() {
            "m" => Some(format!("`m` could be a month: write `{number}/min`")),
            "week" | "month" => Some(format!(
                "a limit has a window of at most a day: `{text}` is a budget, in `limits.budgets`"
            )),
            _ => None,
        })?;
        let amount = amount(number.trim()).ok_or(None)?;
        Ok(Self { amount, window_millis: *window_millis })
    }

    fn schema() -> Value {
        let pattern = format!("^[0-9]+[kM]?/(s|sec|second|min|minute|h|hour|day)${OR_REFERENCE}");
        json!({ "type": "string", "pattern": pattern })
    }
}

/// An amount in a calendar period: `50M/month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PerPeriod {
    pub(super) amount: u64,
    pub(super) period: Period,
}

impl Scalar for PerPeriod {
    const KIND: &'static str = "an amount in a period";
    const FORM: &'static str =
        "write the amount, `/` and `day`, `week` or `month`: `10k/day` or `50M/month`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let (number, unit) = text.split_once('/').ok_or_else(|| missing(text, "month"))?;
        let period = period(unit).ok_or(None)?;
        Ok(Self { amount: amount(number.trim()).ok_or(None)?, period })
    }

    fn schema() -> Value {
        let pattern = format!("^[0-9]+[kM]?/(day|week|month)${OR_REFERENCE}");
        json!({ "type": "string", "pattern": pattern })
    }
}

/// Money in a calendar period, in the price book's currency: `100/month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MoneyPerPeriod {
    pub(super) micros: u64,
    pub(super) period: Period,
}

impl Scalar for MoneyPerPeriod {
    const KIND: &'static str = "an amount of money in a period";
    const FORM: &'static str = "write the amount, `/` and `day`, `week` or `month`: `100/month` or `2.50/day`, in the currency of the prices";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let (number, unit) = text.split_once('/').ok_or_else(|| missing(text, "month"))?;
        let period = period(unit).ok_or(None)?;
        Ok(Self { micros: micros(number.trim()).ok_or(None)?, period })
    }

    fn schema() -> Value {
        let pattern = format!("^[0-9]+([.][0-9]{{1,6}})?/(day|week|month)${OR_REFERENCE}");
        json!({ "type": "string", "pattern": pattern })
    }
}

/// One value, or a section that says more.
#[derive(Clone, Debug)]
pub(super) enum Short<S, T> {
    /// Only the value.
    Value(S),
    /// The section.
    Keys(T),
}

impl<S: Scalar, T: Decode> Decode for Short<S, T> {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => T::decode(node, reading).map(Self::Keys),
            Kind::Empty | Kind::Scalar(_) | Kind::Unsettled | Kind::List(_) => {
                <S as Decode>::decode(node, reading).map(Self::Value)
            }
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [<S as Scalar>::schema(), T::schema()] })
    }
}

words! {
    /// What limits count apart.
    PerText {
        #[default]
        Agent = "agent",
        User = "user",
        Group = "group",
        Team = "team",
        Address = "address",
        Route = "route",
        Upstream = "upstream",
        Tool = "tool",
    }
}

words! {
    /// How callers at a limit are told.
    LimitWord {
        #[default]
        Http429 = "http429",
        JsonRpc = "jsonrpc",
        ToolError = "tool_error",
    }
}

words! {
    /// What becomes of results that are too long.
    OversizeWord {
        #[default]
        Refuse = "refuse",
        Truncate = "truncate",
    }
}

fn missing(text: &str, unit: &str) -> Option<String> {
    amount(text).map(|_| format!("say in which time: `{text}/{unit}`"))
}

fn period(unit: &str) -> Option<Period> {
    match unit.trim() {
        "day" => Some(Period::Day),
        "week" => Some(Period::Week),
        "month" => Some(Period::Month),
        _ => None,
    }
}

/// Digits, and what they count: thousands or millions.
fn amount(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1_000),
        b'M' => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = if plain { digits.parse().ok()? } else { return None };
    number.checked_mul(factor).filter(|amount| *amount <= AMOUNT_MAX)
}

/// A decimal number of at most six places, in millionths.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = digits(whole) && digits(part) && part.len() <= 6;
    if !is_plain || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    let micros = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)?;
    (1..=AMOUNT_MAX).contains(&micros).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::{Amount, MoneyPerPeriod, PerPeriod, PerWindow};
    use crate::config::scalars::Scalar;

    fn window(text: &str) -> Option<(u64, u64)> {
        PerWindow::parse(text).ok().map(|rate| (rate.amount, rate.window_millis))
    }

    #[test]
    fn amounts_say_how_much_in_which_time() {
        assert_eq!(window("600/min"), Some((600, 60_000)));
        assert_eq!(window("200k / minute"), Some((200_000, 60_000)));
        assert_eq!(window("10/s"), Some((10, 1_000)));
        assert_eq!(PerPeriod::parse("50M/month").map(|it| it.amount), Ok(50_000_000));
        let money = |text| MoneyPerPeriod::parse(text).ok().map(|it| it.micros);
        assert_eq!(money("2.50/day"), Some(2_500_000));
        assert_eq!(money("0.000001/week"), Some(1));
        assert_eq!(money("0/week"), None);
        assert_eq!(Amount::parse("1k"), Ok(Amount(1_000)));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for wrong in [
            "600", "600/m", "0/s", "1.5k/s", "1,000/s", "-1/s", "010/s", "5K/s", "1/month", "k/s",
            "/s", "",
        ] {
            assert_eq!(window(wrong), None, "{wrong}");
        }
        assert!(PerPeriod::parse("5/min").is_err());
        for wrong in ["1e3/day", "1./day", ".5/day", "1.0000001/day", "01/day", "EUR 5/day"] {
            assert!(MoneyPerPeriod::parse(wrong).is_err(), "{wrong}");
        }
    }
}
