//! How each endpoint is doing, as plain data for `/status` and the console.
//!
//! Decides nothing: it reads what `health.rs` and the counters of `endpoint.rs` say.

use crate::upstream::duplex::HostStatus;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::health::Stand;
use std::net::SocketAddr;
use std::time::Duration;
use tollgate_core::ids::EndpointId;

/// How an endpoint is doing, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its id.
    pub id: EndpointId,
    /// Its address, unless its name has none.
    pub address: Option<SocketAddr>,
    /// Whether it gets work.
    pub state: EndpointState,
    /// Why it is in that state.
    pub why: String,
    /// For how long.
    pub since: Duration,
    /// Exchanges in progress, open event streams included.
    pub in_flight: usize,
    /// Calls since it is known.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Idle connections.
    pub pooled: usize,
    /// Its lines and processes, where it is reached over lines.
    pub lines: Option<HostStatus>,
}

/// Whether an endpoint gets work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointState {
    /// It does.
    Healthy,
    /// It does not: it refused connections or failed health checks.
    Unhealthy,
    /// It does not, for a while: calls to it failed.
    Ejected,
    /// Only for the sessions it has: its address left DNS.
    Retired,
    /// Its name has no address yet.
    Unresolved,
}

impl EndpointStatus {
    pub(crate) fn of(endpoint: &Endpoint, is_retired: bool) -> Self {
        let standing = &endpoint.core().standing;
        let (stand, since) = standing.stand();
        let state = match stand {
            _ if is_retired => EndpointState::Retired,
            Stand::In => EndpointState::Healthy,
            Stand::Ejected => EndpointState::Ejected,
            Stand::Unhealthy => EndpointState::Unhealthy,
        };
        let lines = endpoint.host().map(|host| host.status());
        let state = match &lines {
            Some(HostStatus { paused: Some(_), .. }) => EndpointState::Unhealthy,
            Some(_) => EndpointState::Healthy,
            None => state,
        };
        let why = lines.as_ref().map_or_else(|| standing.why(), ToString::to_string);
        let (calls, failures) = endpoint.counts();
        Self {
            id: endpoint.id().clone(),
            address: endpoint.address(),
            state,
            why,
            since,
            in_flight: endpoint.in_flight(),
            calls,
            failures,
            pooled: endpoint.pooled(),
            lines,
        }
    }

    pub(crate) fn unresolved(id: &EndpointId, why: &str) -> Self {
        Self {
            id: id.clone(),
            address: None,
            state: EndpointState::Unresolved,
            why: why.to_owned(),
            since: Duration::ZERO,
            in_flight: 0,
            calls: 0,
            failures: 0,
            pooled: 0,
            lines: None,
        }
    }
}
