//! All limits of one configuration: what applies to a call, and whether all of it has room.
//!
//! A call takes its share of every limit and budget that applies, or of none: the counters are locked
//! in one order, all are looked at, and only then is any charged. Denied calls cost nothing. What a
//! new configuration leaves as it was keeps its counters.
//!
//! Next: `gcra.rs` for the arithmetic, `receipt.rs` for what happens afterwards.

use crate::budget::{Budget, Named};
use crate::gcra::RateError;
use crate::key::{Facts, Seeds};
use crate::level::{Ask, Lack, Level};
use crate::receipt::{Charge, Receipt, order};
use crate::request::{Now, Request};
use crate::settings::{LevelSettings, LimitAnswer, LimitSettings, Oversize};
use crate::shortage::Shortage;
use crate::tally::{Amounts, Share};
use crate::warning::{BudgetWarning, Warnings};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tollgate_core::bounds::limits::{BUDGETS_MAX, LEVELS_MAX};
use tollgate_core::party::{Item, ItemKind};
use tollgate_core::refusal::LimitUnit;

/// All limits of one configuration.
#[derive(Debug)]
pub struct Limits {
    pub(crate) settings: LimitSettings,
    pub(crate) seeds: Arc<Seeds>,
    pub(crate) levels: Vec<Arc<Level>>,
    pub(crate) budgets: Vec<Arc<Budget>>,
    pub(crate) warnings: Arc<Warnings>,
    needs_team: bool,
}

/// Why settings are no limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Two things share a name.
    #[error("two limits or budgets are called `{0}`")]
    NameTwice(Arc<str>),
    /// There are too many of them.
    #[error("there are more than {LEVELS_MAX} limits or {BUDGETS_MAX} budgets")]
    TooMany,
    /// An amount in a window is no rate.
    #[error("limit `{0}`, {unit}: {2}", unit = .1.as_str())]
    Rate(Arc<str>, LimitUnit, RateError),
    /// No call could ever be made.
    #[error("limit `{0}` allows no call at all: `concurrent` must be above zero")]
    NoCalls(Arc<str>),
    /// A limit limits nothing.
    #[error("limit `{0}` says nothing of requests, tokens or calls at once")]
    NothingLimited(Arc<str>),
    /// A budget has no amount, or one of zero.
    #[error("budget `{0}` needs tokens, calls or money above zero")]
    NoAmount(Arc<str>),
    /// A budget is about what the ledger does not have, so that a restart would forget it.
    #[error("budget `{budget}` cannot go by {what}: the ledger of usage does not have them")]
    NotInLedger {
        /// Which.
        budget: Arc<str>,
        /// By what.
        what: &'static str,
    },
    /// A budget is about a team that there is not.
    #[error("budget `{budget}` is about the team `{team}`, which there is not")]
    TeamUnknown {
        /// Which.
        budget: Arc<str>,
        /// Which team.
        team: Arc<str>,
    },
    /// A budget's calendar is of no known time zone.
    #[error("budget `{budget}`: `{zone}` is no IANA time zone")]
    ZoneUnknown {
        /// Which.
        budget: Arc<str>,
        /// As written.
        zone: String,
    },
}

