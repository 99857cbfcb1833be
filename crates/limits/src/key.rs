//! What counters are found by: keys of 128 bits, which a caller can neither guess nor make collide.
//!
//! Digests of principals come as they are; names are hashed with seeds of this process. Nothing here
//! is kept: a restart gives other keys.

use crate::request::Request;
use crate::settings::CountedPer;
use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use tollgate_core::principal::CallerKey;

/// The seeds of this process.
#[derive(Clone, Debug)]
pub(crate) struct Seeds {
    lanes: [RandomState; 2],
    odd: u128,
    mask: u128,
}

impl Seeds {
    pub(crate) fn new() -> Self {
        let lanes = [RandomState::new(), RandomState::new()];
        let wide = |label: u8| {
            let [high, low] = lanes.each_ref().map(|lane| lane.hash_one(label));
            u128::from(high) << 64 | u128::from(low)
        };
        Self { odd: wide(1) | 1, mask: wide(2), lanes }
    }

    /// The key of some texts. Their lengths count, so that none runs into the next.
    pub(crate) fn texts(&self, texts: &[&str]) -> u128 {
        let [high, low] = self.lanes.each_ref().map(|lane| {
            let mut hasher = lane.build_hasher();
            for text in texts {
                hasher.write_usize(text.len());
                hasher.write(text.as_bytes());
            }
            hasher.finish()
        });
        u128::from(high) << 64 | u128::from(low)
    }

    /// The key of two things. For each first, different seconds give different keys.
    pub(crate) const fn join(&self, first: u128, second: u128) -> u128 {
        let mut mixed = first ^ self.mask;
        mixed = mixed.wrapping_mul(self.odd);
        mixed ^= mixed >> 67;
        mixed = (mixed ^ second).wrapping_mul(self.odd);
        mixed ^ (mixed >> 61)
    }
}

/// What a call is counted by, each worked out once and only if something asks.
pub(crate) struct Facts<'a> {
    seeds: &'a Seeds,
    pub(crate) request: &'a Request<'a>,
    pub(crate) team: Option<&'a Arc<str>>,
    item: Cell<Option<u128>>,
    upstream: Cell<Option<u128>>,
    route: Cell<Option<u128>>,
    user: Cell<Option<u128>>,
}

impl<'a> Facts<'a> {
    pub(crate) const fn new(
        seeds: &'a Seeds,
        request: &'a Request<'a>,
        team: Option<&'a Arc<str>>,
    ) -> Self {
        Self {
            seeds,
            request,
            team,
            item: Cell::new(None),
            upstream: Cell::new(None),
            route: Cell::new(None),
            user: Cell::new(None),
        }
    }

    /// Calls back with the key of each counter for what is counted apart: none where the call has no
    /// such thing, several where it is in several groups.
    pub(crate) fn keys(&self, per: &[CountedPer], groups: &[Box<str>], each: &mut dyn FnMut(u128)) {
        let mut key = 0;
        let mut by_group = false;
        for one in per {
            if *one == CountedPer::Group {
                by_group = true;
                continue;
            }
            let Some(part) = self.part(*one) else { return };
            key = self.seeds.join(key, part);
        }
        if !by_group {
            return each(key);
        }
        let held = self.request.party.groups().iter();
        let held = held.filter(|group| groups.is_empty() || groups.contains(group));
        for group in held.take(tollgate_core::bounds::limits::LIMIT_GROUPS_MAX) {
            each(self.seeds.join(key, self.seeds.texts(&[group])));
        }
    }

    fn part(&self, per: CountedPer) -> Option<u128> {
        let party = &self.request.party;
        let once = |kept: &Cell<Option<u128>>, texts: &[&str]| {
            let key = kept.get().unwrap_or_else(|| self.seeds.texts(texts));
            kept.set(Some(key));
            key
        };
        match per {
            CountedPer::Agent => Some(self.agent()),
            CountedPer::User => Some(match (party.issuer(), party.user()) {
                (Some(issuer), Some(user)) => once(&self.user, &[issuer, user]),
                _ => self.agent(),
            }),
            // Groups are several: `keys` goes through them.
            CountedPer::Group => None,
            CountedPer::Team => self.team.map(|team| self.seeds.texts(&[team])),
            CountedPer::Address => Some(CallerKey::of_address(party.address).bits()),
            CountedPer::Route => Some(once(&self.route, &[self.request.route.as_str()])),
            CountedPer::Upstream => {
                let item = self.request.item?;
                Some(once(&self.upstream, &[item.upstream.as_str()]))
            }
            CountedPer::Item => {
                let item = self.request.item?;
                let texts = [item.kind.as_str(), item.upstream.as_str(), item.name];
                Some(once(&self.item, &texts))
            }
        }
    }

    /// Agents that proved nothing are their addresses: there is nothing else to tell them apart by.
    fn agent(&self) -> u128 {
        let party = &self.request.party;
        match party.principal.proof() {
            Some(proof) => proof.agent().bits(),
            None => CallerKey::of_address(party.address).bits(),
        }
    }
}
