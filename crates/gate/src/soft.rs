//! Soft sessions: agents that never send `Mcp-Session-Id` back are recognised without it.
//!
//! Some clients in wide use drop the header, and every call of theirs would be refused. On a route
//! that says so, a legacy call without the header is taken to belong to the session that this caller
//! opened last there: the same route, principal, network address and `User-Agent`. The rest of the
//! path sees the sealed id as if the agent had sent it. A call that has the header is served by it,
//! and nothing changes where the operator did not ask for this.
//!
//! LIMIT: agents behind one address with one user agent and without an identity are one agent here,
//! and get each other's sessions; so a route of theirs must lead to upstreams that keep nothing a
//! session of somebody else may not see.
//!
//! Next: `path.rs`, where this stands between identity and policy.

use crate::body::GateBody;
use crate::call::{Ask, Call};
use crate::frame::Framed;
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::path;
use crate::snapshot::Snapshot;
use http::{HeaderValue, Response};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tollgate_core::bounds::{SOFT_SESSIONS_MAX, SOFT_SESSIONS_PER_CALLER_MAX};
use tollgate_core::clock::Millis;
use tollgate_core::ids::RoutePath;
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_core::sessions::Lifetimes;
use tollgate_mcp::era::Era;
use tollgate_mcp::headers::MCP_SESSION_ID;
use tollgate_mcp::methods::Method;

/// Carries a call of a route with soft sessions, with its session found if it names none.
pub(crate) async fn recognised(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    framed: Framed,
    ledger: &mut Ledger,
) -> Result<Response<GateBody>, Refusal> {
    let step = Step::of(framed.call());
    let mark = gate.soft.mark(framed.call(), framed.principal());
    let now = gate.clock.now();
    let framed = match step {
        Step::Within | Step::End if framed.call().session_id.is_none() => {
            let found = gate.soft.find(&mark, now);
            framed.in_session(found)
        }
        Step::Within | Step::End | Step::Begin | Step::Apart => framed,
    };
    let id = framed.call().session_id.clone();
    let carried = path::onward(gate, snapshot, framed, ledger).await;
    let is_over = match &carried {
        Ok(response) => {
            let opened = response.headers().get(MCP_SESSION_ID).filter(|_| step == Step::Begin);
            if let Some(id) = opened {
                gate.soft.note(mark, id, now);
                return carried;
            }
            step == Step::End && response.status().is_success()
        }
        Err(refusal) => refusal.reason == Reason::SessionUnknown,
    };
    if let Some(id) = id.filter(|_| is_over) {
        gate.soft.forget(&mark, &id);
    }
    carried
}

/// What a call is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It opens one.
    Begin,
    /// It belongs to one.
    Within,
    /// It ends one.
    End,
    /// It is of the era without sessions.
    Apart,
}

impl Step {
    fn of(call: &Call) -> Self {
        match &call.ask {
            Ask::Post(post) if post.era == Era::Modern => Self::Apart,
            Ask::Post(post) if post.method == Method::Initialize => Self::Begin,
            Ask::Post(_) | Ask::Stream { .. } => Self::Within,
            Ask::End => Self::End,
        }
    }
}

/// By what an agent is recognised.
#[derive(Clone, Debug)]
struct Mark {
    owner: (Principal, CallerKey),
    route: RoutePath,
    user_agent: u64,
}

/// The latest session of each agent that may have to be recognised.
#[derive(Debug, Default)]
pub struct SoftSessions {
    hasher: RandomState,
    // A plain mutex: held for a search among one caller's sessions, on such routes only.
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    total: usize,
    by_owner: HashMap<(Principal, CallerKey), Vec<Noted>>,
}

#[derive(Debug)]
struct Noted {
    route: RoutePath,
    user_agent: u64,
    id: HeaderValue,
    opened: Millis,
    used: Millis,
}

impl Noted {
    fn is_of(&self, mark: &Mark) -> bool {
        self.user_agent == mark.user_agent && self.route == mark.route
    }
}

impl SoftSessions {
    fn mark(&self, call: &Call, principal: &Principal) -> Mark {
        let user_agent = call.user_agent.as_ref().map(HeaderValue::as_bytes);
        Mark {
            owner: (principal.clone(), call.caller),
            route: call.route.path.clone(),
            user_agent: self.hasher.hash_one(user_agent),
        }
    }

    /// The session of an agent, sealed as the agent was given it.
    fn find(&self, mark: &Mark, now: Millis) -> Option<HeaderValue> {
        let mut shelves = self.shelves.lock();
        let noted = shelves.by_owner.get_mut(&mark.owner)?.iter_mut().find(|it| it.is_of(mark))?;
        noted.used = now;
        Some(noted.id.clone())
    }

