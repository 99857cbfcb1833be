//! Slows down guessing: failed sign-ins are counted for each name and for each address.
//!
//! After a few failures the next attempt must wait, twice as long each time. An attempt counts as
//! failed from its beginning until it has succeeded, so guesses in parallel are counted like guesses
//! in turn. The counters are a table of fixed size under a keyed hash: inventing names or addresses
//! neither makes it grow nor pushes anybody's counter out.
//!
//! LIMIT: who fails on purpose for somebody's name keeps that person waiting, for 15 minutes at most
//! after the last attempt. Without it the name could be guessed at.

use parking_lot::Mutex;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use tollgate_core::bounds::people::{
    SIGN_IN_ADDRESS_FAILURES_FREE, SIGN_IN_ADDRESS_FORGET_SECS, SIGN_IN_COUNTERS,
    SIGN_IN_FAILURES_FREE, SIGN_IN_WAIT_SECS, SIGN_IN_WAIT_SECS_MAX,
};
use tollgate_core::clock::Millis;
use tollgate_core::principal::CallerKey;

/// Failures of one name or address.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    failures: u32,
    last: Millis,
}

/// What is counted, and how it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All failures after a quiet spell.
    Name,
    /// One failure after the other.
    Address,
}

impl Kind {
    const fn free(self) -> u32 {
        match self {
            Self::Name => SIGN_IN_FAILURES_FREE,
            Self::Address => SIGN_IN_ADDRESS_FAILURES_FREE,
        }
    }
}

impl Counter {
    /// Failures that are not forgotten.
    fn standing(self, kind: Kind, now: Millis) -> u32 {
        let quiet = now.since(self.last) / 1_000;
        match kind {
            Kind::Name if quiet > SIGN_IN_WAIT_SECS_MAX => 0,
            Kind::Name => self.failures,
            Kind::Address => {
                let forgotten = quiet / SIGN_IN_ADDRESS_FORGET_SECS;
                self.failures.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
            }
        }
    }

    /// How many seconds the next attempt must wait.
    fn wait_secs(self, kind: Kind, now: Millis) -> u64 {
        let Some(over) = self.standing(kind, now).checked_sub(kind.free()) else { return 0 };
        let wait = SIGN_IN_WAIT_SECS.saturating_mul(1 << over.min(16)).min(SIGN_IN_WAIT_SECS_MAX);
        (wait * 1_000).saturating_sub(now.since(self.last)).div_ceil(1_000)
    }

    fn fail(&mut self, kind: Kind, now: Millis) {
        self.failures = self.standing(kind, now).saturating_add(1);
        self.last = now;
    }
}

/// Counts failed sign-ins. One lock: signing in costs a password hash, beside which this is nothing.
#[derive(Debug)]
pub(crate) struct Throttle {
    keys: RandomState,
    counters: Mutex<Box<[Counter]>>,
}

/// An attempt that was allowed. It stays counted as failed unless it succeeded.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    name: usize,
    address: usize,
}

/// Whoever tried must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) secs: u64,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        let counters = vec![Counter::default(); 2 * SIGN_IN_COUNTERS].into_boxed_slice();
        Self { keys: RandomState::new(), counters: Mutex::new(counters) }
    }

    /// Begins an attempt to sign in, unless it must wait.
    pub(crate) fn begin(
        &self,
        name: &str,
        address: IpAddr,
        now: Millis,
    ) -> Result<Attempt<'_>, Wait> {
        let name = self.place(name);
        // IPv6 by /64, since one host commonly owns the whole of it.
        let address = SIGN_IN_COUNTERS + self.place(CallerKey::of_address(address));
        let places = [(Kind::Name, name), (Kind::Address, address)];
        let mut counters = self.counters.lock();
        let waits = places.map(|(kind, place)| counters[place].wait_secs(kind, now));
        if let Some(secs) = waits.into_iter().max().filter(|secs| *secs > 0) {
            return Err(Wait { secs });
        }
        for (kind, place) in places {
            counters[place].fail(kind, now);
        }
        Ok(Attempt { throttle: self, name, address })
    }

    fn place(&self, key: impl Hash) -> usize {
        // INVARIANT: below the number of counters, which fits any usize.
        usize::try_from(self.keys.hash_one(key) % SIGN_IN_COUNTERS as u64).unwrap_or_default()
    }
}

