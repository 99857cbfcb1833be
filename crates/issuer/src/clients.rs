//! Who a client is: one the operator added, one that registered itself, or one whose id is the URL
//! of a document about it.
//!
//! What is revoked or has ended looks exactly like what never was. An id decides by its spelling
//! alone which of the three it can be, so that none can pass for another.
//!
//! Next: `document.rs`, `client_auth.rs` (proving to be one), `registration.rs` (becoming one).

pub(crate) mod hosts;
pub(crate) mod shelf;
#[cfg(test)]
pub(crate) mod trial;

use crate::desk::Desk;
use crate::document::DocumentFault;
use crate::error::{ErrorCode, OAuthError};
use tollgate_core::bounds::issuer::CLIENT_ID_BYTES_MAX;
use tollgate_core::stores::{AgentRecord, AuthMethod, GrantType, Origin, StoreError};
use tollgate_oauth::registration::ClientMetadata;
use tollgate_oauth::{client_id, redirect, scope};

/// A client that is known and good just now. Whether whoever speaks is it, is another question.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    record: AgentRecord,
}

/// Why there is no such client.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ClientFault {
    /// Nobody knows it, or it is not good any more.
    #[error("the client is not known here")]
    Unknown,
    /// Its document cannot be used.
    #[error(transparent)]
    Document(#[from] DocumentFault),
    /// The store has no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ClientFault> for OAuthError {
    fn from(fault: ClientFault) -> Self {
        match fault {
            ClientFault::Unknown => Self::new(
                ErrorCode::InvalidClient,
                "the client is not known here: it never was, has ended, or was cut off; register \
                 it anew",
            ),
            ClientFault::Document(DocumentFault::Busy) => {
                Self::unavailable("too many client metadata documents are being fetched; try again")
            }
            ClientFault::Document(fault) => Self::invalid_client(fault.to_string()),
            ClientFault::Store(error) => error.into(),
        }
    }
}

/// Finds a client by its id.
///
/// # Errors
/// It is unknown, revoked or has ended; its document cannot be used; the store does not answer.
pub(crate) async fn find(desk: &Desk, id: &str) -> Result<Client, ClientFault> {
    if id.is_empty() || id.len() > CLIENT_ID_BYTES_MAX {
        return Err(ClientFault::Unknown);
    }
    let is_document = client_id::is_url(id);
    if is_document && !desk.settings.registration.documents {
        return Err(ClientFault::Unknown);
    }
    let stored = desk.stores.agents.find(id).await?;
    if stored.as_ref().is_some_and(|record| record.revoked.is_some()) {
        return Err(ClientFault::Unknown);
    }
    if is_document {
        let metadata = desk.documents.get(desk, id).await?;
        return Ok(Client { record: of_document(id, &metadata) });
    }
    let mut record = stored.ok_or(ClientFault::Unknown)?;
    match record.origin {
        Origin::Operator => {}
        Origin::Registered { .. } => {
            // Hosts may have been taken off the list since it registered.
            let hosts = &desk.settings.registration.hosts;
            record.redirect_uris.retain(|uri| hosts::allow_redirect(hosts, uri));
        }
        // Only a URL can be one of these.
        Origin::Document => return Err(ClientFault::Unknown),
    }
    if record.expires.is_some_and(|expires| expires <= desk.now()) {
        return Err(ClientFault::Unknown);
    }
    Ok(Client { record })
}

/// What a document says, as if it were stored.
fn of_document(id: &str, metadata: &ClientMetadata) -> AgentRecord {
    AgentRecord {
        id: String::from(id),
        origin: Origin::Document,
        name: metadata.name.clone(),
        auth: metadata.auth,
        secrets: Vec::new(),
        keys: metadata.keys.clone(),
        redirect_uris: metadata.redirect_uris.clone(),
        grants: metadata.grants.clone(),
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        metadata: serde_json::Value::Object(metadata.rest.clone()).to_string(),
        created: 0,
        expires: None,
        used: None,
        revoked: None,
    }
}

impl Client {
    /// Its `client_id`.
    pub(crate) fn id(&self) -> &str {
        &self.record.id
    }

    /// What people are to be shown. A claim of its own, unless an operator added it.
    pub(crate) fn name(&self) -> &str {
        if self.record.name.is_empty() { &self.record.id } else { &self.record.name }
    }

    /// Everything known of it.
    pub(crate) const fn record(&self) -> &AgentRecord {
        &self.record
    }

    /// Whether it can keep no secret.
    pub(crate) fn is_public(&self) -> bool {
        self.record.auth == AuthMethod::None
    }

    /// Whether an operator vouches for it.
    pub(crate) fn is_vouched(&self) -> bool {
        self.record.origin == Origin::Operator
    }

    /// Whether it may ask for this at the token endpoint.
    ///
    /// SPEC: RFC 6749 section 4.4: only those that prove themselves may act for themselves.
    pub(crate) fn may(&self, grant: GrantType) -> bool {
        let for_itself = matches!(grant, GrantType::ClientCredentials | GrantType::JwtBearer);
        let can = !for_itself
            || (self.is_vouched() && (!self.is_public() || grant == GrantType::JwtBearer));
        can && self.record.grants.contains(&grant)
    }

    /// Whether people may be sent back there.
    pub(crate) fn redirect_ok(&self, asked: &str) -> bool {
        self.record.redirect_uris.iter().any(|known| redirect::matches(known, asked))
    }

    /// Where people are sent back to when the request does not say.
    ///
    /// SPEC: RFC 6749 section 3.1.2.3: only if there is exactly one.
    pub(crate) fn only_redirect(&self) -> Option<&str> {
        match &*self.record.redirect_uris {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether every place it may send people to is their own machine, where any program can be
    /// waiting.
    pub(crate) fn is_loopback_only(&self) -> bool {
        self.record.redirect_uris.iter().all(|uri| redirect::is_loopback(uri))
    }

    /// Whether it may get this scope in this way: where its list is empty, what a person consents
    /// to, and nothing for itself.
    pub(crate) fn allows_scope(&self, asked: &str, grant: GrantType) -> bool {
        if self.record.scopes.is_empty() {
            return matches!(grant, GrantType::AuthorizationCode | GrantType::RefreshToken);
        }
        scope::covers(&self.record.scopes, asked)
    }

    /// Whether it may get tokens for the route at this path.
    pub(crate) fn allows_route(&self, path: &str) -> bool {
        self.record.routes.is_empty() || self.record.routes.iter().any(|known| known == path)
    }
}

#[cfg(test)]
mod tests;
