//! One version of the configuration, compiled: what every request is judged by, from its first byte
//! to its last. A request loads it once; a reload never changes one under a request.

use crate::admit::{Admit, Limited};
use crate::http_sse::{self, Door};
use crate::hub;
use crate::identify::{Checkpoint, Identify};
use crate::knowledge::Knowledge;
use crate::meter::Scale;
use crate::names::Names;
use crate::permit::Permit;
use crate::seal::{BadKey, Seal};
use crate::settings::{IdentitySettings, Settings};
use crate::upstream::{Upstream, UpstreamError, Upstreams};
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_core::clock::Entropy;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_identity::{DoorId, IdentityError, Verifier};
use tollgate_limits::settings::LimitSettings;
use tollgate_limits::{Limits, LimitsError};
use tollgate_rules::teams::Teams;

/// A compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// What it was compiled from.
    pub settings: Settings,
    /// Whose names are served.
    pub names: Names,
    /// The key ring of this version. A random ring is carried from version to version.
    pub seal: Arc<Seal>,
    /// Routes by path.
    pub routes: HashMap<String, Arc<Route>>,
    /// The further paths of routes that serve HTTP+SSE too.
    pub sse_paths: HashMap<String, Door>,
    /// The upstreams and their endpoints.
    pub upstreams: Arc<Upstreams>,
    /// How callers are identified.
    pub identify: Identify,
    /// What policy allows.
    pub permit: Permit,
    /// What limits admit.
    pub admit: Admit,
}

/// A path on the gate and where it leads.
#[derive(Debug)]
pub struct Route {
    /// The path.
    pub path: RoutePath,
    /// What it is to who identifies callers.
    pub door: DoorId,
    /// The upstreams it offers, in the order of the file; never empty.
    pub legs: Vec<Arc<Leg>>,
    /// How they are offered.
    pub plan: Plan,
    /// Whether agents that never send `Mcp-Session-Id` back are recognised without it.
    pub soft_sessions: bool,
}

impl Route {
    /// The name that sessions of this route are kept under.
    #[must_use]
    pub fn keeper(&self) -> &UpstreamName {
        match &self.plan {
            Plan::Straight(leg) => leg.upstream.name(),
            Plan::Hub(_) => &hub::HERE,
        }
    }
}

/// How a route offers its upstreams.
#[derive(Debug)]
pub enum Plan {
    /// One, as it is: calls pass straight through.
    Straight(Arc<Leg>),
    /// Several as one server, or one with changes.
    Hub(Arc<hub::Plan>),
}

/// An upstream as one route offers it.
#[derive(Debug)]
pub struct Leg {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// What is known about that upstream.
    pub knowledge: Arc<Knowledge>,
}

impl Route {
    /// The upstream of a route that offers exactly one, as it is: calls pass straight through.
    #[must_use]
    pub fn straight(&self) -> Option<&Arc<Leg>> {
        match &self.plan {
            Plan::Straight(leg) => Some(leg),
            Plan::Hub(_) => None,
        }
    }
}

impl Snapshot {
    /// Whether anybody wants to know what a call acts on: policy, pins, limits or the ledger.
    #[must_use]
    pub const fn names_subjects(&self) -> bool {
        self.settings.policy.is_some()
            || !self.settings.pins.is_empty()
            || self.settings.quotas.is_some()
            || self.settings.usage.is_some()
    }

    /// Whether anything is served at this path.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        self.routes.contains_key(path) || self.sse_paths.contains_key(path)
    }
}

/// What a configuration is put to work with.
#[derive(Debug)]
pub struct Around<'a> {
    /// Randomness.
    pub entropy: &'a dyn Entropy,
    /// What identity needs besides its settings.
    pub identity: Option<&'a tollgate_identity::Sources>,
    /// What meters calls; `None` if nothing is limited or metered.
    pub scale: Option<Arc<Scale>>,
}

/// Why a configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// An upstream's files or addresses are not usable.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// A sealing key is not usable.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// Identity cannot be checked.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] tollgate_policy::PolicyError),
    /// Identity was switched on in a process that was started without what it needs.
    #[error("identity was switched on: that takes effect with a restart only")]
    IdentityLate,
    /// Limits contradict themselves.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The ledger was switched on in a process that was started without a store for it.
    #[error("the ledger of usage was switched on: that takes effect with a restart only")]
    LedgerLate,
    /// The system gives no thread to count in.
    #[error("what calls use cannot be counted: {0}")]
    Metering(#[from] std::io::Error),
    /// Tools are to be pinned in a process that was started without a store.
    #[error("pins were switched on: that takes effect with a restart only")]
    PinsLate,
    /// A route names an upstream that does not exist.
    #[error("route `{route}` names the upstream `{upstream}`, which does not exist")]
    UpstreamUnknown {
        /// The route.
        route: RoutePath,
        /// The name.
        upstream: UpstreamName,
    },
    /// The path where a route serves HTTP+SSE is another route.
    #[error(
        "route `{route}` with `sse: true` also serves `{path}`, which is a route of its own: give \
         one of them another path"
    )]
    PathTaken {
        /// The route with HTTP+SSE.
        route: RoutePath,
        /// The path both want.
        path: String,
    },
}

