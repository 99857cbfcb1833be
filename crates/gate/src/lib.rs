//! The data plane.

pub mod settings;
