//! Forms: what bodies and queries of OAuth are made of, read strictly.
//!
//! A parameter that is there twice is refused, since two readers might believe a different one each;
//! only `resource` may repeat, and who takes it says how often. A parameter without a value is as if
//! it were absent. Unknown parameters are ignored. SPEC: RFC 6749 sections 3.1 and 3.2.

use crate::error::OAuthError;
use std::fmt;
use tollgate_core::bounds::issuer::FORM_FIELDS_MAX;

/// The only parameter that may repeat (RFC 8707 section 2).
const RESOURCE: &str = "resource";

/// Parameters by name. Never shown: secrets are among them.
pub(crate) struct Form {
    fields: Vec<(String, String)>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// A parameter repeats, there are too many, or an escape is broken.
    pub(crate) fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if fields.len() == FORM_FIELDS_MAX {
                return Err(OAuthError::invalid_request("there are too many parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (unescaped(name)?, unescaped(value)?);
            if name != RESOURCE && fields.iter().any(|(known, _)| *known == name) {
                return Err(OAuthError::invalid_request(format!(
                    "the parameter `{name}` is there more than once"
                )));
            }
            fields.push((name, value));
        }
        Ok(Self { fields })
    }

    /// The value of a parameter. Of `resource`, the first; see [`Self::resources`].
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| {
            OAuthError::invalid_request(format!("the parameter `{name}` is missing"))
        })
    }

    /// Whether a parameter is there, with a value or without.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// All values of `resource`.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &str> {
        let named = self.fields.iter().filter(|(name, _)| name == RESOURCE);
        named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Undoes the escaping of forms: `+`, and `%` with exactly two hexadecimal digits.
///
/// # Errors
/// An escape is broken, or what comes out is no text.
///
/// SPEC: RFC 6749 appendix B: UTF-8. Control characters have no place in any parameter; a NUL or line
/// break would only serve to look different to somebody else.
pub(crate) fn unescaped(text: &str) -> Result<String, OAuthError> {
    let broken = || OAuthError::invalid_request("an escape in a parameter is broken");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = (rest.next().and_then(hex), rest.next().and_then(hex));
                let (Some(high), Some(low)) = digits else { return Err(broken()) };
                high << 4 | low
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_error| broken())?;
    if text.chars().any(char::is_control) {
        return Err(OAuthError::invalid_request("a parameter holds a control character"));
    }
    Ok(text)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Form;
    use tollgate_core::bounds::issuer::FORM_FIELDS_MAX;

    #[test]
    fn values_are_unescaped() {
        let form = Form::parse("a=x%20y+z&b=%C3%A9&c=1=2").unwrap();
        assert_eq!((form.get("a"), form.get("b")), (Some("x y z"), Some("é")));
        assert_eq!(form.get("c"), Some("1=2"));
    }

    #[test]
    fn a_parameter_that_repeats_is_refused_even_if_escaped_or_empty() {
        for text in ["a=1&a=1", "a=1&%61=2", "a&a", "a=&a=1"] {
            assert!(Form::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_resource_may_repeat() {
        let form = Form::parse("resource=a&resource=b&resource=").unwrap();
        assert_eq!(form.resources().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_parameter_without_value_is_as_if_absent() {
        let form = Form::parse("a=&b").unwrap();
        assert!(form.get("a").is_none() && form.required("b").is_err() && form.has("a"));
    }

    #[test]
    fn broken_escapes_and_control_characters_are_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "a=%00", "a=%0a", "%0d=1"] {
            assert!(Form::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let many = |count: usize| {
            let pairs: Vec<String> = (0..count).map(|index| format!("p{index}=")).collect();
            Form::parse(&pairs.join("&"))
        };
        assert!(many(FORM_FIELDS_MAX).is_ok());
        assert!(many(FORM_FIELDS_MAX + 1).is_err());
    }

    #[test]
    fn values_never_show_in_debug() {
        let form = Form::parse("client_secret=hunter2").unwrap();
        assert!(!format!("{form:?}").contains("hunter2"));
    }
}
