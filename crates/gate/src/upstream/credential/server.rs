//! Where tokens are asked for: a URL the operator wrote, or what the metadata of an issuer says.
//!
//! SPEC: RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4. A document counts only if it
//! names the very issuer it was looked for; an `https` issuer cannot send us to `http`.

use super::{CredentialError, CredentialFault};
use crate::settings::{TokenEndpoint, TokenServer};
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::outbound::TOKEN_ENDPOINT_FRESH_SECS;
use tollgate_oauth::jwt::Claims;
use tollgate_outbound::{FetchFault, Fetcher, Reach};
use url::Url;

/// A token server, and where its endpoint was found.
#[derive(Debug)]
pub(super) struct Server {
    at: TokenEndpoint,
    places: Vec<Url>,
    found: ArcSwapOption<(Url, Instant)>,
}

impl Server {
    pub(super) fn new(settings: &TokenServer) -> Result<Self, CredentialError> {
        let places = match &settings.at {
            TokenEndpoint::Url(url) => {
                judge(url)?;
                Vec::new()
            }
            TokenEndpoint::Issuer(issuer) => {
                let url =
                    Url::parse(issuer).map_err(|_| CredentialError::Server("it is no URL"))?;
                judge(&url)?;
                places(&url)
            }
        };
        Ok(Self { at: settings.at.clone(), places, found: ArcSwapOption::empty() })
    }

    /// Its token endpoint.
    pub(super) async fn endpoint(&self, fetcher: &Fetcher) -> Result<Url, CredentialFault> {
        let issuer = match &self.at {
            TokenEndpoint::Url(url) => return Ok(url.clone()),
            TokenEndpoint::Issuer(issuer) => issuer,
        };
        let fresh = Duration::from_secs(TOKEN_ENDPOINT_FRESH_SECS);
        if let Some(found) = &*self.found.load()
            && found.1.elapsed() < fresh
        {
            return Ok(found.0.clone());
        }
        let url = self.discover(fetcher, issuer).await?;
        self.found.store(Some(Arc::new((url.clone(), Instant::now()))));
        Ok(url)
    }

    async fn discover(&self, fetcher: &Fetcher, issuer: &str) -> Result<Url, CredentialFault> {
        let mut last = CredentialFault::Unusable("its metadata is nowhere");
        for place in &self.places {
            match fetcher.get_json(place, Reach::Anywhere).await {
                Ok(document) => match read(issuer, &document) {
                    Ok(endpoint) => return Ok(endpoint),
                    Err(why) => last = CredentialFault::Unusable(why),
                },
                // Perhaps it is at another place.
                Err(FetchFault::Status(_) | FetchFault::Redirected(_)) => {}
                Err(fault) => return Err(CredentialFault::Unavailable(fault.to_string())),
            }
        }
        Err(last)
    }
}

/// Who its tokens are asked of, by name: what a proof of our own is made for.
pub(super) fn name(settings: &TokenServer) -> String {
    match &settings.at {
        TokenEndpoint::Url(url) => url.to_string(),
        TokenEndpoint::Issuer(issuer) => issuer.clone(),
    }
}

fn judge(url: &Url) -> Result<(), CredentialError> {
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(CredentialError::Server("it must be `https` or `http`"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(CredentialError::Server("it must hold no user, password or fragment"));
    }
    Ok(())
}

fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut place = issuer.clone();
        place.set_path(&path);
        place.set_query(None);
        place
    };
    let mut places = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        places.push(at(format!("{path}/.well-known/openid-configuration")));
    }
    places
}

fn read(issuer: &str, document: &[u8]) -> Result<Url, &'static str> {
    let document = Claims::parse(document).map_err(|_| "its metadata is no JSON object")?;
    if document.text("issuer").ok().flatten() != Some(issuer) {
        return Err("its metadata names another issuer: write it exactly as that does");
    }
    let endpoint = document.text("token_endpoint").ok().flatten();
    let endpoint = endpoint.and_then(|text| Url::parse(text).ok());
    let endpoint = endpoint.ok_or("its metadata names no token endpoint")?;
    let is_secure = |url: &str| url.get(..6).is_some_and(|s| s.eq_ignore_ascii_case("https:"));
    if is_secure(issuer) && !is_secure(endpoint.as_str()) {
        return Err("its metadata names a token endpoint that is not `https`");
    }
    Ok(endpoint)
}
