//! Whether an endpoint gets new work: what its calls tell, and what asking it tells.
//!
//! Passive: a refused connection takes an endpoint out at once, failed calls in a row eject it for
//! a while. Active: every endpoint is probed, and one that is out for its health comes back only
//! when probes succeed. Probes never speak MCP, so they leave no session behind.
//!
//! Next: `balance.rs` asks [`Standing`]; `endpoint.rs` tells it how calls went.

use crate::settings::{EjectionSettings, HealthSettings, Probe};
use crate::upstream::Upstream;
use crate::upstream::balance::random;
use crate::upstream::deadline::Due;
use crate::upstream::endpoint::{Endpoint, Trouble};
use crate::upstream::request::{Fields, Outgoing};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Method, Uri, header};
use parking_lot::Mutex;
use std::fmt::Display;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::UPSTREAM_PROBE_AGAIN_MILLIS;

/// While one call tries out an endpoint that was out, others leave it alone for so long.
const TRIAL_MILLIS: u64 = 1_000;
const AGAIN: Duration = Duration::from_millis(UPSTREAM_PROBE_AGAIN_MILLIS);

/// When an endpoint is in or out.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Active checks.
    pub(crate) health: HealthSettings,
    /// Passive ejection.
    pub(crate) ejection: EjectionSettings,
}

impl Rules {
    fn has_checks(&self) -> bool {
        !self.health.every.is_zero()
    }

    fn span_ms(&self) -> u64 {
        u64::try_from(self.ejection.span.as_millis()).unwrap_or(u64::MAX)
    }
}

const IN: u8 = 0;
const EJECTED: u8 = 1;
const UNHEALTHY: u8 = 2;

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    In,
    Ejected,
    Unhealthy,
}

/// Where an endpoint stands, and the counts that decide it. Read on every call without a lock.
#[derive(Debug)]
pub(crate) struct Standing {
    born: Instant,
    state: AtomicU8,
    /// When an endpoint that is out may be tried again.
    until_ms: AtomicU64,
    since_ms: AtomicU64,
    failed_in_row: AtomicU32,
    probes_good: AtomicU32,
    probes_bad: AtomicU32,
    // Written on transitions only, which are rare; read by the status page.
    why: Mutex<String>,
}

impl Standing {
    /// In, until proven otherwise: waiting for the first probe would delay the start.
    pub(crate) fn new(born: Instant) -> Self {
        Self {
            born,
            state: AtomicU8::new(IN),
            until_ms: AtomicU64::new(0),
            since_ms: AtomicU64::new(0),
            failed_in_row: AtomicU32::new(0),
            probes_good: AtomicU32::new(0),
            probes_bad: AtomicU32::new(0),
            why: Mutex::new(String::from("not contradicted yet")),
        }
    }

    /// Milliseconds of `now` on this endpoint's own clock.
    pub(crate) fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    /// Time since it is known.
    pub(crate) fn age(&self) -> Duration {
        Instant::now().saturating_duration_since(self.born)
    }

    /// How it stands, and for how long.
    pub(crate) fn stand(&self) -> (Stand, Duration) {
        let stand = match self.state.load(Ordering::Acquire) {
            EJECTED => Stand::Ejected,
            UNHEALTHY => Stand::Unhealthy,
            _ => Stand::In,
        };
        let since = Duration::from_millis(self.since_ms.load(Ordering::Relaxed));
        (stand, self.age().saturating_sub(since))
    }

    /// Why it stands so.
    pub(crate) fn why(&self) -> String {
        self.why.lock().clone()
    }

    /// Whether new work may be sent to it.
    pub(crate) fn is_usable(&self, rules: &Rules) -> bool {
        match self.state.load(Ordering::Acquire) {
            IN => true,
            UNHEALTHY if rules.has_checks() => false,
            _ => self.millis(Instant::now()) >= self.until_ms.load(Ordering::Acquire),
        }
    }

