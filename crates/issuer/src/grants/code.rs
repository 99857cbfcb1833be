//! A code for tokens (RFC 6749 section 4.1.3, RFC 7636).
//!
//! The code is used up before anything else is looked at, and whoever presents it wrongly, or a
//! second time, ends all that came of it: a code in two hands is stolen, and who was first is unknown.

use crate::clients::Client;
use crate::desk::Desk;
use crate::ending;
use crate::error::OAuthError;
use crate::form::Form;
use crate::mint::{self, Right};
use crate::reply::Response;
use crate::token;
use tollgate_core::stores::{CodeRecord, GrantType, RefreshRecord, Spent};
use tollgate_oauth::{pkce, secret};

/// Answers a request with a code.
///
/// # Errors
/// A parameter is missing, or the code is no good for this request.
pub(crate) async fn answer(
    desk: &Desk,
    client: &Client,
    form: &Form,
) -> Result<Response, OAuthError> {
    let code = form.required("code")?;
    let redirect_uri = form.required("redirect_uri")?;
    let verifier = form.required("code_verifier")?;
    let resource = token::named_resource(form)?;
    let now = desk.now();
    let record = match desk.stores.grants.spend_code(secret::digest(code), now).await? {
        Spent::Now(record) => record,
        Spent::Before(grant) => {
            ending::contain(desk, client.id(), &grant, "a code was used twice").await?;
            return Err(unusable());
        }
        Spent::Unknown => return Err(unusable()),
    };
    let judged = judge(desk, client, &record, (redirect_uri, verifier))
        .and_then(|()| match resource {
            Some(named) if !named.is(&record.resource) => Err(OAuthError::invalid_target(
                "the code was given for another `resource` than this request names",
            )),
            _ => Ok(()),
        })
        .and_then(|()| {
            let resource = token::known_resource(desk, &record.resource)?;
            token::may_reach(client, resource)
        });
    if let Err(error) = judged {
        let why = format!("a code was presented wrongly: {}", error.description);
        ending::contain(desk, client.id(), &record.grant, &why).await?;
        return Err(error);
    }
    let refresh = first_refresh_token(desk, client, &record, now).await?;
    let right = Right {
        client: client.record(),
        subject: &record.subject,
        user_name: Some(&record.user_name),
        groups: &record.groups,
        resource: &record.resource,
        scopes: &record.scopes,
        grant: Some(&record.grant),
    };
    mint::answer(desk, &right, refresh.as_deref()).await
}

fn judge(
    desk: &Desk,
    client: &Client,
    record: &CodeRecord,
    (redirect_uri, verifier): (&str, &str),
) -> Result<(), OAuthError> {
    if record.client != client.id() || record.expires <= desk.now() {
        return Err(unusable());
    }
    // SPEC: RFC 6749 section 4.1.3: identical to what was asked for, not merely registered.
    if record.redirect_uri != redirect_uri {
        return Err(OAuthError::invalid_grant(
            "the `redirect_uri` is not the one the code was sent to",
        ));
    }
    // SPEC: RFC 7636 section 4.6. There is no code without a challenge.
    if !pkce::verify(&record.challenge, verifier) {
        return Err(OAuthError::invalid_grant("the `code_verifier` does not fit the challenge"));
    }
    Ok(())
}

/// The first refresh token of the grant, for agents that may use one.
///
/// # Errors
/// The grant has ended meanwhile: somebody else presented the same code.
async fn first_refresh_token(
    desk: &Desk,
    client: &Client,
    record: &CodeRecord,
    now: u64,
) -> Result<Option<String>, OAuthError> {
    if !client.may(GrantType::RefreshToken) {
        return Ok(None);
    }
    let life = desk.settings.life;
    let token = secret::mint(secret::REFRESH_TOKEN, &*desk.entropy);
    let ends = now.saturating_add(life.grant.as_secs());
    let kept = desk.stores.grants.keep_refresh(RefreshRecord {
        digest: secret::digest(&token),
        grant: record.grant.clone(),
        client: record.client.clone(),
        subject: record.subject.clone(),
        user_name: record.user_name.clone(),
        groups: record.groups.clone(),
        resource: record.resource.clone(),
        scopes: record.scopes.clone(),
        expires: now.saturating_add(life.refresh_token.as_secs()).min(ends),
        ends,
    });
    if kept.await? { Ok(Some(token)) } else { Err(unusable()) }
}

/// The same words for a code that never was, has ended, was used, or is another client's.
fn unusable() -> OAuthError {
    OAuthError::invalid_grant(
        "the code is unknown, has ended, or was used before; ask for a new one",
    )
}
