//! What people and their browsers go through at the issuer, and what attackers try there.
//!
//! `house.rs` is the issuer with a clock that stands still; the other files are the tests, by step.

#![expect(clippy::expect_used, reason = "what a test expects")]

mod authorize;
mod consent;
mod house;
mod provider;
mod signin;
