//! A small stateful MCP server of both eras, for demonstrations and tests.
//!
//! `tollgate demo` puts the gate in front of two instances of it. It speaks Streamable HTTP at
//! [`PATH`]: legacy sessions (2025-03-26, 2025-06-18, 2025-11-25), each with a counter of its own,
//! and the stateless revision 2026-07-28, where the counter travels in a handle. It knows nothing
//! of the gate, has no configuration and keeps nothing on disk.
//!
//! Read in this order: how connections come in, who may knock, what a message is, what is sent
//! back, then the two eras and the tools they offer.

mod serve;

mod door;

mod message;

mod reply;

mod stream;

mod sessions;

mod legacy;

mod legacy_tools;

mod modern;

mod modern_tools;

mod tools;

mod seal;

mod bounds;

pub use door::PATH;
pub use modern::VERSION as STATELESS_VERSION;
pub use serve::{Instance, serve};
