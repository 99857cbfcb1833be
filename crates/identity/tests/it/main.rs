//! A verifier against authorization servers on loopback that record what they are asked, and can
//! misbehave.
//!
//! `server.rs` is such a server, `house.rs` what stands around a verifier. The other files are what
//! must hold, by subject.

#![expect(clippy::expect_used, reason = "tests say what they expect")]

mod api_keys;
mod certificates;
mod discovery;
mod house;
mod keys;
mod opaque;
mod revoked;
mod server;
mod signed;
mod versions;
