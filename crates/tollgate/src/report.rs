//! What the admin listener shows of the gate.

use crate::ledger;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tollgate_console::{
    Asking, BudgetStatus, BudgetUse, EndpointState, EndpointStatus, GateStatus, LimitStatus,
    PinStatus, PolicyStatus, RouteStatus, Status, Subject, UpstreamStatus, UsageStatus,
};
use tollgate_core::stores::UsageLedger;
use tollgate_gate::gate::{Gate, UseStatus};
use tollgate_gate::knowledge::{Found, Knowledge};
use tollgate_gate::listen::Control;
use tollgate_gate::permit::PermitCounts;
use tollgate_gate::pins::PinCounts;
use tollgate_gate::settings::{IdentitySettings, Settings, UpstreamEra};
use tollgate_gate::snapshot::Snapshot;
use tollgate_gate::upstream::{self, Upstream};
use tollgate_policy::settings::Mode;

/// Capabilities whose sections this version does not have: nothing of them is enforced.
const NOT_ENFORCED: [&str; 2] = ["audit", "telemetry"];

/// The gate, as the admin listener sees it.
pub(crate) struct Overview {
    gate: Arc<Gate>,
    control: Arc<Control>,
    listen: SocketAddr,
    ledger: Option<Arc<dyn UsageLedger>>,
    started: Instant,
    // A plain mutex: replaced on reload, read by `/status`.
    reload_error: Mutex<Option<String>>,
}

impl Overview {
    /// An overview of this gate.
    pub(crate) fn new(
        gate: Arc<Gate>,
        control: Arc<Control>,
        listen: SocketAddr,
        ledger: Option<Arc<dyn UsageLedger>>,
    ) -> Self {
        let (started, reload_error) = (Instant::now(), Mutex::new(None));
        Self { gate, control, listen, ledger, started, reload_error }
    }

    /// Notes how the last reload went.
    pub(crate) fn note_reload(&self, error: Option<String>) {
        *self.reload_error.lock() = error;
    }
}

impl Subject for Overview {
    fn ready(&self) -> Result<(), String> {
        if self.gate.status().is_draining {
            Err("the gate is shutting down".into())
        } else {
            Ok(())
        }
    }

    fn usage<'a>(&'a self, query: &'a str) -> Asking<'a> {
        Box::pin(ledger::answer(&self.gate, self.ledger.as_ref(), query))
    }

    fn status(&self) -> Status {
        let snapshot = self.gate.snapshot();
        let usage = self.gate.usage();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_seconds: self.started.elapsed().as_secs(),
            configuration: snapshot.settings.version.clone(),
            reload_error: self.reload_error.lock().clone(),
            gate: self.gate_status(),
            routes: routes(&snapshot),
            upstreams: upstreams(&snapshot),
            policy: self.policy_status(),
            limits: usage.as_ref().map(limits).unwrap_or_default(),
            budgets: usage.as_ref().map(budgets).unwrap_or_default(),
            usage: usage.as_ref().map(metered),
            not_enforced: not_enforced(&snapshot.settings),
        }
    }
}

impl Overview {
    fn policy_status(&self) -> Option<PolicyStatus> {
        let counts = self.gate.status().permit?;
        let enforced = self.gate.snapshot().permit.enforced().is_some();
        let PermitCounts { allowed, denied, shadowed } = counts;
        Some(PolicyStatus { enforced, allowed, denied, shadowed })
    }

    fn gate_status(&self) -> GateStatus {
        let status = self.gate.status();
        let counters = &self.control.counters;
        GateStatus {
            listen: self.listen.to_string(),
            ready: !status.is_draining,
            draining: status.is_draining,
            connections: counters.open(),
            connections_accepted: counters.accepted(),
            connections_refused: counters.refused(),
            sessions: status.sessions,
            streams: status.streams,
            orphans: status.orphans,
            panics: status.panics,
        }
    }
}

fn not_enforced(settings: &Settings) -> Vec<String> {
    let is_on = [
        ("identity", matches!(settings.identity, IdentitySettings::Required(_))),
        ("policy", settings.policy.as_ref().is_some_and(|policy| policy.mode == Mode::Enforce)),
        ("limits", settings.quotas.is_some()),
    ];
    let off = is_on.into_iter().filter(|(_, is_on)| !is_on).map(|(name, _)| name);
    off.chain(NOT_ENFORCED).map(String::from).collect()
}

