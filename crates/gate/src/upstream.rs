//! MCP servers behind the gate, over HTTP/1.1: which there are, where their instances run, which of
//! them are fit for work, and how a request gets there and its reply back.
//!
//! Knows nothing of MCP: bytes and headers go out as they come in. Repeats no request (one closed
//! pooled connection aside), follows no redirect, trusts no certificate it was not told to trust.
//!
//! Read on in `endpoint.rs` and `exchange.rs` for a call; `link.rs`, `relay.rs`, `wire.rs`, `tls.rs`
//! and `pool.rs` for its connection; `balance.rs`, `health.rs` and `resolve.rs` for where it goes.

mod balance;
mod endpoint;
mod exchange;
mod health;
mod link;
mod pool;
mod relay;
mod resolve;
mod tls;
mod wire;

pub use endpoint::{Endpoint, Outgoing};
pub use exchange::{Cause, Deadlines, Exchange, Phase, Reply, ReplyBody, SendError};
pub use tls::TlsError;

use crate::settings::UpstreamSettings;
use crate::upstream::endpoint::{Trouble, Wiring};
use crate::upstream::health::{Rules, Stand};
use crate::upstream::resolve::{Seed, Table};
use crate::upstream::tls::{Dial, Material};
use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue, Uri};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tollgate_core::bounds::UPSTREAM_POOL_IDLE_MILLIS;
use tollgate_core::ids::{EndpointId, UpstreamName};
use url::Url;

