//! Budgets: counters per calendar period, which the ledger can rebuild.
//!
//! What is settled counts in the period in which it is settled, as in the ledger. Whom a budget is
//! about, and what it counts apart, are names that stand in the ledger's rows: what does not stand
//! there, groups and scopes above all, is refused, since a restart would forget it. So agents and
//! users are names here, whoever vouches for them, and all who proved nothing are one.

use crate::key::Seeds;
use crate::level::{Wait, is_among};
use crate::limits::LimitsError;
use crate::period::{self, Span};
use crate::request::{Now, Request};
use crate::settings::{BudgetSettings, CountedPer};
use crate::shortage::shown;
use crate::table::Table;
use crate::tally::{Amounts, Counts, Tally};
use crate::warning::{BudgetWarning, Warnings};
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tollgate_core::bounds::limits::{LIMIT_KEYS_MAX, WARN_PERCENT_MAX};
use tollgate_core::refusal::LimitUnit;

/// One budget. Another with other amounts keeps the same counters.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) settings: BudgetSettings,
    zone: TimeZone,
    period: Mutex<Span>,
    pub(crate) table: Arc<Table<Tally>>,
    warnings: Arc<Warnings>,
    pub(crate) refused: AtomicU64,
    /// Whether the ledger still has to be asked what was used before.
    pub(crate) is_new: AtomicBool,
}

/// What is missing of a budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shortfall {
    pub(crate) unit: LimitUnit,
    pub(crate) wait: Wait,
    pub(crate) quota: u64,
    pub(crate) remaining: u64,
    pub(crate) period: Span,
}

/// The end of a budget, as a bit of [`Counts::warned`].
const END: u16 = 1 << WARN_PERCENT_MAX;

/// By what a budget tells calls apart, from a call or from a row of the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Named<'a> {
    pub(crate) agent: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) team: Option<&'a str>,
    pub(crate) route: &'a str,
    pub(crate) item: Option<(&'a str, &'a str)>,
}

impl<'a> Named<'a> {
    pub(crate) fn of(request: &'a Request<'a>, team: Option<&'a Arc<str>>) -> Self {
        Self {
            agent: request.party.agent(),
            user: request.party.user(),
            team: team.map(|team| &**team),
            route: request.route.as_str(),
            item: request.item.map(|item| (item.upstream.as_str(), item.name)),
        }
    }

    /// The key of the counter; `None` where there is no such thing as is counted apart.
    fn key(&self, seeds: &Seeds, per: &[CountedPer]) -> Option<u128> {
        per.iter().try_fold(0, |key, per| {
            let (name, more) = self.part(*per)?;
            Some(seeds.join(key, seeds.texts(&[name, more])))
        })
    }

    /// What people call the counter.
    pub(crate) fn label(&self, per: &[CountedPer]) -> String {
        let word = |per: &CountedPer| {
            let (name, more) = self.part(*per).unwrap_or_default();
            match per {
                CountedPer::Item => shown(&format!("{name}__{more}")),
                _ => shown(name),
            }
        };
        per.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    /// The name of one thing that is counted apart, and what tells it from others of that name.
    fn part(&self, per: CountedPer) -> Option<(&'a str, &'a str)> {
        match per {
            CountedPer::Agent => Some((self.agent, "")),
            // An agent that acts for itself is a user of its own.
            CountedPer::User => Some(self.user.map_or((self.agent, "itself"), |user| (user, ""))),
            CountedPer::Team => self.team.map(|team| (team, "")),
            CountedPer::Route => Some((self.route, "")),
            CountedPer::Upstream => self.item.map(|(upstream, _)| (upstream, "")),
            CountedPer::Item => self.item,
            CountedPer::Group | CountedPer::Address => None,
        }
    }
}

impl Budget {
    pub(crate) fn new(
        settings: &BudgetSettings,
        previous: Option<&Self>,
        warnings: &Arc<Warnings>,
    ) -> Result<Self, LimitsError> {
        check(settings)?;
        let zone = TimeZone::get(&settings.zone).map_err(|_| LimitsError::ZoneUnknown {
            budget: Arc::clone(&settings.name),
            zone: settings.zone.clone(),
        })?;
        let keys_max = (!settings.per.is_empty()).then_some(LIMIT_KEYS_MAX);
        let kept = previous.filter(|previous| counts_the_same(&previous.settings, settings));
        let label = if settings.per.is_empty() { "" } else { "all others" };
        Ok(Self {
            zone,
            period: Mutex::default(),
            table: kept.map_or_else(
                || Arc::new(Table::new(keys_max, Tally::new(label))),
                |kept| Arc::clone(&kept.table),
            ),
            warnings: Arc::clone(warnings),
            refused: AtomicU64::new(kept.map_or(0, |kept| kept.refused.load(Ordering::Relaxed))),
            is_new: kept.is_none_or(|kept| kept.is_new.load(Ordering::Acquire)).into(),
            settings: settings.clone(),
        })
    }

    /// The period that it is.
    pub(crate) fn period(&self, now: Now) -> Span {
        let unix_secs = i64::try_from(now.unix_secs).unwrap_or(i64::MAX);
        let mut period = self.period.lock();
        if !period.holds(unix_secs) {
            *period = period::of(self.settings.period, &self.zone, unix_secs);
        }
        *period
    }

    /// The counter of a call, if it counts.
    pub(crate) fn find(
        &self,
        seeds: &Seeds,
        request: &Request<'_>,
        team: Option<&Arc<str>>,
        now: Now,
    ) -> Option<Arc<Tally>> {
        let settings = &self.settings;
        let is_meant = settings.team.as_ref().is_none_or(|wanted| team == Some(wanted))
            && (settings.who.is_everybody() || settings.who.holds(&request.party, request.route))
            && is_among(&settings.items, request.item.as_ref());
        if !is_meant {
            return None;
        }
        self.tally(seeds, &Named::of(request, team), now)
    }

