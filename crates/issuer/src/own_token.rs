//! Access tokens of ours that come back: to be revoked, or to be asked about.
//!
//! What cannot be verified with a published key, or is of another kind, is nothing to us.

use crate::desk::Desk;
use tollgate_core::bounds::identity::TOKEN_BYTES_MAX;
use tollgate_oauth::access_token::{self, AccessClaims};
use tollgate_oauth::jwt::Jwt;
use tollgate_oauth::keys::Alg;

/// The claims of an access token of this issuer; `None` for anything else, ended ones included.
pub(crate) fn read(desk: &Desk, text: &str) -> Option<AccessClaims> {
    if text.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let jwt = Jwt::read(text).ok()?;
    // What signs here, now or before the operator chose the other.
    jwt.verify(&desk.ring.published(), &[Alg::Es256, Alg::EdDsa]).ok()?;
    let claims = AccessClaims::read(jwt.claims()).ok()?;
    let is_ours = jwt.header().is_type(access_token::TYPE) && claims.issuer == desk.issuer;
    (is_ours && claims.expires > desk.now()).then_some(claims)
}
