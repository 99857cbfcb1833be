//! Ends what was given out before its time: a grant with all that came of it, or one token.
//!
//! What the log says to be over is over: it is written when the stores have answered.

use crate::desk::Desk;
use tollgate_core::bounds::identity::LEEWAY_SECS;
use tollgate_core::bounds::issuer::ACCESS_TOKEN_SECS;
use tollgate_core::stores::{GrantId, Revocable, Revocation, StoreError};

/// Ends a grant that was misused, and tells the operator.
///
/// # Errors
/// A store does not answer: then the next misuse finds it still to be done.
pub(crate) async fn contain(
    desk: &Desk,
    client: &str,
    grant: &GrantId,
    why: &str,
) -> Result<(), StoreError> {
    let ended = end_grant(desk, grant).await;
    match &ended {
        Ok(()) => tracing::warn!(
            client,
            grant = grant.0,
            why,
            "a grant is ended, and its tokens are revoked"
        ),
        Err(error) => tracing::error!(
            client,
            grant = grant.0,
            why,
            %error,
            "a grant should end, and some of its tokens may still be good"
        ),
    }
    ended
}

/// Ends a grant and every token of it.
///
/// # Errors
/// A store does not answer.
pub(crate) async fn end_grant(desk: &Desk, grant: &GrantId) -> Result<(), StoreError> {
    let until = void_until(desk);
    // Each is tried, whatever becomes of the other: one stops access tokens, one refresh tokens.
    let revoked = revoke(desk, Revocable::Grant(grant.0.clone()), until).await;
    desk.stores.grants.end(grant.clone(), until).await?;
    revoked
}

/// Makes what is named void for good.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn revoke(desk: &Desk, what: Revocable, until: u64) -> Result<(), StoreError> {
    // INVARIANT: what is revoked here has a random id that is never used again, so there is no
    // "issued later" that should stay valid; a token being signed this very moment is void too.
    desk.stores.revocations.revoke(Revocation { what, before: u64::MAX, until }).await
}

/// When nothing that was issued by now is valid any more.
fn void_until(desk: &Desk) -> u64 {
    let life = desk.settings.life.access_token.as_secs().max(ACCESS_TOKEN_SECS);
    desk.now().saturating_add(life * 2 + LEEWAY_SECS)
}
