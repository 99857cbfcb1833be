//! What can be wrong with a request, and the only place that knows the HTTP status of it.
//!
//! Descriptions are written for who wrote the client: they say what to change. They never hold a
//! secret, nor anything about other clients or people.

use crate::reply::{self, Response};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::json;
use std::borrow::Cow;
use tollgate_core::stores::StoreError;

/// Longest description that is sent; what clients wrote may be part of it.
const DESCRIPTION_CHARS_MAX: usize = 400;
/// When to come back while a store is down, in seconds.
const RETRY_SECS: u64 = 2;

/// A refusal with its code of OAuth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OAuthError {
    /// Which.
    pub(crate) code: ErrorCode,
    /// For people.
    pub(crate) description: Cow<'static, str>,
    /// When to try again, in seconds.
    pub(crate) retry_secs: Option<u64>,
}

/// Codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750, 7009, 7591 and 8707, OpenID Connect Core
/// section 3.1.2.6, and plain HTTP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    InvalidToken,
    InvalidRedirectUri,
    InvalidClientMetadata,
    AccessDenied,
    RequestNotSupported,
    RequestUriNotSupported,
    LoginRequired,
    ConsentRequired,
    TemporarilyUnavailable,
    ServerError,
    NotFound,
    Method,
    Slow,
    TooLarge,
    TooMany,
}

impl ErrorCode {
    /// As it is sent.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::NotFound | Self::Method | Self::Slow | Self::TooLarge => {
                "invalid_request"
            }
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidToken => "invalid_token",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::AccessDenied => "access_denied",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::TemporarilyUnavailable | Self::TooMany => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    /// Its status, where it is not sent by a redirect.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::UnsupportedResponseType
            | Self::InvalidScope
            | Self::InvalidTarget
            | Self::InvalidRedirectUri
            | Self::InvalidClientMetadata
            | Self::RequestNotSupported
            | Self::RequestUriNotSupported
            | Self::LoginRequired
            | Self::ConsentRequired => StatusCode::BAD_REQUEST,
            Self::InvalidClient | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl OAuthError {
    /// An error of any code.
    pub(crate) fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: description.into(), retry_secs: None }
    }

    /// The request is not what this endpoint takes.
    pub(crate) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// The client is unknown or did not prove itself.
    pub(crate) fn invalid_client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidClient, description)
    }

    /// The code, refresh token or assertion is no good.
    pub(crate) fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// The resource is missing, unknown, or not for this client.
    pub(crate) fn invalid_target(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidTarget, description)
    }

    /// The scope is malformed or more than the client may get.
    pub(crate) fn invalid_scope(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidScope, description)
    }

    /// There is nothing here.
    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "there is no such endpoint")
    }

    /// The endpoint does not take this method.
    pub(crate) fn method() -> Self {
        Self::new(ErrorCode::Method, "this endpoint does not take that method; see `Allow`")
    }

    /// The body took too long.
    pub(crate) fn slow() -> Self {
        Self::new(ErrorCode::Slow, "the body of the request took too long")
    }

    /// The body is too long.
    pub(crate) fn too_large() -> Self {
        Self::new(ErrorCode::TooLarge, "the body of the request is too long")
    }

    /// Somebody tries too often.
    pub(crate) fn too_many(retry_secs: u64) -> Self {
        let description = "there were too many attempts; wait before trying again";
        Self { retry_secs: Some(retry_secs), ..Self::new(ErrorCode::TooMany, description) }
    }

    /// Something this depends on is down.
    pub(crate) fn unavailable(description: impl Into<Cow<'static, str>>) -> Self {
        let error = Self::new(ErrorCode::TemporarilyUnavailable, description);
        Self { retry_secs: Some(RETRY_SECS), ..error }
    }

    /// The description with nothing in it but what may stand in `error_description`.
    ///
    /// SPEC: RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E.
    pub(crate) fn shown(&self) -> String {
        let plain = |char: char| match char {
            '"' => '\'',
            ' '..='[' | ']'..='~' => char,
            _ => '?',
        };
        self.description.chars().take(DESCRIPTION_CHARS_MAX).map(plain).collect()
    }

    /// The answer in JSON.
    pub(crate) fn response(&self) -> Response {
        let body = json!({ "error": self.code.name(), "error_description": self.shown() });
        let mut response = reply::json(self.code.status(), &body);
        if let Some(secs) = self.retry_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "the issuer could not answer: its store is down");
                Self::unavailable("the store of the authorization server is down; try again")
            }
            StoreError::Full(_) => {
                tracing::warn!(%error, "the issuer could not answer: its store is full");
                Self::unavailable("the authorization server holds as much as it may; try later")
            }
            StoreError::Corrupt(_) => {
                tracing::error!(%error, "the issuer could not answer: its store is damaged");
                let description = "the authorization server failed; its log says why";
                Self::new(ErrorCode::ServerError, description)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OAuthError;

    #[test]
    fn descriptions_hold_only_what_the_standard_allows() {
        let error = OAuthError::invalid_request("a\"b\\c\né`~");
        assert_eq!(error.shown(), "a'b?c??`~");
    }

    #[test]
    fn what_a_client_wrote_does_not_make_answers_long() {
        assert_eq!(OAuthError::invalid_request("x".repeat(100_000)).shown().len(), 400);
    }
}
