//! Tools as they were approved: what an upstream shows is compared with its pins, and what differs is
//! held back.
//!
//! A tool that is held back is missing from every list the gate keeps, so nothing shows it, and calls of it
//! are answered as those of a tool that is not there. Lists are judged where they are read (`catalog.rs`),
//! not on the way of a call. Fails closed: while the store cannot be asked, what was approved as far as is
//! known stays, and nothing else is offered.
//!
//! Next: `pins/judgement.rs` (what a definition is next to its pin), `pins/book.rs` (one upstream's pins),
//! `pins/settle.rs` (all its lists at once), `pins/watch.rs` (what operators approve meanwhile).

mod book;
mod judgement;
mod settle;
mod watch;

pub use book::PinCounts;
pub(crate) use book::{Listed, PinBook};
pub use judgement::{Judgement, Standing, judge};
pub(crate) use settle::settle;
pub(crate) use watch::Pinboard;
