//! Ends sessions upstream when ours end, so that servers need not wait for their own time-outs.
//!
//! SPEC: 2025-11-25 basic/transports, Session Management: DELETE when done; 405 is no error.

use crate::upstream::{Deadlines, Fields, Outgoing, Upstream};
use crate::ward::Orphanage;
use bytes::Bytes;
use http::{HeaderValue, Method};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tollgate_core::bounds::{FAREWELL_SECS, FAREWELLS_MAX};
use tollgate_core::sessions::Home;
use tollgate_mcp::headers::MCP_SESSION_ID;

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
    /// Ends one upstream session and waits for it, at most some seconds.
    pub async fn say(&self, upstream: &Upstream, home: &Home) {
        let Some(endpoint) = upstream.endpoint(&home.endpoint) else { return };
        let Ok(id) = HeaderValue::from_str(home.upstream_session.as_str()) else { return };
        let mut headers = Fields::new();
        headers.add(&MCP_SESSION_ID, &id);
        let limit = Duration::from_secs(FAREWELL_SECS);
        let deadlines = Deadlines { first_byte: limit, pause: Some(limit), total: Some(limit) };
        let exchange = endpoint
            .send(Outgoing { method: Method::DELETE, headers, body: Bytes::new() }, deadlines);
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
    pub fn send(&self, upstream: &Arc<Upstream>, home: Home) {
        let Ok(place) = self.waiting.clone().try_acquire_owned() else { return };
        let (this, upstream) = (self.clone(), upstream.clone());
        tokio::spawn(async move {
            if let Ok(_room) = this.room.acquire().await {
                this.say(&upstream, &home).await;
            }
            drop(place);
        });
    }
}
