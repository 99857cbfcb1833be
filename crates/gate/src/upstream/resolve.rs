//! From endpoint URLs to addresses, at the start and again and again.
//!
//! Each address of a host name is an endpoint of its own. The last good answer stays while
//! resolving fails. An address that left DNS is retired: no new sessions, but those it has stay
//! reachable until they have been silent for a session's idle time.
//!
//! Next: `upstream.rs` owns the [`Table`].

use crate::upstream::Upstream;
use crate::upstream::endpoint::{Core, Endpoint, Trouble, Wiring};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::{
    SESSION_IDLE_SECS, UPSTREAM_ADDRESSES_MAX, UPSTREAM_RESOLVE_GAP_MILLIS, UPSTREAM_RESOLVE_SECS,
    UPSTREAM_RETIRED_MAX,
};
use tollgate_core::ids::EndpointId;
use url::{Host, Url};

/// One configured endpoint URL.
#[derive(Debug)]
pub(crate) struct Seed {
    pub(crate) url: Url,
    pub(crate) port: u16,
    pub(crate) wiring: Arc<Wiring>,
}

impl Seed {
    /// The address, where the URL has one instead of a name.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        let ip = match self.url.host()? {
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip),
            Host::Domain(_) => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }

    /// The id of the endpoint at `address`.
    pub(crate) fn id(&self, address: SocketAddr) -> EndpointId {
        match self.literal() {
            Some(_) => EndpointId::from(self.url.as_str()),
            None => EndpointId::from(format!("{}@{}", self.url, address.ip())),
        }
    }

    fn owns(&self, endpoint: &Endpoint) -> bool {
        endpoint.address().is_some_and(|address| self.id(address) == *endpoint.id())
    }

    /// Asks the system's resolver.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let host = self.url.host_str().unwrap_or_default();
        let limit = Duration::from_secs(UPSTREAM_RESOLVE_SECS);
        let asking = tokio::net::lookup_host((host, self.port));
        let found = match tokio::time::timeout(limit, asking).await {
            Ok(Ok(found)) => found.take(UPSTREAM_ADDRESSES_MAX).collect::<Vec<_>>(),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(String::from("the resolver did not answer in time")),
        };
        if found.is_empty() { Err(String::from("the name has no address")) } else { Ok(found) }
    }
}

/// The endpoints of an upstream at one moment. Replaced whole, read without a lock.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// In the order of the configuration.
    pub(crate) active: Vec<Arc<Endpoint>>,
    /// Gone from DNS, kept for their sessions; the oldest first.
    pub(crate) retired: Vec<Arc<Endpoint>>,
    /// Names without any address, and why.
    pub(crate) unresolved: Vec<(EndpointId, String)>,
}

impl Table {
    /// Finds an endpoint, retired or not.
    pub(crate) fn find(&self, id: &EndpointId) -> Option<&Arc<Endpoint>> {
        self.active.iter().chain(&self.retired).find(|endpoint| endpoint.id() == id)
    }

    /// The active endpoints that came from `seed`, under these settings or older ones.
    fn of<'a>(&'a self, seed: &'a Seed) -> impl Iterator<Item = &'a Arc<Endpoint>> {
        self.active.iter().filter(|endpoint| seed.owns(endpoint))
    }

    /// The table after new answers; `answers` has one for each seed.
    pub(crate) fn next(
        &self,
        seeds: &[Seed],
        answers: Vec<Result<Vec<SocketAddr>, String>>,
    ) -> Self {
        let mut table = Self::default();
        for (seed, answer) in seeds.iter().zip(answers) {
            let addresses = match answer {
                Ok(addresses) => addresses,
                Err(why) => {
                    let last_good: Vec<_> =
                        self.of(seed).filter_map(|known| known.address()).collect();
                    if last_good.is_empty() {
                        table.unresolved.push((EndpointId::from(seed.url.as_str()), why));
                    }
                    last_good
                }
            };
            for address in addresses {
                let id = seed.id(address);
                if table.find(&id).is_none() {
                    table.active.push(self.endpoint(seed, id, address));
                }
            }
        }
        table.retired = self.retire(&table.active, seeds);
        table
    }

    /// The known endpoint of that id, or a new one.
    fn endpoint(&self, seed: &Seed, id: EndpointId, address: SocketAddr) -> Arc<Endpoint> {
        let known = self.find(&id);
        if let Some(same) = known.filter(|known| Arc::ptr_eq(known.wiring(), &seed.wiring)) {
            return Arc::clone(same);
        }
        // Known under older settings: connections, counters and standing stay.
        let core =
            known.map_or_else(|| Arc::new(Core::default()), |known| Arc::clone(known.core()));
        Endpoint::new(id, address, Arc::clone(&seed.wiring), core)
    }

