//! Bounds of rates and budgets.

/// Limits of one gate, those of `per_agent` and the like included.
pub const LEVELS_MAX: usize = 64;
/// Budgets of one gate.
pub const BUDGETS_MAX: usize = 64;
/// Teams of one gate.
pub const TEAMS_MAX: usize = 1_024;
/// Parts a table of counters has, each with a lock of its own.
pub const LIMIT_SHARDS: usize = 64;
/// Counters of one limit or budget in all: about 10 MiB. Whoever comes while all are in use shares one
/// with everybody else who does, so a flood of names neither takes memory nor goes unlimited.
pub const LIMIT_KEYS_MAX: usize = 65_536;
/// Counters looked at when a new one is made, in the hope of one that nobody needs any more.
pub const LIMIT_SWEEP: usize = 4;
/// The same while the table is full.
pub const LIMIT_SWEEP_FULL: usize = 32;
/// Groups one call counts towards in one limit; a credential may name [`super::identity::GROUPS_MAX`].
pub const LIMIT_GROUPS_MAX: usize = 16;
/// Nanoseconds one request or token takes at least, which is ten million a second: up to there,
/// rounding to whole nanoseconds slows no rate by more than 1 %.
pub const UNIT_NANOS_MIN: u64 = 100;
/// Seconds until a whole burst, or a whole debt, is paid, at most.
pub const BURST_SECS_MAX: u64 = 31 * 86_400;
/// Warnings of budgets that wait to be taken; more are dropped and counted.
pub const BUDGET_WARNINGS_MAX: usize = 256;
/// Thresholds of one budget at which a warning is given.
pub const WARN_PERCENT_MAX: usize = 10;
/// Entries of `max_result_tokens`.
pub const RESULT_CAPS_MAX: usize = 256;
/// Counters of one budget that `/status` shows, those used most.
pub const BUDGET_SHOWN_MAX: usize = 20;
/// Most calls whose stream broke off and whose tabs are kept for agents that resume it.
pub const PARKED_CALLS_MAX: usize = 10_000;
/// For how long they are kept.
pub const PARKED_CALL_MILLIS: u64 = 5 * 60 * 1_000;
