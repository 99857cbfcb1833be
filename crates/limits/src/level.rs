//! One limit: its rates, and the counters of those it counts apart.

use crate::gcra::{Place, Rate, Taken};
use crate::key::Facts;
use crate::limits::LimitsError;
use crate::request::Now;
use crate::settings::{CountedPer, LevelSettings, RateSettings};
use crate::table::{Counter, Table};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tollgate_core::bounds::limits::LIMIT_KEYS_MAX;
use tollgate_core::party::{Item, ItemKind};
use tollgate_core::refusal::LimitUnit;
use tollgate_rules::items::ItemGlob;

/// One limit.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) table: Table<Bucket>,
}

/// What all counters of one limit have in common.
#[derive(Debug)]
pub(crate) struct Gauge {
    pub(crate) settings: LevelSettings,
    pub(crate) requests: Option<Rate>,
    pub(crate) tokens: Option<Rate>,
    pub(crate) refused: AtomicU64,
    pub(crate) forgiven: AtomicU64,
}

/// One counter.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) gauge: Arc<Gauge>,
    state: Mutex<State>,
    /// Beside the lock, so that a call that ends need not wait for one that begins.
    under_way: AtomicU32,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    requests: Taken,
    tokens: Taken,
}

/// What a call asks of a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) now: u64,
    pub(crate) requests: u64,
    pub(crate) tokens_in: u64,
    pub(crate) tokens: u64,
    /// Whether it takes a place among calls at once.
    pub(crate) is_call: bool,
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lack {
    pub(crate) unit: LimitUnit,
    pub(crate) wait: Wait,
    pub(crate) remaining: u64,
}

/// How long it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wait {
    /// Until some call ends.
    Call,
    /// So many nanoseconds.
    Nanos(u64),
    /// For ever.
    Ever,
}

impl Level {
    pub(crate) fn new(settings: &LevelSettings) -> Result<Self, LimitsError> {
        let rate = |unit, settings: Option<&RateSettings>| {
            settings.map(Rate::new).transpose().map_err(|error| (unit, error))
        };
        let wrong = |(unit, error)| LimitsError::Rate(Arc::clone(&settings.name), unit, error);
        if settings.concurrent == Some(0) {
            return Err(LimitsError::NoCalls(Arc::clone(&settings.name)));
        }
        if settings.concurrent.is_none() && settings.requests.is_none() && settings.tokens.is_none()
        {
            return Err(LimitsError::NothingLimited(Arc::clone(&settings.name)));
        }
        let gauge = Arc::new(Gauge {
            requests: rate(LimitUnit::Requests, settings.requests.as_ref()).map_err(wrong)?,
            tokens: rate(LimitUnit::Tokens, settings.tokens.as_ref()).map_err(wrong)?,
            settings: settings.clone(),
            refused: AtomicU64::new(0),
            forgiven: AtomicU64::new(0),
        });
        let keys_max = (!settings.per.is_empty()).then_some(LIMIT_KEYS_MAX);
        let table = Table::new(keys_max, Bucket::new(&gauge));
        Ok(Self { gauge, table })
    }

    /// Calls back with the counters of a call.
    pub(crate) fn find(&self, facts: &Facts<'_>, now: Now, found: &mut dyn FnMut(Arc<Bucket>)) {
        let settings = &self.gauge.settings;
        let request = facts.request;
        let is_meant = (settings.who.is_everybody()
            || settings.who.holds(&request.party, request.route))
            && is_among(&settings.items, request.item.as_ref());
        if is_meant {
            facts.keys(&settings.per, &settings.who.groups, &mut |key| {
                found(self.table.get(key, now, || Bucket::new(&self.gauge)));
            });
        }
    }

    /// Whether it has to know the caller's team.
    pub(crate) fn needs_team(&self) -> bool {
        self.gauge.settings.per.contains(&CountedPer::Team)
    }
}

/// Whether an item is one of those; no items are meant to be everything.
pub(crate) fn is_among(items: &[(Option<ItemKind>, ItemGlob)], item: Option<&Item<'_>>) -> bool {
    items.is_empty()
        || item.is_some_and(|item| {
            let of_kind = |kind: &Option<ItemKind>| kind.is_none_or(|kind| kind == item.kind);
            items.iter().any(|(kind, glob)| of_kind(kind) && glob.matches(item))
        })
}

