//! A call of a hub that outlives its request: what tasks of its own need to go on.

use super::Front;
use super::audience::Audience;
use super::catalog::Need;
use super::plan::Plan;
use super::stream::TOLD;
use crate::call::Call;
use crate::gate::Gate;
use crate::permit::{Sight, differing};
use crate::session::Held;
use crate::snapshot::{self, Leg, Snapshot};
use std::sync::Arc;
use tollgate_core::bounds::LIST_WAIT_SECS;
use tollgate_core::ids::UpstreamName;
use tollgate_core::principal::Principal;
use tollgate_mcp::hub::items::ListKind;

/// All that a call needs, owned.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) gate: Arc<Gate>,
    snapshot: Arc<Snapshot>,
    call: Call,
    principal: Principal,
    plan: Arc<Plan>,
    /// The session, in the legacy era.
    pub(super) held: Option<Held>,
    audience: Audience,
}

impl Front<'_> {
    /// The same, owned.
    pub(super) fn stage(&self, held: Option<Held>, audience: Audience) -> Arc<Stage> {
        let call = Call::of_streams(self.call.route.clone(), (self.call.caller, self.call.address));
        Arc::new(Stage {
            gate: self.gate.clone(),
            snapshot: self.snapshot.clone(),
            call,
            principal: self.principal.clone(),
            plan: self.plan.clone(),
            held,
            audience,
        })
    }
}

impl Stage {
    /// The same, borrowed.
    pub(super) fn front(&self) -> Front<'_> {
        let Self { gate, snapshot, call, principal, plan, .. } = self;
        Front { gate, snapshot, call, principal, plan }
    }

    /// Numbers that differ when the lists this agent sees differ, by kind of notification.
    pub(super) fn stamps(&self) -> [u64; 3] {
        TOLD.map(|(kind, _)| match kind {
            ListKind::Resources => self.stamp(kind).wrapping_add(self.stamp(ListKind::Templates)),
            ListKind::Tools | ListKind::Prompts | ListKind::Templates => self.stamp(kind),
        })
    }

    fn stamp(&self, kind: ListKind) -> u64 {
        let now = self.gate.clock.now();
        let legs = self.call.route.legs.iter();
        legs.fold(0, |sum: u64, leg| {
            sum.wrapping_add(leg.knowledge.catalogs().of(&self.audience.at(leg), now).news(kind))
        })
    }

    /// Whether the configuration it was made under is still in force.
    pub(super) fn is_in_force(&self) -> bool {
        Arc::ptr_eq(&self.snapshot, &self.gate.snapshot())
    }

    /// The same under the configuration in force; `None` if that has no such hub.
    pub(super) fn renewed(&self) -> Option<Arc<Self>> {
        let snapshot = self.gate.snapshot();
        let route = snapshot.routes.get(self.call.route.path.as_str())?.clone();
        let snapshot::Plan::Hub(plan) = &route.plan else { return None };
        let plan = plan.clone();
        let call = Call::of_streams(route, (self.call.caller, self.call.address));
        Some(Arc::new(Self {
            gate: self.gate.clone(),
            snapshot,
            call,
            principal: self.principal.clone(),
            plan,
            held: self.held.clone(),
            audience: self.audience.clone(),
        }))
    }

    /// Whether agents of the other stage see the same as those of this one.
    pub(super) fn shows_what(&self, other: &Self) -> bool {
        let settings = |stage: &Self| {
            let mut routes = stage.snapshot.settings.routes.iter();
            routes.find(|route| route.path == stage.call.route.path).cloned()
        };
        let (own, others) = (&self.call.route.legs, &other.call.route.legs);
        // What is known of an upstream is kept for as long as the upstream is configured the same.
        let is_same = |(a, b): (&Arc<Leg>, &Arc<Leg>)| Arc::ptr_eq(&a.knowledge, &b.knowledge);
        settings(self) == settings(other)
            && own.len() == others.len()
            && own.iter().zip(others).all(is_same)
    }

    /// Which lists this stage's policy shows otherwise than another's, of what both have.
    pub(super) fn shows_otherwise(&self, other: &Self) -> [bool; 3] {
        let (own, others) = (self.snapshot.permit.book(), other.snapshot.permit.book());
        let is_same = match (own, others) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_same {
            return [false; 3];
        }
        let front = self.front();
        let sight = |book| Sight::new(book, front.party(), &self.call.route.path);
        let (own, others) = (own.map(|book| &**book), others.map(|book| &**book));
        let (own, others) = (sight(own), sight(others));
        let mut differs = [false; 3];
        for leg in &self.call.route.legs {
            let is_offered = |kind, name: &str| self.plan.shows(leg, kind, name);
            let there = (leg.upstream.name(), &*leg.knowledge);
            let found = differing((&own, &others), there, is_offered);
            differs = std::array::from_fn(|at| differs[at] || found[at]);
        }
        differs
    }

    /// The leg at an upstream, and its number; `None` if that is not on the hub.
    pub(super) fn leg(&self, upstream: &UpstreamName) -> Option<(usize, &Arc<Leg>)> {
        let number = self.plan.leg(upstream.as_str())?;
        Some((number, self.call.route.legs.get(number)?))
    }

    /// Has the lists of these kinds read, so that word of their changes comes in.
    pub(super) fn attend(self: &Arc<Self>, wants: [bool; 3]) {
        let kinds = TOLD.into_iter().zip(wants).filter(|(_, wanted)| *wanted);
        for ((kind, _), _) in kinds {
            let this = self.clone();
            tokio::spawn(async move {
                let wait = std::time::Duration::from_secs(LIST_WAIT_SECS);
                drop(this.front().stocks(&this.audience, Need::List(kind), wait).await);
            });
        }
    }

    /// Interval of comments on a silent stream.
    pub(super) fn silence_max(&self) -> std::time::Duration {
        self.snapshot.settings.limits.stream_keepalive
    }
}
