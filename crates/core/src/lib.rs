//! Tollgate's vocabulary: the words every floor may use, and nothing that does I/O.
//!
//! The words: an *agent* is the OAuth client that calls; a *principal* is the agent plus the user
//! it acts for; an *upstream* is an MCP server behind the gate; an *endpoint* is one running
//! instance of an upstream; a *route* is a path on the gate with the upstreams it offers; a *call*
//! is one judged request; a *refusal* is any way we say no. An *era* is legacy (`initialize` and
//! sessions, revisions up to 2025-11-25) or modern (stateless, 2026-07-28 on).
//!
//! Read in this order.

pub mod ids;

pub mod principal;

pub mod party;

pub mod refusal;

pub mod bounds;

pub mod clock;

pub mod sessions;

pub mod stores;