/// Why the upstreams of a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// An endpoint URL is not one we can call.
    #[error("upstream `{upstream}`: the endpoint `{url}` {why}")]
    Url {
        /// Of which upstream.
        upstream: UpstreamName,
        /// The URL, without credentials.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It has no endpoint.
    #[error("upstream `{0}` has no endpoint")]
    NoEndpoint(UpstreamName),
    /// A configured header cannot be sent.
    #[error("upstream `{upstream}`: the header `{header}` {why}")]
    Header {
        /// Of which upstream.
        upstream: UpstreamName,
        /// Its name. Its value is a secret.
        header: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The path of the health check cannot be asked for.
    #[error("upstream `{upstream}`: the health check's path `{path}` is not a path")]
    HealthPath {
        /// Of which upstream.
        upstream: UpstreamName,
        /// The path.
        path: String,
    },
    /// TLS cannot be set up.
    #[error("upstream `{upstream}`: {source}")]
    Tls {
        /// Of which upstream.
        upstream: UpstreamName,
        /// Why.
        source: TlsError,
    },
}

/// All upstreams of one configuration.
#[derive(Debug, Default)]
pub struct Upstreams {
    by_name: HashMap<UpstreamName, Arc<Upstream>>,
}

impl Upstreams {
    /// Makes the upstreams of a configuration. Those that `previous` has with the same settings
    /// stay as they are; of the others, endpoints that are still configured keep their state.
    pub fn build(
        settings: &[UpstreamSettings],
        previous: Option<&Self>,
    ) -> Result<Arc<Self>, UpstreamError> {
        let mut by_name = HashMap::with_capacity(settings.len());
        for one in settings {
            let old = previous.and_then(|previous| previous.get(&one.name));
            by_name.insert(one.name.clone(), Upstream::build(one, old)?);
        }
        Ok(Arc::new(Self { by_name }))
    }

    /// The upstream of that name.
    #[must_use]
    pub fn get(&self, name: &UpstreamName) -> Option<&Arc<Upstream>> {
        self.by_name.get(name)
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.by_name.values()
    }
}

/// One MCP server and its instances.
#[derive(Debug)]
pub struct Upstream {
    settings: UpstreamSettings,
    material: Option<Material>,
    rules: Rules,
    seeds: Vec<Seed>,
    trouble: Arc<Trouble>,
    table: ArcSwap<Table>,
    resolved: watch::Sender<bool>,
    // Filled once. Dropping the upstream ends them.
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Upstream {
    fn build(
        settings: &UpstreamSettings,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, UpstreamError> {
        let tls_error = |source| UpstreamError::Tls { upstream: settings.name.clone(), source };
        let secure = settings.endpoints.iter().any(|url| url.scheme() == "https");
        let material =
            secure.then(|| Material::read(&settings.tls)).transpose().map_err(tls_error)?;
        if let Some(same) = previous
            && same.settings == *settings
            && same.material == material
        {
            return Ok(Arc::clone(same));
        }
        let rules = Rules { health: settings.health.clone(), ejection: settings.ejection };
        let trouble = Arc::new(Trouble::default());
        let seeds = Plan { settings, rules: &rules, trouble: &trouble }.seeds(material.as_ref())?;
        // Connections made under other TLS settings must not be used under these.
        let known = previous
            .filter(|old| old.material == material && old.settings.tls == settings.tls)
            .map(|old| old.table.load_full())
            .unwrap_or_default();
        let (table, resolved) = first_table(&seeds, &known);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            material,
            rules,
            seeds,
            trouble,
            table: ArcSwap::from_pointee(table),
            resolved: watch::Sender::new(resolved),
            tasks: Mutex::new(Vec::new()),
        }))
    }

    /// The operator's name for it.
    #[must_use]
    pub fn name(&self) -> &UpstreamName {
        &self.settings.name
    }

    /// What it was made from.
    #[must_use]
    pub fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// The endpoint for a call that is not pinned: the less loaded of two usable ones. `None`, at
    /// once, if none is usable.
    #[must_use]
    pub fn pick(&self) -> Option<Arc<Endpoint>> {
        balance::pick(&self.table.load().active)
    }

    /// The endpoint of that id, whatever its standing, if it is known at all.
    #[must_use]
    pub fn endpoint(&self, id: &EndpointId) -> Option<Arc<Endpoint>> {
        self.table.load().find(id).cloned()
    }

    /// Waits until its host names have been resolved for the first time, at most for `limit`.
    /// False if that did not happen.
    pub async fn ready(&self, limit: Duration) -> bool {
        let mut resolved = self.resolved.subscribe();
        let waiting = resolved.wait_for(|done| *done);
        matches!(tokio::time::timeout(limit, waiting).await, Ok(Ok(_)))
    }

    /// Where each endpoint stands, and why.
    #[must_use]
    pub fn status(&self) -> Vec<EndpointStatus> {
        let table = self.table.load();
        let active = table.active.iter().map(|endpoint| EndpointStatus::of(endpoint, false));
        let retired = table.retired.iter().map(|endpoint| EndpointStatus::of(endpoint, true));
        let unresolved =
            table.unresolved.iter().map(|(id, why)| EndpointStatus::unresolved(id, why));
        active.chain(retired).chain(unresolved).collect()
    }

    /// Starts health checks, resolution and the reaper of idle connections. They end when the
    /// upstream is dropped. Does nothing the second time.
    pub fn start_background(self: &Arc<Self>) {
        let mut tasks = self.tasks.lock();
        if !tasks.is_empty() {
            return;
        }
        let weak = || Arc::downgrade(self);
        let trouble = || Arc::clone(&self.trouble);
        tasks.push(AbortOnDropHandle::new(tokio::spawn(reap(weak()))));
        if !self.settings.health.every.is_zero() {
            let watching = health::watch(weak(), self.rules.clone(), trouble());
            tasks.push(AbortOnDropHandle::new(tokio::spawn(watching)));
        }
        if self.seeds.iter().any(|seed| seed.literal().is_none()) {
            let watching = resolve::watch(weak(), self.settings.resolve_every, trouble());
            tasks.push(AbortOnDropHandle::new(tokio::spawn(watching)));
        }
    }

    pub(crate) fn active(&self) -> Vec<Arc<Endpoint>> {
        self.table.load().active.clone()
    }

    pub(crate) fn seeds(&self) -> &[Seed] {
        &self.seeds
    }

    /// Takes the answers of a resolution. Only the one task that resolves calls it.
    pub(crate) fn adopt(&self, answers: Vec<Result<Vec<SocketAddr>, String>>) {
        let next = self.table.load().next(&self.seeds, answers);
        let found = !next.active.is_empty();
        self.table.store(Arc::new(next));
        if found {
            self.resolved.send_replace(true);
        }
    }
}

/// The endpoints known without asking DNS: literal addresses, and what `known` has of the names.
/// And whether that is all it takes.
fn first_table(seeds: &[Seed], known: &Table) -> (Table, bool) {
    let answers = seeds
        .iter()
        .map(|seed| match seed.literal() {
            Some(address) => Ok(vec![address]),
            None => Err(String::from("not resolved yet")),
        })
        .collect();
    let table = known.next(seeds, answers);
    let resolved = table.unresolved.is_empty();
    (table, resolved)
}

/// Closes idle connections of endpoints that have nothing to do any more; busy ones drop theirs
/// at checkout.
async fn reap(upstream: Weak<Upstream>) {
    loop {
        tokio::time::sleep(Duration::from_millis(UPSTREAM_POOL_IDLE_MILLIS)).await;
        let Some(upstream) = upstream.upgrade() else { return };
        let (table, now) = (upstream.table.load(), Instant::now());
        for endpoint in table.active.iter().chain(&table.retired) {
            endpoint.core().pool.reap(now);
        }
    }
}

/// What is needed to wire the endpoint URLs of one upstream.
struct Plan<'a> {
    settings: &'a UpstreamSettings,
    rules: &'a Rules,
    trouble: &'a Arc<Trouble>,
}

