//! How limits and budgets are doing, for `/status` and metrics.

use crate::limits::Limits;
use crate::period::Span;
use crate::request::Now;
use crate::shortage::word;
use crate::tally::Amounts;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tollgate_core::bounds::limits::BUDGET_SHOWN_MAX;

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelStatus {
    /// Its name.
    pub name: Arc<str>,
    /// What it counts apart.
    pub per: Vec<&'static str>,
    /// Counters in use, besides the one that newcomers share while there are too many.
    pub counters: usize,
    /// Calls that shared a counter because there were too many.
    pub crowded: u64,
    /// Calls it refused.
    pub refused: u64,
    /// Tokens beyond burst and debt that nobody will pay for.
    pub tokens_forgiven: u64,
    /// Calls under way.
    pub under_way: u64,
}

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStatus {
    /// Its name.
    pub name: Arc<str>,
    /// What it counts apart.
    pub per: Vec<&'static str>,
    /// When the period began, Unix seconds.
    pub since: i64,
    /// When the next begins.
    pub until: i64,
    /// How much there is in a period; `None` for what is not limited.
    pub tokens: Option<u64>,
    /// Calls.
    pub calls: Option<u64>,
    /// Millionths of the price book's currency.
    pub money_micros: Option<u64>,
    /// What was used, most first, at most [`BUDGET_SHOWN_MAX`] counters.
    pub used: Vec<(Box<str>, Amounts)>,
    /// Calls it refused.
    pub refused: u64,
    /// Whether what was used before the start is not known yet.
    pub is_incomplete: bool,
}

impl Limits {
    /// How the limits are doing.
    #[must_use]
    pub fn levels(&self) -> Vec<LevelStatus> {
        let status = |level: &Arc<crate::level::Level>| {
            let gauge = &level.gauge;
            let mut under_way = 0;
            level.table.each(|bucket| under_way += u64::from(bucket.under_way()));
            LevelStatus {
                name: Arc::clone(&gauge.settings.name),
                per: gauge.settings.per.iter().map(|per| word(*per)).collect(),
                counters: level.table.keys(),
                crowded: level.table.crowded(),
                refused: gauge.refused.load(Ordering::Relaxed),
                tokens_forgiven: gauge.forgiven.load(Ordering::Relaxed),
                under_way,
            }
        };
        self.levels.iter().map(status).collect()
    }

    /// How the budgets are doing.
    #[must_use]
    pub fn budgets(&self, now: Now) -> Vec<BudgetStatus> {
        let status = |budget: &Arc<crate::budget::Budget>| {
            let Span { start, end } = budget.period(now);
            let mut used = Vec::new();
            budget.table.each(|tally| {
                let amounts = tally.lock(Span { start, end }).used;
                if amounts != Amounts::default() {
                    used.push((tally.label.clone(), amounts));
                }
            });
            used.sort_by(|(_, one), (_, other)| {
                (other.tokens, other.calls, other.micros).cmp(&(one.tokens, one.calls, one.micros))
            });
            used.truncate(BUDGET_SHOWN_MAX);
            let settings = &budget.settings;
            BudgetStatus {
                name: Arc::clone(&settings.name),
                per: settings.per.iter().map(|per| word(*per)).collect(),
                since: start,
                until: end,
                tokens: settings.tokens,
                calls: settings.calls,
                money_micros: settings.money_micros,
                used,
                refused: budget.refused.load(Ordering::Relaxed),
                is_incomplete: budget.is_new.load(Ordering::Acquire),
            }
        };
        self.budgets.iter().map(status).collect()
    }

    /// How many warnings were dropped since this was last asked, because too many waited.
    #[must_use]
    pub fn warnings_dropped(&self) -> u64 {
        self.warnings.take_dropped()
    }
}
