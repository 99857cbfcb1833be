//! Where an issuer says its endpoints are (RFC 8414, OpenID Connect Discovery 1.0).
//!
//! A document counts only if it names the very issuer it was looked for, byte for byte: else one
//! issuer could speak for another. An `https` issuer cannot send us to `http`.

use serde_json::Value;
use tollgate_oauth::jwt::Claims;
use tollgate_outbound::{FetchFault, Fetcher, Reach};
use url::Url;

/// Why an issuer's metadata cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoveryFault {
    /// It cannot be fetched.
    #[error("`{url}`: {fault}")]
    Fetch {
        /// Where.
        url: Url,
        /// Why.
        fault: Box<FetchFault>,
    },
    /// It is not a JSON object.
    #[error("`{0}` is not a JSON object")]
    Unreadable(Url),
    /// It is about another issuer.
    #[error(
        "`{0}` names another issuer: write the issuer's URL exactly as it does, to the last `/`"
    )]
    OtherIssuer(Url),
    /// It does not say what is needed.
    #[error("`{url}` has no usable `{member}`")]
    Lacks {
        /// Where.
        url: Url,
        /// What.
        member: &'static str,
    },
    /// The issuer's URL leads nowhere.
    #[error("the URL of the issuer is not usable")]
    Url,
}

/// What is looked for in metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `jwks_uri`.
    Keys,
    /// `introspection_endpoint`.
    Introspection,
}

/// Finds an issuer's metadata, at the first of the known places that has it.
pub(crate) async fn discover(
    fetcher: &Fetcher,
    issuer: &str,
    wanted: Wanted,
) -> Result<Url, DiscoveryFault> {
    let mut last = DiscoveryFault::Url;
    for url in places(issuer).ok_or(DiscoveryFault::Url)? {
        last = match fetcher.get_json(&url, Reach::Anywhere).await {
            Ok(body) => match read(&url, issuer, &body, wanted) {
                Ok(found) => return Ok(found),
                Err(fault) => fault,
            },
            Err(fault) => {
                let is_elsewhere =
                    matches!(fault, FetchFault::Status(_) | FetchFault::Redirected(_));
                let fault = DiscoveryFault::Fetch { url, fault: Box::new(fault) };
                if !is_elsewhere {
                    return Err(fault);
                }
                fault
            }
        };
    }
    Err(last)
}

/// SPEC: RFC 8414 section 3.1, OpenID Connect Discovery 1.0 section 4.1; the order is that of MCP
/// 2026-07-28, Authorization Server Metadata Discovery.
fn places(issuer: &str) -> Option<Vec<Url>> {
    let url = Url::parse(issuer).ok()?;
    let path = url.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut place = url.clone();
        place.set_path(&path);
        place.set_query(None);
        place.set_fragment(None);
        place
    };
    let mut places = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        places.push(at(format!("{path}/.well-known/openid-configuration")));
    }
    Some(places)
}

fn read(url: &Url, issuer: &str, body: &[u8], wanted: Wanted) -> Result<Url, DiscoveryFault> {
    let document = Claims::parse(body).map_err(|_| DiscoveryFault::Unreadable(url.clone()))?;
    if document.value("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(DiscoveryFault::OtherIssuer(url.clone()));
    }
    let member = match wanted {
        Wanted::Keys => "jwks_uri",
        Wanted::Introspection => "introspection_endpoint",
    };
    let named = document.value(member).and_then(Value::as_str);
    named
        .and_then(|text| Url::parse(text).ok())
        .filter(|named| is_no_downgrade(issuer, named))
        .ok_or(DiscoveryFault::Lacks { url: url.clone(), member })
}

fn is_no_downgrade(issuer: &str, named: &Url) -> bool {
    let is_secure = issuer.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    named.scheme() == "https" || (!is_secure && named.scheme() == "http")
}

#[cfg(test)]
mod tests {
    use super::{Wanted, places, read};
    use url::Url;

    fn texts(issuer: &str) -> Vec<String> {
        places(issuer).expect("a URL").iter().map(Url::to_string).collect()
    }

    #[test]
    fn an_issuer_with_a_path_has_three_places() {
        let expected = [
            "https://h/.well-known/oauth-authorization-server/t/u",
            "https://h/.well-known/openid-configuration/t/u",
            "https://h/t/u/.well-known/openid-configuration",
        ];
        assert_eq!(texts("https://h/t/u"), expected);
        assert_eq!(texts("https://h/t/u/"), expected);
    }

    #[test]
    fn an_issuer_without_a_path_has_two() {
        let expected = [
            "https://h:8443/.well-known/oauth-authorization-server",
            "https://h:8443/.well-known/openid-configuration",
        ];
        assert_eq!(texts("https://h:8443"), expected);
        assert_eq!(texts("https://h:8443/"), expected);
    }

    #[test]
    fn metadata_of_another_issuer_or_leading_down_to_http_is_not_used() {
        let at = Url::parse("https://h/.well-known/openid-configuration").expect("a URL");
        let document = |issuer: &str, keys: &str| {
            read(
                &at,
                "https://h",
                format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#).as_bytes(),
                Wanted::Keys,
            )
        };
        assert!(document("https://h", "https://keys.example/jwks").is_ok());
        for issuer in ["https://h/", "https://H", "https://evil.example", "http://h"] {
            assert!(document(issuer, "https://h/jwks").is_err(), "{issuer}");
        }
        for keys in ["http://h/jwks", "file:///etc/passwd", "/jwks", ""] {
            assert!(document("https://h", keys).is_err(), "{keys}");
        }
    }
}
