//! What the provider says of itself, and its keys: fetched when first needed, kept for a while.
//!
//! One fetch at a time; while the provider is down it is not asked by everybody who comes. What was
//! fetched before goes on being used meanwhile. SPEC: OpenID Connect Discovery 1.0 sections 3 and 4.

use crate::desk::Desk;
use crate::provider::ProviderFault;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Mutex;
use tollgate_core::bounds::identity::{KEYS_COOLDOWN_SECS, KEYS_FRESH_SECS};
use tollgate_core::bounds::people::{PROVIDER_COOLDOWN_SECS, PROVIDER_FRESH_SECS};
use tollgate_core::clock::Millis;
use tollgate_oauth::jwt::Jwt;
use tollgate_oauth::keys::KeySet;
use tollgate_outbound::{Fetcher, Reach};
use url::Url;

/// What we need of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    jwks_uri: Url,
    /// Whether the client's secret goes into the `Authorization` header.
    pub(crate) takes_basic: bool,
    /// Whether its answers carry `iss` (RFC 9207 section 3).
    pub(crate) names_issuer: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What was fetched, and when it was last tried.
#[derive(Debug)]
struct Kept<T> {
    value: Option<Arc<T>>,
    fetched: Millis,
    tried: Option<Millis>,
    fault: Option<ProviderFault>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: None, fetched: Millis(0), tried: None, fault: None }
    }
}

impl<T> Kept<T> {
    fn fresh(&self, now: Millis, secs: u64) -> Option<Arc<T>> {
        self.value.clone().filter(|_| now.since(self.fetched) < secs * 1_000)
    }

    /// Whether it was tried so recently that it is not tried again.
    fn is_cooling(&self, now: Millis, secs: u64) -> bool {
        self.tried.is_some_and(|tried| now.since(tried) < secs * 1_000)
    }

    /// Takes an outcome; what was there before outlives a fault.
    fn take(&mut self, now: Millis, outcome: Result<T, ProviderFault>) {
        self.tried = Some(now);
        match outcome {
            Ok(value) => {
                self.value = Some(Arc::new(value));
                self.fetched = now;
                self.fault = None;
            }
            Err(fault) => {
                tracing::warn!(%fault, "the provider people sign in at could not be asked");
                self.fault = Some(fault);
            }
        }
    }

    fn outcome(&self) -> Result<Arc<T>, ProviderFault> {
        let missing = ProviderFault::Discovery("has not been fetched");
        self.value.clone().ok_or_else(|| self.fault.clone().unwrap_or(missing))
    }
}

/// Document and keys. The locks are held over a fetch on purpose: who comes meanwhile waits for it,
/// and it is bounded in time.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    metadata: Mutex<Kept<Metadata>>,
    keys: Mutex<Kept<KeySet>>,
}

impl Discovery {
    /// The document.
    ///
    /// # Errors
    /// There is none, and never was.
    pub(crate) async fn metadata(
        &self,
        fetcher: &Fetcher,
        issuer: &str,
        desk: &Desk,
    ) -> Result<Arc<Metadata>, ProviderFault> {
        let mut kept = self.metadata.lock().await;
        let now = desk.clock.now();
        if let Some(fresh) = kept.fresh(now, PROVIDER_FRESH_SECS) {
            return Ok(fresh);
        }
        if !kept.is_cooling(now, PROVIDER_COOLDOWN_SECS) {
            let fetched = fetched(fetcher, issuer).await;
            kept.take(now, fetched);
        }
        kept.outcome()
    }

    /// The keys; fetched again if they do not know the one a token names, but not for every such
    /// token.
    ///
    /// # Errors
    /// There are none, and never were.
    pub(crate) async fn keys(
        &self,
        fetcher: &Fetcher,
        metadata: &Metadata,
        desk: &Desk,
        token: &str,
    ) -> Result<Arc<KeySet>, ProviderFault> {
        let mut kept = self.keys.lock().await;
        let now = desk.clock.now();
        let named = Jwt::read(token).ok().and_then(|jwt| jwt.header().kid.clone());
        let known = kept.fresh(now, KEYS_FRESH_SECS);
        let has_key = |keys: &Arc<KeySet>| named.as_ref().is_none_or(|kid| keys.knows(kid));
        if let Some(keys) = known.filter(has_key) {
            return Ok(keys);
        }
        let pause = if kept.value.is_some() { KEYS_COOLDOWN_SECS } else { PROVIDER_COOLDOWN_SECS };
        if !kept.is_cooling(now, pause) {
            let fetched = fetched_keys(fetcher, &metadata.jwks_uri).await;
            kept.take(now, fetched);
        }
        kept.outcome()
    }
}

