//! Whose a task is: noted when an answer that passes by says that a call became one.
//!
//! Only where a policy is enforced. A task belongs to who made the call and to the tool called; to all
//! others it is not there. LIMIT: what is noted is lost with the process and above its bound, oldest
//! first; such a task is then nobody's, which is refused and never let through.

use crate::subject::Subject;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tollgate_core::bounds::policy::{TASK_ID_BYTES_MAX, TASKS_KNOWN_MAX};
use tollgate_core::ids::UpstreamName;
use tollgate_core::party::Party;
use tollgate_core::principal::{CallerKey, Principal};

/// The tasks that calls became. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<Mutex<Known>>);

type Key = (UpstreamName, Box<str>);

// A plain mutex around it: held for one map operation, for calls of tasks only.
#[derive(Debug, Default)]
struct Known {
    tasks: HashMap<Key, Owned>,
    order: VecDeque<Key>,
}

#[derive(Clone, Debug)]
struct Owned {
    principal: Principal,
    caller: CallerKey,
    subject: Subject,
}

impl Tasks {
    /// Notes that a call of this party's became a task. The first who had a task of an id keeps it.
    pub(crate) fn note(
        &self,
        upstream: &UpstreamName,
        id: &str,
        (party, subject): (Party<'_>, &Subject),
    ) {
        if id.len() > TASK_ID_BYTES_MAX {
            return;
        }
        let key: Key = (upstream.clone(), id.into());
        let mut known = self.0.lock();
        if known.tasks.contains_key(&key) {
            return;
        }
        while known.order.len() >= TASKS_KNOWN_MAX {
            let Some(oldest) = known.order.pop_front() else { break };
            known.tasks.remove(&oldest);
        }
        let principal = party.principal.clone();
        let owned = Owned { principal, caller: party.caller, subject: subject.clone() };
        known.order.push_back(key.clone());
        known.tasks.insert(key, owned);
    }

    /// What a task of this party's is a call of; `None` for what is not its task.
    pub(crate) fn of(
        &self,
        upstream: &UpstreamName,
        id: &str,
        party: &Party<'_>,
    ) -> Option<Subject> {
        let known = self.0.lock();
        let owned = known.tasks.get(&(upstream.clone(), Box::from(id)))?;
        let is_owner = owned.principal == *party.principal && owned.caller == party.caller;
        is_owner.then(|| owned.subject.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::Tasks;
    use crate::subject::{Name, Subject};
    use std::net::{IpAddr, Ipv4Addr};
    use tollgate_core::bounds::policy::TASKS_KNOWN_MAX;
    use tollgate_core::ids::UpstreamName;
    use tollgate_core::party::{ItemKind, Party};
    use tollgate_core::principal::{CallerKey, Principal};

    #[test]
    fn a_task_is_its_owners_and_the_oldest_are_forgotten() {
        let tasks = Tasks::default();
        let here = UpstreamName::from("a");
        let party = |last| {
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
            Party {
                principal: &Principal::Anonymous,
                caller: CallerKey::of_address(address),
                address,
            }
        };
        let subject = |name: &str| Subject { leg: 0, kind: ItemKind::Tool, name: Name::from(name) };
        tasks.note(&here, "t", (party(1), &subject("slow")));
        // An upstream that gives one id twice gives nobody another's task.
        tasks.note(&here, "t", (party(2), &subject("other")));
        assert_eq!(tasks.of(&here, "t", &party(1)), Some(subject("slow")));
        assert_eq!(tasks.of(&here, "t", &party(2)), None);
        assert_eq!(tasks.of(&UpstreamName::from("b"), "t", &party(1)), None);
        for number in 0..TASKS_KNOWN_MAX {
            tasks.note(&here, &format!("n{number}"), (party(3), &subject("x")));
        }
        assert_eq!(tasks.of(&here, "t", &party(1)), None);
        assert!(tasks.of(&here, "n1", &party(3)).is_some());
    }
}
