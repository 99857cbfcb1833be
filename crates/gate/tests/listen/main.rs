//! The accept side of the gate, seen from the wire: raw clients in front, a recording service behind.
//!
//! What counts is what the recorder saw, not the status alone. Harness in `house.rs`.

mod drain;
mod framing;
mod house;
mod http2;
mod slowness;
mod tls;
