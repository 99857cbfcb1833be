//! The arithmetic of rates: the generic cell rate algorithm (GCRA) with costs, settlement and debt.
//!
//! A counter is the time at which everything that was taken is paid for (its theoretical arrival time,
//! TAT). One unit takes a fixed whole number of nanoseconds to pay; what would lie further ahead of now
//! than the burst is refused. So, for any calls whatever: no more than burst + rate x time + debt.
//! Pure functions over integers; no clock, no locks.
//!
//! The same runs as one script where several gates share their counts: the gate multiplies, the script
//! only adds, compares and takes the greater of two, over three integers for each counter. In
//! microseconds they stay below 2^53, what Lua counts exactly, for 285 years.

use tollgate_core::bounds::limits::{BURST_SECS_MAX, UNIT_NANOS_MIN};

use crate::settings::RateSettings;

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_MAX: u64 = BURST_SECS_MAX * 1_000 * NANOS_PER_MILLI;

/// A rate, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What one unit takes to pay, rounded up: a rate is never exceeded, and below ten million a
    /// second never more than 1 % slower than written.
    unit: u64,
    /// How far ahead of now may be taken.
    burst: u64,
    /// How much further settlements may go.
    debt: u64,
}

/// Why an amount in a window is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Nothing would ever pass.
    #[error("amount, window and burst must be above zero")]
    Zero,
    /// Too fast to be counted in nanoseconds.
    #[error("no more than {} in a second can be counted", 1_000_000_000 / UNIT_NANOS_MIN)]
    TooFast,
    /// Paying the burst or the debt would take too long.
    #[error("burst and debt must be paid within {} days at this rate", BURST_SECS_MAX / 86_400)]
    TooLong,
}

/// What was taken of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// When all of it is paid for: the TAT.
    pub tat: u64,
    /// When something was last taken.
    latest: u64,
    /// How much was given back in all, wrapping. What was taken earlier than something given back
    /// lies earlier by as much.
    returned: u64,
}

/// Where a reservation lies in a counter: what settling it needs to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    tat: u64,
    returned: u64,
}

impl Rate {
    /// The rate of these settings.
    ///
    /// # Errors
    /// [`RateError`].
    pub fn new(settings: &RateSettings) -> Result<Self, RateError> {
        if settings.amount == 0 || settings.window_millis == 0 || settings.burst == 0 {
            return Err(RateError::Zero);
        }
        let window = u128::from(settings.window_millis) * u128::from(NANOS_PER_MILLI);
        let unit = u64::try_from(window.div_ceil(u128::from(settings.amount)))
            .map_err(|_| RateError::TooLong)?;
        if unit < UNIT_NANOS_MIN {
            return Err(RateError::TooFast);
        }
        let paid_in_time = |units: u64| units.checked_mul(unit).filter(|nanos| *nanos <= NANOS_MAX);
        let burst = paid_in_time(settings.burst).ok_or(RateError::TooLong)?;
        let debt = paid_in_time(settings.debt).ok_or(RateError::TooLong)?;
        Ok(Self { unit, burst, debt })
    }

    /// What so many units take to pay. More than can ever pass stays more.
    #[must_use]
    pub const fn time(&self, units: u64) -> u64 {
        let time = units.saturating_mul(self.unit);
        if time > NANOS_MAX { NANOS_MAX + 1 } else { time }
    }

    /// How many units take so long, what is begun included.
    #[must_use]
    pub const fn units_begun(&self, time: u64) -> u64 {
        time.div_ceil(self.unit)
    }

    /// Whether so much can pass at all.
    #[must_use]
    pub const fn ever_fits(&self, time: u64) -> bool {
        time <= self.burst
    }

    /// The longest a reservation can be: a whole burst.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// How many units pass now.
    #[must_use]
    pub fn room(&self, taken: &Taken, now: u64) -> u64 {
        self.burst.saturating_sub(taken.tat.saturating_sub(now)) / self.unit
    }

    /// Whether as much passes now. Nothing is taken.
    ///
    /// # Errors
    /// The nanoseconds until it does, if nothing else is taken until then.
    pub fn look(&self, taken: &Taken, now: u64, time: u64) -> Result<(), u64> {
        let ahead = taken.tat.max(now).saturating_add(time) - now;
        if ahead <= self.burst { Ok(()) } else { Err(ahead - self.burst) }
    }
}

impl Taken {
    /// Takes as much, after [`Rate::look`] said that it passes.
    pub fn take(&mut self, now: u64, time: u64) -> Place {
        // A clock that went back makes what was taken lie further ahead: that refuses more, never less.
        self.tat = self.tat.max(now).saturating_add(time);
        self.latest = self.latest.max(now);
        Place { tat: self.tat, returned: self.returned }
    }

    /// Takes more for a call that is under way, whatever room there is, up to the debt. Says how much
    /// was forgiven.
    pub fn take_more(&mut self, rate: &Rate, now: u64, time: u64) -> u64 {
        let start = self.tat.max(now);
        let wanted = start.saturating_add(time);
        let most = now.saturating_add(rate.burst).saturating_add(rate.debt);
        self.tat = wanted.min(most).max(start);
        self.latest = self.latest.max(now);
        wanted - self.tat
    }

    /// Gives back what a reservation did not need.
    ///
    /// INVARIANT: no more than what the counter would now have less had it never been taken. Time pays
    /// a full bucket nothing, so what lay ahead of the last call only by this reservation is all that
    /// can be given back: otherwise a call that rests on a large reservation until it is paid for, and
    /// then returns it, would grant a second burst. What others gave back since is taken off, as it
    /// may be the same time.
    pub fn give_back(&mut self, place: Place, time: u64) {
        let since = self.returned.wrapping_sub(place.returned);
        let ahead = place.tat.saturating_sub(since).saturating_sub(self.latest);
        let returned = time.min(ahead).min(self.tat);
        self.tat -= returned;
        self.returned = self.returned.wrapping_add(returned);
    }

    /// Whether all is paid for, so that a new counter would say the same.
    #[must_use]
    pub const fn is_paid(&self, now: u64) -> bool {
        self.tat <= now
    }
}
