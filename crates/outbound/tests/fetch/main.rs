//! Fetches against servers that misbehave, over a network that tells where it was asked to go.
#![expect(clippy::expect_used, reason = "a test that cannot be set up must fail")]

mod answers;
mod hosts;
mod slowness;
mod stage;
mod tls;
