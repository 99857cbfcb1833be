//! The demo server as clients see it, over real connections.

#[cfg(test)] // Tells the lints that its `expect`s are a test's.
mod client;
mod door;
mod legacy;
mod modern;
