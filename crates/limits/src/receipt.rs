//! What a call was given, and how that is settled.
//!
//! A receipt that is dropped frees its place among calls at once and gives back what it held for an
//! answer that never came; nothing of what did flow.

use crate::level::{Bucket, Hold};
use crate::request::{Actual, Now};
use crate::tally::{Share, Tally};
use std::sync::Arc;

/// What a call was given. Settle it when the call is over, or drop it.
#[derive(Debug, Default)]
#[must_use = "dropping it ends the call"]
pub struct Receipt {
    pub(crate) charges: Vec<Charge>,
    pub(crate) shares: Vec<Share>,
    pub(crate) tokens_in: u64,
    pub(crate) flowed: u64,
    pub(crate) is_over: bool,
}

/// What it was given of one counter.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) hold: Hold,
}

impl Receipt {
    /// So many tokens of the answer have passed so far: what goes beyond the reservation is charged at
    /// once, so that a long stream counts while it flows.
    pub fn flow(&mut self, now: Now, tokens_out_so_far: u64) {
        self.flowed = self.flowed.max(tokens_out_so_far);
        let tokens = self.tokens_in.saturating_add(self.flowed);
        for Charge { bucket, hold } in &mut self.charges {
            bucket.grow(hold, now.nanos(), tokens);
        }
        for share in &mut self.shares {
            share.grow(now, tokens);
        }
    }

    /// The call is over: its place among calls at once is free. What it took can still be settled.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.charges.iter().for_each(|charge| charge.bucket.leave());
        }
    }

    /// Charges what the call turned out to take, instead of what was reserved.
    pub fn settle(mut self, now: Now, actual: Actual) {
        self.finish();
        let tokens = actual.tokens_in.saturating_add(actual.tokens_out);
        for Charge { bucket, hold } in &mut self.charges {
            bucket.settle(hold, Some(now.nanos()), tokens);
        }
        for share in self.shares.drain(..) {
            share.settle(now, tokens, actual.cost_micros);
        }
        // Nothing is left for `drop` to give back.
        self.charges.clear();
    }

    /// Gives everything back: the call was not let in after all.
    pub fn undo(mut self) {
        self.finish();
        for Charge { bucket, hold } in self.charges.drain(..) {
            bucket.undo(&hold);
        }
        for share in self.shares.drain(..) {
            share.undo();
        }
    }

    /// Whether anything is counted for this call.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        !self.charges.is_empty() || !self.shares.is_empty()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.finish();
        let tokens = self.tokens_in.saturating_add(self.flowed);
        for Charge { bucket, hold } in &mut self.charges {
            bucket.settle(hold, None, tokens);
        }
        for share in self.shares.drain(..) {
            share.leave(tokens);
        }
    }
}

impl Charge {
    pub(crate) fn new(bucket: Arc<Bucket>) -> Self {
        Self { bucket, hold: Hold::default() }
    }
}

/// Counters in the one order in which everybody locks them, each once.
pub(crate) fn order(charges: &mut Vec<Charge>, shares: &mut Vec<Share>) {
    let at = |charge: &Charge| Arc::as_ptr(&charge.bucket).addr();
    charges.sort_unstable_by_key(at);
    charges.dedup_by_key(|charge| at(charge));
    let at = |share: &Share| std::ptr::from_ref::<Tally>(&share.tally).addr();
    shares.sort_unstable_by_key(at);
    shares.dedup_by_key(|share| at(share));
}
