//! Bounds of the stores.

/// A statement of the embedded store takes at most so many milliseconds.
pub const STORE_MILLIS: u64 = 5_000;
/// Local accounts.
pub const USERS_MAX: usize = 10_000;
/// API keys.
pub const API_KEYS_MAX: usize = 100_000;
/// Agents the operator added.
pub const AGENTS_MAX: usize = 100_000;
/// Agents, accounts or API keys in one answer.
pub const LISTED_MAX: usize = 10_000;
/// Authorization codes, those that were used too.
pub const CODES_MAX: usize = 100_000;
/// A code that was used is known for so many seconds after it would have expired, so that a thief who
/// comes late still ends the grant.
pub const CODE_KNOWN_SECS: u64 = 24 * 3_600;
/// Refresh tokens that can be used: about one for each grant.
pub const REFRESH_TOKENS_MAX: usize = 200_000;
/// Refresh tokens of one grant that were used and are known again: a week of them at one in ten
/// minutes. An older one is refused as unknown, and does not end its grant.
pub const USED_TOKENS_PER_GRANT_MAX: usize = 1_024;
/// The same of all grants, some 120 bytes each; the oldest make room.
pub const USED_TOKENS_MAX: usize = 2_000_000;
/// Grants that were ended and are known for it; those whose last access token ends first make room.
pub const ENDED_GRANTS_MAX: usize = 200_000;
/// Ids that may be used once, and were.
pub const USED_IDS_MAX: usize = 1_000_000;
/// Consents.
pub const CONSENTS_MAX: usize = 200_000;
/// Revocations. All of them are held in the memory of each gate.
pub const REVOCATIONS_MAX: usize = 100_000;
/// Rows one transaction of a sweep removes, so that others can write in between.
pub const SWEPT_MAX: usize = 1_000;
/// Signing keys: a year of one a day is no schedule anybody needs.
pub const SIGNING_KEYS_MAX: usize = 100;
/// Rows of usage in the memory of one process, some 400 bytes each.
pub const MEMORY_ROWS_MAX: usize = 1_000_000;
/// Rows of usage one transaction of a sweep removes.
pub const SWEPT_ROWS_MAX: usize = 10_000;
/// Combinations of names in the ledger of usage that a process remembers, some 300 bytes each.
pub const KNOWN_SERIES_MAX: usize = 10_000;
