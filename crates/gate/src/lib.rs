//! The data plane.

pub mod settings;

pub mod listen;

pub mod drain;
