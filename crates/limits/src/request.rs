//! What is asked of limits, and when.

use tollgate_core::clock::{Clock, Millis};
use tollgate_core::ids::RoutePath;
use tollgate_core::party::{Item, Party};

/// When it is: rates go by the monotonic clock, calendars by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic.
    pub millis: Millis,
    /// Seconds since 1970-01-01 UTC.
    pub unix_secs: u64,
}

impl Now {
    /// What this clock says.
    #[must_use]
    pub fn of(clock: &dyn Clock) -> Self {
        Self { millis: clock.now(), unix_secs: clock.unix_secs() }
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.millis.0.saturating_mul(1_000_000)
    }
}

/// A call that asks for its share.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who calls, and from where.
    pub party: Party<'a>,
    /// The route it came in by.
    pub route: &'a RoutePath,
    /// What it acts on, if anything.
    pub item: Option<Item<'a>>,
    /// How many requests it is.
    pub requests: u32,
    /// Tokens towards the upstream.
    pub tokens_in: u64,
    /// Tokens back, as estimated.
    pub tokens_out: u64,
    /// What it costs in millionths of the price book's currency, as estimated.
    pub cost_micros: u64,
}

/// What a call turned out to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// Tokens towards the upstream.
    pub tokens_in: u64,
    /// Tokens back.
    pub tokens_out: u64,
    /// What it cost, in millionths of the price book's currency.
    pub cost_micros: u64,
}
