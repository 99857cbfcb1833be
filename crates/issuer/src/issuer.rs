//! The issuer as the gate sees it: which paths are its own, and what it answers.
//!
//! Made once for each version of the configuration. Everything that lasts is in the stores, so that
//! nothing is lost when one version replaces another, and several processes are one issuer.
//!
//! Next: `endpoints.rs`, the table of what is served.

use crate::desk::Desk;
use crate::endpoints::{self, Endpoint};
use crate::error::{ErrorCode, OAuthError};
use crate::keys::{self, SigningError};
use crate::people::PeopleError;
use crate::reply::Response;
use crate::request::Request;
use crate::settings::IssuerSettings;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use hyper::body::Buf;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::issuer::{KEYS_LOOK_SECS, SWEEP_EVERY_SECS};
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::stores::Stores;
use tollgate_oauth::keys::SharedKeys;
use tollgate_outbound::FetchFault;

/// Why there can be no issuer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// People cannot be signed in.
    #[error("people cannot sign in: {0}")]
    People(#[from] PeopleError),
    /// There is no key to sign with.
    #[error("the issuer cannot start: {0}")]
    Keys(#[from] SigningError),
    /// Certificates it is to trust cannot be used.
    #[error("the issuer cannot start: {0}")]
    Trust(#[from] FetchFault),
}

/// What the issuer is made of besides its settings.
pub struct IssuerSources {
    /// Where everything lasting is.
    pub stores: Stores,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Told of the public keys, for who verifies tokens in this process.
    pub keys: SharedKeys,
    /// Seals what is kept in browsers. The same for all processes that share the stores.
    pub seal: [u8; 32],
}

impl fmt::Debug for IssuerSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerSources").finish_non_exhaustive()
    }
}

/// The authorization server.
#[derive(Debug)]
pub struct Issuer {
    desk: Arc<Desk>,
}

impl Issuer {
    /// Makes it, without asking the stores anything yet.
    ///
    /// # Errors
    /// Something the settings name cannot be used.
    pub fn build(
        settings: IssuerSettings,
        sources: IssuerSources,
    ) -> Result<Arc<Self>, IssuerError> {
        Ok(Arc::new(Self { desk: Arc::new(Desk::new(settings, sources)?) }))
    }

    /// Gets ready to sign: reads the signing keys, and makes the first one if there is none.
    ///
    /// # Errors
    /// The store does not answer, or none of the keys in it can be used.
    pub async fn start(&self) -> Result<(), IssuerError> {
        let desk = &self.desk;
        desk.ring.refresh(&desk.settings, &desk.stores, &*desk.clock).await?;
        Ok(desk.ring.ready(desk.now())?)
    }

    /// Begins what goes on in the background: signing keys are made and learnt, and what has ended is
    /// removed from the stores. Ends by itself when the issuer is dropped.
    pub fn start_background(self: &Arc<Self>) {
        let desk = Arc::downgrade(&self.desk);
        tokio::spawn(async move {
            let mut looks = tokio::time::interval(Duration::from_secs(KEYS_LOOK_SECS));
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                let Some(desk) = desk.upgrade() else { return };
                if let Err(error) =
                    desk.ring.refresh(&desk.settings, &desk.stores, &*desk.clock).await
                {
                    tracing::warn!(%error, "the signing keys cannot be read; the known ones stay");
                }
            }
        });
        let desk = Arc::downgrade(&self.desk);
        tokio::spawn(async move {
            let mut sweeps = tokio::time::interval(Duration::from_secs(SWEEP_EVERY_SECS));
            sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                sweeps.tick().await;
                let Some(desk) = desk.upgrade() else { return };
                sweep(&desk).await;
            }
        });
    }

    /// Whether a path is one of the issuer's. Those of what is turned off are not.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        Endpoint::at(path).is_some_and(|endpoint| endpoint.is_offered(&self.desk.settings))
    }

    /// Answers a request. `peer` is who sent it, and `is_tls` whether it came encrypted.
    pub async fn serve<B>(&self, request: http::Request<B>, peer: IpAddr, is_tls: bool) -> Response
    where
        B: hyper::body::Body<Data: Buf + Send> + Send,
    {
        let (head, body) = request.into_parts();
        let endpoint = Endpoint::at(head.uri.path());
        let Some(endpoint) = endpoint.filter(|found| found.is_offered(&self.desk.settings)) else {
            return OAuthError::not_found().response();
        };
        let is_preflight = head.method == Method::OPTIONS;
        if is_preflight && endpoint.is_for_scripts() {
            return endpoints::preflight(endpoint);
        }
        if !endpoint.takes(&head.method) {
            return endpoints::method_refused(endpoint);
        }
        let has_authorization = head.headers.contains_key(AUTHORIZATION);
        let method = head.method.clone();
        let answer = match Request::read(head, body, peer).await {
            Ok(request) if method.is_safe() => {
                endpoints::answer(&self.desk, endpoint, &request).await
            }
            Ok(request) => self.carry_through(endpoint, request).await,
            Err(error) => Err(error),
        };
        let mut response = answer.unwrap_or_else(|error| error.response());
        // SPEC: RFC 6749 section 5.2: who tried the header is told which scheme it takes. Others are
        // not, or browsers would ask people for a password.
        let is_unnamed = !response.headers().contains_key(WWW_AUTHENTICATE);
        if response.status() == StatusCode::UNAUTHORIZED && has_authorization && is_unnamed {
            let scheme = HeaderValue::from_static("Basic realm=\"tollgate\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        endpoints::dress(endpoint, &mut response);
        let status = response.status().as_u16();
        tracing::debug!(%peer, is_tls, %method, ?endpoint, status, "the issuer answered");
        response
    }

    /// Answers what may change something, to its end even if who asked hangs up: nobody must be able
    /// to use a code twice and be gone before its tokens are revoked. The stores bound how long.
    async fn carry_through(
        &self,
        endpoint: Endpoint,
        request: Request,
    ) -> Result<Response, OAuthError> {
        let desk = Arc::clone(&self.desk);
        let answering =
            tokio::spawn(async move { endpoints::answer(&desk, endpoint, &request).await });
        answering.await.unwrap_or_else(|error| {
            tracing::error!(%error, ?endpoint, "the issuer failed to answer");
            let description = "the authorization server failed; its log says why";
            Err(OAuthError::new(ErrorCode::ServerError, description))
        })
    }
}

/// Removes from the stores what has ended. What fails is tried again next time.
async fn sweep(desk: &Desk) {
    let (stores, now) = (&desk.stores, desk.now());
    let swept = [
        ("grants", stores.grants.sweep(now).await),
        ("agents", stores.agents.sweep(now).await),
        ("revocations", stores.revocations.sweep(now).await),
        ("signing keys", keys::sweep(stores, now).await),
    ];
    for (what, result) in swept {
        match result {
            Ok(0) => {}
            Ok(count) => tracing::debug!(what, count, "what has ended was removed"),
            Err(error) => tracing::warn!(what, %error, "what has ended could not be removed"),
        }
    }
}
