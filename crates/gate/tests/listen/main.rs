//! The accept side of the gate, seen from the wire: raw clients in front, a recording service behind.
//!
//! What counts is what the recorder saw, not the status alone. Harness in `house.rs`.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

mod drain;
mod framing;
mod house;
mod http2;
mod slowness;
mod tls;
