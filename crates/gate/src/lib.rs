//! The data plane.

pub mod settings;

pub mod upstream;
