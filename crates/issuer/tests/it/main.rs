//! The authorization server from outside: requests in, answers out, over stores in memory.
//!
//! `house.rs` is what all stand on: an issuer whose clock only the test moves. Codes and refresh
//! tokens are put into the stores as sign-in and consent would.

mod background;
mod bodies;
mod clients;
mod code;
mod detour;
mod house;
mod keys;
mod machines;
mod metadata;
mod outage;
mod races;
mod refresh;
mod registration;
mod revocation;
mod workload;
