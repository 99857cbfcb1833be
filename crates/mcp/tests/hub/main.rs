//! How many upstreams look like one server: names, lists, offers and passing messages.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod definitions;
mod lists;
mod names;
mod offers;
mod rewrites;
mod schema;
