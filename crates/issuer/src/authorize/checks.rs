//! What an authorization request must be: a table of checks, in the order they are made.
//!
//! Each proves one thing and knows nothing of the others. What fails goes back to the client.

use crate::authorize::asking::{Asking, is_echoable};
use crate::authorize::client;
use crate::error::{ErrorCode, OAuthError};
use tollgate_core::stores::GrantType;
use tollgate_oauth::pkce;
use tollgate_oauth::scope;

type Check = fn(&Asking<'_>) -> Result<(), OAuthError>;

/// All of them.
const CHECKS: [Check; 10] = [
    its_state_can_be_echoed,
    it_is_plain_and_not_a_request_object,
    it_asks_for_a_code,
    it_takes_the_answer_in_the_query,
    the_client_may_use_codes,
    it_brings_an_s256_challenge,
    it_names_one_resource_we_know,
    its_scopes_can_be_read,
    its_scopes_are_known_and_for_this_client,
    its_prompts_agree,
];

/// Makes all checks.
///
/// # Errors
/// With what is wrong first.
pub(crate) fn all(asking: &Asking<'_>) -> Result<(), OAuthError> {
    CHECKS.iter().try_for_each(|check| check(asking))
}

fn its_state_can_be_echoed(asking: &Asking<'_>) -> Result<(), OAuthError> {
    if asking.form.get("state").is_none_or(is_echoable) {
        return Ok(());
    }
    Err(OAuthError::invalid_request("`state` is longer than 1,024 bytes or not visible ASCII"))
}

/// SPEC: OpenID Connect Core section 6, RFC 9101: neither by value nor by reference.
fn it_is_plain_and_not_a_request_object(asking: &Asking<'_>) -> Result<(), OAuthError> {
    if asking.form.has("request") {
        let text = "request objects are not taken; send the parameters themselves";
        return Err(OAuthError::new(ErrorCode::RequestNotSupported, text));
    }
    if asking.form.has("request_uri") {
        let text = "request objects are not fetched; send the parameters themselves";
        return Err(OAuthError::new(ErrorCode::RequestUriNotSupported, text));
    }
    Ok(())
}

fn it_asks_for_a_code(asking: &Asking<'_>) -> Result<(), OAuthError> {
    if asking.form.required("response_type")? == "code" {
        return Ok(());
    }
    let text = "`response_type` must be `code`";
    Err(OAuthError::new(ErrorCode::UnsupportedResponseType, text))
}

/// SPEC: OAuth 2.0 Multiple Response Type Encoding Practices section 2.1.
fn it_takes_the_answer_in_the_query(asking: &Asking<'_>) -> Result<(), OAuthError> {
    match asking.form.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(OAuthError::invalid_request("`response_mode` must be `query`, or left out")),
    }
}

fn the_client_may_use_codes(asking: &Asking<'_>) -> Result<(), OAuthError> {
    if asking.client.may(GrantType::AuthorizationCode) {
        return Ok(());
    }
    let text = "this client is not registered for the grant type `authorization_code`";
    Err(OAuthError::new(ErrorCode::UnauthorizedClient, text))
}

/// SPEC: RFC 7636 section 4.3; OAuth 2.1 section 7.5.2. Without `code_challenge_method` it would be
/// `plain`.
fn it_brings_an_s256_challenge(asking: &Asking<'_>) -> Result<(), OAuthError> {
    let challenge = asking.form.get("code_challenge").ok_or_else(|| {
        OAuthError::invalid_request("PKCE is required: send `code_challenge` (RFC 7636)")
    })?;
    if asking.form.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::invalid_request("`code_challenge_method` must be `S256`"));
    }
    if !pkce::is_challenge(challenge) {
        return Err(OAuthError::invalid_request(
            "`code_challenge` is not the base64url of a SHA-256 digest (43 characters)",
        ));
    }
    Ok(())
}

/// SPEC: RFC 8707 section 2; MCP 2026-07-28: clients must say it.
fn it_names_one_resource_we_know(asking: &Asking<'_>) -> Result<(), OAuthError> {
    let count = asking.form.resources().count();
    if count != 1 {
        return Err(OAuthError::invalid_target(match count {
            0 => "`resource` is missing: name the URL of the MCP endpoint (RFC 8707)",
            _ => "`resource` must be there once: a token is for one resource",
        }));
    }
    match asking.resource() {
        Some(_) => Ok(()),
        None => Err(OAuthError::invalid_target(
            "this `resource` is not one of this gate's, or not open to this client",
        )),
    }
}

fn its_scopes_can_be_read(asking: &Asking<'_>) -> Result<(), OAuthError> {
    match scope::parse(asking.form.get("scope").unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(fault) => Err(OAuthError::invalid_scope(format!("`scope` cannot be read: {fault}"))),
    }
}

fn its_scopes_are_known_and_for_this_client(asking: &Asking<'_>) -> Result<(), OAuthError> {
    let (Some(asked), Some(resource)) = (asking.scopes(), asking.resource()) else {
        return Ok(());
    };
    let is_good = |asked: &str| client::may_ask(&asking.client, resource, asked);
    match asked.iter().find(|asked| !is_good(asked)) {
        None => Ok(()),
        Some(other) => Err(OAuthError::invalid_scope(format!(
            "the scope `{other}` is not one of this resource's, or not open to this client"
        ))),
    }
}

/// SPEC: OpenID Connect Core section 3.1.2.1: `none` stands alone.
fn its_prompts_agree(asking: &Asking<'_>) -> Result<(), OAuthError> {
    if asking.prompts().is_contradiction() {
        return Err(OAuthError::invalid_request("`prompt` is `none` and something else at once"));
    }
    Ok(())
}
