//! One request as endpoints get it: its head, its whole body, and who sent it.
//!
//! Bodies are read here, bounded in bytes and in time, before anything looks at them.

use crate::error::OAuthError;
use crate::form::Form;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Buf};
use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;
use tollgate_core::bounds::BODY_SECS;
use tollgate_core::bounds::issuer::ISSUER_BODY_BYTES_MAX;

/// A request with its body. Never shown: secrets are in it.
pub(crate) struct Request {
    /// Method, path, query and headers.
    pub(crate) head: Parts,
    /// The body.
    pub(crate) body: Bytes,
    /// Who sent it.
    pub(crate) peer: IpAddr,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Request");
        shown.field("method", &self.head.method).field("path", &self.head.uri.path());
        shown.finish_non_exhaustive()
    }
}

impl Request {
    /// Reads the body.
    ///
    /// # Errors
    /// It is too long, too slow, or breaks off.
    pub(crate) async fn read<B>(head: Parts, body: B, peer: IpAddr) -> Result<Self, OAuthError>
    where
        B: Body<Data: Buf + Send> + Send,
    {
        let limit = Duration::from_secs(BODY_SECS);
        let body = tokio::time::timeout(limit, collected(body))
            .await
            .map_err(|_elapsed| OAuthError::slow())??;
        Ok(Self { head, body, peer })
    }

    /// The body as a form.
    ///
    /// # Errors
    /// It is of another media type, or not a form.
    ///
    /// SPEC: RFC 6749 section 2.3.1 and OAuth 2.1 section 2.4.1: nothing is taken from the URL, where
    /// it would be logged, so who sends anything there is told.
    pub(crate) fn form(&self) -> Result<Form, OAuthError> {
        if self.head.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(OAuthError::invalid_request(
                "parameters belong in the body of the request, never in the URL",
            ));
        }
        if !self.has_media_type("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request(
                "the body must be of the type application/x-www-form-urlencoded",
            ));
        }
        let text = std::str::from_utf8(&self.body)
            .map_err(|_error| OAuthError::invalid_request("the body is not UTF-8"))?;
        Form::parse(text)
    }

    /// The query as a form.
    ///
    /// # Errors
    /// It is not a form.
    pub(crate) fn query(&self) -> Result<Form, OAuthError> {
        Form::parse(self.head.uri.query().unwrap_or_default())
    }

    /// Whether the body is said, exactly once, to be of a media type; its parameters do not matter.
    pub(crate) fn has_media_type(&self, media_type: &str) -> bool {
        let mut said = self.head.headers.get_all(CONTENT_TYPE).into_iter();
        let (Some(first), None) = (said.next(), said.next()) else { return false };
        let Ok(first) = first.to_str() else { return false };
        let essence = first.split(';').next().unwrap_or_default();
        essence.trim_matches([' ', '\t']).eq_ignore_ascii_case(media_type)
    }
}

async fn collected<B>(body: B) -> Result<Bytes, OAuthError>
where
    B: Body<Data: Buf + Send> + Send,
{
    if body.size_hint().lower() > ISSUER_BODY_BYTES_MAX as u64 {
        return Err(OAuthError::too_large());
    }
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_error| OAuthError::invalid_request("the body broke off"))?;
        let Ok(mut data) = frame.into_data() else { continue };
        if whole.len() + data.remaining() > ISSUER_BODY_BYTES_MAX {
            return Err(OAuthError::too_large());
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            let length = chunk.len();
            whole.extend_from_slice(chunk);
            data.advance(length);
        }
    }
    Ok(whole.freeze())
}