impl Attempt<'_> {
    /// The name is forgiven everything; the address only this attempt, or who has one account could
    /// guess at others for ever.
    pub(crate) fn succeeded(self) {
        self.throttle.counters.lock()[self.name].failures = 0;
        self.undone();
    }

    /// The attempt was no guess: it was never judged.
    pub(crate) fn withdrawn(self) {
        let mut counters = self.throttle.counters.lock();
        counters[self.name].failures = counters[self.name].failures.saturating_sub(1);
        drop(counters);
        self.undone();
    }

    fn undone(&self) {
        let counter = &mut self.throttle.counters.lock()[self.address];
        counter.failures = counter.failures.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Throttle, Wait};
    use std::net::{IpAddr, Ipv4Addr};
    use tollgate_core::clock::Millis;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn from(host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, host))
    }

    fn fail(throttle: &Throttle, name: &str, address: IpAddr, now: u64) -> Option<Wait> {
        throttle.begin(name, address, Millis(now)).err()
    }

    #[test]
    fn a_name_may_fail_five_times_and_then_waits_twice_as_long_each_time() {
        let throttle = Throttle::new();
        for host in 0..5 {
            assert_eq!(fail(&throttle, "ada", from(host), 0), None);
        }
        let mut now = 0;
        for secs in [5, 10, 20, 40, 80, 160, 320, 640, 900] {
            assert_eq!(fail(&throttle, "ada", from(9), now), Some(Wait { secs }));
            now += secs * 1_000;
            // A neighbour's address each time: what is counted here is the name.
            let host = u8::try_from(now % 200).expect("small") + 20;
            assert_eq!(fail(&throttle, "ada", from(host), now), None);
        }
        assert_eq!(fail(&throttle, "ada", from(9), now), Some(Wait { secs: 900 }));
    }

    /// The first of attempts for as many names that has to wait.
    fn first_to_wait(throttle: &Throttle, address: impl Fn(u32) -> IpAddr) -> Option<u32> {
        (0..100).find(|at| fail(throttle, &format!("name {at}"), address(*at), 0).is_some())
    }

    #[test]
    fn an_address_that_fails_for_many_names_waits_too() {
        let throttle = Throttle::new();
        assert_eq!(first_to_wait(&throttle, |_| HERE), Some(30));
        assert_eq!(fail(&throttle, "ada", from(1), 0), None);
        assert_eq!(fail(&throttle, "ada", HERE, 0), Some(Wait { secs: 5 }));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let host = |at: u32| format!("2001:db8::{at:x}").parse().expect("an address");
        assert_eq!(first_to_wait(&Throttle::new(), host), Some(30));
        let network = |at: u32| format!("2001:db8:0:{at:x}::1").parse().expect("an address");
        assert_eq!(first_to_wait(&Throttle::new(), network), None);
    }

    #[test]
    fn an_address_is_forgiven_one_failure_a_minute() {
        let throttle = Throttle::new();
        assert_eq!(first_to_wait(&throttle, |_| HERE), Some(30));
        assert_eq!(fail(&throttle, "a", HERE, 60_000), None);
        assert_eq!(fail(&throttle, "b", HERE, 60_000), Some(Wait { secs: 5 }));
    }

    #[test]
    fn success_forgives_the_name_and_only_itself_at_the_address() {
        let throttle = Throttle::new();
        for at in 0..29 {
            assert_eq!(fail(&throttle, &format!("name {at}"), HERE, 0), None);
        }
        for _ in 0..10 {
            throttle.begin("ada", HERE, Millis(0)).expect("right each time").succeeded();
        }
        assert_eq!(fail(&throttle, "eve", HERE, 0), None);
        assert_eq!(fail(&throttle, "ada", HERE, 0), Some(Wait { secs: 5 }));
        for host in 0..5 {
            assert_eq!(fail(&throttle, "ada", from(host), 0), None);
        }
        throttle.begin("bob", from(9), Millis(0)).expect("another name").succeeded();
        assert_eq!(fail(&throttle, "ada", from(9), 0), Some(Wait { secs: 5 }));
    }

    #[test]
    fn attempts_in_parallel_count_before_they_end() {
        let throttle = Throttle::new();
        let running: Vec<_> =
            (0..50).filter_map(|_| throttle.begin("ada", HERE, Millis(0)).ok()).collect();
        assert_eq!(running.len(), 5);
    }

    #[test]
    fn a_quiet_spell_forgets() {
        let throttle = Throttle::new();
        for _ in 0..5 {
            assert_eq!(fail(&throttle, "ada", HERE, 0), None);
        }
        assert_eq!(fail(&throttle, "ada", HERE, 901_000), None);
        assert_eq!(fail(&throttle, "ada", HERE, 901_000), None);
    }

    #[test]
    fn what_was_never_judged_does_not_count() {
        let throttle = Throttle::new();
        for _ in 0..50 {
            throttle.begin("ada", HERE, Millis(0)).expect("not waiting").withdrawn();
        }
    }
}
