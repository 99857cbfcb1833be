//! Which endpoint gets a call that is not pinned to one.
//!
//! The less loaded of two random ones: nearly as even as the least loaded of all, without a queue
//! that everyone hits, and without herding onto the one that just came back.
//!
//! Next: `endpoint.rs`.

use crate::upstream::endpoint::Endpoint;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Chooses among the usable ones; `None` at once if there are none.
pub(crate) fn pick(endpoints: &[Arc<Endpoint>]) -> Option<Arc<Endpoint>> {
    let usable = || endpoints.iter().filter(|endpoint| endpoint.is_usable());
    let count = usable().count();
    let chosen = match count {
        0 => return None,
        1 => usable().next()?,
        _ => {
            let dice = random();
            let first = below(dice >> 32, count);
            let second = (first + 1 + below(dice & u64::from(u32::MAX), count - 1)) % count;
            // An endpoint may have gone out since the count; the other will do then.
            let (one, other) = (usable().nth(first), usable().nth(second));
            match (one, other) {
                (Some(one), Some(other)) if other.in_flight() < one.in_flight() => other,
                (Some(one), _) | (None, Some(one)) => one,
                (None, None) => usable().next()?,
            }
        }
    };
    if chosen.core().standing.admit(&chosen.wiring().rules) {
        return Some(Arc::clone(chosen));
    }
    // Somebody else is trying this one out just now; take any other.
    usable().find(|other| other.core().standing.admit(&other.wiring().rules)).cloned()
}

/// Maps 32 random bits to `0..limit`.
fn below(bits: u64, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    usize::try_from((bits * limit) >> 32).unwrap_or(0)
}

/// Spreads load; nothing depends on nobody guessing it.
pub(crate) fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8));
    }
    STATE.with(|state| {
        // splitmix64: a counter, mixed.
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mut mixed = next;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}
