//! Agents that register themselves (RFC 7591) and manage what they registered (RFC 7592).
//!
//! Anybody may do it, so nothing is gained by it: such an agent can only ask people, who see where
//! they would be sent back to. It never acts for itself. What nobody uses is forgotten, and one
//! address can register only so many. Secrets and tokens are shown once and kept as digests.
//!
//! Next: `tollgate_oauth::registration` for what may be registered; `registration/record.rs` for how
//! it is kept and shown.

mod record;

use crate::clients::hosts;
use crate::desk::Desk;
use crate::ending;
use crate::error::{ErrorCode, OAuthError};
use crate::reply::{self, Response};
use crate::request::Request;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use record::{Fresh, Shown};
use std::net::IpAddr;
use tollgate_core::bounds::identity::LEEWAY_SECS;
use tollgate_core::bounds::issuer::REGISTERED_RETRY_SECS;
use tollgate_core::stores::{AgentRecord, Origin, Quota, Revocable, StoreError, Taken};
use tollgate_oauth::error::Code;
use tollgate_oauth::redirect;
use tollgate_oauth::registration::{self, ClientMetadata, RegistrationFault};
use tollgate_oauth::secret;

/// Where agents register.
pub(crate) const REGISTER: &str = "/oauth/register";
/// Before the id of the agent whose registration is managed.
pub(crate) const REGISTRATION: &str = "/oauth/register/";

/// Registers an agent.
///
/// SPEC: RFC 7591 section 3.
///
/// # Errors
/// What it says of itself is not taken, there is no room, or the store does not answer.
pub(crate) async fn register(desk: &Desk, request: &Request) -> Result<Response, OAuthError> {
    let metadata = registration::from_registration(json(request)?).map_err(told)?;
    check_hosts(desk, &metadata)?;
    let fresh = Fresh::mint(&*desk.entropy, metadata.auth);
    let origin =
        Origin::Registered { by: whose(request.peer), token: secret::digest(&fresh.token) };
    let agent = record::of(desk, &metadata, &fresh, origin);
    add(desk, agent.clone()).await?;
    tracing::info!(client = agent.id, name = agent.name, "an agent registered itself");
    let shown = Shown { token: &fresh.token, secret: fresh.secret.as_deref() };
    Ok(reply::json(StatusCode::CREATED, &record::shown(desk, &agent, shown)))
}

/// Shows, replaces or removes what an agent registered.
///
/// SPEC: RFC 7592 section 2.
///
/// # Errors
/// The update is not taken, or the store does not answer. Who has no good token is answered with
/// 401, whether there is such an agent or not.
pub(crate) async fn manage(desk: &Desk, request: &Request) -> Result<Response, OAuthError> {
    let path = request.head.uri.path();
    let id = path.strip_prefix(REGISTRATION).unwrap_or_default();
    let Some((agent, token)) = holder(desk, request, id).await? else {
        return Ok(unauthorized());
    };
    match request.head.method {
        Method::PUT => update(desk, request, agent, token).await,
        Method::DELETE => remove(desk, &agent).await,
        _ => {
            let shown = Shown { token, secret: None };
            Ok(reply::json(StatusCode::OK, &record::shown(desk, &agent, shown)))
        }
    }
}

/// The body, if it says that it is JSON.
fn json(request: &Request) -> Result<&[u8], OAuthError> {
    if request.has_media_type("application/json") {
        return Ok(&request.body);
    }
    Err(OAuthError::invalid_request("the body must be of the type application/json"))
}

fn told(fault: RegistrationFault) -> OAuthError {
    let code = match fault.code {
        Code::InvalidRedirectUri => ErrorCode::InvalidRedirectUri,
        _ => ErrorCode::InvalidClientMetadata,
    };
    OAuthError::new(code, fault.text)
}

fn check_hosts(desk: &Desk, metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let hosts = &desk.settings.registration.hosts;
    let strange = metadata.redirect_uris.iter().find(|uri| !hosts::allow_redirect(hosts, uri));
    let Some(uri) = strange else { return Ok(()) };
    Err(OAuthError::new(
        ErrorCode::InvalidRedirectUri,
        format!(
            "redirects to `{}` are not accepted here: use a loopback redirect, or ask the operator \
             to allow that host",
            redirect::place(uri)
        ),
    ))
}

/// Whose quota a registration counts towards: IPv6 by /64, since one host commonly owns all of it.
fn whose(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            format!("{}/64", std::net::Ipv6Addr::from_bits(network))
        }
    }
}

