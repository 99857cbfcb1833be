//! What the demo server takes and holds, with the reason of each number.
//!
//! Its own, not the gate's: the server stands for somebody else's and depends on nothing of ours.

/// Longest request body in bytes; more is 413. As much as common MCP SDKs take.
pub(crate) const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most messages in one batch: each is answered.
pub(crate) const BATCH_MAX: usize = 100;
/// Open connections; more wait in the listener's queue.
pub(crate) const CONNECTIONS_MAX: usize = 10_000;
/// A connection without a request is closed after this many seconds.
pub(crate) const KEEPALIVE_SECS: u64 = 120;
/// A silent event stream carries a comment every so many seconds, below the 60 s at which common
/// load balancers cut idle connections.
pub(crate) const STREAM_KEEPALIVE_SECS: u64 = 15;
/// A session ends after this many seconds without a request or an open stream.
pub(crate) const SESSION_IDLE_SECS: u64 = 30 * 60;
/// Sessions of one instance; more are refused with 503. About 1 KiB each.
pub(crate) const SESSIONS_MAX: usize = 10_000;
/// Streams a session may hold open. Clients use one; a few more survive sloppy reconnects.
pub(crate) const STREAMS_MAX: usize = 4;
/// Streaming calls a session may have in progress. A batch is the most that arrives at once.
pub(crate) const CALLS_MAX: usize = 128;

const _: () = assert!(CALLS_MAX >= BATCH_MAX);