    /// Those that are not active any more, but whose URL is still configured. What the operator
    /// removed gets no more traffic.
    fn retire(&self, active: &[Arc<Endpoint>], seeds: &[Seed]) -> Vec<Arc<Endpoint>> {
        let idle = Duration::from_secs(SESSION_IDLE_SECS);
        let gone = |endpoint: &&Arc<Endpoint>| {
            !active.iter().any(|stays| stays.id() == endpoint.id())
                && (endpoint.in_flight() > 0 || endpoint.unused_for() < idle)
        };
        let kept = |endpoint: &Arc<Endpoint>| {
            let seed = seeds.iter().find(|seed| seed.owns(endpoint))?;
            Some(self.endpoint(seed, endpoint.id().clone(), endpoint.address()?))
        };
        let known = self.retired.iter().chain(&self.active);
        let mut retired: Vec<_> = known.filter(gone).filter_map(kept).collect();
        let surplus = retired.len().saturating_sub(UPSTREAM_RETIRED_MAX);
        retired.drain(..surplus);
        retired
    }
}

/// Resolves the names of an upstream until it is dropped.
pub(crate) async fn watch(upstream: Weak<Upstream>, every: Duration, trouble: Arc<Trouble>) {
    let gap = Duration::from_millis(UPSTREAM_RESOLVE_GAP_MILLIS);
    loop {
        let Some(strong) = upstream.upgrade() else { return };
        let begun = Instant::now();
        let answers =
            futures_util::future::join_all(strong.seeds().iter().map(|seed| async move {
                match seed.literal() {
                    Some(address) => Ok(vec![address]),
                    None => seed.resolve().await,
                }
            }))
            .await;
        for (seed, answer) in strong.seeds().iter().zip(&answers) {
            if let Err(why) = answer {
                tracing::warn!(upstream = %strong.name(), url = %seed.url, %why, "cannot resolve; the last answer stays");
            }
        }
        let failed = answers.iter().any(Result::is_err);
        strong.adopt(answers);
        drop(strong);
        let wait = if failed { every.min(gap * 5) } else { every };
        tokio::select! {
            () = tokio::time::sleep_until(begun + wait.max(gap)) => {}
            // An address did not answer: perhaps the name has moved. The sleep is forgotten.
            () = trouble.names.notified() => tokio::time::sleep_until(begun + gap).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Seed, Table};
    use crate::settings::{EjectionSettings, HealthSettings, Probe};
    use crate::upstream::endpoint::{Trouble, Wiring};
    use crate::upstream::health::Rules;
    use crate::upstream::request::Lead;
    use http::{HeaderValue, Uri};
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    fn seed() -> Seed {
        let health = HealthSettings {
            probe: Probe::Connect,
            every: Duration::ZERO,
            timeout: Duration::ZERO,
            unhealthy_after: 1,
            healthy_after: 1,
        };
        let wiring = Wiring {
            upstream: "u".into(),
            lead: Lead::new(&Uri::from_static("/mcp"), &HeaderValue::from_static("name"), &[]),
            tls: None,
            connect: Duration::ZERO,
            rules: Rules { health, ejection: EjectionSettings { after: 0, span: Duration::ZERO } },
            trouble: Arc::new(Trouble::default()),
            credential: None,
        };
        Seed { url: "http://name/mcp".parse().unwrap(), port: 80, wiring: Arc::new(wiring) }
    }

    fn after(table: &Table, answer: Result<&[&str], &str>) -> Table {
        let parse = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), 80);
        let answer = answer.map(|ips| ips.iter().map(parse).collect()).map_err(str::to_owned);
        table.next(&[seed()], vec![answer])
    }

    fn shown(table: &Table) -> (Vec<&str>, Vec<&str>, usize) {
        let active = table.active.iter().map(|endpoint| endpoint.id().as_str()).collect();
        let retired = table.retired.iter().map(|endpoint| endpoint.id().as_str()).collect();
        (active, retired, table.unresolved.len())
    }

    const ONE: &str = "http://name/mcp@10.0.0.1";
    const TWO: &str = "http://name/mcp@10.0.0.2";

    #[test]
    fn name_without_answer_is_unresolved_and_the_last_good_answer_stays() {
        let none = after(&Table::default(), Err("NXDOMAIN"));
        assert_eq!(shown(&none), (vec![], vec![], 1));
        let some = after(&none, Ok(&["10.0.0.1", "10.0.0.2", "10.0.0.1"]));
        assert_eq!(shown(&some), (vec![ONE, TWO], vec![], 0));
        assert_eq!(shown(&after(&some, Err("SERVFAIL"))), (vec![ONE, TWO], vec![], 0));
    }

    #[test]
    fn address_that_left_is_retired_and_returns_with_its_state() {
        let first = after(&Table::default(), Ok(&["10.0.0.1", "10.0.0.2"]));
        let second = after(&first, Ok(&["10.0.0.2"]));
        assert_eq!(shown(&second), (vec![TWO], vec![ONE], 0));
        let third = after(&second, Ok(&["10.0.0.1"]));
        assert_eq!(shown(&third), (vec![ONE], vec![TWO], 0));
        assert!(Arc::ptr_eq(third.active[0].core(), first.active[0].core()));
    }

    #[test]
    fn retired_endpoints_are_bounded() {
        let mut table = Table::default();
        for n in 0..100 {
            table = after(&table, Ok(&[&format!("10.0.1.{n}")]));
        }
        assert_eq!(table.retired.len(), super::UPSTREAM_RETIRED_MAX);
    }
}
