//! What `cargo xtask bench` runs around the gate: everything but the gate and nginx.
//!
//! Three programs: `bench-upstream`, a fast MCP server; `bench-bare`, a reverse proxy that only
//! streams bytes and marks the practical limit; `bench-load`, which calls tools and checks every
//! reply. They are tools for measuring, not examples of a server or a client: they speak the part of
//! HTTP/1.1 and MCP that the benchmark needs, on loopback.
//!
//! In the order a reader needs them: what is called, how it travels, who judges it, who calls it.

pub mod tokens;
pub mod tools;
pub mod wire;

pub mod calls;
pub mod replies;

pub mod connection;
pub mod cpu;
pub mod held;
pub mod leash;
pub mod lists;
pub mod pace;
pub mod rounds;
