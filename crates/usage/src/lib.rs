//! What a call took and what it costs: counting, prices, and the rows of the ledger.
//!
//! Nothing here is on the way of a reply: calls are handed over when they are done.

pub mod settings;
