//! The shape of `/status`. Names are stable: dashboards and scripts read them.

use serde::Serialize;

/// Everything `/status` tells.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Tollgate's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// The configuration version in force: the first 12 hex digits of its hash.
    pub configuration: String,
    /// Why the last reload was not taken, if it was not.
    pub reload_error: Option<String>,
    /// The data plane.
    pub gate: GateStatus,
    /// Routes in the order of the file.
    pub routes: Vec<RouteStatus>,
    /// Upstreams in the order of the file.
    pub upstreams: Vec<UpstreamStatus>,
    /// What policy decided; `null` where there is none.
    pub policy: Option<PolicyStatus>,
    /// Limits, in the order of the file.
    pub limits: Vec<LimitStatus>,
    /// Budgets, in the order of the file.
    pub budgets: Vec<BudgetStatus>,
    /// Calls that were counted and the rows about them; `null` where nothing is.
    pub usage: Option<UsageStatus>,
    /// Capabilities that are not used: each is `off` because its section is absent or says so.
    pub not_enforced: Vec<String>,
}

/// Counts of the data plane.
#[derive(Clone, Debug, Serialize)]
pub struct GateStatus {
    /// Where it listens.
    pub listen: String,
    /// Whether it takes new work.
    pub ready: bool,
    /// Whether it is shutting down.
    pub draining: bool,
    /// Open client connections.
    pub connections: usize,
    /// Connections accepted since the start.
    pub connections_accepted: u64,
    /// Connections refused at the cap since the start.
    pub connections_refused: u64,
    /// Legacy sessions.
    pub sessions: usize,
    /// Lasting event streams.
    pub streams: usize,
    /// Legacy calls being read to their end for clients that vanished.
    pub orphans: usize,
    /// Requests that ended in a defect of the gate.
    pub panics: u64,
}

/// Calls that policy decided about, since the start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PolicyStatus {
    /// Whether it is enforced; otherwise it is in shadow.
    pub enforced: bool,
    /// Calls it allowed.
    pub allowed: u64,
    /// Calls it refused, or answered as if what they name were not there.
    pub denied: u64,
    /// Calls it would have refused while in shadow.
    pub shadowed: u64,
}

/// One limit.
#[derive(Clone, Debug, Serialize)]
pub struct LimitStatus {
    /// Its name.
    pub name: String,
    /// What it counts apart.
    pub per: Vec<&'static str>,
    /// Counters in use.
    pub counters: usize,
    /// Calls that shared a counter because there were too many.
    pub crowded: u64,
    /// Calls under way.
    pub under_way: u64,
    /// Calls it refused.
    pub refused: u64,
    /// Tokens beyond burst and debt that nobody pays for.
    pub tokens_forgiven: u64,
}

/// One budget.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetStatus {
    /// Its name.
    pub name: String,
    /// What it counts apart.
    pub per: Vec<&'static str>,
    /// When its period began, Unix seconds.
    pub since: i64,
    /// When the next begins.
    pub until: i64,
    /// Most tokens in a period; `null` where they are not limited. The same for the next two.
    pub tokens_max: Option<u64>,
    /// Most calls.
    pub calls_max: Option<u64>,
    /// Most money, in millionths of the price book's currency.
    pub money_micros_max: Option<u64>,
    /// What was used, most first.
    pub used: Vec<BudgetUse>,
    /// Calls it refused.
    pub refused: u64,
    /// Whether what was used before the start is not known yet.
    pub is_incomplete: bool,
}

/// What was used of one counter of a budget.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetUse {
    /// Whose; empty where all count together.
    pub of: String,
    /// Tokens.
    pub tokens: u64,
    /// Calls.
    pub calls: u64,
    /// Millionths of the price book's currency.
    pub money_micros: u64,
}

/// What the meter has done since the start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UsageStatus {
    /// Calls that were done.
    pub noted: u64,
    /// Calls not counted yet, and rows not in the ledger yet.
    pub pending: u64,
    /// Rows in the ledger.
    pub written: u64,
    /// Rows lost.
    pub lost: u64,
    /// Calls counted by bytes, because too many waited to be counted.
    pub hurried: u64,
    /// Calls of which a tokenizer read only the beginning.
    pub extrapolated: u64,
    /// Reports of upstreams that could not be used.
    pub reports_void: u64,
    /// Attempts to write that failed.
    pub failures: u64,
}

/// One route.
#[derive(Clone, Debug, Serialize)]
pub struct RouteStatus {
    /// Its path.
    pub path: String,
    /// The upstreams it offers.
    pub upstreams: Vec<String>,
}

/// One upstream.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamStatus {
    /// The operator's name for it.
    pub name: String,
    /// What is known of the eras it speaks: `unknown`, `modern`, `legacy`, or as configured.
    pub era: String,
    /// Whether it was seen to keep sessions.
    pub keeps_sessions: bool,
    /// Messages of it that were not delivered, because they did not belong.
    pub messages_dropped: u64,
    /// Why its tools, prompts or resources are missing from routes with several upstreams, or not
    /// up to date there; `null` if they are, or nobody asked.
    pub lists_trouble: Option<String>,
    /// Its tools next to what was approved, as far as anybody asked for them; `null` if they are not pinned.
    pub pins: Option<PinStatus>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointStatus>,
}

/// How the tools of an upstream stand to what was approved. `tollgate pins list` says it tool by tool.
#[derive(Clone, Debug, Serialize)]
pub struct PinStatus {
    /// As they were approved.
    pub approved: usize,
    /// Otherwise than they were approved.
    pub changed: usize,
    /// Never approved.
    pub new: usize,
    /// With hidden characters or text about another upstream's tools, whatever else they are.
    pub suspicious: usize,
    /// Neither shown nor callable.
    pub quarantined: usize,
    /// Offered though they are not as they were approved, or suspicious.
    pub flagged: usize,
    /// Names of the first that are quarantined.
    pub names: Vec<String>,
    /// Why approvals cannot be read or written, if they cannot.
    pub trouble: Option<String>,
}

/// One endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// Its URL, and the address where the name has several.
    pub id: String,
    /// The address it resolved to.
    pub address: Option<String>,
    /// Whether calls go there.
    pub state: EndpointState,
    /// Why it is in that state.
    pub why: String,
    /// For how many seconds.
    pub since_seconds: u64,
    /// Calls in flight.
    pub in_flight: usize,
    /// Calls since the start.
    pub calls: u64,
    /// Failed calls since the start.
    pub failures: u64,
    /// Idle connections kept.
    pub pooled: usize,
}

/// Whether calls go to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// They do.
    Healthy,
    /// Health checks or connection attempts fail.
    Unhealthy,
    /// Left out for a while, because calls failed.
    Ejected,
    /// No longer configured or resolved; only its own sessions go there.
    Retired,
    /// Its name did not resolve yet.
    Unresolved,
}
