//! Bounds of verifying who calls.

use super::KIB;

/// Longest bearer token, in bytes. Tokens with many groups reach a few KiB.
pub const TOKEN_BYTES_MAX: usize = 16 * KIB;
/// Verified tokens that are remembered.
pub const TOKENS_REMEMBERED_MAX: usize = 100_000;
/// A verified token is believed for so many seconds without being verified again.
pub const TOKEN_BELIEVED_SECS: u64 = 60;
/// Clocks of issuers may differ from ours by so many seconds.
pub const LEEWAY_SECS: u64 = 30;
/// A key set is not fetched again sooner than so many seconds, however many unknown keys are named.
pub const KEYS_COOLDOWN_SECS: u64 = 30;
/// A key set is fetched again after so many seconds.
pub const KEYS_FRESH_SECS: u64 = 15 * 60;
/// A key set is used for so many seconds while its issuer cannot be reached.
pub const KEYS_STALE_SECS: u64 = 24 * 60 * 60;
/// Keys taken from one key set.
pub const KEYS_MAX: usize = 100;
/// Keys of one id that are tried for one signature. Ids are unique; one that is there again is most
/// often the same key for another use.
pub const KEYS_TRIED_MAX: usize = 4;
/// Longest key id, in bytes. Thumbprints have 43.
pub const KEY_ID_BYTES_MAX: usize = 512;
/// Shortest modulus of an RSA key, in bits (RFC 7518 section 3.3).
pub const RSA_BITS_MIN: usize = 2_048;
/// Longest modulus of an RSA key, in bits: longer ones take milliseconds a signature.
pub const RSA_BITS_MAX: usize = 8_192;
/// Deepest nesting of claims, and of a key set.
pub const CLAIMS_DEPTH_MAX: usize = 16;
/// The answer to an introspection is believed for so many seconds: the bound of a revocation there.
pub const INTROSPECTION_BELIEVED_SECS: u64 = 30;
/// Introspections of one issuer at the same time.
pub const INTROSPECTIONS_MAX: usize = 64;
/// Revocations are looked for every so many milliseconds.
pub const REVOCATION_LOOK_MILLIS: u64 = 250;
/// Scopes of one token; more make it unusable.
pub const SCOPES_MAX: usize = 512;
/// Groups of one token; more make it unusable.
pub const GROUPS_MAX: usize = 1_024;
/// Parties in one chain of delegation (`act`); more make a token unusable.
pub const ACTORS_MAX: usize = 8;
/// Tokens that are known to be bad, so that a flood of one of them costs a look-up each.
pub const TOKENS_REFUSED_MAX: usize = 10_000;
/// A bad token is known to be bad for so many seconds at most.
pub const TOKEN_REFUSED_SECS: u64 = 5;
/// Look-ups of API keys at the same time; more wait.
pub const API_KEY_LOOKUPS_MAX: usize = 64;
/// The operator is told when revocations could not be read for so many seconds, and nobody is
/// refused for it sooner.
pub const REVOCATIONS_UNREAD_SECS: u64 = 5;
/// The gate's own assertion to an issuer it asks about tokens is good for so many seconds.
pub const INTROSPECTION_ASSERTION_SECS: u64 = 60;
