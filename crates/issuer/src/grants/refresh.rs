//! A refresh token for new tokens (RFC 6749 section 6, RFC 9700 section 4.14.2).
//!
//! Each refresh token is good once; the next one is in the answer. One that comes a second time is in
//! two hands, so its grant ends with all tokens of it. There is no time of grace: a client that lost
//! the answer sends its person through the authorization again, and a thief gets nothing.

use crate::clients::Client;
use crate::desk::Desk;
use crate::ending;
use crate::error::OAuthError;
use crate::form::Form;
use crate::mint::{self, Right};
use crate::reply::Response;
use crate::settings::SignIn;
use crate::token;
use tollgate_core::stores::{Digest, GrantId, GrantType, RefreshRecord, Rotated};
use tollgate_oauth::secret;

/// Answers a request with a refresh token.
///
/// # Errors
/// The token is no good for this request, or more is asked for than was granted.
pub(crate) async fn answer(
    desk: &Desk,
    client: &Client,
    form: &Form,
) -> Result<Response, OAuthError> {
    let used = secret::digest(form.required("refresh_token")?);
    let resource = token::named_resource(form)?;
    let asked = token::asked_scopes(form)?;
    let now = desk.now();
    let Some(record) = desk.stores.grants.find_refresh(used, now).await? else {
        return Err(refused(desk, client, used).await?);
    };
    if record.client != client.id() {
        // It did not get here by itself: whoever has it must not, so it serves nobody any more.
        let why = "a refresh token was presented by another client than it was given to";
        ending::contain(desk, client.id(), &record.grant, why).await?;
        return Err(unusable());
    }
    if resource.is_some_and(|named| !named.is(&record.resource)) {
        return Err(OAuthError::invalid_target(
            "the refresh token was given for another `resource` than this request names",
        ));
    }
    token::may_reach(client, token::known_resource(desk, &record.resource)?)?;
    let scopes = narrowed(client, &record, asked)?;
    let groups = present_groups(desk, &record).await?;
    let (token, next) = next_token(desk, &record, now);
    match desk.stores.grants.rotate(used, next, now).await? {
        Rotated::Now => {}
        Rotated::Before(grant) => return Err(reused(desk, client, &grant).await?),
        Rotated::Unknown => return Err(unusable()),
    }
    let right = Right {
        client: client.record(),
        subject: &record.subject,
        user_name: Some(&record.user_name),
        groups: &groups,
        resource: &record.resource,
        scopes: &scopes,
        grant: Some(&record.grant),
    };
    mint::answer(desk, &right, Some(&token)).await
}

/// What to say to a token that is not there any more: it may have been used before.
async fn refused(desk: &Desk, client: &Client, used: Digest) -> Result<OAuthError, OAuthError> {
    // A token of no grant: the store can only say what became of the used one.
    let none = RefreshRecord {
        digest: secret::digest(&secret::mint(secret::REFRESH_TOKEN, &*desk.entropy)),
        grant: GrantId(String::new()),
        client: client.id().to_owned(),
        subject: String::new(),
        user_name: String::new(),
        groups: Vec::new(),
        resource: String::new(),
        scopes: Vec::new(),
        expires: 0,
        ends: 0,
    };
    match desk.stores.grants.rotate(used, none, desk.now()).await? {
        Rotated::Before(grant) => reused(desk, client, &grant).await,
        Rotated::Now | Rotated::Unknown => Ok(unusable()),
    }
}

/// Ends the grant of a token that was used twice.
async fn reused(desk: &Desk, client: &Client, grant: &GrantId) -> Result<OAuthError, OAuthError> {
    ending::contain(desk, client.id(), grant, "a refresh token was used twice").await?;
    Ok(unusable())
}

/// The scopes of the new access token: those of the grant, or those of them that are asked for,
/// without what the operator has taken from the agent since.
///
/// # Errors
/// More is asked for.
///
/// SPEC: RFC 6749 section 6. The refresh token itself keeps all scopes of the grant.
fn narrowed(
    client: &Client,
    record: &RefreshRecord,
    asked: Option<Vec<String>>,
) -> Result<Vec<String>, OAuthError> {
    let may_still = |wanted: &String| client.allows_scope(wanted, GrantType::RefreshToken);
    let Some(asked) = asked else {
        return Ok(record.scopes.iter().filter(|held| may_still(held)).cloned().collect());
    };
    match asked.iter().find(|asked| !record.scopes.contains(asked) || !may_still(asked)) {
        None => Ok(asked),
        Some(refused) => Err(OAuthError::invalid_scope(format!(
            "the scope `{refused}` is not part of the grant; it takes a new authorization"
        ))),
    }
}

/// The groups of the person now, where the issuer knows people itself.
///
/// # Errors
/// The account is gone or locked: then the grant ends.
async fn present_groups(desk: &Desk, record: &RefreshRecord) -> Result<Vec<String>, OAuthError> {
    if desk.settings.sign_in != SignIn::Accounts {
        return Ok(record.groups.clone());
    }
    match desk.stores.users.by_id(&record.subject).await? {
        Some(user) if user.locked.is_none() => Ok(user.groups),
        _ => {
            let why = "the account behind a refresh token is gone or locked";
            ending::contain(desk, &record.client, &record.grant, why).await?;
            Err(unusable())
        }
    }
}

fn next_token(desk: &Desk, record: &RefreshRecord, now: u64) -> (String, RefreshRecord) {
    let token = secret::mint(secret::REFRESH_TOKEN, &*desk.entropy);
    let unused = now.saturating_add(desk.settings.life.refresh_token.as_secs());
    let next = RefreshRecord {
        digest: secret::digest(&token),
        expires: unused.min(record.ends),
        ..record.clone()
    };
    (token, next)
}

/// The same words for a token that never was, has ended, was used, or is another client's.
fn unusable() -> OAuthError {
    OAuthError::invalid_grant(
        "the refresh token is unknown, has ended, or was used before; ask the person again",
    )
}
