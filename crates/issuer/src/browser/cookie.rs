//! Cookies of the issuer: read strictly, written with every protection browsers offer.
//!
//! The prefix `__Host-` makes browsers refuse a cookie of that name from other hosts, other paths or
//! plain HTTP. A name that is there twice counts as absent: one of the two is not ours. On a gate
//! without TLS, which the settings allow on loopback only, the same cookies go without prefix and
//! `Secure`. SPEC: draft-ietf-httpbis-rfc6265bis section 4.1.3; RFC 9700 section 4.2.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use std::fmt::Write as _;
use tollgate_core::bounds::people::{COOKIE_BYTES_MAX, COOKIE_PARTS_MAX};

/// Which cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Tells one browser from another; everything sealed is bound to it.
    Browser,
    /// Who is signed in, sealed.
    Session,
    /// What is remembered while a person is at the provider, sealed.
    Departure,
}

impl Cookie {
    /// The name of one part of it.
    fn name(self, is_secure: bool, part: usize) -> String {
        let prefix = if is_secure { "__Host-" } else { "" };
        let name = match self {
            Self::Browser => "tollgate-browser",
            Self::Session => "tollgate-session",
            Self::Departure => "tollgate-departure",
        };
        match part {
            0 => format!("{prefix}{name}"),
            part => format!("{prefix}{name}-{part}"),
        }
    }
}

/// The value of a cookie, put together from its parts.
pub(crate) fn read(headers: &HeaderMap, cookie: Cookie, is_secure: bool) -> Option<String> {
    let mut whole = String::new();
    for part in 0..COOKIE_PARTS_MAX {
        match one(headers, &cookie.name(is_secure, part)) {
            Some(value) => whole.push_str(value),
            None => break,
        }
    }
    (!whole.is_empty()).then_some(whole)
}

fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Sets a cookie; false, and nothing is set, if it is longer than fits. Without an age it ends with
/// the browser.
pub(crate) fn set(
    headers: &mut HeaderMap,
    cookie: Cookie,
    value: &str,
    is_secure: bool,
    age_secs: Option<u64>,
) -> bool {
    // INVARIANT: values are base64url, so any byte is a place to split at.
    let parts: Vec<&str> = value
        .as_bytes()
        .chunks(COOKIE_BYTES_MAX)
        .filter_map(|part| std::str::from_utf8(part).ok())
        .collect();
    if parts.len() > COOKIE_PARTS_MAX {
        return false;
    }
    for part in 0..COOKIE_PARTS_MAX {
        let name = cookie.name(is_secure, part);
        match parts.get(part) {
            Some(value) => append(headers, &name, value, is_secure, age_secs),
            // A longer value may have been there before.
            None if cookie != Cookie::Browser => append(headers, &name, "", is_secure, Some(0)),
            None => {}
        }
    }
    true
}

/// Makes the browser forget a cookie.
pub(crate) fn clear(headers: &mut HeaderMap, cookie: Cookie, is_secure: bool) {
    set(headers, cookie, "", is_secure, None);
}

fn append(headers: &mut HeaderMap, name: &str, value: &str, is_secure: bool, age: Option<u64>) {
    let mut line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if is_secure {
        line.push_str("; Secure");
    }
    if let Some(age) = age {
        // Writing to a string cannot fail.
        let _ = write!(line, "; Max-Age={age}");
    }
    if let Ok(line) = HeaderValue::from_str(&line) {
        headers.append(SET_COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use super::{Cookie, clear, read, set};
    use http::HeaderMap;
    use http::header::{COOKIE, HeaderValue, SET_COOKIE};

    fn sent(line: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(line).expect("a header"));
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<&str> {
        headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok()).collect()
    }

    /// What a browser sends back.
    fn returned(headers: &HeaderMap) -> HeaderMap {
        let kept = lines(headers).into_iter().filter(|line| !line.contains("Max-Age=0"));
        let pairs: Vec<_> = kept.filter_map(|line| line.split(';').next()).collect();
        sent(&pairs.join("; "))
    }

    #[test]
    fn every_protection_is_on() {
        let mut headers = HeaderMap::new();
        assert!(set(&mut headers, Cookie::Browser, "abc", true, Some(60)));
        let wanted =
            "__Host-tollgate-browser=abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60";
        assert_eq!(lines(&headers), [wanted]);
    }

    #[test]
    fn without_tls_there_is_neither_prefix_nor_secure() {
        let mut headers = HeaderMap::new();
        assert!(set(&mut headers, Cookie::Browser, "abc", false, None));
        assert_eq!(lines(&headers), ["tollgate-browser=abc; Path=/; HttpOnly; SameSite=Lax"]);
        assert_eq!(read(&returned(&headers), Cookie::Browser, true), None);
    }

    #[test]
    fn long_values_come_back_whole_and_longer_ones_are_not_set() {
        let mut headers = HeaderMap::new();
        let long: String = (0..12_000)
            .map(|at| char::from(b'a' + u8::try_from(at % 26).expect("small")))
            .collect();
        assert!(set(&mut headers, Cookie::Session, &long, true, None));
        assert_eq!(read(&returned(&headers), Cookie::Session, true).as_deref(), Some(&*long));
        let mut headers = HeaderMap::new();
        assert!(!set(&mut headers, Cookie::Session, &"x".repeat(15_201), true, None));
        assert!(lines(&headers).is_empty());
    }

    #[test]
    fn a_shorter_value_leaves_nothing_of_a_longer_one() {
        let mut headers = HeaderMap::new();
        assert!(set(&mut headers, Cookie::Session, "short", true, None));
        let ended = lines(&headers).iter().filter(|line| line.contains("Max-Age=0")).count();
        assert_eq!(ended, 3);
        let mut headers = HeaderMap::new();
        clear(&mut headers, Cookie::Session, true);
        assert!(
            lines(&headers).iter().all(|line| line.contains("=; ") && line.contains("Max-Age=0"))
        );
    }

    #[test]
    fn a_name_that_is_there_twice_counts_as_absent() {
        let headers = sent("__Host-tollgate-browser=a; x=y; __Host-tollgate-browser=b");
        assert_eq!(read(&headers, Cookie::Browser, true), None);
        let headers = sent("a__Host-tollgate-browser=a");
        assert_eq!(read(&headers, Cookie::Browser, true), None);
    }
}
