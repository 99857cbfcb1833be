//! What upstreams say themselves about the tokens a call took. Looked at only where the operator named
//! the upstream, since any number here is the upstream's own.
//!
//! A number that is negative, no whole number, or larger than any model's window makes the whole
//! report void: half of it would be worth nothing.
//!
//! Next: `counting.rs`.

use crate::settings::Trust;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tollgate_core::bounds::usage::{REPORT_BYTES_MAX, REPORTED_TOKENS_MAX};

/// What an upstream said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Nothing.
    Silent,
    /// Something nobody can use.
    Void,
    /// Numbers.
    Said(Said),
}

/// Its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
}

const INPUT: [&str; 3] = ["input_tokens", "prompt_tokens", "inputTokens"];
const OUTPUT: [&str; 3] = ["output_tokens", "completion_tokens", "outputTokens"];
const TOTAL: [&str; 2] = ["total_tokens", "totalTokens"];

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.tollgate/usage")]
    own: Option<&'a RawValue>,
    #[serde(borrow)]
    token_usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Structured<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Looks for a report in the `_meta` and the structured content of a result.
pub(crate) fn look(meta: Option<&RawValue>, structured: Option<&RawValue>) -> Report {
    let meta = meta.and_then(|meta| serde_json::from_str::<Meta<'_>>(meta.get()).ok());
    let structured =
        structured.and_then(|whole| serde_json::from_str::<Structured<'_>>(whole.get()).ok());
    let places = [
        meta.as_ref().and_then(|meta| meta.usage),
        meta.as_ref().and_then(|meta| meta.own),
        structured.and_then(|whole| whole.usage),
        meta.as_ref().and_then(|meta| meta.token_usage),
    ];
    let said = places.into_iter().flatten().map(read).find(|report| *report != Report::Silent);
    said.unwrap_or(Report::Silent)
}

fn read(usage: &RawValue) -> Report {
    if usage.get().len() > REPORT_BYTES_MAX {
        return Report::Void;
    }
    // What is no object is something else of the same name.
    let Ok(usage) = serde_json::from_str::<Map<String, Value>>(usage.get()) else {
        return Report::Silent;
    };
    let mut is_void = false;
    let mut number = |names: &[&str]| {
        let value = names.iter().find_map(|name| usage.get(*name).filter(|v| !v.is_null()))?;
        let tokens = tokens(value);
        is_void |= tokens.is_none();
        tokens
    };
    let said = Said { input: number(&INPUT), output: number(&OUTPUT), total: number(&TOTAL) };
    if is_void {
        return Report::Void;
    }
    if said == Said::default() { Report::Silent } else { Report::Said(said) }
}

/// A whole number of tokens a call can have taken. Some servers write `12.0`.
fn tokens(value: &Value) -> Option<u64> {
    let number = match value.as_u64() {
        Some(number) => number,
        None => {
            let float = value.as_f64().filter(|float| float.fract() == 0.0)?;
            format!("{float:.0}").parse().ok()?
        }
    };
    (number <= REPORTED_TOKENS_MAX).then_some(number)
}

impl Said {
    /// Tokens in and out, with the gate's own count for what is not said; and whether any of it is the
    /// upstream's.
    pub(crate) fn against(self, own: (u64, u64), trust: Trust) -> ((u64, u64), bool) {
        let input = self.input.unwrap_or(own.0);
        let rest = self.total.map(|total| total.saturating_sub(input));
        let said = (input, self.output.or(rest).unwrap_or(own.1));
        let counted = match trust {
            Trust::Reported => said,
            Trust::Max => (said.0.max(own.0), said.1.max(own.1)),
        };
        (counted, trust == Trust::Reported || counted != own)
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, look};
    use crate::settings::Trust;
    use serde_json::value::RawValue;

    fn meta(text: &str) -> Report {
        let raw = RawValue::from_string(text.to_owned()).expect("JSON");
        look(Some(&raw), None)
    }

    fn counted(report: Report, trust: Trust) -> ((u64, u64), bool) {
        let Report::Said(said) = report else { panic!("{report:?}") };
        said.against((100, 200), trust)
    }

    #[test]
    fn known_places_and_spellings_are_found() {
        for text in [
            r#"{"usage":{"input_tokens":7,"output_tokens":9}}"#,
            r#"{"usage":{"prompt_tokens":7,"completion_tokens":9.0}}"#,
            r#"{"io.tollgate/usage":{"inputTokens":7,"outputTokens":9}}"#,
            r#"{"token_usage":{"input_tokens":7,"total_tokens":16}}"#,
            r#"{"usage":"none","token_usage":{"input_tokens":7,"output_tokens":9}}"#,
        ] {
            assert_eq!(counted(meta(text), Trust::Reported), ((7, 9), true), "{text}");
        }
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let whole = raw(r#"{"rows":[],"usage":{"input_tokens":7,"output_tokens":9}}"#);
        assert_eq!(counted(look(None, Some(&whole)), Trust::Reported), ((7, 9), true));
    }

    #[test]
    fn the_larger_count_holds_where_the_operator_wants_that() {
        let report = meta(r#"{"usage":{"input_tokens":7,"output_tokens":900}}"#);
        assert_eq!(counted(report, Trust::Max), ((100, 900), true));
        let small = meta(r#"{"usage":{"input_tokens":7,"output_tokens":9}}"#);
        assert_eq!(counted(small, Trust::Max), ((100, 200), false));
    }

    #[test]
    fn a_number_nobody_can_use_makes_the_report_void() {
        for wrong in ["-1", "1.5", "1e300", "\"7\"", "100000001", "18446744073709551616", "true"] {
            let text = format!(r#"{{"usage":{{"input_tokens":7,"output_tokens":{wrong}}}}}"#);
            assert_eq!(meta(&text), Report::Void, "{wrong}");
        }
        let long = format!(r#"{{"usage":{{"input_tokens":7,"x":"{}"}}}}"#, "x".repeat(20_000));
        assert_eq!(meta(&long), Report::Void);
    }

    #[test]
    fn what_is_no_report_is_silence() {
        for text in ["{}", "7", r#"{"usage":{}}"#, r#"{"usage":[1]}"#, r#"{"usage":{"cpu":-3}}"#] {
            assert_eq!(meta(text), Report::Silent, "{text}");
        }
    }
}