impl Bucket {
    fn new(gauge: &Arc<Gauge>) -> Self {
        Self { gauge: Arc::clone(gauge), state: Mutex::default(), under_way: AtomicU32::new(0) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// What is missing for this call, the worst of it.
    pub(crate) fn lack(&self, state: &State, ask: &Ask) -> Option<Lack> {
        let requests = self.gauge.requests.and_then(|rate| {
            let time = rate.time(ask.requests);
            lack_of(LimitUnit::Requests, &rate, &state.requests, (ask.now, time, time))
        });
        let tokens = self.gauge.tokens.filter(|_| ask.tokens > 0).and_then(|rate| {
            let needed = (ask.now, rate.time(ask.tokens_in), held(&rate, ask.tokens));
            lack_of(LimitUnit::Tokens, &rate, &state.tokens, needed)
        });
        let calls = self.gauge.settings.concurrent.filter(|_| ask.is_call).filter(|most| {
            // Calls begin under the lock only: there can be fewer by now, never more.
            self.under_way.load(Ordering::Acquire) >= *most
        });
        let calls =
            calls.map(|_| Lack { unit: LimitUnit::Concurrent, wait: Wait::Call, remaining: 0 });
        [requests, tokens, calls].into_iter().flatten().max_by_key(|lack| lack.wait)
    }

    /// Takes it, after [`Bucket::lack`] said that nothing is missing.
    pub(crate) fn charge(&self, state: &mut State, ask: &Ask) -> Hold {
        let mut hold = Hold::default();
        if let Some(rate) = self.gauge.requests {
            let time = rate.time(ask.requests);
            hold.requests = (state.requests.take(ask.now, time), time);
        }
        self.under_way.fetch_add(ask.is_call.into(), Ordering::AcqRel);
        if let Some(rate) = self.gauge.tokens {
            hold.held = held(&rate, ask.tokens);
            hold.place = state.tokens.take(ask.now, hold.held);
        }
        hold
    }

    /// Gives back all that is held, as if nothing had been taken.
    pub(crate) fn undo(&self, hold: &Hold) {
        let (place, time) = hold.requests;
        let mut state = self.lock();
        state.requests.give_back(place, time);
        state.tokens.give_back(hold.place, hold.held);
    }

    /// Charges what goes beyond what is held, for so many tokens.
    pub(crate) fn grow(&self, hold: &mut Hold, now: u64, tokens: u64) {
        let Some(rate) = self.gauge.tokens else { return };
        let more = rate.time(tokens).saturating_sub(hold.held);
        if more == 0 {
            return;
        }
        hold.held += more;
        let forgiven = self.lock().tokens.take_more(&rate, now, more);
        if forgiven > 0 {
            self.gauge.forgiven.fetch_add(rate.units_begun(forgiven), Ordering::Relaxed);
        }
    }

    /// Makes what is held what these tokens take, up or down.
    pub(crate) fn settle(&self, hold: &mut Hold, now: Option<u64>, tokens: u64) {
        let Some(rate) = self.gauge.tokens else { return };
        let spare = hold.held.saturating_sub(rate.time(tokens));
        if spare > 0 {
            hold.held -= spare;
            return self.lock().tokens.give_back(hold.place, spare);
        }
        if let Some(now) = now {
            self.grow(hold, now, tokens);
        }
    }

    /// The call is over.
    pub(crate) fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }

    /// Calls under way.
    pub(crate) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Acquire)
    }
}

impl Counter for Bucket {
    fn is_idle(&self, now: Now) -> bool {
        let state = self.lock();
        let now = now.nanos();
        self.under_way.load(Ordering::Acquire) == 0
            && state.requests.is_paid(now)
            && state.tokens.is_paid(now)
    }
}

/// What a call holds of a bucket: tokens, and what it could give back of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hold {
    requests: (Place, u64),
    place: Place,
    held: u64,
}

/// What is held for so many tokens: never more than a burst, since the part that is an estimate must
/// not keep out for ever what may well fit.
fn held(rate: &Rate, tokens: u64) -> u64 {
    rate.time(tokens).min(rate.burst())
}

fn lack_of(
    unit: LimitUnit,
    rate: &Rate,
    taken: &Taken,
    (now, certain, time): (u64, u64, u64),
) -> Option<Lack> {
    let remaining = rate.room(taken, now);
    if !rate.ever_fits(certain) {
        return Some(Lack { unit, wait: Wait::Ever, remaining });
    }
    let wait = rate.look(taken, now, time).err()?;
    Some(Lack { unit, wait: Wait::Nanos(wait), remaining })
}
