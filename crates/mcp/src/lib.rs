//! The MCP wire without I/O: how bytes become judged messages, and which rules apply to them.
//!
//! `json` judges what clients send, strictly; `reply` glances at what upstreams send, quickly; `sse`
//! splits event streams; `headers` reads and writes header values; `methods` names what the gate
//! understands; `era` holds everything that depends on a protocol version; `hub` makes many servers look
//! like one; `uri` and `sieve` are what a policy needs of resources and lists.

pub mod json;

pub mod reply;

pub mod sse;

pub mod headers;

pub mod methods;

pub mod era;

pub mod hub;

pub mod uri;

pub mod sieve;
