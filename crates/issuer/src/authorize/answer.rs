//! What is sent back to the client: a code, or what is wrong.
//!
//! Always by 303, in the query, with `iss`, so that a client of several issuers knows which of them
//! answers. SPEC: OAuth 2.1 section 4.1.2; RFC 9207 section 2; RFC 9700 sections 4.4 and 4.12.

use crate::browser::Session;
use crate::desk::Desk;
use crate::error::OAuthError;
use crate::pages::problem::Problem;
use crate::pages::see_other;
use crate::reply::Response;
use crate::transaction::Transaction;
use std::fmt::Write as _;
use tollgate_core::stores::{CodeRecord, GrantId};
use tollgate_oauth::secret;
use url::form_urlencoded::byte_serialize;

/// Where an answer goes. Made only from what was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Return {
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
}

impl Return {
    /// Where the answer to a transaction goes.
    pub(crate) fn of(transaction: &Transaction) -> Self {
        Self { redirect_uri: transaction.redirect_uri.clone(), state: transaction.state.clone() }
    }

    /// Says what is wrong.
    pub(crate) fn refused(&self, desk: &Desk, error: &OAuthError) -> Response {
        let description = error.shown();
        self.with(desk, &[("error", error.code.name()), ("error_description", &description)])
    }

    fn with(&self, desk: &Desk, fields: &[(&str, &str)]) -> Response {
        let mut location = self.redirect_uri.clone();
        let state = self.state.as_deref().map(|state| ("state", state));
        let all = fields.iter().copied().chain(state).chain([("iss", desk.issuer.as_str())]);
        for (name, value) in all {
            location.push(if location.contains('?') { '&' } else { '?' });
            location.push_str(name);
            location.push('=');
            for part in byte_serialize(value.as_bytes()) {
                // Both mean a space in a form, and only this one everywhere.
                location.push_str(if part == "+" { "%20" } else { part });
            }
        }
        see_other(&location)
    }
}

/// Sends a code, once for each transaction.
///
/// # Errors
/// The transaction was answered before, or the store has no answer.
pub(crate) async fn code(
    desk: &Desk,
    session: &Session,
    transaction: &Transaction,
    scopes: Vec<String>,
) -> Result<Response, Problem> {
    if !transaction.finish(desk).await? {
        return Err(Problem::over());
    }
    let code = secret::mint(secret::CODE, &*desk.entropy);
    let person = &session.person;
    let record = CodeRecord {
        digest: secret::digest(&code),
        grant: new_grant(desk),
        client: transaction.client.clone(),
        redirect_uri: transaction.redirect_uri.clone(),
        challenge: transaction.challenge.clone(),
        subject: person.subject.clone(),
        user_name: person.name.clone(),
        groups: person.groups.clone(),
        resource: transaction.resource.clone(),
        scopes,
        expires: desk.now() + desk.settings.life.code.as_secs(),
    };
    tracing::info!(client = %record.client, subject = %record.subject, resource = %record.resource,
        "a person lets an agent act for them");
    desk.stores.grants.keep_code(record).await?;
    Ok(Return::of(transaction).with(desk, &[("code", &code)]))
}

fn new_grant(desk: &Desk) -> GrantId {
    let mut bytes = [0; 16];
    desk.entropy.fill(&mut bytes);
    GrantId(bytes.iter().fold(String::new(), |mut id, byte| {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    }))
}
