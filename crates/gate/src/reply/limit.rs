//! What a caller at a limit is told besides the sentence: numbers for its software.
//!
//! SPEC: draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` and `RateLimit` are lists of
//! strings with parameters (RFC 9651); `qu` takes registered units only, and tokens are none.

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tollgate_core::refusal::{LimitFacts, LimitUnit};

/// What is left of a limit, and when there is more.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What the limit is.
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds what is known to the `data` of an error.
pub(super) fn describe(facts: &LimitFacts, data: &mut Value) {
    let known = json!({
        "type": "quota-exceeded",
        "dimension": facts.unit.as_str(),
        "scope": facts.scope,
        "limit": facts.quota,
        "remaining": facts.remaining,
        "violatedPolicies": [facts.name],
    });
    let (Value::Object(data), Value::Object(known)) = (data, known) else { return };
    data.extend(known);
    if let Some(millis) = facts.retry_after_millis {
        data.insert("retryAfterMs".to_owned(), millis.into());
        data.insert("retryAfterSeconds".to_owned(), millis.div_ceil(1_000).into());
    }
}

/// `RateLimit-Policy` and `RateLimit`; `None` for a limit whose name is not ASCII, which a string of
/// theirs has to be.
pub(super) fn headers(facts: &LimitFacts) -> Option<(HeaderValue, HeaderValue)> {
    let name = quoted(&facts.name)?;
    let unit = match facts.unit {
        LimitUnit::Requests => ";qu=\"requests\"",
        LimitUnit::Concurrent => ";qu=\"concurrent-requests\"",
        LimitUnit::Tokens => ";tollgate-unit=\"tokens\"",
        LimitUnit::Money => ";tollgate-unit=\"money\"",
    };
    let window = facts.window_secs.map(|secs| format!(";w={secs}")).unwrap_or_default();
    let policy = format!("{name};q={}{window}{unit}", integer(facts.quota));
    let wait = facts.retry_after_millis.map(|millis| millis.div_ceil(1_000));
    let wait = wait.map(|secs| format!(";t={secs}")).unwrap_or_default();
    let state = format!("{name};r={}{wait}", integer(facts.remaining));
    Some((HeaderValue::try_from(policy).ok()?, HeaderValue::try_from(state).ok()?))
}

/// SPEC: RFC 9651 section 3.3.3.
fn quoted(text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    is_plain.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// SPEC: RFC 9651 section 3.3.1: at most 15 digits.
fn integer(value: u64) -> u64 {
    value.min(999_999_999_999_999)
}

#[cfg(test)]
mod tests {
    use super::{describe, headers};
    use serde_json::json;
    use tollgate_core::refusal::{LimitFacts, LimitUnit};

    fn facts(unit: LimitUnit) -> LimitFacts {
        LimitFacts {
            name: "per-agent".to_owned(),
            scope: "agent".to_owned(),
            unit,
            quota: 200_000,
            window_secs: Some(60),
            remaining: 12,
            retry_after_millis: Some(16_840),
        }
    }

    #[test]
    fn headers_are_structured_fields_and_round_up() {
        let said = |facts: &LimitFacts| {
            let (policy, state) = headers(facts).expect("an ASCII name");
            [policy, state].map(|value| value.to_str().expect("ASCII").to_owned())
        };
        assert_eq!(
            said(&facts(LimitUnit::Tokens)),
            ["\"per-agent\";q=200000;w=60;tollgate-unit=\"tokens\"", "\"per-agent\";r=12;t=17"]
        );
        let mut at_once = facts(LimitUnit::Concurrent);
        (at_once.name, at_once.window_secs) = ("a\"b\\".to_owned(), None);
        at_once.retry_after_millis = None;
        assert_eq!(
            said(&at_once),
            [r#""a\"b\\";q=200000;qu="concurrent-requests""#, r#""a\"b\\";r=12"#]
        );
        at_once.name = "f\u{fc}r".to_owned();
        assert_eq!(headers(&at_once), None);
    }

    #[test]
    fn data_says_what_is_used_up_and_when_to_come_back() {
        let mut data = json!({ "reason": "limit_reached" });
        describe(&facts(LimitUnit::Tokens), &mut data);
        let expected = json!({
            "reason": "limit_reached", "type": "quota-exceeded", "dimension": "tokens",
            "scope": "agent", "limit": 200_000, "remaining": 12, "violatedPolicies": ["per-agent"],
            "retryAfterMs": 16_840, "retryAfterSeconds": 17,
        });
        assert_eq!(data, expected);
    }
}
