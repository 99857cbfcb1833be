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
