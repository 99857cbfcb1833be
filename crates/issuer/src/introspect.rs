//! Introspection (RFC 7662): whether a token is good, and what it says.
//!
//! For agents that prove themselves only. Each may ask about its own tokens; about others only if the
//! operator gave it the scope `introspect`. About all else the answer is the same: not active.

use crate::client_auth;
use crate::clients::Client;
use crate::desk::Desk;
use crate::error::OAuthError;
use crate::own_token;
use crate::reply::{self, Response};
use crate::request::Request;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use tollgate_core::stores::{RefreshRecord, Revocable, StoreError};
use tollgate_oauth::access_token::AccessClaims;
use tollgate_oauth::{scope, secret};

/// The scope that lets an agent ask about tokens of others: for resource servers.
const INTROSPECT: &str = "introspect";

/// Answers `POST /oauth/introspect`.
///
/// # Errors
/// The client did not prove itself, or the store is down.
///
/// SPEC: RFC 7662 sections 2.1 and 4: without authentication anybody could try tokens here.
pub(crate) async fn answer(desk: &Desk, request: &Request) -> Result<Response, OAuthError> {
    let form = request.form()?;
    let proofs = ["client_id", "client_secret", "client_assertion"];
    let has_proof = request.head.headers.contains_key(AUTHORIZATION)
        || proofs.iter().any(|name| form.has(name));
    if !has_proof {
        return Err(unproven());
    }
    let client = client_auth::authenticate(desk, &request.head, &form).await?;
    if client.is_public() {
        return Err(unproven());
    }
    let token = form.required("token")?;
    let answer = if token.starts_with(secret::REFRESH_TOKEN) {
        let found = desk.stores.grants.find_refresh(secret::digest(token), desk.now()).await?;
        let found = found.filter(|record| may_ask(&client, &record.client));
        found.map(|record| of_refresh_token(desk, &record))
    } else {
        match own_token::read(desk, token).filter(|claims| may_ask(&client, &claims.client)) {
            Some(claims) if !is_revoked(desk, &claims).await? => Some(of_access_token(&claims)),
            _ => None,
        }
    };
    // SPEC: RFC 7662 section 2.2: nothing but `active` about a token that is not.
    let answer = answer.map_or_else(|| json!({ "active": false }), Value::Object);
    Ok(reply::json(StatusCode::OK, &answer))
}

fn unproven() -> OAuthError {
    OAuthError::invalid_client("only clients that prove themselves may ask here")
}

fn may_ask(client: &Client, owner: &str) -> bool {
    client.id() == owner || client.record().scopes.iter().any(|scope| scope == INTROSPECT)
}

async fn is_revoked(desk: &Desk, claims: &AccessClaims) -> Result<bool, StoreError> {
    let revocations = desk.stores.revocations.all(desk.now()).await?;
    Ok(revocations.iter().any(|revocation| {
        let is_meant = match &revocation.what {
            Revocable::Agent(client) => *client == claims.client,
            Revocable::Grant(grant) => claims.grant.as_ref() == Some(grant),
            Revocable::Token(issuer, id) => *issuer == claims.issuer && *id == claims.id,
            Revocable::Subject(issuer, subject) => {
                *issuer == claims.issuer && *subject == claims.subject
            }
            Revocable::ApiKey(_) => false,
        };
        is_meant && claims.issued <= revocation.before
    }))
}

fn of_access_token(claims: &AccessClaims) -> Map<String, Value> {
    let mut answer = about(
        (&claims.issuer, &claims.client, &claims.subject),
        &claims.scopes,
        claims.user_name.as_deref(),
        claims.expires,
    );
    answer.insert("token_type".to_owned(), "Bearer".into());
    answer.insert("iat".to_owned(), claims.issued.into());
    answer.insert("jti".to_owned(), claims.id.as_str().into());
    let audience = match claims.audience.as_slice() {
        [only] => only.as_str().into(),
        several => several.into(),
    };
    answer.insert("aud".to_owned(), audience);
    answer
}

fn of_refresh_token(desk: &Desk, record: &RefreshRecord) -> Map<String, Value> {
    let mut answer = about(
        (&desk.issuer, &record.client, &record.subject),
        &record.scopes,
        Some(&record.user_name),
        record.expires.min(record.ends),
    );
    answer.insert("aud".to_owned(), record.resource.as_str().into());
    answer
}

/// SPEC: RFC 7662 section 2.2: its members and no others, so no groups.
fn about(
    (issuer, client, subject): (&str, &str, &str),
    scopes: &[String],
    user_name: Option<&str>,
    expires: u64,
) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("active".to_owned(), true.into());
    answer.insert("iss".to_owned(), issuer.into());
    answer.insert("client_id".to_owned(), client.into());
    answer.insert("sub".to_owned(), subject.into());
    if let Some(name) = user_name {
        answer.insert("username".to_owned(), name.into());
    }
    answer.insert("scope".to_owned(), scope::join(scopes).into());
    answer.insert("exp".to_owned(), expires.into());
    answer
}
