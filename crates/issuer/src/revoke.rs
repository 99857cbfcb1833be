//! Revocation (RFC 7009): an agent gives back what it does not need any more.
//!
//! A refresh token takes its whole grant with it. What is no token, or another agent's, changes
//! nothing and is answered alike, so that nobody learns whether a token is good by trying.

use crate::client_auth;
use crate::desk::Desk;
use crate::ending;
use crate::error::OAuthError;
use crate::own_token;
use crate::reply::{self, Response};
use crate::request::Request;
use http::StatusCode;
use tollgate_core::bounds::identity::LEEWAY_SECS;
use tollgate_core::bounds::issuer::TOKEN_REVOCATIONS_MAX;
use tollgate_core::stores::Revocable;
use tollgate_oauth::secret;

/// Answers `POST /oauth/revoke`.
///
/// # Errors
/// The client did not prove itself, or the store is down or full (RFC 7009 section 2.2.1).
///
/// SPEC: RFC 7009 section 2.1. The hint is not needed: our tokens tell what they are.
pub(crate) async fn answer(desk: &Desk, request: &Request) -> Result<Response, OAuthError> {
    let form = request.form()?;
    let client = client_auth::authenticate(desk, &request.head, &form).await?;
    let (client, token) = (client.id(), form.required("token")?);
    if token.starts_with(secret::REFRESH_TOKEN) {
        let found = desk.stores.grants.find_refresh(secret::digest(token), desk.now()).await?;
        if let Some(record) = found.filter(|record| record.client == client) {
            ending::end_grant(desk, &record.grant).await?;
            tracing::info!(client, grant = record.grant.0, "an agent ended its grant");
        }
    } else if let Some(claims) = own_token::read(desk, token).filter(|own| own.client == client) {
        // Revocations are held in memory by every gate, and there must always be room for the
        // operator's.
        if desk.stores.revocations.all(desk.now()).await?.len() >= TOKEN_REVOCATIONS_MAX {
            return Err(OAuthError::unavailable("too many tokens are revoked just now; try later"));
        }
        let what = Revocable::Token(claims.issuer, claims.id.clone());
        ending::revoke(desk, what, claims.expires.saturating_add(2 * LEEWAY_SECS)).await?;
        tracing::info!(client, token = claims.id, "an agent revoked its access token");
    }
    // SPEC: RFC 7009 section 2.2: 200 for invalid tokens too.
    Ok(reply::empty(StatusCode::OK))
}