    /// Notes the session that an agent was just given; it takes the place of the one before.
    fn note(&self, mark: Mark, id: &HeaderValue, now: Millis) {
        let mut shelves = self.shelves.lock();
        let Shelves { total, by_owner } = &mut *shelves;
        let shelf = by_owner.entry(mark.owner.clone()).or_default();
        let known = shelf.iter().position(|it| it.is_of(&mark));
        let is_full = shelf.len() >= SOFT_SESSIONS_PER_CALLER_MAX || *total >= SOFT_SESSIONS_MAX;
        // Who is over the bound loses an own session, the one unused for longest; never another's.
        let oldest = || shelf.iter().enumerate().min_by_key(|(_, it)| it.used.0).map(|(at, _)| at);
        let leaves = known.or_else(|| if is_full { oldest() } else { None });
        if let Some(at) = leaves {
            shelf.swap_remove(at);
            *total -= 1;
        } else if is_full {
            by_owner.remove(&mark.owner);
            return;
        }
        let Mark { route, user_agent, .. } = mark;
        shelf.push(Noted { route, user_agent, id: id.clone(), opened: now, used: now });
        *total += 1;
    }

    /// Forgets a session that is over.
    fn forget(&self, mark: &Mark, id: &HeaderValue) {
        let mut shelves = self.shelves.lock();
        let Shelves { total, by_owner } = &mut *shelves;
        let Some(shelf) = by_owner.get_mut(&mark.owner) else { return };
        let is_it = |noted: &Noted| noted.is_of(mark) && noted.id == *id;
        let Some(at) = shelf.iter().position(is_it) else { return };
        shelf.swap_remove(at);
        *total -= 1;
        if shelf.is_empty() {
            by_owner.remove(&mark.owner);
        }
    }

    /// Forgets sessions that must be over by now.
    pub(crate) fn sweep(&self, now: Millis, life: Lifetimes) {
        let mut shelves = self.shelves.lock();
        let mut total = 0;
        shelves.by_owner.retain(|_, shelf| {
            shelf.retain(|noted| now.since(noted.opened) < life.absolute_millis);
            total += shelf.len();
            !shelf.is_empty()
        });
        shelves.total = total;
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, SoftSessions};
    use http::HeaderValue;
    use tollgate_core::bounds::SOFT_SESSIONS_PER_CALLER_MAX;
    use tollgate_core::clock::Millis;
    use tollgate_core::principal::{CallerKey, Principal};
    use tollgate_core::sessions::Lifetimes;

    fn mark(address: u8, user_agent: u64) -> Mark {
        let caller = CallerKey::of_address([10, 0, 0, address].into());
        Mark { owner: (Principal::Anonymous, caller), route: "/mcp".into(), user_agent }
    }

    const ID: HeaderValue = HeaderValue::from_static("sealed");

    #[test]
    fn a_session_is_found_by_its_own_mark_until_it_is_over() {
        let soft = SoftSessions::default();
        soft.note(mark(1, 1), &ID, Millis(0));
        assert_eq!(soft.find(&mark(1, 1), Millis(1)), Some(ID));
        let elsewhere = Mark { route: "/other".into(), ..mark(1, 1) };
        for other in [mark(2, 1), mark(1, 2), elsewhere] {
            assert_eq!(soft.find(&other, Millis(1)), None, "{other:?}");
        }
        soft.forget(&mark(1, 1), &HeaderValue::from_static("another"));
        assert_eq!(soft.find(&mark(1, 1), Millis(1)), Some(ID));
        soft.forget(&mark(1, 1), &ID);
        assert_eq!(soft.find(&mark(1, 1), Millis(1)), None);
        soft.note(mark(1, 1), &ID, Millis(0));
        soft.sweep(Millis(10), Lifetimes { idle_millis: 1, absolute_millis: 10 });
        assert_eq!(soft.find(&mark(1, 1), Millis(10)), None);
        assert_eq!(soft.shelves.lock().total, 0);
    }

    #[test]
    fn the_latest_session_is_found_and_a_flood_displaces_only_its_senders_oldest() {
        let soft = SoftSessions::default();
        soft.note(mark(2, 0), &ID, Millis(0));
        let later = HeaderValue::from_static("later");
        for n in 0..SOFT_SESSIONS_PER_CALLER_MAX as u64 + 10 {
            soft.note(mark(1, n), &ID, Millis(n));
            soft.note(mark(1, n), &later, Millis(n));
        }
        assert_eq!(soft.shelves.lock().total, SOFT_SESSIONS_PER_CALLER_MAX + 1);
        assert_eq!(soft.find(&mark(1, 9), Millis(0)), None);
        assert_eq!(soft.find(&mark(1, 10), Millis(0)), Some(later));
        assert_eq!(soft.find(&mark(2, 0), Millis(0)), Some(ID));
    }
}
