//! A client.
fn main() {}
