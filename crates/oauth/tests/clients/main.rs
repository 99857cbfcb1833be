//! What clients say of themselves, where people are sent back to, and what tokens are for.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod challenges;
mod ids;
mod metadata;
mod properties;
mod redirects;
mod registrations;
mod resources;
mod scopes;
