//! One running instance of an upstream: one address, its pool, its standing and its counters.
//!
//! Knows what only the gate may say in a request (host, credentials, path) and starts the exchange.
//! Judges neither the request nor the reply.
//!
//! Next: `exchange.rs`; `health.rs` for the standing.

use crate::upstream::credential::Credential;
use crate::upstream::duplex::Host;
use crate::upstream::exchange::{Deadlines, Exchange};
use crate::upstream::fault::{Cause, Phase, SendError};
use crate::upstream::health::{Rules, Standing};
use crate::upstream::link::Link;
use crate::upstream::pool::Pool;
use crate::upstream::request::{Lead, Outgoing};
use crate::upstream::tls::Dial;
use crate::upstream::wire::Wire;
use http::{StatusCode, Uri};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tollgate_core::ids::{EndpointId, UpstreamName};

/// See the file's head.
#[derive(Debug)]
pub struct Endpoint {
    id: EndpointId,
    way: Way,
    wiring: Arc<Wiring>,
    core: Arc<Core>,
}

/// How an endpoint is reached.
#[derive(Clone, Debug)]
enum Way {
    /// By connections to this address.
    Address(SocketAddr),
    /// By lines that this host keeps.
    Lines(Arc<Host>),
}

/// What all addresses of one endpoint URL have in common.
#[derive(Debug)]
pub(crate) struct Wiring {
    /// Of which upstream.
    pub(crate) upstream: UpstreamName,
    /// What every request begins with.
    pub(crate) lead: Lead,
    /// How to shake hands, for `https`.
    pub(crate) tls: Option<Dial>,
    /// Time for connecting.
    pub(crate) connect: Duration,
    /// When an endpoint is in or out.
    pub(crate) rules: Rules,
    /// Where trouble is told.
    pub(crate) trouble: Arc<Trouble>,
    /// What to show it besides constant headers.
    pub(crate) credential: Option<Arc<Credential>>,
}

impl Wiring {
    /// The same for another target.
    fn to(&self, target: &Uri) -> Self {
        Self {
            upstream: self.upstream.clone(),
            lead: self.lead.to(target),
            tls: self.tls.clone(),
            connect: self.connect,
            rules: self.rules.clone(),
            trouble: Arc::clone(&self.trouble),
            credential: self.credential.clone(),
        }
    }
}

/// Wakes the upstream's background tasks before their time.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// For the health checks: an endpoint went out.
    pub(crate) health: Notify,
    /// For the resolver: an address did not answer.
    pub(crate) names: Notify,
}

/// What outlives a change of the settings: connections, counters, standing.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) pool: Pool,
    pub(crate) standing: Standing,
    in_flight: AtomicUsize,
    calls: AtomicU64,
    failures: AtomicU64,
    last_call_ms: AtomicU64,
}

impl Default for Core {
    fn default() -> Self {
        Self {
            pool: Pool::default(),
            standing: Standing::new(Instant::now()),
            in_flight: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            last_call_ms: AtomicU64::new(0),
        }
    }
}

impl Endpoint {
    pub(crate) fn new(
        id: EndpointId,
        address: SocketAddr,
        wiring: Arc<Wiring>,
        core: Arc<Core>,
    ) -> Arc<Self> {
        Arc::new(Self { id, way: Way::Address(address), wiring, core })
    }

    /// An endpoint that is reached over lines.
    pub(crate) fn on_lines(id: EndpointId, host: Arc<Host>, wiring: Arc<Wiring>) -> Arc<Self> {
        Arc::new(Self { id, way: Way::Lines(host), wiring, core: Arc::default() })
    }

    /// Its name: the URL, and the address where a host name stands for several.
    #[must_use]
    pub fn id(&self) -> &EndpointId {
        &self.id
    }

