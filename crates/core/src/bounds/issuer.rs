//! Bounds of the gate's own authorization server.

use super::KIB;

/// Longest form, and longest JSON document, that is taken, in bytes.
pub const ISSUER_BODY_BYTES_MAX: usize = 64 * KIB;
/// An authorization code is good for so many seconds.
pub const CODE_SECS: u64 = 60;
/// An access token is good for so many seconds.
pub const ACCESS_TOKEN_SECS: u64 = 600;
/// A refresh token nobody uses is good for so many seconds.
pub const REFRESH_TOKEN_SECS: u64 = 30 * 24 * 3_600;
/// A grant ends after so many seconds in any case.
pub const GRANT_SECS: u64 = 90 * 24 * 3_600;
/// A signing key signs for so many seconds.
pub const SIGNING_KEY_SECS: u64 = 30 * 24 * 3_600;
/// The next signing key is published so many seconds before it signs.
pub const SIGNING_KEY_AHEAD_SECS: u64 = 24 * 3_600;
/// Agents that registered themselves, in total.
pub const REGISTERED_MAX: usize = 10_000;
/// Agents that registered themselves from one address.
pub const REGISTERED_PER_ADDRESS_MAX: usize = 100;
/// An agent that registered itself and got no token within so many seconds is removed.
pub const REGISTERED_UNUSED_SECS: u64 = 24 * 3_600;
/// A client assertion lives at most so many seconds (RFC 7523).
pub const ASSERTION_SECS_MAX: u64 = 600;
/// Parameters of one form: OAuth needs some 20.
pub const FORM_FIELDS_MAX: usize = 100;
/// Longest `client_id`, in bytes: those that are URLs are the longest.
pub const CLIENT_ID_BYTES_MAX: usize = 1_024;
/// Longest redirect URI, in bytes.
pub const REDIRECT_BYTES_MAX: usize = 2_048;
/// Redirect URIs of one agent.
pub const REDIRECTS_MAX: usize = 20;
/// Longest name of an agent, in characters: people read it whole before they consent.
pub const CLIENT_NAME_CHARS_MAX: usize = 128;
/// Longest other text an agent registers, in bytes: a URL, a version, an address.
pub const CLIENT_TEXT_BYTES_MAX: usize = 2_048;
/// Client metadata documents that are remembered, with those that failed.
pub const CLIENT_DOCUMENTS_MAX: usize = 1_000;
/// A client metadata document is believed for so many seconds.
pub const CLIENT_DOCUMENT_FRESH_SECS: u64 = 600;
/// A client metadata document that could not be had is not fetched again for so many seconds.
pub const CLIENT_DOCUMENT_FAILED_SECS: u64 = 30;
/// Longest key set fetched from a URL an agent named, in bytes: ten RSA keys.
pub const CLIENT_KEYS_BYTES_MAX: usize = 16 * KIB;
/// Each process looks for new signing keys every so many seconds.
pub const KEYS_LOOK_SECS: u64 = 5;
/// Signing keys that nothing valid was signed with are kept for so many seconds besides, in case the
/// clock was wrong.
pub const KEYS_KEPT_SECS: u64 = 7 * 24 * 3_600;
/// That an agent was given a token is noted once in so many seconds.
pub const USED_EVERY_SECS: u64 = 24 * 3_600;
/// What has ended is removed from the stores every so many seconds.
pub const SWEEP_EVERY_SECS: u64 = 60;
/// A workload's token lives at most so many seconds.
pub const WORKLOAD_TOKEN_SECS_MAX: u64 = 24 * 3_600;
/// Who registers while there is no room is told to come back after so many seconds.
pub const REGISTERED_RETRY_SECS: u64 = 3_600;
/// Revocations there may be when an agent revokes one access token of its own.
pub const TOKEN_REVOCATIONS_MAX: usize = 50_000;
