//! Peers for whole-house tests: the real binary between a raw client and a recording upstream.
//!
//! Nothing here knows the gate's code: bytes go in on one side, and what came out on the other is
//! held against the documents. A refusal is proven by what the upstream did *not* get.
//!
//! Every wait has a deadline. A peer that cannot do its part fails its test at once, which is what
//! the `expect`s are for; this crate is never part of the product.
//!
//! Read in this order.
#![expect(clippy::expect_used, reason = "a peer that fails must fail its test")]

pub mod house;

pub mod gate;

pub mod recorder;

pub mod script;

pub mod peer;

pub mod member;

pub mod hub;

pub mod agent;

pub mod sse_peer;

pub mod client;

pub mod post;

pub mod events;

pub mod h2;

pub mod stdio;

mod http1;

use std::time::Duration;

/// The longest any peer waits for anything that should happen at once.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub use agent::Agent;
pub use client::{RawClient, Response};
pub use gate::{Configuration, GateProcess};
pub use house::House;
pub use hub::Hub;
pub use member::Member;
pub use post::{Post, legacy_bodyless, legacy_initialize, legacy_post, modern_call};
pub use recorder::{Recorded, Recorder};
pub use script::{Act, Feed, Pen, Reply};
pub use stdio::StdioHouse;
