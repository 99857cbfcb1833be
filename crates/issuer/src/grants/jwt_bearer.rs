//! The token of a workload for tokens of the agent it is (RFC 7523 section 2.1).
//!
//! A cluster or CI system vouches for what runs in it; the operator has written which of its subjects
//! is which agent. Nothing is inferred: an issuer or a subject that is not written there is nobody.
//!
//! SPEC: RFC 7523 section 3, item 7: a `jti` MAY be good once. It is not here: a cluster writes its
//! token into a file for most of an hour, `jti` and all, and the workload comes with it again each
//! time its access token ends. Its audience is this issuer alone, and its end is its own.

use crate::client_auth;
use crate::clients::{self, Client, ClientFault};
use crate::desk::Desk;
use crate::error::OAuthError;
use crate::form::Form;
use crate::grants::client_credentials;
use crate::reply::Response;
use crate::request::Request;
use crate::settings::WorkloadIssuer;
use crate::token;
use crate::workload::WorkloadFault;
use http::header::AUTHORIZATION;
use tollgate_core::bounds::identity::{LEEWAY_SECS, TOKEN_BYTES_MAX};
use tollgate_core::bounds::issuer::WORKLOAD_TOKEN_SECS_MAX;
use tollgate_core::stores::GrantType;
use tollgate_oauth::access_token;
use tollgate_oauth::assertion::{self, Rules};
use tollgate_oauth::jwt::{Jwt, JwtFault};

/// Answers a workload.
///
/// # Errors
/// The assertion is no good, or the agent it stands for asks for what it may not get.
pub(crate) async fn answer(
    desk: &Desk,
    request: &Request,
    form: &Form,
) -> Result<Response, OAuthError> {
    let text = form.required("assertion")?;
    if text.len() > TOKEN_BYTES_MAX {
        return Err(OAuthError::invalid_grant("the assertion is too long"));
    }
    let jwt = Jwt::read(text).map_err(refused)?;
    let issuer = jwt.claims().text("iss").map_err(refused)?.unwrap_or_default();
    let Some((workload, issuer)) = trusted(desk, issuer) else {
        return Err(OAuthError::invalid_grant("the `iss` of the assertion is not trusted here"));
    };
    // An access token is no assertion, whoever signed it (RFC 8725 section 3.11).
    if jwt.header().is_type(access_token::TYPE) {
        return Err(OAuthError::invalid_grant("an access token is no assertion"));
    }
    verify(desk, &jwt, workload, issuer).await?;
    let rules = Rules {
        audiences: &[&desk.issuer],
        // Clusters write a list of one.
        audience_in_list: true,
        now: desk.now(),
        leeway: LEEWAY_SECS,
        max_secs: WORKLOAD_TOKEN_SECS_MAX,
    };
    let assertion = assertion::check(jwt.claims(), rules).map_err(refused)?;
    let mapped = issuer.subjects.iter().find(|(subject, _)| *subject == assertion.subject);
    let Some((_, id)) = mapped else {
        return Err(OAuthError::invalid_grant("the `sub` of the assertion is no agent here"));
    };
    let client = client(desk, id).await?;
    same_client(desk, request, form, &client).await?;
    token::may_use(&client, GrantType::JwtBearer)?;
    client_credentials::answer(desk, &client, form).await
}

/// The configured issuer of this name, compared byte for byte.
fn trusted<'a>(desk: &'a Desk, name: &str) -> Option<(usize, &'a WorkloadIssuer)> {
    desk.settings.workloads.iter().enumerate().find(|(_, issuer)| issuer.url == name)
}

async fn verify(
    desk: &Desk,
    jwt: &Jwt<'_>,
    workload: usize,
    issuer: &WorkloadIssuer,
) -> Result<(), OAuthError> {
    let kid = jwt.header().kid.as_deref();
    let keys = desk.workloads.keys(workload, issuer, kid, &*desk.clock).await.map_err(
        |error: WorkloadFault| {
            tracing::warn!(issuer = issuer.url, %error, "a workload's issuer has no usable keys");
            OAuthError::unavailable("the keys of the assertion's issuer cannot be had; try again")
        },
    )?;
    jwt.verify(&keys, &issuer.algorithms).map_err(refused)
}

/// The agent that the operator's file names.
async fn client(desk: &Desk, id: &str) -> Result<Client, OAuthError> {
    match clients::find(desk, id).await {
        Ok(client) => Ok(client),
        Err(ClientFault::Store(error)) => Err(error.into()),
        Err(ClientFault::Unknown | ClientFault::Document(_)) => {
            tracing::warn!(
                client = id,
                "a workload stands for an agent that is unknown or revoked"
            );
            Err(OAuthError::invalid_grant("the agent of this assertion is unknown or revoked"))
        }
    }
}

/// A client that says who it is besides must be the same.
///
/// SPEC: RFC 7523 section 2.1: client authentication is optional, and judged if it is there.
async fn same_client(
    desk: &Desk,
    request: &Request,
    form: &Form,
    client: &Client,
) -> Result<(), OAuthError> {
    let proofs = ["client_secret", "client_assertion", "client_assertion_type"];
    let has_proof = request.head.headers.contains_key(AUTHORIZATION)
        || proofs.iter().any(|name| form.has(name));
    let named = if has_proof {
        Some(client_auth::authenticate(desk, &request.head, form).await?.id().to_owned())
    } else {
        form.get("client_id").map(str::to_owned)
    };
    if named.is_some_and(|named| named != client.id()) {
        return Err(OAuthError::invalid_grant("the assertion stands for another client"));
    }
    Ok(())
}

fn refused(fault: JwtFault) -> OAuthError {
    OAuthError::invalid_grant(format!("the assertion is not valid: {fault}"))
}
