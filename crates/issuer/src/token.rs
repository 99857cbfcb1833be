//! The token endpoint: who asks, for what kind of grant, and which file judges it.
//!
//! Grants of other kinds (passwords, device codes) are refused by name. What all kinds share is here:
//! which resource a token is for, and which scopes it may carry.
//!
//! Next: `grants/`, one file for each kind; `mint.rs`, which makes the token.

use crate::client_auth;
use crate::clients::Client;
use crate::desk::Desk;
use crate::error::{ErrorCode, OAuthError};
use crate::form::Form;
use crate::grants::{client_credentials, code, jwt_bearer, refresh};
use crate::reply::Response;
use crate::request::Request;
use crate::settings::ResourceSettings;
use tollgate_core::stores::GrantType;
use tollgate_oauth::resource::Resource;
use tollgate_oauth::scope;

/// Answers `POST /oauth/token`.
///
/// # Errors
/// What RFC 6749 section 5.2 says, and 503 while the store is down.
pub(crate) async fn answer(desk: &Desk, request: &Request) -> Result<Response, OAuthError> {
    let form = request.form()?;
    let grant = match form.required("grant_type")? {
        "authorization_code" => GrantType::AuthorizationCode,
        "refresh_token" => GrantType::RefreshToken,
        "client_credentials" => GrantType::ClientCredentials,
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => GrantType::JwtBearer,
        _ => {
            return Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                "this server's metadata names the grant types it supports",
            ));
        }
    };
    if grant == GrantType::JwtBearer {
        return jwt_bearer::answer(desk, request, &form).await;
    }
    let client = client_auth::authenticate(desk, &request.head, &form).await?;
    may_use(&client, grant)?;
    match grant {
        GrantType::AuthorizationCode => code::answer(desk, &client, &form).await,
        GrantType::RefreshToken => refresh::answer(desk, &client, &form).await,
        GrantType::ClientCredentials => client_credentials::answer(desk, &client, &form).await,
        GrantType::JwtBearer => Err(OAuthError::not_found()),
    }
}

/// Whether an agent may use a kind of grant.
///
/// # Errors
/// It may not.
pub(crate) fn may_use(client: &Client, grant: GrantType) -> Result<(), OAuthError> {
    if client.may(grant) {
        return Ok(());
    }
    Err(OAuthError::new(
        ErrorCode::UnauthorizedClient,
        "this client may not use that grant type: it is not registered for it, or, to act for \
         itself, not added by the operator with a secret or a key",
    ))
}

/// The one resource that a request names, in canonical form; `None` if it names none.
///
/// # Errors
/// It names several, or something that is no resource identifier.
///
/// SPEC: RFC 8707 section 2. A token is for one resource here, so that no server can use it at
/// another.
pub(crate) fn named_resource(form: &Form) -> Result<Option<Resource>, OAuthError> {
    let mut named = form.resources();
    let Some(first) = named.next() else { return Ok(None) };
    if named.next().is_some() {
        return Err(OAuthError::invalid_target("a token is for one `resource`; name only one"));
    }
    let resource = Resource::parse(first);
    resource.map(Some).map_err(|error| OAuthError::invalid_target(error.to_string()))
}

/// The resource a machine asks a token for.
///
/// # Errors
/// None is named though there are several, or it is unknown, or not for this agent.
pub(crate) fn target<'a>(
    desk: &'a Desk,
    client: &Client,
    form: &Form,
) -> Result<&'a ResourceSettings, OAuthError> {
    let resource = match (named_resource(form)?, desk.settings.resources.as_slice()) {
        (Some(named), _) => known_resource(desk, named.as_str())?,
        (None, [only]) => only,
        (None, _) => {
            return Err(OAuthError::invalid_target(
                "the parameter `resource` must name the URL of the MCP server",
            ));
        }
    };
    may_reach(client, resource)?;
    Ok(resource)
}

/// The route behind a resource identifier.
///
/// # Errors
/// There is none.
pub(crate) fn known_resource<'a>(
    desk: &'a Desk,
    identifier: &str,
) -> Result<&'a ResourceSettings, OAuthError> {
    desk.resource(identifier).ok_or_else(|| {
        OAuthError::invalid_target("this server issues no tokens for that `resource`")
    })
}

/// Whether an agent may get tokens for a resource.
///
/// # Errors
/// It may not.
pub(crate) fn may_reach(client: &Client, resource: &ResourceSettings) -> Result<(), OAuthError> {
    if client.allows_route(&resource.path) {
        return Ok(());
    }
    Err(OAuthError::invalid_target("this client may not get tokens for that `resource`"))
}

/// The scopes a request asks for; `None` if it asks for none.
///
/// # Errors
/// They are malformed.
pub(crate) fn asked_scopes(form: &Form) -> Result<Option<Vec<String>>, OAuthError> {
    let Some(text) = form.get("scope") else { return Ok(None) };
    let scopes = scope::parse(text).map_err(|bad| OAuthError::invalid_scope(bad.to_string()))?;
    Ok(Some(scopes.into_iter().map(String::from).collect()))
}

/// The scopes of an agent that acts for itself: those it asks for, all of which it must be allowed,
/// or else all it is allowed by name.
///
/// # Errors
/// It asks for more than it may get.
///
/// SPEC: RFC 6749 section 3.3. Nothing is left out silently: who asks for too much is told.
pub(crate) fn own_scopes(client: &Client, form: &Form) -> Result<Vec<String>, OAuthError> {
    let allowed = &client.record().scopes;
    if let Some(asked) = asked_scopes(form)? {
        let refused = asked.iter().find(|asked| !scope::covers(allowed, asked));
        return match refused {
            None => Ok(asked),
            Some(refused) => Err(OAuthError::invalid_scope(format!(
                "this client may not get the scope `{refused}`"
            ))),
        };
    }
    let mut all: Vec<String> =
        allowed.iter().filter(|scope| !scope.ends_with('*')).cloned().collect();
    if all.is_empty() && !allowed.is_empty() {
        return Err(OAuthError::invalid_scope(
            "this client's scopes are patterns; the parameter `scope` must name those it wants",
        ));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
