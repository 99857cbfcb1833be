//! Bounds of the stores.

/// A statement of the embedded store takes at most so many milliseconds.
pub const STORE_MILLIS: u64 = 5_000;
/// Local accounts.
pub const USERS_MAX: usize = 10_000;
/// API keys.
pub const API_KEYS_MAX: usize = 100_000;
/// Agents the operator added.
pub const AGENTS_MAX: usize = 100_000;
