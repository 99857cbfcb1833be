//! `cargo xtask`: the project's own tools.

fn main() {}
