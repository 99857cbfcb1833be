//! The MCP wire, without I/O: strict JSON, JSON-RPC, event streams, headers and both eras.
//!
//! Read in this order: [`json`] judges what agents send, [`reply`] glances at what upstreams
//! answer, [`sse`] splits and writes event streams, [`headers`] reads and writes MCP's headers.

pub mod json;

pub mod reply;

pub mod sse;

pub mod headers;
