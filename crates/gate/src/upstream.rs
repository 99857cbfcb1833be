//! MCP servers behind the gate, over HTTP/1.1: which there are, where their instances run, which of
//! them are fit for work, and how a request gets there and its reply back.
//!
//! Knows nothing of MCP: bytes and headers go out as they come in. Repeats no request (one closed
//! pooled connection aside), follows no redirect, trusts no certificate it was not told to trust.
//!
//! Read on in `endpoint.rs`, `exchange.rs`, `request.rs`, `reply.rs` and `fault.rs` for a call;
//! `link.rs`, `codec.rs`, `wire.rs`, `tls.rs` and `pool.rs` for its connection; `plan.rs`, `resolve.rs`, `health.rs`,
//! `balance.rs` and `status.rs` for where it goes.

mod balance;
mod chunks;
pub mod codec;
mod credential;
mod deadline;
pub mod duplex;
mod endpoint;
mod exchange;
mod fault;
mod head;
mod health;
mod link;
mod plan;
mod pool;
mod reply;
mod request;
mod resolve;
mod sse_line;
mod status;
mod stdio;
mod tls;
mod wire;

pub use credential::{CredentialError, CredentialFault};
pub use endpoint::Endpoint;
pub use exchange::{Deadlines, Exchange};
pub use fault::{Cause, Phase, SendError};
pub use head::{Head, Media, ReplyHeaders};
pub use plan::UpstreamError;
pub use reply::{Reply, ReplyBody};
pub use request::{Fields, OnBehalf, Outgoing, Whom};
pub use sse_line::SseLines;
pub use status::{EndpointState, EndpointStatus};
pub use tls::TlsError;