async fn fetched(fetcher: &Fetcher, issuer: &str) -> Result<Metadata, ProviderFault> {
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let place = Url::parse(&place).map_err(|_error| ProviderFault::Discovery("has no address"))?;
    read(issuer, &fetcher.get_json(&place, Reach::Anywhere).await?)
}

/// SPEC: OpenID Connect Discovery 1.0 section 4.3: `issuer` is exactly what was asked for.
fn read(issuer: &str, json: &[u8]) -> Result<Metadata, ProviderFault> {
    let document: Document = serde_json::from_slice(json)
        .map_err(|_error| ProviderFault::Discovery("lacks a member or has one of another type"))?;
    if document.issuer != issuer {
        return Err(ProviderFault::Discovery("names another issuer than the settings"));
    }
    let is_tls = issuer.starts_with("https://");
    let endpoint = |text: &str| {
        let url = Url::parse(text).ok();
        url.filter(|url| url.scheme() == "https" || (url.scheme() == "http" && !is_tls))
            .ok_or(ProviderFault::Discovery("has an endpoint that is not at `https`"))
    };
    let methods = document.token_endpoint_auth_methods_supported;
    // SPEC: OpenID Connect Discovery 1.0 section 3: `client_secret_basic` if left out.
    let takes = |name: &str| methods.as_ref().is_some_and(|all| all.iter().any(|it| it == name));
    let takes_basic = methods.is_none() || takes("client_secret_basic");
    if !takes_basic && !takes("client_secret_post") {
        return Err(ProviderFault::Discovery("takes no client secret at its token endpoint"));
    }
    Ok(Metadata {
        authorization_endpoint: endpoint(&document.authorization_endpoint)?,
        token_endpoint: endpoint(&document.token_endpoint)?,
        jwks_uri: endpoint(&document.jwks_uri)?,
        issuer: document.issuer,
        takes_basic,
        names_issuer: document.authorization_response_iss_parameter_supported,
    })
}

async fn fetched_keys(fetcher: &Fetcher, place: &Url) -> Result<KeySet, ProviderFault> {
    let json = fetcher.get_json(place, Reach::Anywhere).await?;
    KeySet::parse(&json)
        .map_err(|_error| ProviderFault::Discovery("names keys that cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::read;
    use serde_json::{Value, json};

    fn document(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut document = json!({
            "issuer": "https://idp.example",
            "authorization_endpoint": "https://idp.example/auth",
            "token_endpoint": "https://idp.example/token",
            "jwks_uri": "https://idp.example/keys",
        });
        change(&mut document);
        document.to_string().into_bytes()
    }

    fn is_taken(change: impl FnOnce(&mut Value)) -> bool {
        read("https://idp.example", &document(change)).is_ok()
    }

    #[test]
    fn a_document_of_another_issuer_is_refused() {
        assert!(is_taken(|_| {}));
        assert!(!is_taken(|it| it["issuer"] = json!("https://idp.example/")));
        assert!(!is_taken(|it| it["issuer"] = json!("https://evil.example")));
    }

    #[test]
    fn endpoints_without_tls_are_refused_where_the_issuer_has_it() {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(!is_taken(|it| it[name] = json!("http://idp.example/x")), "{name}");
            assert!(!is_taken(|it| it[name] = json!("javascript:alert(1)")), "{name}");
            assert!(!is_taken(|it| it[name] = Value::Null), "{name}");
        }
    }

    #[test]
    fn the_secret_goes_where_the_provider_takes_it() {
        let way = |methods: Value| {
            let json = document(|it| it["token_endpoint_auth_methods_supported"] = methods);
            read("https://idp.example", &json).ok().map(|metadata| metadata.takes_basic)
        };
        assert_eq!(way(Value::Null), Some(true));
        assert_eq!(way(json!(["client_secret_post", "client_secret_basic"])), Some(true));
        assert_eq!(way(json!(["client_secret_post"])), Some(false));
        assert_eq!(way(json!(["private_key_jwt"])), None);
    }
}
