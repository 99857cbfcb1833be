//! Bounds of pinned definitions.

use super::{LIST_BYTES_MAX, LIST_ITEM_BYTES_MAX, LIST_ITEMS_MAX};

/// Pins of one upstream: several lists of full length, since agents of different kinds may be shown
/// different tools. Beyond it, those that were never approved make room, the oldest first.
pub const PINS_PER_UPSTREAM_MAX: usize = 4 * LIST_ITEMS_MAX;
/// Longest definition that is kept, in bytes of its canonical text: that of the longest item of a list,
/// which it never exceeds.
pub const PIN_TEXT_BYTES_MAX: usize = LIST_ITEM_BYTES_MAX;
/// Bytes of all texts kept for one upstream, what was approved and what is seen: two full lists of each.
pub const PINS_BYTES_MAX: usize = 4 * LIST_BYTES_MAX;
/// Most pins that are approved or returned at once.
pub const PINS_LISTED_MAX: usize = 100_000;
/// How often a gate looks whether somebody else approved something.
pub const PINS_LOOK_MILLIS: u64 = 500;
/// Names of hidden tools that are told in `/status` and in one line of the log; the rest are counted.
pub const PINS_NAMED_MAX: usize = 20;
