//! The gate towards upstreams, over real sockets on loopback.
//!
//! `stage.rs` plays upstreams byte by byte; each file tests one promise of `tollgate_gate::upstream`.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod stage;

mod calls;

mod failures;

mod standing;

mod reload;

mod secure;

mod sse_line;

mod credential;
