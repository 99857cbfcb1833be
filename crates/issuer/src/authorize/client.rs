//! What an authorization request needs to know of the client: that it is known, that an address is
//! its own, and what it may ask people for.

use crate::desk::Desk;
use crate::error::OAuthError;
use crate::settings::ResourceSettings;
use http::HeaderValue;
use tollgate_core::stores::AgentRecord;
use tollgate_oauth::redirect;
use tollgate_oauth::scope;

/// Before the name of a tool: such scopes are known whatever a resource lists.
pub(crate) const TOOL: &str = "tool:";

/// The client of this id.
///
/// # Errors
/// It is unknown or cut off, which is told alike; or nobody can say now.
pub(crate) async fn known(desk: &Desk, id: &str) -> Result<AgentRecord, OAuthError> {
    let found = desk.stores.agents.find(id).await?;
    let is_live = |client: &AgentRecord| {
        client.revoked.is_none() && client.expires.is_none_or(|end| desk.now() < end)
    };
    found.filter(is_live).ok_or_else(|| {
        OAuthError::invalid_client("there is no such client here; it must be registered first")
    })
}

/// Whether an address is the client's.
///
/// # Errors
/// It is not, or nothing can be sent there.
///
/// SPEC: RFC 9700 section 2.1: byte for byte; RFC 8252 section 7.3: on loopback with any port.
pub(crate) fn check_redirect(client: &AgentRecord, asked: &str) -> Result<(), OAuthError> {
    let is_own = client.redirect_uris.iter().any(|own| redirect::matches(own, asked));
    // What was registered long ago is judged by the rules of today.
    let is_good = redirect::register(asked).is_ok() && HeaderValue::from_str(asked).is_ok();
    if is_own && is_good {
        return Ok(());
    }
    Err(OAuthError::invalid_request(
        "`redirect_uri` is not exactly one of those the client has registered",
    ))
}

/// Whether a client may ask people for this scope of a resource.
pub(crate) fn may_ask(client: &AgentRecord, resource: &ResourceSettings, asked: &str) -> bool {
    let is_tool = asked.strip_prefix(TOOL).is_some_and(|name| !name.is_empty());
    let is_known = is_tool || resource.scopes.iter().any(|known| known == asked);
    is_known && (client.scopes.is_empty() || scope::covers(&client.scopes, asked))
}