fn limits(usage: &UseStatus) -> Vec<LimitStatus> {
    let each = usage.levels.iter();
    each.map(|level| LimitStatus {
        name: level.name.to_string(),
        per: level.per.clone(),
        counters: level.counters,
        crowded: level.crowded,
        under_way: level.under_way,
        refused: level.refused,
        tokens_forgiven: level.tokens_forgiven,
    })
    .collect()
}

fn budgets(usage: &UseStatus) -> Vec<BudgetStatus> {
    let each = usage.budgets.iter();
    each.map(|budget| BudgetStatus {
        name: budget.name.to_string(),
        per: budget.per.clone(),
        since: budget.since,
        until: budget.until,
        tokens_max: budget.tokens,
        calls_max: budget.calls,
        money_micros_max: budget.money_micros,
        used: budget
            .used
            .iter()
            .map(|(of, used)| BudgetUse {
                of: of.to_string(),
                tokens: used.tokens,
                calls: used.calls,
                money_micros: used.micros,
            })
            .collect(),
        refused: budget.refused,
        is_incomplete: budget.is_incomplete,
    })
    .collect()
}

const fn metered(usage: &UseStatus) -> UsageStatus {
    let figures = &usage.figures;
    UsageStatus {
        noted: figures.noted,
        pending: figures.pending,
        written: figures.written,
        lost: figures.lost,
        hurried: figures.hurried,
        extrapolated: figures.extrapolated,
        reports_void: figures.reports_void,
        failures: figures.failures,
    }
}

fn routes(snapshot: &Snapshot) -> Vec<RouteStatus> {
    let each = snapshot.settings.routes.iter();
    each.map(|route| RouteStatus {
        path: route.path.to_string(),
        upstreams: route.upstreams.iter().map(ToString::to_string).collect(),
    })
    .collect()
}

fn upstreams(snapshot: &Snapshot) -> Vec<UpstreamStatus> {
    // In the order of the file, which the set of upstreams does not have.
    let in_order = snapshot.settings.upstreams.iter();
    let each = in_order.filter_map(|settings| snapshot.upstreams.get(&settings.name));
    each.map(|each| upstream(snapshot, each)).collect()
}

fn upstream(snapshot: &Snapshot, upstream: &Arc<Upstream>) -> UpstreamStatus {
    let mut legs = snapshot.routes.values().flat_map(|route| &route.legs);
    let known = legs.find(|leg| leg.upstream.name() == upstream.name());
    let known = known.map(|leg| &*leg.knowledge);
    UpstreamStatus {
        name: upstream.name().to_string(),
        era: era(upstream, known).into(),
        keeps_sessions: known.is_some_and(Knowledge::mints_sessions),
        messages_dropped: known.map_or(0, Knowledge::dropped),
        lists_trouble: known.and_then(Knowledge::lists_trouble).map(|why| why.to_string()),
        pins: known.and_then(|known| known.pins().counts()).map(pins),
        endpoints: upstream.status().into_iter().map(endpoint).collect(),
    }
}

fn pins(counts: PinCounts) -> PinStatus {
    let PinCounts { approved, changed, new, suspicious, quarantined, flagged, names, trouble } =
        counts;
    PinStatus { approved, changed, new, suspicious, quarantined, flagged, names, trouble }
}

fn era(upstream: &Upstream, known: Option<&Knowledge>) -> &'static str {
    match upstream.settings().era {
        UpstreamEra::Legacy => "legacy",
        UpstreamEra::Modern => "modern",
        UpstreamEra::Both => "both",
        UpstreamEra::Auto => match known.map(|known| (known.found().0, known.mints_sessions())) {
            Some((Found::Modern, true)) => "both",
            Some((Found::Modern, false)) => "modern",
            Some((Found::LegacyOnly, _) | (Found::Nothing, true)) => "legacy",
            Some((Found::Nothing, false)) | None => "unknown",
        },
    }
}

fn endpoint(status: upstream::EndpointStatus) -> EndpointStatus {
    EndpointStatus {
        id: status.id.to_string(),
        address: status.address.map(|address| address.to_string()),
        state: match status.state {
            upstream::EndpointState::Healthy => EndpointState::Healthy,
            upstream::EndpointState::Unhealthy => EndpointState::Unhealthy,
            upstream::EndpointState::Ejected => EndpointState::Ejected,
            upstream::EndpointState::Retired => EndpointState::Retired,
            upstream::EndpointState::Unresolved => EndpointState::Unresolved,
        },
        why: status.why,
        since_seconds: status.since.as_secs(),
        in_flight: status.in_flight,
        calls: status.calls,
        failures: status.failures,
        pooled: status.pooled,
    }
}
