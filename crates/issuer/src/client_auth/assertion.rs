//! `private_key_jwt`: a client proves itself with a token it signed for us alone, good once.
//!
//! Takes no other audience than the issuer identifier, as a single string: an assertion that names
//! the token endpoint, or several, could have been meant for somebody else (CVE-2025-27370,
//! CVE-2025-27371).

use super::{found, keyless, refused};
use crate::clients::{self, Client};
use crate::desk::Desk;
use crate::error::OAuthError;
use std::sync::Arc;
use tollgate_core::bounds::identity::LEEWAY_SECS;
use tollgate_core::bounds::issuer::ASSERTION_SECS_MAX;
use tollgate_core::stores::{AgentRecord, AuthMethod, ClientKeys, Digest};
use tollgate_oauth::assertion::{self, Assertion, Rules};
use tollgate_oauth::jwt::{Header, Jwt, JwtFault};
use tollgate_oauth::keys::{Alg, KeySet};
use tollgate_oauth::registration::ASSERTION_ALG;
use tollgate_oauth::secret;

/// The only kind of assertion there is (RFC 7523 section 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client that signed an assertion.
///
/// SPEC: RFC 7523 section 3 and its update (draft-ietf-oauth-rfc7523bis section 4).
pub(super) async fn verify(
    desk: &Desk,
    named: Option<&str>,
    text: &str,
) -> Result<Client, OAuthError> {
    let unread = |fault: JwtFault| refused(named.unwrap_or("?"), &fault.to_string());
    let jwt = Jwt::read(text).map_err(unread)?;
    let id = jwt.claims().text("sub").map_err(unread)?.unwrap_or_default();
    if named.is_some_and(|named| named != id) {
        return Err(OAuthError::invalid_request(
            "`client_id` is another one than the `sub` of `client_assertion`",
        ));
    }
    let client = found(clients::find(desk, id).await)?;
    let uses_it = |client: &Client| client.record().auth == AuthMethod::PrivateKeyJwt;
    let Some(client) = client.filter(uses_it) else {
        return Err(refused(id, "it is unknown, or proves itself otherwise"));
    };
    let keys = keys(desk, client.record(), jwt.header()).await?;
    let judged = judge(desk, client.record(), &jwt, &keys);
    let spent = judged.map_err(|fault| refused(id, &fault.to_string()))?;
    // Last, so that only what is good in all else is remembered.
    let Spent { mark, until } = spent;
    if !desk.stores.grants.spend_once(mark, until).await? {
        return Err(refused(id, "its assertion was used before"));
    }
    Ok(client)
}

/// What must not come again, and until when it could.
struct Spent {
    mark: Digest,
    until: u64,
}

async fn keys(
    desk: &Desk,
    client: &AgentRecord,
    header: &Header,
) -> Result<Arc<KeySet>, OAuthError> {
    match &client.keys {
        ClientKeys::None => Err(refused(&client.id, "it has no keys")),
        ClientKeys::Inline(set) => KeySet::parse(set.as_bytes())
            .map(Arc::new)
            .map_err(|fault| refused(&client.id, &fault.to_string())),
        ClientKeys::Url(url) => {
            let keys = desk.documents.keys(desk, client, url, header.kid.as_deref()).await;
            keys.map_err(|fault| keyless(&client.id, &fault))
        }
    }
}

fn judge(
    desk: &Desk,
    client: &AgentRecord,
    jwt: &Jwt<'_>,
    keys: &KeySet,
) -> Result<Spent, JwtFault> {
    // SPEC: RFC 8725 section 3.11: no other kind of token can pass. RFC 7523 names none; the update
    // names its own, which is not demanded yet.
    let header = jwt.header();
    let is_kind = header.is_type("JWT") || header.is_type("client-authentication+jwt");
    if header.typ.is_some() && !is_kind {
        return Err(JwtFault::Malformed("it is another kind of token"));
    }
    jwt.verify(keys, &algorithms(client))?;
    let rules = Rules {
        audiences: &[&desk.issuer],
        audience_in_list: false,
        now: desk.now(),
        leeway: LEEWAY_SECS,
        max_secs: ASSERTION_SECS_MAX,
    };
    let Assertion { issuer, subject, id, expires, .. } = assertion::check(jwt.claims(), rules)?;
    if issuer != client.id || subject != client.id {
        return Err(JwtFault::claim("iss", "must be the client, like `sub`"));
    }
    let id = id.ok_or_else(|| JwtFault::claim("jti", "is missing"))?;
    // The length keeps apart what would run into one another.
    let mark = secret::digest(&format!("{}:{}:{id}", client.id.len(), client.id));
    Ok(Spent { mark, until: expires.saturating_add(LEEWAY_SECS) })
}

/// The algorithms its assertions may have: the one it registered, if it did.
fn algorithms(client: &AgentRecord) -> Vec<Alg> {
    let metadata: Option<serde_json::Value> = serde_json::from_str(&client.metadata).ok();
    let named = metadata.as_ref().and_then(|rest| rest.get(ASSERTION_ALG)?.as_str());
    match named {
        Some(name) => Alg::parse(name).into_iter().collect(),
        None => Alg::ALL.to_vec(),
    }
}
