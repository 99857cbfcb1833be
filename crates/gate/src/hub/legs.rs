//! The legs of a hub's session: one session at each upstream that was called in it.
//!
//! A leg is opened when it is first needed, with what the agent told the hub: its `initialize`, its
//! log level. It lives exactly as long as the hub's session. If its endpoint loses it, the same rules
//! hold as for any session, but only this leg starts over.

use super::{Front, Held};
use crate::farewell::Parting;
use crate::forward::Forward;
use crate::recovery::{self, Introduced};
use std::sync::Arc;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_core::sessions::{Home, Memory};
use tollgate_mcp::era::legacy::Version;

impl Front<'_> {
    /// The session's leg at an upstream, if it is open.
    pub(super) fn open_leg(&self, held: &Held, leg: usize) -> Option<Held> {
        let name = self.call.route.legs.get(leg)?.upstream.name();
        let session = self.gate.sessions.at(held.session.key.of_leg(name))?;
        let version = Version::from_byte(session.home.version)?;
        Some(Held { session, version })
    }

    /// The session's leg at an upstream, opened if need be; `None` where the upstream keeps no
    /// sessions.
    ///
    /// # Errors
    /// Refusals whose blame is the upstream's.
    pub(super) async fn leg(&self, held: &Held, leg: usize) -> Result<Option<Held>, Refusal> {
        if let Some(open) = self.open_leg(held, leg) {
            return Ok(Some(open));
        }
        let there = &self.call.route.legs[leg];
        if there.knowledge.keeps_no_sessions() {
            return Ok(None);
        }
        let opening = self.plan.desk.opening(held.session.key.of_leg(there.upstream.name()));
        let turn = opening.turn().await?;
        if let Some(open) = self.open_leg(held, leg) {
            return Ok(Some(open));
        }
        let begun = Box::pin(self.begin_leg(held, leg)).await;
        opening.tried(turn, begun.as_ref().err().cloned());
        begun
    }

    async fn begin_leg(&self, held: &Held, leg: usize) -> Result<Option<Held>, Refusal> {
        let there = &self.call.route.legs[leg];
        let forward = self.forward(leg);
        let current = self.gate.sessions.current(&held.session);
        let current = current.ok_or_else(crate::session::unknown)?;
        let Some(told) = &current.memory else { return Err(crate::session::unknown()) };
        let memory = Memory { initialized: true, subscriptions: Vec::new(), ..Memory::clone(told) };
        let introduced = recovery::introduce(&forward, &memory).await.map_err(not_taken)?;
        let Introduced { endpoint, made, version } = introduced;
        let Some(made) = made else {
            there.knowledge.note_no_sessions();
            return Ok(None);
        };
        there.knowledge.note_session();
        let home = Home { version: version.to_byte(), ..made.home().clone() };
        let session = current.leg(there.upstream.name().clone(), home, Some(Arc::new(memory)));
        recovery::retell(&forward, &endpoint, &session, version).await.map_err(not_taken)?;
        let session = self.gate.sessions.keep_leg(session)?;
        made.claim();
        let open = Held { session, version };
        if self.gate.sessions.current(&held.session).is_none() {
            // It ended meanwhile, and who ended it did not know of this leg.
            self.end_leg(&forward, &open).await;
            return Err(crate::session::unknown());
        }
        if self.plan.desk.opened(held.session.key, there.upstream.name()) {
            // The agent listens: its stream here comes before its first call.
            self.gate.sessions.await_stream(&open.session).await;
        }
        Ok(Some(open))
    }

    async fn end_leg(&self, forward: &Forward<'_>, leg: &Held) {
        if let Some(ended) = self.gate.sessions.end(&leg.session) {
            let upstream = &forward.leg.upstream;
            self.gate.farewells.say(upstream, &Parting::of(upstream, &ended)).await;
        }
    }

    /// Ends the session and all its legs.
    pub(super) async fn end_all(&self, held: &Held) {
        // Somebody else may have ended it meanwhile, which is the same.
        drop(self.gate.sessions.end(&held.session));
        // Also at upstreams that were on the route when the session called them.
        for upstream in self.snapshot.upstreams.iter() {
            let leg = self.gate.sessions.at(held.session.key.of_leg(upstream.name()));
            if let Some(ended) = leg.and_then(|leg| self.gate.sessions.end(&leg)) {
                self.gate.farewells.send(upstream, Parting::of(upstream, &ended));
            }
        }
    }
}

/// To the agent its session is fine: it is the upstream that would not have it.
fn not_taken(refusal: Refusal) -> Refusal {
    match refusal.reason {
        Reason::SessionUnknown => Refusal::new(
            Reason::UpstreamRefused,
            "the server would not open a session for this agent: ask its operator, or go on with \
             the other servers",
        ),
        _ => refusal,
    }
}
