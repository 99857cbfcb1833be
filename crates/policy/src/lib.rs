//! Who may call what.
//!
//! Roles say what may be done, bindings and scopes who may do it; deny wins, and what nothing allows is
//! denied. Compiled once; a decision without conditions looks up bits. Pure: no clock, no I/O.

pub mod settings;
