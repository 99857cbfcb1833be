//! The counters of budgets: what was used in the present period, and what calls under way hold of it.
//!
//! What is settled counts in the period in which it is settled, as in the ledger; what is held is
//! forgotten with the period it was held in.

use crate::budget::Budget;
use crate::period::Span;
use crate::request::Now;
use crate::table::Counter;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// One counter.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) label: Box<str>,
    counts: Mutex<Counts>,
}

/// What was used in one period.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) used: Amounts,
    pub(crate) held: Amounts,
    /// Thresholds that were warned of, for tokens, calls and money; the last bit is the end itself.
    pub(crate) warned: [u16; 3],
}

/// Tokens, calls and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Tokens.
    pub tokens: u64,
    /// Calls.
    pub calls: u64,
    /// Millionths of the price book's currency.
    pub micros: u64,
}

/// What a call has of a budget.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    pub(crate) tally: Arc<Tally>,
    start: i64,
    held: Amounts,
}

impl Tally {
    pub(crate) fn new(label: &str) -> Self {
        Self { label: label.into(), counts: Mutex::default() }
    }

    /// The counts of this period. A wall clock that was put back does not bring back a period.
    pub(crate) fn lock(&self, period: Span) -> MutexGuard<'_, Counts> {
        let mut counts = self.counts.lock();
        if period.start > counts.start {
            *counts = Counts { start: period.start, end: period.end, ..Counts::default() };
        }
        counts
    }
}

impl Counter for Tally {
    fn is_idle(&self, now: Now) -> bool {
        let counts = self.counts.lock();
        let is_empty = [counts.used, counts.held] == [Amounts::default(); 2];
        is_empty || counts.end <= i64::try_from(now.unix_secs).unwrap_or(i64::MAX)
    }
}

impl Amounts {
    pub(crate) const fn plus(&self, other: &Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            calls: self.calls.saturating_add(other.calls),
            micros: self.micros.saturating_add(other.micros),
        }
    }

    const fn minus(&self, other: &Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            calls: self.calls.saturating_sub(other.calls),
            micros: self.micros.saturating_sub(other.micros),
        }
    }
}

impl Share {
    pub(crate) fn new(budget: &Arc<Budget>, tally: Arc<Tally>) -> Self {
        Self { budget: Arc::clone(budget), tally, start: 0, held: Amounts::default() }
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Reserves, after [`Budget::lack`] said that nothing is missing.
    pub(crate) fn hold(&mut self, counts: &mut Counts, ask: &Amounts) {
        self.start = counts.start;
        self.held = *ask;
        counts.held = counts.held.plus(ask);
    }

    /// Reserves more for a call that is under way.
    pub(crate) fn grow(&mut self, now: Now, tokens: u64) {
        let more = tokens.saturating_sub(self.held.tokens);
        if more == 0 {
            return;
        }
        let mut counts = self.tally.lock(self.budget.period(now));
        if counts.start == self.start {
            self.held.tokens += more;
            counts.held.tokens = counts.held.tokens.saturating_add(more);
        }
    }

    /// Counts what the call took, in the period that it is.
    pub(crate) fn settle(self, now: Now, tokens: u64, micros: u64) {
        let period = self.budget.period(now);
        let calls = self.held.calls;
        self.count(period, Amounts { tokens, calls, micros });
    }

    /// The call was given up: what flowed counts, in the period in which it began.
    pub(crate) fn leave(self, tokens: u64) {
        let period = Span { start: self.start, end: 0 };
        let took = Amounts { tokens, calls: self.held.calls, micros: 0 };
        self.count(period, took);
    }

    /// The call was not let in after all.
    pub(crate) fn undo(self) {
        let period = Span { start: self.start, end: 0 };
        self.count(period, Amounts::default());
    }

    fn count(self, period: Span, took: Amounts) {
        let mut counts = self.tally.lock(period);
        if counts.start == self.start {
            counts.held = counts.held.minus(&self.held);
        }
        counts.used = counts.used.plus(&took);
        self.budget.warn(&self.tally, &mut counts);
    }
}
