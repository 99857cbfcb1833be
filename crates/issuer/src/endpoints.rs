//! What is served where: the one table of paths, methods and who may call from a browser's script.
//!
//! To add an endpoint: a variant, its path in [`Endpoint::at`], its line in each of the matches here,
//! and its answer in [`answer`]. The compiler names the places.

use crate::authorize::{self, AUTHORIZE};
use crate::consent::{self, CONSENT};
use crate::desk::Desk;
use crate::discovery;
use crate::error::OAuthError;
use crate::introspect;
use crate::pages::{self, MARK, STYLE};
use crate::provider::{self, CALLBACK};
use crate::registration::{self, REGISTER, REGISTRATION};
use crate::reply::{self, Response};
use crate::request::Request;
use crate::revoke;
use crate::settings::{IssuerSettings, SignIn};
use crate::signin::{self, SIGN_IN};
use crate::token;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

/// Where an authorization server says what it offers (RFC 8414 section 3).
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
/// The same document: some clients look only here.
pub(crate) const METADATA_OPENID: &str = "/.well-known/openid-configuration";
/// The public keys.
pub(crate) const KEYS: &str = "/oauth/jwks";
/// The token endpoint.
pub(crate) const TOKEN: &str = "/oauth/token";
/// Revocation (RFC 7009).
pub(crate) const REVOKE: &str = "/oauth/revoke";
/// Introspection (RFC 7662).
pub(crate) const INTROSPECT: &str = "/oauth/introspect";

/// One thing the issuer does for who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// See [`METADATA`].
    Metadata,
    /// See [`KEYS`].
    Keys,
    /// See [`AUTHORIZE`].
    Authorize,
    /// See [`SIGN_IN`].
    SignIn,
    /// See [`CONSENT`].
    Consent,
    /// See [`CALLBACK`].
    Callback,
    /// See [`STYLE`].
    Style,
    /// See [`MARK`].
    Mark,
    /// See [`REGISTER`].
    Register,
    /// See [`REGISTRATION`].
    Registration,
    /// See [`TOKEN`].
    Token,
    /// See [`REVOKE`].
    Revoke,
    /// See [`INTROSPECT`].
    Introspect,
}

impl Endpoint {
    /// The endpoint at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            METADATA | METADATA_OPENID => Some(Self::Metadata),
            KEYS => Some(Self::Keys),
            AUTHORIZE => Some(Self::Authorize),
            SIGN_IN => Some(Self::SignIn),
            CONSENT => Some(Self::Consent),
            CALLBACK => Some(Self::Callback),
            STYLE => Some(Self::Style),
            MARK => Some(Self::Mark),
            REGISTER => Some(Self::Register),
            _ if path.starts_with(REGISTRATION) => Some(Self::Registration),
            TOKEN => Some(Self::Token),
            REVOKE => Some(Self::Revoke),
            INTROSPECT => Some(Self::Introspect),
            _ => None,
        }
    }

    /// Whether it is turned on.
    pub(crate) const fn is_offered(self, settings: &IssuerSettings) -> bool {
        match self {
            Self::Metadata | Self::Keys | Self::Token | Self::Revoke | Self::Introspect => true,
            Self::Authorize | Self::SignIn | Self::Consent | Self::Style | Self::Mark => {
                !matches!(settings.sign_in, SignIn::Nobody)
            }
            Self::Callback => matches!(settings.sign_in, SignIn::Provider(_)),
            Self::Register | Self::Registration => settings.registration.dynamic,
        }
    }

    /// Its methods, as the `Allow` header names them.
    const fn methods(self) -> &'static str {
        match self {
            Self::Metadata | Self::Keys | Self::Style | Self::Mark => "GET, HEAD",
            Self::Authorize | Self::SignIn | Self::Consent => "GET, POST",
            Self::Callback => "GET",
            Self::Register => "POST",
            Self::Registration => "GET, PUT, DELETE",
            Self::Token | Self::Revoke | Self::Introspect => "POST",
        }
    }

    /// Whether it takes a method.
    pub(crate) fn takes(self, method: &Method) -> bool {
        self.methods().split(", ").any(|taken| taken == method.as_str())
    }

    /// Whether scripts of any web page may call it. They send no cookies there, and what they learn
    /// they could learn without the browser. Never true of what signs people in.
    pub(crate) const fn is_for_scripts(self) -> bool {
        match self {
            Self::Authorize | Self::SignIn | Self::Consent | Self::Callback => false,
            Self::Style | Self::Mark => false,
            Self::Metadata | Self::Keys | Self::Token | Self::Revoke => true,
            Self::Register | Self::Registration => true,
            // For servers.
            Self::Introspect => false,
        }
    }

    /// How long an answer may be kept, as `Cache-Control` says it; `None`: not at all.
    const fn cached(self) -> Option<&'static str> {
        match self {
            Self::Metadata | Self::Keys => Some("public, max-age=300"),
            Self::Style | Self::Mark => Some("public, max-age=3600"),
            Self::Authorize | Self::SignIn | Self::Consent | Self::Callback => None,
            Self::Register | Self::Registration => None,
            Self::Token | Self::Revoke | Self::Introspect => None,
        }
    }
}

/// What an endpoint answers.
pub(crate) async fn answer(
    desk: &Desk,
    endpoint: Endpoint,
    request: &Request,
) -> Result<Response, OAuthError> {
    match endpoint {
        Endpoint::Authorize => Ok(authorize::authorize(desk, request).await),
        Endpoint::SignIn => Ok(signin::sign_in(desk, request).await),
        Endpoint::Consent => Ok(consent::consent(desk, request).await),
        Endpoint::Callback => Ok(provider::callback(desk, request).await),
        Endpoint::Style => Ok(pages::style()),
        Endpoint::Mark => Ok(pages::mark()),
        Endpoint::Metadata => Ok(discovery::metadata(desk)),
        Endpoint::Keys => Ok(discovery::keys(desk)),
        Endpoint::Register => registration::register(desk, request).await,
        Endpoint::Registration => registration::manage(desk, request).await,
        Endpoint::Token => token::answer(desk, request).await,
        Endpoint::Revoke => revoke::answer(desk, request).await,
        Endpoint::Introspect => introspect::answer(desk, request).await,
    }
}

/// The answer to a browser that asks whether a script may call.
///
/// SPEC: Fetch, CORS-preflight fetch. Without credentials: no cookie is ever part of such a call.
pub(crate) fn preflight(endpoint: Endpoint) -> Response {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static(endpoint.methods());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let taken = HeaderValue::from_static("authorization, content-type, mcp-protocol-version");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, taken);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    dress(endpoint, &mut response);
    response
}

/// The answer to a method an endpoint does not take.
pub(crate) fn method_refused(endpoint: Endpoint) -> Response {
    let mut response = OAuthError::method().response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(endpoint.methods()));
    dress(endpoint, &mut response);
    response
}

/// Puts on what every answer of an endpoint carries, unless the answer says otherwise.
pub(crate) fn dress(endpoint: Endpoint, response: &mut Response) {
    let is_good = response.status().is_success();
    let headers = response.headers_mut();
    if endpoint.is_for_scripts() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        let shown = HeaderValue::from_static("www-authenticate");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
    }
    // SPEC: RFC 6749 section 5.1: `no-store`, and `Pragma` for what is older.
    match endpoint.cached().filter(|_| is_good) {
        Some(cached) => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cached));
        }
        None => {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}