use crate::settings::{CredentialSettings, Transport, UpstreamSettings};
use crate::upstream::credential::Credential;
use crate::upstream::duplex::{Host, HostSettings};
use crate::upstream::endpoint::Trouble;
use crate::upstream::health::Rules;
use crate::upstream::plan::Plan;
use crate::upstream::resolve::{Seed, Table};
use crate::upstream::stdio::Processes;
use crate::upstream::tls::Material;
use arc_swap::ArcSwap;
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
use tollgate_core::principal::{CallerKey, Principal};

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
    /// What it is shown besides constant headers; tokens in it outlive changes of other settings.
    credential: Option<Arc<Credential>>,
    seeds: Vec<Seed>,
    trouble: Arc<Trouble>,
    table: ArcSwap<Table>,
    /// The instances that its lines lead to, where these are requests over HTTP.
    beneath: Option<Arc<Self>>,
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
            && same.credential.as_ref().is_none_or(|credential| credential.is_current())
        {
            return Ok(Arc::clone(same));
        }
        let rules = Rules { health: settings.health.clone(), ejection: settings.ejection };
        let trouble = Arc::new(Trouble::default());
        let credential = credential(settings, previous)?;
        let plan = Plan { settings, rules: &rules, trouble: &trouble, credential: &credential };
        let beneath = match &settings.transport {
            Transport::Sse => {
                let previous = previous.and_then(|previous| previous.beneath.as_ref());
                let plain = UpstreamSettings { transport: Transport::Http, ..settings.clone() };
                Some(Self::build(&plain, previous)?)
            }
            Transport::Http | Transport::Stdio(_) => None,
        };
        if let Some((kind, host)) = host(settings, beneath.as_ref()) {
            let id = EndpointId::from(format!("{kind}:{}", settings.name));
            let only = Endpoint::on_lines(id, host, plan.lines());
            let table = Table { active: vec![only], ..Table::default() };
            return Ok(Arc::new(Self {
                settings: settings.clone(),
                material,
                rules,
                credential,
                seeds: Vec::new(),
                trouble,
                table: ArcSwap::from_pointee(table),
                beneath,
                resolved: watch::Sender::new(true),
                tasks: Mutex::new(Vec::new()),
            }));
        }
        let seeds = plan.seeds(material.as_ref())?;
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
            credential,
            seeds,
            trouble,
            table: ArcSwap::from_pointee(table),
            beneath: None,
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

    /// Whether it has a token for each principal, so that it must be known who a request is for.
    #[must_use]
    pub const fn tells_principals_apart(&self) -> bool {
        matches!(self.settings.credential, CredentialSettings::Exchange(_))
    }

    /// Whom a request to it is made for, said as precisely as it matters there.
    #[must_use]
    pub fn on_behalf(&self, caller: CallerKey, principal: &Principal) -> OnBehalf {
        if self.tells_principals_apart() {
            OnBehalf::principal(caller, principal)
        } else {
            OnBehalf::caller_only(caller)
        }
    }

    /// The same for what the gate wants to know for all, which only an upstream that knows
    /// principals has to be asked for one of them.
    #[must_use]
    pub fn on_behalf_if_known(&self, caller: CallerKey, principal: &Principal) -> Option<OnBehalf> {
        self.tells_principals_apart().then(|| OnBehalf::principal(caller, principal))
    }

    /// How long it may take to be there at all, where it has to be started.
    #[must_use]
    pub fn start_time(&self) -> Duration {
        match &self.settings.transport {
            Transport::Stdio(stdio) => stdio.start,
            Transport::Http | Transport::Sse => Duration::ZERO,
        }
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
        let of_names = self.beneath.as_deref().unwrap_or(self);
        let mut resolved = of_names.resolved.subscribe();
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
        let beneath = self.beneath.iter().flat_map(|beneath| beneath.status());
        active.chain(retired).chain(unresolved).chain(beneath).collect()
    }

    /// Ends what it runs: child processes, if it has any. Waits until they are gone, at most for
    /// `limit`; false if some are left. No others are started.
    pub async fn close(&self, limit: Duration) -> bool {
        let table = self.table.load_full();
        let hosts = table.active.iter().filter_map(|endpoint| endpoint.host());
        let closed = futures_util::future::join_all(hosts.map(|host| host.close(limit))).await;
        closed.into_iter().all(|is_closed| is_closed)
    }

    /// Another configuration is in force: what it runs ends behind the calls in progress, also where
    /// open streams still know it.
    pub(crate) fn leave(&self) {
        for host in self.table.load().active.iter().filter_map(|endpoint| endpoint.host()) {
            host.leave();
        }
    }

    /// Starts health checks, resolution and the reaper of idle connections. They end when the
    /// upstream is dropped. Does nothing the second time.
    pub fn start_background(self: &Arc<Self>) {
        if let Some(beneath) = &self.beneath {
            return beneath.start_background();
        }
        let mut tasks = self.tasks.lock();
        // What is on lines has nothing to be probed, resolved or reaped: its host sees to itself.
        let is_on_lines = self.table.load().active.iter().any(|one| one.host().is_some());
        if !tasks.is_empty() || is_on_lines {
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

/// What keeps the lines of an upstream that is reached over lines, and of which kind they are.
fn host(
    settings: &UpstreamSettings,
    beneath: Option<&Arc<Upstream>>,
) -> Option<(&'static str, Arc<Host>)> {
    let name = settings.name.clone();
    match (&settings.transport, beneath) {
        (Transport::Stdio(stdio), _) => {
            let processes = Processes::new(name.clone(), (**stdio).clone());
            Some(("stdio", Host::new(name, processes, HostSettings::of(stdio))))
        }
        (_, Some(beneath)) => {
            let lines = Arc::new(SseLines::new(Arc::clone(beneath)));
            Some(("sse", Host::new(name, lines, SseLines::shared(settings))))
        }
        (_, None) => None,
    }
}

/// The credential of an upstream; the one it had, if nothing about that changed.
fn credential(
    settings: &UpstreamSettings,
    previous: Option<&Arc<Upstream>>,
) -> Result<Option<Arc<Credential>>, UpstreamError> {
    // New also where its transport or headers changed: they are judged together.
    let same = previous.filter(|old| {
        let (old, old_credential, new) = (&old.settings, &old.credential, settings);
        let is_alike = old.transport == new.transport && old.headers == new.headers;
        is_alike
            && old.credential == new.credential
            && old_credential.as_ref().is_none_or(|credential| credential.is_current())
    });
    if let Some(same) = same {
        return Ok(same.credential.clone());
    }
    Credential::new(settings)
        .map_err(|source| UpstreamError::Credential { upstream: settings.name.clone(), source })
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
