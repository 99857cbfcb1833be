//! Bounds of policy: what a file may hold, and what judging one call may take.

use super::KIB;

/// Bindings and scopes of one policy together. Each is a bit in the sets that decisions are made of.
pub const RULES_MAX: usize = 1_024;
/// Roles of one policy. Each needs a binding to mean anything, so more than bindings make no sense.
pub const ROLES_MAX: usize = 1_024;
/// Patterns of one policy, those of all roles and scopes together.
pub const PATTERNS_MAX: usize = 16_384;
/// Items whose patterns are remembered once a list of an upstream has named them. Agents cannot add to
/// them; those above the bound are matched anew each time.
pub const ITEMS_LEARNED_MAX: usize = 16_384;
/// Longest name of an item that is remembered, in bytes.
pub const ITEM_LEARNED_BYTES_MAX: usize = KIB;
/// With so few patterns that are no plain names, nothing is remembered: matching is as fast.
pub const PATTERNS_UNLEARNED: usize = 4;
/// Longest condition, in bytes of its text.
pub const CONDITION_BYTES_MAX: usize = 2 * KIB;
/// Deepest nesting of a condition, in brackets and in its parsed form: parser and interpreter recurse.
pub const CONDITION_DEPTH_MAX: usize = 32;
/// Most nodes in a condition, macros expanded.
pub const CONDITION_NODES_MAX: usize = 512;
/// Most that one condition may cost for the worst arguments, in bytes looked at or the like; some tens of
/// milliseconds.
pub const CONDITION_COST_MAX: u64 = 10_000_000;
/// Most that all conditions of one decision may cost; those beyond it fail, and so deny.
pub const DECISION_COST_MAX: u64 = 2 * CONDITION_COST_MAX;
/// Largest compiled regular expression of a condition, in bytes.
pub const REGEX_BYTES_MAX: usize = 256 * KIB;
/// Longest claims that are kept with a proof, in bytes of their JSON. Conditions that read claims above
/// it fail, and so deny.
pub const CLAIMS_BYTES_MAX: usize = 8 * KIB;
/// Longest arguments conditions look at, in bytes of their JSON. Conditions that read longer ones fail,
/// and so deny.
pub const ARGUMENTS_BYTES_MAX: usize = 64 * KIB;
/// Deepest nesting of arguments and claims that conditions look at.
pub const ARGUMENTS_DEPTH_MAX: usize = 32;
/// Most values in arguments, or in claims, that conditions look at: `all`, `exists` and the like look at
/// each.
pub const ARGUMENTS_VALUES_MAX: usize = 1_024;
/// Longest message to callers whom a condition refuses, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 512;
/// Names of one kind that lists passing by may add to what is known of an upstream.
pub const NAMES_SEEN_MAX: usize = 16_384;
/// A list is read again for want of a name at most once in so many milliseconds, whoever asks.
pub const REREAD_MILLIS: u64 = 5_000;
/// Tasks whose owner is known.
pub const TASKS_KNOWN_MAX: usize = 65_536;
/// Longest id of a task whose owner is noted, in bytes.
pub const TASK_ID_BYTES_MAX: usize = 1_024;
/// Decisions of a policy in shadow that are told apart in the log; more are only counted.
pub const SHADOW_LINES_MAX: usize = 1_024;
/// What a policy in shadow would have refused is logged once in so many milliseconds for each rule, item
/// and agent.
pub const SHADOW_QUIET_MILLIS: u64 = 60_000;
