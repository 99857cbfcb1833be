//! A call of a hub that outlives its request: what tasks of its own need to go on.

use super::Front;
use super::audience::Audience;
use super::catalog::Need;
use super::plan::Plan;
use super::stream::TOLD;
use crate::call::{Ask, Call};
use crate::gate::Gate;
use crate::session::Held;
use crate::snapshot::Snapshot;
use std::sync::Arc;
use tollgate_core::bounds::LIST_WAIT_SECS;
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
        let call = Call {
            route: self.call.route.clone(),
            ask: Ask::Stream { last_event_id: None },
            session_id: None,
            user_agent: None,
            caller: self.call.caller,
        };
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
            sum.wrapping_add(leg.knowledge.catalogs().of(&self.audience, now).news(kind))
        })
    }

    /// Notes that a leg's list changed.
    pub(super) fn note_changed(&self, leg: usize, kind: ListKind) {
        if let Some(leg) = self.call.route.legs.get(leg) {
            leg.knowledge.catalogs().note_changed(kind);
        }
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
