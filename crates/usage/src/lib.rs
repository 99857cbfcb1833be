//! What a call took and what it costs: counting, prices, and the rows of the ledger.
//!
//! Nothing here is on the way of a reply: calls are handed over when they are done, but for those that
//! are counted faster than handed over. What is counted settles the reservation of limits, which this
//! room knows only as a closure. Read in this order.

pub mod settings;

mod call;

mod meter;

mod queue;

mod counting;

mod answer;

mod plain;

mod text;

mod reported;

mod averages;

mod rows;

mod backlog;

mod writing;

pub mod prices;

pub mod reprice;

pub mod money;

pub mod days;

pub use call::{Actual, Finished, Results, Settle};
pub use meter::{Figures, Meter, Unready};