impl Snapshot {
    /// Compiles settings. What upstreams are and what is known of them is taken over from the
    /// `previous` version where their settings did not change.
    ///
    /// # Errors
    /// [`CompileError`]; nothing was changed then.
    pub fn compile(
        settings: Settings,
        previous: Option<&Self>,
        around: Around<'_>,
    ) -> Result<Self, CompileError> {
        let Around { entropy, identity, scale } = around;
        let upstreams =
            Upstreams::build(&settings.upstreams, previous.map(|snapshot| &*snapshot.upstreams))?;
        let keeps_seal =
            previous.filter(|old| old.settings.sessions.keys == settings.sessions.keys);
        let seal = match keeps_seal {
            Some(old) => old.seal.clone(),
            None => Arc::new(Seal::new(&settings.sessions.keys, entropy)?),
        };
        let mut known: HashMap<UpstreamName, Arc<Knowledge>> = previous
            .iter()
            .flat_map(|old| old.routes.values())
            .flat_map(|route| &route.legs)
            .filter(|leg| {
                upstreams
                    .get(leg.upstream.name())
                    .is_some_and(|now| now.settings() == leg.upstream.settings())
            })
            .map(|leg| (leg.upstream.name().clone(), leg.knowledge.clone()))
            .collect();
        let mut routes = HashMap::new();
        for (door, route) in settings.routes.iter().enumerate() {
            let mut legs = Vec::with_capacity(route.upstreams.len());
            for name in &route.upstreams {
                let Some(upstream) = upstreams.get(name) else {
                    return Err(CompileError::UpstreamUnknown {
                        route: route.path.clone(),
                        upstream: name.clone(),
                    });
                };
                let knowledge = known.entry(name.clone()).or_default().clone();
                legs.push(Arc::new(Leg { upstream: upstream.clone(), knowledge }));
            }
            let before = previous.and_then(|old| old.routes.get(route.path.as_str()));
            let before = before.and_then(|route| match &route.plan {
                Plan::Hub(plan) => Some(&**plan),
                Plan::Straight(_) => None,
            });
            let plan = match (hub::Plan::compile(route, before), legs.first()) {
                (None, Some(only)) => Plan::Straight(only.clone()),
                (plan, _) => Plan::Hub(Arc::new(plan.unwrap_or_default())),
            };
            let soft_sessions = route.soft_sessions;
            let path = route.path.clone();
            let compiled = Route { path, door: DoorId(door), legs, plan, soft_sessions };
            routes.insert(route.path.as_str().to_owned(), Arc::new(compiled));
        }
        let identify = identify(&settings, previous, identity)?;
        let sse_paths = http_sse::paths(&settings.routes, &routes)?;
        let admit = admit(&settings, previous, scale)?;
        Ok(Self {
            names: Names::new(&settings.names),
            seal,
            routes,
            sse_paths,
            upstreams,
            identify,
            permit: Permit::compile(settings.policy.as_ref(), previous)?,
            admit,
            settings,
        })
    }
}

/// Limits go on counting where the configuration leaves them as they were.
fn admit(
    settings: &Settings,
    previous: Option<&Snapshot>,
    scale: Option<Arc<Scale>>,
) -> Result<Admit, CompileError> {
    let Some(scale) = scale else { return Ok(Admit::Open) };
    let before = previous.and_then(|old| old.admit.limited()).map(Limited::limits);
    let unlimited = LimitSettings::default();
    let limits = Limits::compile(settings.quotas.as_ref().unwrap_or(&unlimited), before)?;
    let teams = match (&settings.usage, &settings.quotas) {
        (Some(usage), _) => usage.teams.clone(),
        (None, Some(quotas)) => quotas.teams.clone(),
        (None, None) => Teams::default(),
    };
    Ok(Admit::Limited(Box::new(Limited::new(limits, scale, teams))))
}

fn identify(
    settings: &Settings,
    previous: Option<&Snapshot>,
    sources: Option<&tollgate_identity::Sources>,
) -> Result<Identify, CompileError> {
    let IdentitySettings::Required(access) = &settings.identity else {
        return Ok(Identify::Anonymous);
    };
    let sources = sources.ok_or(CompileError::IdentityLate)?;
    let before = previous.and_then(|old| old.identify.verifier()).map(|verifier| &**verifier);
    let verifier = Verifier::build(&access.identity, &access.doors, sources, before)?;
    Ok(Identify::Required(Checkpoint::new(Arc::new(verifier), access.doors.len())))
}