impl Plan<'_> {
    fn seeds(&self, material: Option<&Material>) -> Result<Vec<Seed>, UpstreamError> {
        if self.settings.endpoints.is_empty() {
            return Err(UpstreamError::NoEndpoint(self.settings.name.clone()));
        }
        let config = material.map(Material::config).transpose().map_err(|e| self.tls(e))?;
        let headers = self.headers()?;
        self.check_health_path()?;
        let wire = |url: &Url| {
            let (port, host) = (self.port(url)?, url.host_str().unwrap_or_default());
            let name = self.settings.tls.server_name.as_deref().unwrap_or(bare(host));
            let dial = match &config {
                Some(config) if url.scheme() == "https" => {
                    Some(Dial::new(Arc::clone(config), name).map_err(|e| self.tls(e))?)
                }
                _ => None,
            };
            let wiring = Wiring {
                upstream: self.settings.name.clone(),
                target: self.target(url)?,
                host: self.host(url)?,
                headers: headers.clone(),
                tls: dial,
                connect: self.settings.timeouts.connect,
                rules: self.rules.clone(),
                trouble: Arc::clone(self.trouble),
            };
            Ok(Seed { url: url.clone(), port, wiring: Arc::new(wiring) })
        };
        self.settings.endpoints.iter().map(wire).collect()
    }

    fn tls(&self, source: TlsError) -> UpstreamError {
        UpstreamError::Tls { upstream: self.settings.name.clone(), source }
    }

    fn url(&self, url: &Url, why: &'static str) -> UpstreamError {
        let mut shown = url.clone();
        // Neither can fail on a URL that has a host, and one without has no credentials.
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
        UpstreamError::Url { upstream: self.settings.name.clone(), url: shown.to_string(), why }
    }

    fn port(&self, url: &Url) -> Result<u16, UpstreamError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.url(url, "is neither `http` nor `https`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.url(url, "carries credentials; put them into a header"));
        }
        url.port_or_known_default().ok_or_else(|| self.url(url, "has no port"))
    }

    fn target(&self, url: &Url) -> Result<Uri, UpstreamError> {
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", url.path())
            .parse()
            .map_err(|_| self.url(url, "has a path that HTTP cannot carry"))
    }

    fn host(&self, url: &Url) -> Result<HeaderValue, UpstreamError> {
        let host = url.host_str().unwrap_or_default();
        let text = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        HeaderValue::from_str(&text).map_err(|_| self.url(url, "has a host that HTTP cannot carry"))
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamError> {
        let parse = |(name, secret): &(String, tollgate_core::ids::Secret<String>)| {
            let wrong = |why| UpstreamError::Header {
                upstream: self.settings.name.clone(),
                header: name.clone(),
                why,
            };
            let parsed: HeaderName =
                name.parse().map_err(|_| wrong("has a name that HTTP cannot carry"))?;
            if is_ours(&parsed) {
                return Err(wrong("is set by the gate itself"));
            }
            let mut value = HeaderValue::from_str(secret.expose())
                .map_err(|_| wrong("has a value that HTTP cannot carry"))?;
            value.set_sensitive(true);
            Ok((parsed, value))
        };
        self.settings.headers.iter().map(parse).collect()
    }

    fn check_health_path(&self) -> Result<(), UpstreamError> {
        let crate::settings::Probe::Http(path) = &self.settings.health.probe else { return Ok(()) };
        if path.starts_with('/') && path.parse::<Uri>().is_ok() {
            return Ok(());
        }
        Err(UpstreamError::HealthPath { upstream: self.settings.name.clone(), path: path.clone() })
    }
}

/// Headers that frame the message or belong to the connection.
fn is_ours(name: &HeaderName) -> bool {
    use http::header;
    [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
    ]
    .contains(name)
}

/// An IPv6 address without the brackets of URLs.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

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
    fn of(endpoint: &Endpoint, is_retired: bool) -> Self {
        let standing = &endpoint.core().standing;
        let (stand, since) = standing.stand();
        let state = match stand {
            _ if is_retired => EndpointState::Retired,
            Stand::In => EndpointState::Healthy,
            Stand::Ejected => EndpointState::Ejected,
            Stand::Unhealthy => EndpointState::Unhealthy,
        };
        let (calls, failures) = endpoint.counts();
        Self {
            id: endpoint.id().clone(),
            address: Some(endpoint.address()),
            state,
            why: standing.why(),
            since,
            in_flight: endpoint.in_flight(),
            calls,
            failures,
            pooled: endpoint.pooled(),
        }
    }

    fn unresolved(id: &EndpointId, why: &str) -> Self {
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
        }
    }
}
