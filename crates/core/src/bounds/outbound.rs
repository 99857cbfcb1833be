//! Bounds of what the gate fetches.

use super::KIB;

/// Longest document fetched from a URL the operator wrote, in bytes.
pub const FETCH_BYTES_MAX: usize = 512 * KIB;
/// Time for one fetch in all, in milliseconds.
pub const FETCH_MILLIS: u64 = 5_000;
/// Longest client metadata document, in bytes (draft-ietf-oauth-client-id-metadata-document).
pub const CLIENT_DOCUMENT_BYTES_MAX: usize = 5 * KIB;
/// Time for fetching one, in milliseconds.
pub const CLIENT_DOCUMENT_MILLIS: u64 = 2_500;
/// Fetches at the same time.
pub const FETCHES_MAX: usize = 64;
/// Longest head of an answer to a fetch, in bytes.
pub const FETCH_HEAD_BYTES_MAX: usize = 16 * KIB;
/// Most header fields of such an answer.
pub const FETCH_HEADERS_MAX: usize = 64;
/// Addresses of one name that a fetch tries.
pub const FETCH_ADDRESSES_MAX: usize = 4;
/// Addresses of one name that are judged; a name with more is not fetched from.
pub const FETCH_ADDRESSES_JUDGED_MAX: usize = 64;
/// A token for an upstream is used for at most so many seconds, whatever its server says.
pub const BORROWED_SECS_MAX: u64 = 3_600;
/// A token is taken to last so many seconds where its server does not say how long.
pub const BORROWED_SECS: u64 = 300;
/// Principals with a token of their own for one upstream.
pub const BORROWED_MAX: usize = 10_000;
/// Time for getting one in all, in milliseconds: discovery, and the wait for somebody who asks for
/// the same.
pub const BORROWING_MILLIS: u64 = 10_000;
/// A token server that would not give a token is not asked for the same one again for so many
/// milliseconds; nor is one that cannot be reached.
pub const BORROWING_REST_MILLIS: u64 = 5_000;
/// What the gate says about a principal in exchange for a token is good for so many seconds.
pub const VOUCHED_SECS: u64 = 60;
/// Where a token endpoint is, is looked for again after so many seconds.
pub const TOKEN_ENDPOINT_FRESH_SECS: u64 = 3_600;
