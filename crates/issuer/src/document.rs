//! Clients that are described by the document at the URL that is their id (Client ID Metadata
//! Documents), and keys that clients publish at a URL.
//!
//! Somebody else wrote these URLs: they are fetched only through the guard of `tollgate-outbound`,
//! within tight bounds, by one at a time for each URL, and what could not be had is not tried again
//! for a while. No other URL of a document is fetched (`logo_uri`, `policy_uri` ...), and nobody is
//! told what the gate's network answered.
//!
//! Next: `clients.rs`, who asks; `clients/shelf.rs`, how it is remembered.

use crate::clients::hosts;
use crate::clients::shelf::Shelf;
use crate::desk::Desk;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::identity::{KEYS_COOLDOWN_SECS, KEYS_FRESH_SECS, KEYS_STALE_SECS};
use tollgate_core::bounds::issuer::{
    CLIENT_DOCUMENT_FAILED_SECS, CLIENT_DOCUMENT_FRESH_SECS, CLIENT_DOCUMENTS_MAX,
    CLIENT_KEYS_BYTES_MAX,
};
use tollgate_core::bounds::outbound::{
    CLIENT_DOCUMENT_BYTES_MAX, CLIENT_DOCUMENT_MILLIS, FETCH_BYTES_MAX,
};
use tollgate_core::clock::Millis;
use tollgate_core::stores::{AgentRecord, Origin};
use tollgate_oauth::client_id::{self, BadClientId};
use tollgate_oauth::keys::KeySet;
use tollgate_oauth::registration::{self, ClientMetadata, RegistrationFault};
use tollgate_outbound::{Answer, Ask, FetchFault, Reach};
use url::Url;

/// Why a document, or a key set, cannot be used. Says nothing of what was found where it was looked
/// for, unless it was the document itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentFault {
    /// The id is no URL documents are fetched from.
    #[error(transparent)]
    Id(#[from] BadClientId),
    /// It is at a host that is not on the operator's list.
    #[error("client metadata documents at this host are not accepted here")]
    Host,
    /// It sends people to a host that is not on the operator's list.
    #[error("redirects to a host in this client metadata document are not accepted here")]
    RedirectHost,
    /// It could not be had.
    #[error(
        "the URL in `client_id` or `jwks_uri` did not answer with a JSON document: it must be public, \
         answer 200 without a redirect, quickly and briefly, as `application/json`"
    )]
    Fetch,
    /// Too many others are being fetched.
    #[error("too many documents are being fetched")]
    Busy,
    /// It does not say what it must.
    #[error("the client metadata document cannot be used: {0}")]
    Content(RegistrationFault),
    /// There are no keys in it.
    #[error("the document at `jwks_uri` is no key set")]
    Keys,
}

/// What was fetched of late.
#[derive(Debug)]
pub(crate) struct Documents {
    documents: Shelf<Option<Kept>>,
    keys: Shelf<KeptKeys>,
}

/// A document, or why there is none, and since when.
#[derive(Clone, Debug)]
struct Kept {
    outcome: Result<Arc<ClientMetadata>, DocumentFault>,
    since: Millis,
}

#[derive(Debug, Default)]
struct KeptKeys {
    keys: Option<Arc<KeySet>>,
    fetched: Millis,
    tried: Option<Millis>,
}

impl Kept {
    fn is_good(&self, now: Millis) -> bool {
        let secs = match self.outcome {
            Ok(_) => CLIENT_DOCUMENT_FRESH_SECS,
            Err(_) => CLIENT_DOCUMENT_FAILED_SECS,
        };
        now.since(self.since) < secs * 1_000
    }
}

impl Documents {
    /// Remembers nothing yet.
    pub(crate) fn new() -> Self {
        Self { documents: Shelf::new(CLIENT_DOCUMENTS_MAX), keys: Shelf::new(CLIENT_DOCUMENTS_MAX) }
    }

    /// What the document at the URL that is this id says.
    ///
    /// # Errors
    /// The id may not be fetched, its document could not be had, or does not say what it must.
    pub(crate) async fn get(
        &self,
        desk: &Desk,
        id: &str,
    ) -> Result<Arc<ClientMetadata>, DocumentFault> {
        let allowed = &desk.settings.registration;
        let url = client_id::document(id, allowed.private_addresses)?;
        if !hosts::allow(&allowed.hosts, url.host_str().unwrap_or_default()) {
            return Err(DocumentFault::Host);
        }
        let place = self.documents.place(id, desk.clock.now());
        let mut place = place.lock().await;
        if let Some(kept) = place.as_ref().filter(|kept| kept.is_good(desk.clock.now())) {
            return kept.outcome.clone();
        }
        let outcome = document(desk, &url).await.map(Arc::new);
        if outcome != Err(DocumentFault::Busy) {
            *place = Some(Kept { outcome: outcome.clone(), since: desk.clock.now() });
        }
        outcome
    }

