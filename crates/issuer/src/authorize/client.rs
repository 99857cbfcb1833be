//! What an authorization request needs to know of the client: that it is known, that an address is
//! its own, and what it may ask people for.

use crate::clients::{self, Client};
use crate::desk::Desk;
use crate::error::OAuthError;
use crate::settings::ResourceSettings;
use http::HeaderValue;
use tollgate_core::stores::GrantType;
use tollgate_oauth::redirect;

/// Before the name of a tool: such scopes are known whatever a resource lists.
pub(crate) const TOOL: &str = "tool:";

/// The client of this id.
///
/// # Errors
/// It is unknown or cut off, which is told alike; or nobody can say now.
pub(crate) async fn known(desk: &Desk, id: &str) -> Result<Client, OAuthError> {
    Ok(clients::find(desk, id).await?)
}

/// Whether an address is the client's.
///
/// # Errors
/// It is not, or nothing can be sent there.
///
/// SPEC: RFC 9700 section 2.1: byte for byte; RFC 8252 section 7.3: on loopback with any port.
pub(crate) fn check_redirect(client: &Client, asked: &str) -> Result<(), OAuthError> {
    // What was registered long ago is judged by the rules of today.
    let is_good = redirect::register(asked).is_ok() && HeaderValue::from_str(asked).is_ok();
    if is_good && client.redirect_ok(asked) {
        return Ok(());
    }
    Err(OAuthError::invalid_request(
        "`redirect_uri` is not exactly one of those the client has registered",
    ))
}

/// Whether a client may ask people for this scope of a resource.
pub(crate) fn may_ask(client: &Client, resource: &ResourceSettings, asked: &str) -> bool {
    let is_tool = asked.strip_prefix(TOOL).is_some_and(|name| !name.is_empty());
    let is_known = is_tool || resource.scopes.iter().any(|known| known == asked);
    is_known && client.allows_scope(asked, GrantType::AuthorizationCode)
}
