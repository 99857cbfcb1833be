//! The Tollgate binary: reads the configuration, wires the rooms together, and runs them.

fn main() {}