impl Limits {
    /// Compiles settings. What `previous` counts and these settings count alike goes on counting.
    ///
    /// # Errors
    /// [`LimitsError`].
    pub fn compile(settings: &LimitSettings, previous: Option<&Self>) -> Result<Self, LimitsError> {
        if settings.levels.len() > LEVELS_MAX || settings.budgets.len() > BUDGETS_MAX {
            return Err(LimitsError::TooMany);
        }
        let mut names = HashSet::new();
        let levels = settings.levels.iter().map(|level| &level.name);
        for name in levels.chain(settings.budgets.iter().map(|budget| &budget.name)) {
            if !names.insert(name) {
                return Err(LimitsError::NameTwice(Arc::clone(name)));
            }
        }
        let warnings =
            previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.warnings));
        let level = |level: &LevelSettings| {
            let kept = previous.and_then(|previous| {
                previous.levels.iter().find(|kept| kept.gauge.settings == *level)
            });
            kept.map_or_else(|| Level::new(level).map(Arc::new), |kept| Ok(Arc::clone(kept)))
        };
        let levels = settings.levels.iter().map(level).collect::<Result<Vec<_>, _>>()?;
        let mut budgets = Vec::with_capacity(settings.budgets.len());
        for budget in &settings.budgets {
            if let Some(team) = &budget.team
                && !settings.teams.names().any(|name| name == team)
            {
                let (budget, team) = (Arc::clone(&budget.name), Arc::clone(team));
                return Err(LimitsError::TeamUnknown { budget, team });
            }
            let kept = previous.and_then(|previous| {
                previous.budgets.iter().find(|kept| kept.settings.name == budget.name)
            });
            budgets.push(Arc::new(Budget::new(budget, kept.map(Arc::as_ref), &warnings)?));
        }
        let needs_team = levels.iter().any(|level| level.needs_team())
            || settings.budgets.iter().any(|budget| {
                budget.team.is_some() || budget.per.contains(&crate::settings::CountedPer::Team)
            });
        let seeds =
            previous.map_or_else(|| Arc::new(Seeds::new()), |previous| Arc::clone(&previous.seeds));
        Ok(Self { settings: settings.clone(), seeds, levels, budgets, warnings, needs_team })
    }

    /// Takes a call's share of everything that applies to it.
    ///
    /// # Errors
    /// What has no room, of several the one to wait for longest. Nothing was taken then.
    pub fn take(&self, now: Now, request: &Request<'_>) -> Result<Receipt, Shortage> {
        self.share(Asked::new(now, request, true))
    }

    /// Takes the share of a stream that lives until somebody ends it: like that of a call, but no place
    /// among calls at once.
    ///
    /// # Errors
    /// As [`Limits::take`].
    pub fn take_stream(&self, now: Now, request: &Request<'_>) -> Result<Receipt, Shortage> {
        self.share(Asked::new(now, request, false))
    }

    fn share(&self, asked: Asked<'_>) -> Result<Receipt, Shortage> {
        let Asked { now, request, .. } = asked;
        let mut receipt = Receipt::default();
        if self.levels.is_empty() && self.budgets.is_empty() {
            return Ok(receipt);
        }
        let team = self.needs_team.then(|| self.settings.teams.of(&request.party, request.route));
        let team = team.flatten();
        let facts = Facts::new(&self.seeds, request, team);
        receipt.charges.reserve(self.levels.len().min(8));
        for level in &self.levels {
            let charges = &mut receipt.charges;
            level.find(&facts, now, &mut |bucket| charges.push(Charge::new(bucket)));
        }
        for budget in &self.budgets {
            let tally = budget.find(&self.seeds, request, team, now);
            receipt.shares.extend(tally.map(|tally| Share::new(budget, tally)));
        }
        let Receipt { charges, shares, .. } = &mut receipt;
        order(charges, shares);
        let mut worst = Worst { facts: &facts, shortage: None };
        charge(charges, shares, &asked, &mut worst);
        match worst.shortage {
            None => {
                receipt.tokens_in = request.tokens_in;
                receipt.is_over = !asked.ask.is_call;
                Ok(receipt)
            }
            Some(shortage) => {
                // Nothing was charged, so nothing is given back.
                receipt.charges.clear();
                receipt.shares.clear();
                Err(shortage)
            }
        }
    }

    /// The longest result of this item, in tokens, and what becomes of a longer one.
    #[must_use]
    pub fn max_result(&self, item: &Item<'_>) -> Option<(u64, Oversize)> {
        if item.kind != ItemKind::Tool {
            return None;
        }
        let is_meant =
            |globs: &[tollgate_rules::items::ItemGlob]| globs.iter().any(|glob| glob.matches(item));
        let found = self.settings.results.iter().find(|result| is_meant(&result.items));
        found.map(|result| (result.tokens_max, result.oversize))
    }

    /// How a caller at a limit is told.
    #[must_use]
    pub const fn answer(&self) -> LimitAnswer {
        self.settings.answer
    }

    /// Whether anything counts money.
    #[must_use]
    pub fn counts_money(&self) -> bool {
        self.budgets.iter().any(|budget| budget.settings.money_micros.is_some())
    }

    /// Takes the warnings of budgets that wait.
    #[must_use]
    pub fn warnings(&self) -> Vec<BudgetWarning> {
        self.warnings.take()
    }
}

