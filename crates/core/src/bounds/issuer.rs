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
