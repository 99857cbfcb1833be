//! Tokens for an agent that acts for itself (RFC 6749 section 4.4).
//!
//! The subject is the agent, which no person's id can equal. There is no refresh token: the agent can
//! ask again.

use crate::clients::Client;
use crate::desk::Desk;
use crate::error::OAuthError;
use crate::form::Form;
use crate::mint::{self, Right};
use crate::reply::Response;
use crate::token;

/// Answers an agent that may act for itself, however it has proven itself.
///
/// # Errors
/// It asks for what it may not get.
pub(crate) async fn answer(
    desk: &Desk,
    client: &Client,
    form: &Form,
) -> Result<Response, OAuthError> {
    let resource = token::target(desk, client, form)?;
    let scopes = token::own_scopes(client, form)?;
    let right = Right {
        client: client.record(),
        subject: client.id(),
        user_name: None,
        groups: &client.record().groups,
        resource: &resource.identifier,
        scopes: &scopes,
        grant: None,
    };
    mint::answer(desk, &right, None).await
}