/// What a call asks for.
struct Asked<'a> {
    now: Now,
    request: &'a Request<'a>,
    ask: Ask,
    amounts: Amounts,
}

impl<'a> Asked<'a> {
    fn new(now: Now, request: &'a Request<'a>, is_call: bool) -> Self {
        let tokens = request.tokens_in.saturating_add(request.tokens_out);
        // A call that acts on something is never free: a debt would be no reason to wait.
        let tokens = tokens.max(request.item.is_some().into());
        Self {
            now,
            request,
            ask: Ask {
                now: now.nanos(),
                requests: request.requests.into(),
                tokens_in: request.tokens_in,
                tokens,
                is_call,
            },
            amounts: Amounts {
                tokens,
                calls: request.requests.into(),
                micros: request.cost_micros,
            },
        }
    }
}

struct Worst<'a> {
    facts: &'a Facts<'a>,
    shortage: Option<Shortage>,
}

/// Looks at all counters, each locked while the rest are looked at, and charges them on the way back
/// if none lacked anything. Deep as there are counters: at most some hundred, usually under ten.
fn charge(charges: &mut [Charge], shares: &mut [Share], asked: &Asked<'_>, worst: &mut Worst<'_>) {
    let Some((first, rest)) = charges.split_first_mut() else {
        return reserve(shares, asked, worst);
    };
    let mut state = first.bucket.lock();
    if let Some(lack) = first.bucket.lack(&state, &asked.ask) {
        first.bucket.gauge.refused.fetch_add(1, Ordering::Relaxed);
        let shortage = level_shortage(&first.bucket.gauge, &lack, asked, worst.facts);
        worst.shortage = Shortage::worse(worst.shortage.take(), shortage);
    }
    charge(rest, shares, asked, worst);
    if worst.shortage.is_none() {
        first.hold = first.bucket.charge(&mut state, &asked.ask);
    }
}

fn level_shortage(
    gauge: &crate::level::Gauge,
    lack: &Lack,
    asked: &Asked<'_>,
    facts: &Facts<'_>,
) -> Shortage {
    let needed = match lack.unit {
        LimitUnit::Requests => asked.ask.requests,
        LimitUnit::Tokens | LimitUnit::Concurrent | LimitUnit::Money => asked.ask.tokens_in,
    };
    Shortage::of_level(gauge, lack, needed, facts)
}

/// The same for budgets.
fn reserve(shares: &mut [Share], asked: &Asked<'_>, worst: &mut Worst<'_>) {
    let Some((first, rest)) = shares.split_first_mut() else { return };
    let budget = Arc::clone(first.budget());
    let tally = Arc::clone(&first.tally);
    let mut counts = tally.lock(budget.period(asked.now));
    let settings = &budget.settings;
    let lack = budget.lack(&counts, &asked.amounts, asked.request.tokens_in, asked.now);
    if let Some(short) = lack.filter(|_| settings.is_hard) {
        budget.refused.fetch_add(1, Ordering::Relaxed);
        let needed = match short.unit {
            LimitUnit::Requests => asked.amounts.calls,
            LimitUnit::Money => asked.amounts.micros,
            LimitUnit::Tokens | LimitUnit::Concurrent => asked.request.tokens_in,
        };
        let named = Named::of(asked.request, worst.facts.team);
        let shortage = Shortage::of_budget(settings, &short, needed, &named);
        worst.shortage = Shortage::worse(worst.shortage.take(), shortage);
    }
    reserve(rest, asked, worst);
    if worst.shortage.is_none() {
        first.hold(&mut counts, &asked.amounts);
    }
}
