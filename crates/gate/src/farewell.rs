//! Ends sessions upstream when ours end, so that servers need not wait for their own time-outs.
//!
//! SPEC: 2025-11-25 basic/transports, Session Management: DELETE when done; 405 is no error.

use crate::upstream::{Deadlines, Fields, OnBehalf, Outgoing, ReplyHeaders, Upstream};
use crate::ward::Orphanage;
use bytes::Bytes;
use http::{HeaderValue, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tollgate_core::bounds::{FAREWELL_SECS, FAREWELLS_MAX};
use tollgate_core::ids::{EndpointId, UpstreamSessionId};
use tollgate_core::sessions::{Home, Session};
use tollgate_mcp::headers::MCP_SESSION_ID;

/// An upstream session that is to end, and whose it was.
#[derive(Clone, Debug)]
pub struct Parting {
    home: Home,
    whom: Option<OnBehalf>,
}

impl Parting {
    /// From a session that is over here.
    #[must_use]
    pub fn of(upstream: &Upstream, session: &Session) -> Self {
        let whom = upstream.on_behalf(session.caller, &session.principal);
        Self { home: session.home.clone(), whom: Some(whom) }
    }
}

/// Says farewell to upstream sessions, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct Farewells {
    room: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Farewells {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(FAREWELLS_MAX)),
            waiting: Arc::new(Semaphore::new(FAREWELLS_MAX * 64)),
        }
    }
}

impl Farewells {
    /// The session that an answer to `initialize` with these headers has made, if it made one.
    #[must_use]
    pub fn unclaimed(
        self,
        (upstream, endpoint): (Arc<Upstream>, EndpointId),
        whom: Option<OnBehalf>,
        headers: &ReplyHeaders,
    ) -> Option<Unclaimed> {
        let id = headers.session.as_deref().and_then(UpstreamSessionId::parse)?;
        let home = Home { endpoint, upstream_session: id, generation: 0, version: 0 };
        let parting = Parting { home, whom };
        Some(Unclaimed { farewells: self, upstream, parting, is_claimed: false })
    }

    /// Ends one upstream session and waits for it, at most some seconds.
    pub async fn say(&self, upstream: &Upstream, parting: &Parting) {
        let Parting { home, whom } = parting;
        let Some(endpoint) = upstream.endpoint(&home.endpoint) else { return };
        let Ok(id) = HeaderValue::from_str(home.upstream_session.as_str()) else { return };
        let mut headers = Fields::new();
        headers.add(&MCP_SESSION_ID, &id);
        let limit = Duration::from_secs(FAREWELL_SECS);
        let deadlines = Deadlines { first_byte: limit, pause: Some(limit), total: Some(limit) };
        let exchange = endpoint.send(
            Outgoing {
                method: Method::DELETE,
                headers,
                body: Bytes::new(),
                on_behalf_of: whom.clone(),
            },
            deadlines,
        );
        let mut ward = Orphanage::default().ward(exchange, false);
        match ward.head().await {
            Ok((status, _)) => {
                tracing::debug!(%status, "upstream session ended");
                // The body matters only for using the connection again.
                drop(ward.gather(4096).await);
            }
            Err(error) => tracing::debug!(%error, "upstream session not ended"),
        }
    }

    /// Ends one upstream session in the background. Over the bound it is left to the upstream's own
    /// expiry: sessions there end too, only later.
    pub fn send(&self, upstream: &Arc<Upstream>, parting: Parting) {
        // None at the very end of the process, when what is left is dropped.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Ok(place) = self.waiting.clone().try_acquire_owned() else { return };
        let (this, upstream) = (self.clone(), upstream.clone());
        runtime.spawn(async move {
            if let Ok(_room) = this.room.acquire().await {
                this.say(&upstream, &parting).await;
            }
            drop(place);
        });
    }
}

/// A new upstream session that no session of ours stands for yet. Dropped, it is ended: its client
/// left, its answer broke off, or there was no room for it after all.
#[derive(Debug)]
pub struct Unclaimed {
    farewells: Farewells,
    upstream: Arc<Upstream>,
    parting: Parting,
    is_claimed: bool,
}

impl Unclaimed {
    /// Where it lives.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.parting.home
    }

    /// A session of ours stands for it from now on.
    pub fn claim(mut self) {
        self.is_claimed = true;
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if !self.is_claimed {
            self.farewells.send(&self.upstream, self.parting.clone());
        }
    }
}
