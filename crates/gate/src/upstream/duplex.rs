//! Upstreams that are reached over a line in two directions instead of a request at a time: child
//! processes on stdin and stdout, and servers of HTTP+SSE (2024-11-05).
//!
//! Towards the rest of the house such an upstream behaves like any other endpoint: it takes a POST,
//! GET or DELETE with an `Mcp-Session-Id` of its own making and answers JSON or an event stream.

mod line;

pub use line::{Ended, Line, LineEnd, line};