    /// Its address, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.way {
            Way::Address(address) => Some(*address),
            Way::Lines(_) => None,
        }
    }

    /// What keeps its lines, if it is reached over lines.
    #[must_use]
    pub fn host(&self) -> Option<&Arc<Host>> {
        match &self.way {
            Way::Address(_) => None,
            Way::Lines(host) => Some(host),
        }
    }

    /// Whether new work may be sent to it now. One on lines always takes it, since it is the only one
    /// of its upstream and knows best why it cannot serve.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match &self.way {
            Way::Address(_) => self.core.standing.is_usable(&self.wiring.rules),
            Way::Lines(_) => true,
        }
    }

    /// Exchanges in progress, open event streams included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.core.in_flight.load(Ordering::Relaxed)
    }

    /// Calls made, and how many of them failed, since the endpoint is known.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.core.calls.load(Ordering::Relaxed), self.core.failures.load(Ordering::Relaxed))
    }

    /// Idle connections.
    #[must_use]
    pub fn pooled(&self) -> usize {
        self.core.pool.len()
    }

    /// Sends a request to it, whatever its standing: sessions that live on it have no other place.
    pub fn send(self: &Arc<Self>, request: Outgoing, deadlines: Deadlines) -> Exchange {
        let now = Instant::now();
        let account = self.account(now);
        match &self.way {
            Way::Address(_) => Exchange::begin(account, request, deadlines, now),
            Way::Lines(host) => {
                let deadlines = host.with_time_to_start(&request, deadlines);
                Exchange::on_line(account, host.serve(request), deadlines, now)
            }
        }
    }

    /// The same instance, asked for another of its targets.
    pub(crate) fn at(&self, target: &Uri) -> Arc<Self> {
        let wiring = Arc::new(self.wiring.to(target));
        let (id, way, core) = (self.id.clone(), self.way.clone(), Arc::clone(&self.core));
        Arc::new(Self { id, way, wiring, core })
    }

    /// Opens a connection within the upstream's time for it, and within `left` if that is less.
    pub(crate) fn connect(
        self: &Arc<Self>,
        left: Option<Duration>,
    ) -> Pin<Box<dyn Future<Output = Result<Box<Link>, Cause>> + Send>> {
        let endpoint = Arc::clone(self);
        Box::pin(async move {
            let limit = endpoint.wiring.connect;
            let limit = left.map_or(limit, |left| left.min(limit));
            let opened = endpoint.open(limit).await;
            if let Err(cause) = &opened {
                endpoint.note_unreachable(cause);
            }
            opened
        })
    }

    /// Opens a connection and tells nobody how that went.
    pub(crate) async fn open(&self, limit: Duration) -> Result<Box<Link>, Cause> {
        let Way::Address(address) = self.way else {
            return Err(Cause::Unreachable(String::from("it has no address")));
        };
        let wire = Wire::open(address, self.wiring.tls.as_ref(), limit).await?;
        Ok(Link::new(wire))
    }

    fn note_unreachable(&self, cause: &Cause) {
        self.core.failures.fetch_add(1, Ordering::Relaxed);
        let was_usable = self.is_usable();
        if *cause == Cause::Refused {
            self.core.standing.refuse(&self.wiring.rules, cause);
        } else {
            self.core.standing.fail(&self.wiring.rules, cause);
        }
        self.report(was_usable);
        self.wiring.trouble.names.notify_one();
    }

    /// Tells operator and health checks when it just went out.
    fn report(&self, was_usable: bool) {
        if was_usable && !self.is_usable() {
            let why = self.core.standing.why();
            tracing::warn!(upstream = %self.wiring.upstream, endpoint = %self.id, %why, "endpoint is out");
            self.wiring.trouble.health.notify_one();
        }
    }

    /// Takes a connection back after a complete reply.
    pub(crate) fn keep(&self, link: Box<Link>) {
        self.core.pool.put(link);
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn wiring(&self) -> &Arc<Wiring> {
        &self.wiring
    }

    /// Time since the last call to it.
    pub(crate) fn unused_for(&self) -> Duration {
        let last = Duration::from_millis(self.core.last_call_ms.load(Ordering::Relaxed));
        self.core.standing.age().saturating_sub(last)
    }

    /// Counts a call in; it counts out when the last clone is dropped.
    pub(crate) fn account(self: &Arc<Self>, now: Instant) -> InFlight {
        let began_ms = self.core.standing.millis(now);
        self.core.calls.fetch_add(1, Ordering::Relaxed);
        self.core.in_flight.fetch_add(1, Ordering::Relaxed);
        self.core.last_call_ms.store(began_ms, Ordering::Relaxed);
        InFlight { endpoint: Arc::clone(self), began_ms }
    }
}

/// Counts one exchange as in flight for as long as it exists, and settles how it went.
#[derive(Debug)]
pub(crate) struct InFlight {
    endpoint: Arc<Endpoint>,
    began_ms: u64,
}

impl InFlight {
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// A reply began. A gateway error of something in front of the upstream is a failure of this
    /// endpoint; any other status is an answer.
    pub(crate) fn replied(&self, status: StatusCode) {
        let core = &self.endpoint.core;
        let rules = &self.endpoint.wiring.rules;
        if matches!(status.as_u16(), 502..=504) {
            self.count_failure(&format_args!("it answers {}", status.as_u16()));
        } else {
            core.standing.succeed(rules, self.began_ms);
        }
    }

    /// The exchange failed.
    pub(crate) fn failed(&self, error: &SendError) {
        match error {
            // A person may have taken too long, or a tool: no sign of a broken endpoint.
            SendError::Timeout(Phase::Pause | Phase::Total) => {
                self.endpoint.core.failures.fetch_add(1, Ordering::Relaxed);
            }
            SendError::NotSent(_)
            | SendError::Lost(_)
            | SendError::Invalid(_)
            | SendError::Timeout(Phase::FirstByte) => self.count_failure(error),
        }
    }

    fn count_failure(&self, why: &dyn std::fmt::Display) {
        let endpoint = &self.endpoint;
        let was_usable = endpoint.is_usable();
        endpoint.core.failures.fetch_add(1, Ordering::Relaxed);
        endpoint.core.standing.fail(&endpoint.wiring.rules, why);
        endpoint.report(was_usable);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.core.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
