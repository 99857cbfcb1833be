//! Who calls: proves a bearer token, an API key or a client certificate, and makes a
//! [`tollgate_core::principal::Proof`] of it.
//!
//! Knows nothing of MCP, routes or sessions: a [`settings::Door`] is anything that has a resource
//! identifier and accepts some issuers. Never passes a token on, never fetches what a token names.

pub mod settings;