    /// The keys a client publishes at a URL, fetched if need be: they are old, or do not have `kid`.
    ///
    /// # Errors
    /// They could not be had, and none were before.
    pub(crate) async fn keys(
        &self,
        desk: &Desk,
        client: &AgentRecord,
        url: &str,
        kid: Option<&str>,
    ) -> Result<Arc<KeySet>, DocumentFault> {
        let reach = keys_reach(desk, client, url)?;
        // What an operator's word fetched is not for those without it: hence two places.
        let is_operators = client.origin == Origin::Operator;
        let name = format!("{}{url}", if is_operators { "+" } else { "-" });
        let place = self.keys.place(&name, desk.clock.now());
        let mut kept = place.lock().await;
        let now = desk.clock.now();
        let is_within = |since: Millis, secs: u64| now.since(since) < secs * 1_000;
        if let Some(keys) = &kept.keys
            && is_within(kept.fetched, KEYS_FRESH_SECS)
            && kid.is_none_or(|kid| keys.knows(kid))
        {
            return Ok(Arc::clone(keys));
        }
        let known = kept.keys.clone().filter(|_| is_within(kept.fetched, KEYS_STALE_SECS));
        if kept.tried.is_some_and(|tried| is_within(tried, KEYS_COOLDOWN_SECS)) {
            return known.ok_or(DocumentFault::Fetch);
        }
        // Before it is tried, so that one who goes away meanwhile has tried all the same.
        kept.tried = Some(now);
        let bytes_max = if is_operators { FETCH_BYTES_MAX } else { CLIENT_KEYS_BYTES_MAX };
        match key_set(desk, url, reach, bytes_max).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                kept.keys = Some(Arc::clone(&keys));
                kept.fetched = now;
                Ok(keys)
            }
            Err(fault) => known.ok_or(fault),
        }
    }
}

/// The guard for the host of a URL that somebody else wrote.
///
/// Inner addresses are for those the operator named: by a list of hosts all of them, otherwise this
/// machine alone.
fn reach(desk: &Desk) -> Reach {
    let allowed = &desk.settings.registration;
    match (allowed.private_addresses, allowed.hosts.is_empty()) {
        (false, _) => Reach::Public,
        (true, true) => Reach::PublicOrLoopback,
        (true, false) => Reach::Anywhere,
    }
}

fn keys_reach(desk: &Desk, client: &AgentRecord, url: &str) -> Result<Reach, DocumentFault> {
    if client.origin == Origin::Operator {
        return Ok(Reach::Anywhere);
    }
    let allowed = &desk.settings.registration;
    let url = client_id::fetched(url, allowed.private_addresses)?;
    if !hosts::allow(&allowed.hosts, url.host_str().unwrap_or_default()) {
        return Err(DocumentFault::Host);
    }
    Ok(reach(desk))
}

async fn document(desk: &Desk, url: &Url) -> Result<ClientMetadata, DocumentFault> {
    let answer = fetch(desk, url, reach(desk), CLIENT_DOCUMENT_BYTES_MAX).await?;
    let metadata =
        registration::from_document(url, &answer.body).map_err(DocumentFault::Content)?;
    let hosts = &desk.settings.registration.hosts;
    if metadata.redirect_uris.iter().any(|uri| !hosts::allow_redirect(hosts, uri)) {
        return Err(DocumentFault::RedirectHost);
    }
    Ok(metadata)
}

async fn key_set(
    desk: &Desk,
    url: &str,
    reach: Reach,
    bytes_max: usize,
) -> Result<KeySet, DocumentFault> {
    let url = Url::parse(url).map_err(|_bad| DocumentFault::Fetch)?;
    let answer = fetch(desk, &url, reach, bytes_max).await?;
    KeySet::parse(&answer.body).map_err(|_bad| DocumentFault::Keys)
}

async fn fetch(
    desk: &Desk,
    url: &Url,
    reach: Reach,
    bytes_max: usize,
) -> Result<Answer, DocumentFault> {
    let limit = Duration::from_millis(CLIENT_DOCUMENT_MILLIS);
    let asked = desk.fetcher.send(Ask { bytes_max, limit, ..Ask::json(url, reach) }).await;
    // SPEC: draft-ietf-oauth-client-id-metadata-document section 5: 200 alone, redirects are not
    // followed, JSON by its media type.
    let why = match asked {
        Ok(answer) if answer.status == StatusCode::OK && answer.is_json() => return Ok(answer),
        Ok(answer) if answer.status == StatusCode::OK => String::from("the answer is not JSON"),
        Ok(answer) => FetchFault::Status(answer.status).to_string(),
        Err(FetchFault::Busy) => return Err(DocumentFault::Busy),
        Err(fault) => fault.to_string(),
    };
    // For the operator only: who wrote the URL would learn what the gate can reach.
    tracing::info!(host = url.host_str(), why, "a client's document could not be had");
    Err(DocumentFault::Fetch)
}

#[cfg(test)]
mod tests;