    /// The counter of these names.
    pub(crate) fn tally(&self, seeds: &Seeds, named: &Named<'_>, now: Now) -> Option<Arc<Tally>> {
        let per = &self.settings.per;
        let key = named.key(seeds, per)?;
        Some(self.table.get(key, now, || Tally::new(&named.label(per))))
    }

    /// What is missing for this call.
    pub(crate) fn lack(
        &self,
        counts: &Counts,
        ask: &Amounts,
        tokens_in: u64,
        now: Now,
    ) -> Option<Shortfall> {
        let settings = &self.settings;
        let period = Span { start: counts.start, end: counts.end };
        let taken = counts.used.plus(&counts.held);
        let limits = [
            (LimitUnit::Tokens, settings.tokens, ask.tokens, tokens_in, taken.tokens),
            (LimitUnit::Requests, settings.calls, ask.calls, ask.calls, taken.calls),
            (LimitUnit::Money, settings.money_micros, ask.micros, 0, taken.micros),
        ];
        limits.into_iter().find_map(|(unit, quota, asked, certain, taken)| {
            let quota = quota?;
            let remaining = quota.saturating_sub(taken);
            // What is an estimate must not keep out for ever what may well fit.
            let asked = asked.min(quota.max(1));
            let wait = match () {
                () if certain > quota => Wait::Ever,
                () if asked > remaining => {
                    let now = i64::try_from(now.unix_secs).unwrap_or(i64::MAX);
                    let secs = u64::try_from(period.end.saturating_sub(now)).unwrap_or(0);
                    Wait::Nanos(secs.max(1).saturating_mul(1_000_000_000))
                }
                () => return None,
            };
            Some(Shortfall { unit, wait, quota, remaining, period })
        })
    }

    /// Gives warnings that are due.
    pub(crate) fn warn(&self, tally: &Tally, counts: &mut Counts) {
        self.thresholds(counts, |percent, amounts, period| {
            let whose = (&self.settings, &*tally.label);
            self.warnings.give(BudgetWarning::new(whose, percent, amounts, period));
        });
    }

    /// Marks the thresholds that were passed, and calls back with the greatest of those that are news.
    fn thresholds(
        &self,
        counts: &mut Counts,
        mut news: impl FnMut(u8, (LimitUnit, u64, u64), Span),
    ) {
        let settings = &self.settings;
        let amounts = [
            (LimitUnit::Tokens, settings.tokens, counts.used.tokens),
            (LimitUnit::Requests, settings.calls, counts.used.calls),
            (LimitUnit::Money, settings.money_micros, counts.used.micros),
        ];
        let period = Span { start: counts.start, end: counts.end };
        for ((unit, quota, used), warned) in amounts.into_iter().zip(&mut counts.warned) {
            let Some(quota) = quota else { continue };
            let is_passed =
                |percent: u8| u128::from(used) * 100 >= u128::from(quota) * u128::from(percent);
            // Of several passed at once, only the last is news.
            let mut passed = None;
            for (place, percent) in settings.warn_percent.iter().enumerate().take(WARN_PERCENT_MAX)
            {
                if is_passed(*percent) && *warned & 1 << place == 0 {
                    *warned |= 1 << place;
                    passed = Some(*percent);
                }
            }
            if is_passed(100) && *warned & END == 0 {
                *warned |= END;
                passed = Some(100);
            }
            if let Some(percent) = passed {
                news(percent, (unit, used, quota), period);
            }
        }
    }

    /// Counts what the ledger has of this period from before.
    pub(crate) fn add_past(&self, tally: &Tally, now: Now, past: &Amounts) {
        let mut counts = tally.lock(self.period(now));
        counts.used = counts.used.plus(past);
        // What was passed before the restart was warned of before the restart.
        self.thresholds(&mut counts, |_, _, _| {});
    }
}

/// Whether the counters of one budget are right for another.
fn counts_the_same(one: &BudgetSettings, other: &BudgetSettings) -> bool {
    let [one, other] = [one, other].map(|settings| {
        (
            &settings.name,
            &settings.per,
            &settings.who,
            &settings.team,
            &settings.items,
            settings.period,
            &settings.zone,
        )
    });
    one == other
}

/// Refuses what rows of the ledger do not tell.
fn check(settings: &BudgetSettings) -> Result<(), LimitsError> {
    let refused = |what| LimitsError::NotInLedger { budget: Arc::clone(&settings.name), what };
    if let Some(per) =
        settings.per.iter().find(|per| matches!(per, CountedPer::Group | CountedPer::Address))
    {
        return Err(refused(if *per == CountedPer::Group { "group" } else { "address" }));
    }
    let who = &settings.who;
    let said = [
        (who.groups.is_empty(), "groups"),
        (who.scopes.is_empty(), "scopes"),
        (who.addresses.is_empty(), "addresses"),
        (who.issuers.is_empty(), "issuers"),
        (settings.items.iter().all(|(kind, _)| kind.is_none()), "kinds of items"),
    ];
    if let Some((_, what)) = said.into_iter().find(|(is_absent, _)| !is_absent) {
        return Err(refused(what));
    }
    let amounts = [settings.tokens, settings.calls, settings.money_micros];
    if amounts.iter().all(Option::is_none) || amounts.contains(&Some(0)) {
        return Err(LimitsError::NoAmount(Arc::clone(&settings.name)));
    }
    Ok(())
}