/// Keeps a new agent, after making room if there is none.
async fn add(desk: &Desk, agent: AgentRecord) -> Result<(), OAuthError> {
    let allowed = &desk.settings.registration;
    let quota = Quota { total: allowed.total_max, by_one: allowed.per_address_max };
    let mut added = desk.stores.agents.add(agent.clone(), quota).await;
    if matches!(added, Err(StoreError::Full(_))) && desk.stores.agents.sweep(desk.now()).await? > 0
    {
        added = desk.stores.agents.add(agent, quota).await;
    }
    match added {
        Ok(Ok(())) => Ok(()),
        // 256 random bits are there twice only if the randomness is none.
        Ok(Err(Taken)) => {
            tracing::error!("a random client id was there already: is the randomness broken?");
            Err(OAuthError::new(
                ErrorCode::ServerError,
                "the authorization server failed; its log says why",
            ))
        }
        Err(StoreError::Full(what)) => {
            tracing::warn!(what, "an agent could not register: there are as many as there may be");
            let error = OAuthError::too_many(REGISTERED_RETRY_SECS);
            let description = "there are as many registered agents as there may be, here or from \
                               this address; use the one you have, or try again later";
            Err(OAuthError { description: description.into(), ..error })
        }
        Err(error) => Err(error.into()),
    }
}

/// The agent of that id and its token, if the request carries that.
async fn holder<'a>(
    desk: &Desk,
    request: &'a Request,
    id: &str,
) -> Result<Option<(AgentRecord, &'a str)>, OAuthError> {
    let mut headers = request.head.headers.get_all(AUTHORIZATION).into_iter();
    let (Some(header), None) = (headers.next(), headers.next()) else { return Ok(None) };
    let Some((scheme, token)) = header.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    let shown = secret::digest(token);
    let agent = desk.stores.agents.find(id).await?;
    let is_good = |agent: &AgentRecord| {
        let Origin::Registered { token, .. } = &agent.origin else { return false };
        let has_ended = agent.expires.is_some_and(|expires| expires <= desk.now());
        secret::same(token, &shown) && agent.revoked.is_none() && !has_ended
    };
    Ok(agent.filter(is_good).map(|agent| (agent, token)))
}

/// SPEC: RFC 7592 section 3, RFC 6750 section 3.1.
fn unauthorized() -> Response {
    let error = OAuthError::new(
        ErrorCode::InvalidToken,
        "the registration access token is missing, wrong, or of another agent",
    );
    let mut response = error.response();
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

async fn update(
    desk: &Desk,
    request: &Request,
    old: AgentRecord,
    token: &str,
) -> Result<Response, OAuthError> {
    let update = registration::from_update(json(request)?).map_err(told)?;
    let refused = |text| OAuthError::new(ErrorCode::InvalidClientMetadata, text);
    if update.client_id != old.id {
        return Err(refused("`client_id` is not the one this registration is of"));
    }
    // SPEC: RFC 7592 section 2.2: the secret it has may be named, and none be chosen.
    if let Some(named) = &update.client_secret {
        let digest = secret::digest(named.expose());
        let known = old.secrets.iter().fold(false, |known, kept| {
            let is_same = secret::same(&kept.digest, &digest);
            known | is_same
        });
        if !known {
            return Err(refused(
                "`client_secret` is not the one this agent has; none can be chosen",
            ));
        }
    }
    check_hosts(desk, &update.metadata)?;
    let (agent, secret) = record::replaced(desk, &old, &update.metadata);
    if !desk.stores.agents.replace(old, agent.clone()).await? {
        return Err(OAuthError::unavailable(
            "the registration changed at the same time; try again",
        ));
    }
    let shown = Shown { token, secret: secret.as_deref() };
    Ok(reply::json(StatusCode::OK, &record::shown(desk, &agent, shown)))
}

/// SPEC: RFC 7592 section 2.3: its grants and tokens end with it.
async fn remove(desk: &Desk, agent: &AgentRecord) -> Result<Response, OAuthError> {
    // When the last access token it may have has ended, on any clock.
    let life = desk.settings.life.access_token.as_secs();
    let until = desk.now().saturating_add(life + 2 * LEEWAY_SECS);
    // Cut off first: what fails after that leaves an agent without rights, which can try again.
    ending::revoke(desk, Revocable::Agent(agent.id.clone()), until).await?;
    desk.stores.grants.end_all(Some(&agent.id), None, until).await?;
    desk.stores.agents.remove(&agent.id).await?;
    tracing::info!(client = agent.id, "an agent removed its registration");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests;
