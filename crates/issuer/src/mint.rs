//! Makes access tokens and the answers that carry them.
//!
//! Decides nothing: whoever calls has checked the client, the resource and the scopes.

use crate::desk::Desk;
use crate::error::OAuthError;
use crate::keys::Signer;
use crate::reply::{self, Response};
use http::StatusCode;
use serde_json::{Map, Value};
use tollgate_core::bounds::identity::LEEWAY_SECS;
use tollgate_core::bounds::issuer::USED_EVERY_SECS;
use tollgate_core::clock::Entropy;
use tollgate_core::stores::{AgentRecord, GrantId, Origin, StoreError};
use tollgate_oauth::access_token::AccessClaims;
use tollgate_oauth::scope;

/// What a token is to say.
#[derive(Debug)]
pub(crate) struct Right<'a> {
    /// The agent.
    pub(crate) client: &'a AgentRecord,
    /// Whom it is about: a person, or the agent itself.
    pub(crate) subject: &'a str,
    /// What that person is called.
    pub(crate) user_name: Option<&'a str>,
    /// Groups of the subject.
    pub(crate) groups: &'a [String],
    /// The resource.
    pub(crate) resource: &'a str,
    /// Scopes.
    pub(crate) scopes: &'a [String],
    /// The grant it descends from, if there is one.
    pub(crate) grant: Option<&'a GrantId>,
}

/// Answers the token endpoint with a new access token and, if there is one, a refresh token.
///
/// # Errors
/// There is no key to sign with.
///
/// SPEC: RFC 6749 section 5.1. `scope` is always told: what was granted may be less than was asked.
pub(crate) async fn answer(
    desk: &Desk,
    right: &Right<'_>,
    refresh: Option<&str>,
) -> Result<Response, OAuthError> {
    let now = desk.now();
    let (token, expires) = access_token(desk, right, &signer(desk, now).await?, now)?;
    note_use(desk, right.client, now).await;
    let mut body = Map::new();
    let mut say = |name: &str, value: Value| body.insert(name.to_owned(), value);
    say("access_token", token.into());
    say("token_type", "Bearer".into());
    say("expires_in", expires.saturating_sub(now).into());
    if let Some(refresh) = refresh {
        say("refresh_token", refresh.into());
    }
    say("scope", scope::join(right.scopes).into());
    Ok(reply::json(StatusCode::OK, &Value::Object(body)))
}

/// The key to sign with.
///
/// # Errors
/// There is none.
async fn signer(desk: &Desk, now: u64) -> Result<Signer, OAuthError> {
    if let Some(signer) = desk.ring.signer(now) {
        return Ok(signer);
    }
    // This version of the configuration is so new that it has not read the keys yet.
    if let Err(error) = desk.ring.refresh(&desk.settings, &desk.stores, &*desk.clock).await {
        tracing::warn!(%error, "the signing keys cannot be read");
    }
    desk.ring.signer(now).ok_or_else(|| {
        OAuthError::unavailable("the authorization server has no signing key just now; try again")
    })
}

/// Signs an access token; says when it ends.
///
/// SPEC: RFC 9068 section 2.
fn access_token(
    desk: &Desk,
    right: &Right<'_>,
    signer: &Signer,
    now: u64,
) -> Result<(String, u64), OAuthError> {
    let expires = now.saturating_add(desk.settings.life.access_token.as_secs());
    // INVARIANT: a token ends before its key is unpublished, whatever lifetimes were when the key's
    // end was set. After a jump of the clock there may be no time left; then the token is as usual.
    let last = signer.until.map_or(u64::MAX, |until| until.saturating_sub(LEEWAY_SECS));
    let expires = if last > now { expires.min(last) } else { expires };
    let claims = AccessClaims {
        issuer: desk.issuer.clone(),
        subject: right.subject.to_owned(),
        client: right.client.id.clone(),
        audience: vec![right.resource.to_owned()],
        scopes: right.scopes.to_vec(),
        groups: right.groups.to_vec(),
        expires,
        issued: now,
        id: random_id(&*desk.entropy),
        grant: right.grant.map(|grant| grant.0.clone()),
        user_name: right.user_name.map(str::to_owned),
        actors: Vec::new(),
    };
    let token = signer.key.sign("at+jwt", &claims.to_claims()).map_err(|error| {
        tracing::error!(%error, kid = signer.key.kid(), "the signing key does not sign");
        OAuthError::new(
            crate::error::ErrorCode::ServerError,
            "the authorization server cannot sign; its log says why",
        )
    })?;
    Ok((token, expires))
}

/// 128 random bits in hex: names a grant or a token.
pub(crate) fn random_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// Notes that an agent was given a token, at most once a day. Of no matter to the call: whoever
/// changes the agent at the same time wins, and the next token notes it again.
async fn note_use(desk: &Desk, agent: &AgentRecord, now: u64) {
    let is_recent = |used: u64| used <= now && now - used < USED_EVERY_SECS;
    if agent.origin == Origin::Document || agent.used.is_some_and(is_recent) {
        return;
    }
    if let Err(error) = note(desk, &agent.id, now).await {
        tracing::debug!(%error, "the use of an agent could not be noted");
    }
}

async fn note(desk: &Desk, agent: &str, now: u64) -> Result<(), StoreError> {
    // Read again: what was judged may be less than what is stored.
    let Some(stored) = desk.stores.agents.find(agent).await? else { return Ok(()) };
    let mut noted = stored.clone();
    noted.used = Some(now);
    if matches!(stored.origin, Origin::Registered { .. }) {
        // It is used, so it is kept.
        noted.expires = None;
    }
    desk.stores.agents.replace(stored, noted).await?;
    Ok(())
}
