//! What prices and metering are written with: exact decimals, days, and how far an upstream is believed.

use crate::config::scalars::{Scalar, words};
use serde_json::{Value, json};
use tollgate_core::bounds::usage::PRICE_MICROS_MAX;
use tollgate_usage::{days, money};

/// An amount of money in millionths, read from the digits that were typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount(pub(super) i64);

impl Scalar for Amount {
    const KIND: &'static str = "an amount of money";
    const FORM: &'static str =
        "write a decimal of at most six digits after the point, without the currency: `0.0025`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        match money::parse(text) {
            Some(micros) if micros <= PRICE_MICROS_MAX => Ok(Self(micros)),
            Some(_) => Err(Some(format!("at most {}", money::text(PRICE_MICROS_MAX)))),
            None if text.starts_with('-') => Err(Some("a price is not negative".to_owned())),
            None => Err(None),
        }
    }

    fn schema() -> Value {
        json!({ "type": ["number", "string"], "minimum": 0 })
    }
}

/// A day, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) i64);

impl Scalar for Day {
    const KIND: &'static str = "a day";
    const FORM: &'static str = "write year, month and day: `2026-01-31`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        days::parse(text).map(Self).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "format": "date" })
    }
}

/// A currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Currency(pub(super) String);

impl Default for Currency {
    fn default() -> Self {
        Self("USD".to_owned())
    }
}

impl Scalar for Currency {
    const KIND: &'static str = "a currency";
    const FORM: &'static str = "write its ISO 4217 code, three capital letters: `EUR`";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        is_code.then(|| Self(text.to_owned())).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Z]{3}$" })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0))
    }
}

words! {
    /// Who counts tokens.
    EstimatorWord {
        #[default]
        Bytes = "bytes",
        O200k = "o200k",
        Cl100k = "cl100k",
    }
}

words! {
    /// How far an upstream's own count is believed.
    TrustWord {
        #[default]
        Max = "max",
        Reported = "reported",
    }
}

words! {
    /// What happens to calls that the ledger cannot take.
    OnFailureWord {
        #[default]
        Open = "open",
        Closed = "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, Day};
    use crate::config::scalars::Scalar;

    #[test]
    fn amounts_are_the_digits_that_were_typed() {
        assert_eq!(Amount::parse("0.1"), Ok(Amount(100_000)));
        assert_eq!(Amount::parse("0.000001"), Ok(Amount(1)));
        for wrong in ["0.0000001", "-1", "1e2", "1,5", "1 USD", "99999999"] {
            assert!(Amount::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_are_written_in_one_way() {
        assert_eq!(Day::parse("1970-01-02"), Ok(Day(1)));
        assert!(Day::parse("02.01.1970").is_err() && Day::parse("2026-02-30").is_err());
    }
}