    /// Lets a call in. Of an endpoint whose time out is over, one call at a time tries it.
    pub(crate) fn admit(&self, rules: &Rules) -> bool {
        let state = self.state.load(Ordering::Acquire);
        if state == IN {
            return true;
        }
        let until = self.until_ms.load(Ordering::Acquire);
        let now = self.millis(Instant::now());
        let over = now >= until && !(state == UNHEALTHY && rules.has_checks());
        over && self
            .until_ms
            .compare_exchange(until, now + TRIAL_MILLIS, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// A call was answered that began at `began_ms`.
    pub(crate) fn succeed(&self, rules: &Rules, began_ms: u64) {
        if self.failed_in_row.load(Ordering::Relaxed) != 0 {
            self.failed_in_row.store(0, Ordering::Relaxed);
        }
        let lifts = match self.state.load(Ordering::Acquire) {
            IN => false,
            // A draining instance still answers what it took before it closed its port.
            UNHEALTHY if rules.has_checks() => false,
            _ => began_ms >= self.since_ms.load(Ordering::Relaxed),
        };
        if lifts {
            self.turn(IN, 0, &"a call succeeded");
        }
    }

    /// A call failed.
    pub(crate) fn fail(&self, rules: &Rules, why: &dyn Display) {
        let in_row = self.failed_in_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let until = self.millis(Instant::now()).saturating_add(rules.span_ms());
        match self.state.load(Ordering::Acquire) {
            IN if rules.ejection.after > 0 && in_row >= rules.ejection.after => {
                self.turn(EJECTED, until, &format_args!("{in_row} calls failed in a row: {why}"));
            }
            IN => {}
            // The trial failed: out for another span.
            _ => self.until_ms.store(until, Ordering::Release),
        }
    }

    /// Its port is closed: there is nobody to send to.
    pub(crate) fn refuse(&self, rules: &Rules, why: &dyn Display) {
        self.failed_in_row.fetch_add(1, Ordering::Relaxed);
        self.probes_good.store(0, Ordering::Relaxed);
        let until = self.millis(Instant::now()).saturating_add(rules.span_ms());
        if self.state.load(Ordering::Acquire) == UNHEALTHY {
            self.until_ms.store(until, Ordering::Release);
        } else {
            self.turn(UNHEALTHY, until, why);
        }
    }

    /// A probe came back; true if that changed where it stands.
    pub(crate) fn probed(&self, rules: &Rules, outcome: Result<(), String>) -> bool {
        let bump = |up: &AtomicU32, down: &AtomicU32| {
            down.store(0, Ordering::Relaxed);
            up.fetch_add(1, Ordering::Relaxed).saturating_add(1)
        };
        let unhealthy = self.state.load(Ordering::Acquire) == UNHEALTHY;
        match outcome {
            Ok(()) => {
                let good = bump(&self.probes_good, &self.probes_bad);
                let back = unhealthy && good >= rules.health.healthy_after;
                if back {
                    self.failed_in_row.store(0, Ordering::Relaxed);
                    self.turn(IN, 0, &format_args!("{good} health checks succeeded in a row"));
                }
                back
            }
            Err(why) => {
                let bad = bump(&self.probes_bad, &self.probes_good);
                let out = !unhealthy && bad >= rules.health.unhealthy_after;
                if out {
                    // The span matters only if a reload turns the checks off.
                    self.turn(
                        UNHEALTHY,
                        self.millis(Instant::now()).saturating_add(rules.span_ms()),
                        &format_args!("{bad} health checks failed in a row: {why}"),
                    );
                }
                out
            }
        }
    }

    fn turn(&self, state: u8, until_ms: u64, why: &dyn Display) {
        let mut text = self.why.lock();
        *text = why.to_string();
        self.since_ms.store(self.millis(Instant::now()), Ordering::Relaxed);
        self.until_ms.store(until_ms, Ordering::Release);
        self.state.store(state, Ordering::Release);
    }
}

/// Probes the endpoints of an upstream until it is dropped.
pub(crate) async fn watch(upstream: Weak<Upstream>, rules: Rules, trouble: Arc<Trouble>) {
    let every = rules.health.every;
    // The first round comes at a random moment, so that many gates do not probe in step.
    let mut wait = spread(every);
    let mut all_at = Instant::now() + wait;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // An endpoint went out: look again soon. The unfinished sleep is forgotten.
            () = trouble.health.notified() => tokio::time::sleep(AGAIN.min(every)).await,
        }
        let now = Instant::now();
        let everyone = now >= all_at;
        if everyone {
            all_at = now + every;
        }
        let Some(upstream) = upstream.upgrade() else { return };
        let out = round(&upstream.active(), &rules, everyone).await;
        wait = if out { AGAIN.min(every) } else { all_at.saturating_duration_since(now) };
    }
}

/// Probes all endpoints, or only those that are out. True if one is out now.
async fn round(endpoints: &[Arc<Endpoint>], rules: &Rules, everyone: bool) -> bool {
    let is_out = |endpoint: &Endpoint| endpoint.core().standing.stand().0 == Stand::Unhealthy;
    let due = endpoints.iter().filter(|endpoint| everyone || is_out(endpoint));
    join_all(due.map(|endpoint| async move {
        let outcome = probe(endpoint, &rules.health).await;
        let standing = &endpoint.core().standing;
        if standing.probed(rules, outcome) {
            let (upstream, why) = (&endpoint.wiring().upstream, standing.why());
            match standing.stand().0 {
                Stand::In => {
                    tracing::info!(%upstream, endpoint = %endpoint.id(), %why, "endpoint is back");
                }
                Stand::Ejected | Stand::Unhealthy => {
                    tracing::warn!(%upstream, endpoint = %endpoint.id(), %why, "endpoint is out");
                }
            }
        }
    }))
    .await;
    endpoints.iter().any(|endpoint| is_out(endpoint))
}

fn spread(every: Duration) -> Duration {
    let part = u32::try_from(random() >> 54).unwrap_or(0);
    every / 1024 * part
}

async fn probe(endpoint: &Endpoint, health: &HealthSettings) -> Result<(), String> {
    let asking = async {
        let mut link = endpoint.open(health.timeout).await.map_err(|cause| cause.to_string())?;
        let Probe::Http(path) = &health.probe else { return Ok(()) };
        let target: Uri = path.parse().map_err(|_| format!("`{path}` is not a path"))?;
        let mut headers = Fields::new();
        headers.add(&header::CONNECTION, &HeaderValue::from_static("close"));
        let request =
            Outgoing { method: Method::GET, headers, body: Bytes::new(), on_behalf_of: None };
        let lead = endpoint.wiring().lead.to(&target);
        let mut due = Due::head(Instant::now() + health.timeout, None, None);
        match poll_fn(|cx| link.poll_head(cx, &mut due, (&lead, &request))).await {
            Err(phase) => Err(phase.to_string()),
            Ok(Err(cause)) => Err(cause.to_string()),
            Ok(Ok(reply)) if reply.status.is_success() => Ok(()),
            Ok(Ok(reply)) => Err(format!("it answers {} at `{path}`", reply.status.as_u16())),
        }
    };
    tokio::time::timeout(health.timeout, asking)
        .await
        .unwrap_or_else(|_| Err(String::from("it did not answer in time")))
}
