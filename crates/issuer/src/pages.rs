//! The pages people see, and the headers that protect them.
//!
//! There is no script on any page and none could run; nothing is loaded from elsewhere; no page can
//! be framed, kept in a cache or told of in a `Referer`. All text of others goes through `shown.rs`
//! and is escaped by the templates.
//!
//! Next: `pages/shown.rs`; the templates and the style sheet are in `templates/`.

pub(crate) mod problem;
pub(crate) mod shown;

use crate::desk::Desk;
use crate::reply::{self, Response};
use askama::Template;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

/// Where the style sheet is.
pub(crate) const STYLE: &str = "/oauth/style.css";
/// Where the icon is.
pub(crate) const MARK: &str = "/oauth/mark.svg";

/// Sign in with a local account.
#[derive(Debug, Template)]
#[template(path = "signin.html")]
pub(crate) struct SignInPage<'a> {
    pub(crate) host: &'a str,
    pub(crate) client: &'a str,
    pub(crate) transaction: &'a str,
    pub(crate) token: &'a str,
    pub(crate) name: &'a str,
    pub(crate) problem: Option<&'a str>,
}

/// Allow a client, or do not.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(crate) struct ConsentPage<'a> {
    pub(crate) host: &'a str,
    pub(crate) client: &'a str,
    /// How the client came to be known, in a sentence.
    pub(crate) origin: &'a str,
    /// Of a client that is a document: the host it is at.
    pub(crate) id_host: Option<&'a str>,
    pub(crate) warning: Option<&'a str>,
    pub(crate) person: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) place: &'a Words<'a>,
    pub(crate) scopes: &'a [Words<'a>],
    /// Whether single scopes can be left out.
    pub(crate) is_choice: bool,
    pub(crate) transaction: &'a str,
    pub(crate) token: &'a str,
    pub(crate) problem: Option<&'a str>,
}

/// Something in words, and what of it must be read to the letter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words<'a> {
    pub(crate) words: &'static str,
    pub(crate) exact: Option<&'a str>,
}

/// Who is signed in, outside of any transaction.
#[derive(Debug, Template)]
#[template(path = "status.html")]
pub(crate) struct StatusPage<'a> {
    pub(crate) host: &'a str,
    pub(crate) person: Option<&'a str>,
    pub(crate) token: &'a str,
}

/// Where the forms of a page may lead, redirects of what they are sent to included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forms {
    /// To us only. Wherever a password can be typed.
    Home,
    /// Anywhere: the answer redirects to the client, and browsers would judge also where the client
    /// redirects to from there: to another site of its own, or into an app. There is nothing on such
    /// a page that is worth anything elsewhere.
    Away,
}

/// A page.
pub(crate) fn page(status: StatusCode, page: &impl Template, forms: Forms) -> Response {
    let Ok(html) = page.render() else {
        return reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = reply::of(status, "text/html; charset=utf-8", Bytes::from(html));
    protect(response.headers_mut(), forms);
    response
}

/// Sends the browser on, always by GET.
///
/// SPEC: RFC 9700 section 4.12: 303, never 307, so that no form is sent on.
pub(crate) fn see_other(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = reply::empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(header::LOCATION, location);
    protect(response.headers_mut(), Forms::Home);
    response
}

/// The style sheet.
pub(crate) fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("../templates/style.css"))
}

/// The icon.
pub(crate) fn mark() -> Response {
    file("image/svg+xml", include_str!("../templates/mark.svg"))
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    let mut response = reply::of(StatusCode::OK, media_type, Bytes::from_static(text.as_bytes()));
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// SPEC: RFC 9700 sections 4.2.4 and 4.16; OWASP HTTP Headers Cheat Sheet. No
/// `Cross-Origin-Opener-Policy`: web clients open us in a window of their own and wait for it.
fn protect(headers: &mut HeaderMap, forms: Forms) {
    let policy = match forms {
        Forms::Home => {
            "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'self'"
        }
        Forms::Away => {
            "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; \
             base-uri 'none'"
        }
    };
    let permissions = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("permissions-policy"), permissions),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Our own name on pages: people are to compare it with the address bar.
pub(crate) fn host(desk: &Desk) -> &str {
    desk.issuer.split_once("://").map_or("", |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::{Forms, StatusPage, page, see_other};
    use http::StatusCode;

    #[test]
    fn pages_cannot_be_framed_cached_sniffed_or_told_of() {
        let of = StatusPage { host: "h", person: None, token: "t" };
        for response in [page(StatusCode::OK, &of, Forms::Home), see_other("/oauth/consent")] {
            let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
            assert_eq!(header("x-frame-options"), "DENY");
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert_eq!(header("x-content-type-options"), "nosniff");
            let wanted = "default-src 'none'; style-src 'self'; img-src 'self'; \
                          frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
            assert_eq!(header("content-security-policy"), wanted);
        }
    }

    #[test]
    fn names_of_others_are_escaped() {
        let nasty = "<img src=x onerror=alert(1)>\"'&";
        let of = StatusPage { host: "h", person: Some(nasty), token: "t" };
        let html = askama::Template::render(&of).expect("a page");
        assert!(!html.contains("<img"), "{html}");
        assert!(html.contains("&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#38;"), "{html}");
    }
}
