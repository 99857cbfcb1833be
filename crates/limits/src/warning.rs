//! Warnings that a budget is nearly, or wholly, used: each once per threshold, counter and period.
//!
//! They wait here, few of them, until somebody takes them; who that is and whom they are told is not
//! this room's affair.

use crate::period::Span;
use crate::settings::BudgetSettings;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_core::bounds::limits::BUDGET_WARNINGS_MAX;
use tollgate_core::refusal::LimitUnit;

/// A budget has passed a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetWarning {
    /// The budget.
    pub budget: Arc<str>,
    /// Whose counter of it, where it counts several; otherwise empty.
    pub of: Box<str>,
    /// The threshold in per cent; 100 is the end.
    pub percent: u8,
    /// Whether calls are refused at the end.
    pub is_hard: bool,
    /// What it counts.
    pub unit: LimitUnit,
    /// How much is used.
    pub used: u64,
    /// Of how much.
    pub quota: u64,
    /// When the period began, Unix seconds.
    pub since: i64,
    /// When the next begins, Unix seconds.
    pub until: i64,
}

impl BudgetWarning {
    pub(crate) fn new(
        (settings, of): (&BudgetSettings, &str),
        percent: u8,
        (unit, used, quota): (LimitUnit, u64, u64),
        period: Span,
    ) -> Self {
        Self {
            budget: Arc::clone(&settings.name),
            of: of.into(),
            percent,
            is_hard: settings.is_hard,
            unit,
            used,
            quota,
            since: period.start,
            until: period.end,
        }
    }
}

/// Warnings that wait.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    waiting: Mutex<VecDeque<BudgetWarning>>,
    dropped: AtomicU64,
}

impl Warnings {
    pub(crate) fn give(&self, warning: BudgetWarning) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < BUDGET_WARNINGS_MAX {
            waiting.push_back(warning);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn take(&self) -> Vec<BudgetWarning> {
        self.waiting.lock().drain(..).collect()
    }

    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{BudgetWarning, Warnings};
    use tollgate_core::bounds::limits::BUDGET_WARNINGS_MAX;
    use tollgate_core::refusal::LimitUnit;

    #[test]
    fn what_finds_no_room_is_counted_and_told_once() {
        let warnings = Warnings::default();
        for _ in 0..BUDGET_WARNINGS_MAX + 2 {
            warnings.give(BudgetWarning {
                budget: "b".into(),
                of: "".into(),
                percent: 50,
                is_hard: true,
                unit: LimitUnit::Tokens,
                used: 1,
                quota: 2,
                since: 0,
                until: 1,
            });
        }
        assert_eq!((warnings.take().len(), warnings.take_dropped()), (BUDGET_WARNINGS_MAX, 2));
        assert_eq!((warnings.take().len(), warnings.take_dropped()), (0, 0));
    }
}
