//! Bounds of people signing in and consenting at the gate's own authorization server.

use super::KIB;

/// Longest authorization request (query, or form), in bytes. It travels sealed in the URL between
/// the steps, grown by a half, and must leave room for cookies in a head of
/// [`super::HEAD_BYTES_MAX`].
pub const AUTHORIZE_BYTES_MAX: usize = 6 * KIB;
/// Longest `state`: it is opaque to us and echoed.
pub const STATE_BYTES_MAX: usize = KIB;
/// From an authorization request to its code in at most so many seconds.
pub const TRANSACTION_SECS: u64 = 600;
/// A person stays signed in at the issuer for so many seconds.
pub const BROWSER_SESSION_SECS: u64 = 8 * 3_600;
/// Longest sealed value, in bytes: a transaction with all that an authorization request may hold.
pub const SEALED_BYTES_MAX: usize = 16 * KIB;
/// Longest value of one cookie, in bytes: browsers drop cookies of more than 4,096 bytes in all.
pub const COOKIE_BYTES_MAX: usize = 3_800;
/// Cookies one value may be split into: room for about 200 groups.
pub const COOKIE_PARTS_MAX: usize = 4;
/// Longest password, in bytes: looked at before anything is computed.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Shortest password of a new account, in characters.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest name people sign in with, in bytes.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// Passwords that wait to be checked while as many as there are cores are being checked.
pub const PASSWORDS_WAITING_MAX: usize = 64;
/// Failed sign-ins for one name until waiting begins.
pub const SIGN_IN_FAILURES_FREE: u32 = 5;
/// Failed sign-ins from one address until waiting begins: a whole office may be behind it, or a
/// whole company if a proxy is.
pub const SIGN_IN_ADDRESS_FAILURES_FREE: u32 = 30;
/// Of an address one failure is forgotten every so many seconds, since it may never be quiet.
pub const SIGN_IN_ADDRESS_FORGET_SECS: u64 = 60;
/// First wait after too many failed sign-ins, in seconds; each further failure doubles it.
pub const SIGN_IN_WAIT_SECS: u64 = 5;
/// Longest such wait, in seconds; a quiet spell of this length also forgets the failures of a name.
pub const SIGN_IN_WAIT_SECS_MAX: u64 = 900;
/// Counters of failed sign-ins, for names and again for addresses. Names share a counter when their
/// keyed hashes meet, so that nobody can push a counter out by inventing names.
pub const SIGN_IN_COUNTERS: usize = 65_536;
/// Longest name of a client, person or provider that is shown, in characters.
pub const SHOWN_CHARS_MAX: usize = 80;
/// What a provider's discovery document says is believed for so many seconds.
pub const PROVIDER_FRESH_SECS: u64 = 3_600;
/// A provider that could not be asked is asked again after so many seconds.
pub const PROVIDER_COOLDOWN_SECS: u64 = 5;
/// Longest code or token a provider may answer with, in bytes.
pub const PROVIDER_TOKEN_BYTES_MAX: usize = 64 * KIB;
/// Scopes a person may choose from one by one; more are allowed or denied as a whole.
pub const CONSENT_CHOICES_MAX: usize = 64;
