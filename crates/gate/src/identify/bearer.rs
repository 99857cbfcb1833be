//! The bearer token of a request, and nothing that only looks like one.
//!
//! SPEC: RFC 6750 section 2.1; 2026-07-28 basic/authorization, Token Requirements: in the
//! `Authorization` header, never in the URL.

use http::header::AUTHORIZATION;
use http::request::Parts;
use tollgate_core::bounds::identity::TOKEN_BYTES_MAX;

/// The token, if there is one. That the header is there once was judged before.
///
/// # Errors
/// What is wrong with how it is presented.
pub(super) fn of(head: &Parts) -> Result<Option<&str>, &'static str> {
    let Some(value) = head.headers.get(AUTHORIZATION) else {
        let query = head.uri.query().unwrap_or_default();
        if query.split('&').any(|pair| pair.starts_with("access_token=")) {
            return Err("send the token in the `Authorization` header: URLs end up in logs");
        }
        return Ok(None);
    };
    let malformed = "send `Authorization: Bearer TOKEN`, with one space and a token of printable \
                     characters";
    let Ok(text) = value.to_str() else { return Err(malformed) };
    let Some((scheme, token)) = text.split_once(' ') else {
        return if text.eq_ignore_ascii_case("bearer") { Err(malformed) } else { Ok(None) };
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    // SPEC: RFC 6750 section 2.1, `b64token`.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(is_token) {
        return Err(malformed);
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::of;
    use http::Request;

    fn presented(uri: &str, header: Option<&str>) -> Result<Option<String>, &'static str> {
        let mut request = Request::get(uri);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        of(&head).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_is_taken_from_its_header_whatever_the_case_of_the_scheme() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let found = presented("/mcp", Some(&format!("{scheme} a.b-c_d~e+f/g==")));
            assert_eq!(found, Ok(Some("a.b-c_d~e+f/g==".to_owned())));
        }
    }

    #[test]
    fn nothing_and_other_schemes_are_no_token() {
        for header in [None, Some("Basic abc"), Some("DPoP abc"), Some("Negotiate")] {
            assert_eq!(presented("/mcp", header), Ok(None), "{header:?}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let long = format!("Bearer {}", "a".repeat(20_000));
        let wrong =
            ["Bearer", "Bearer ", "Bearer  a", "Bearer a b", "Bearer\ta", "Bearer a,b", &long];
        for header in wrong {
            let found = presented("/mcp", Some(header));
            assert!(found.is_err() || found == Ok(None), "{header:?} gave {found:?}");
        }
    }

    #[test]
    fn a_token_in_the_url_is_refused() {
        assert!(presented("/mcp?a=1&access_token=x", None).is_err());
    }
}
