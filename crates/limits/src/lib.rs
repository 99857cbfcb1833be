//! How much may be called: rates of requests and tokens, calls at once, budgets.
//!
//! Integers only, and time is handed in: the same arithmetic is to run where several gates share their
//! counts. No I/O. A call [takes](Limits::take) its share of everything that applies before anything is
//! sent, and [settles](Receipt::settle) what it turned out to take.
//!
//! Read in this order.

pub mod settings;

mod request;

mod limits;

mod gcra;

mod level;

mod budget;

mod tally;

mod period;

mod past;

mod receipt;

mod shortage;

mod warning;

mod status;

mod table;

mod key;

pub use gcra::{Place, Rate, RateError, Taken};
pub use limits::{Limits, LimitsError};
pub use past::Question;
pub use period::is_zone;
pub use receipt::Receipt;
pub use request::{Actual, Now, Request};
pub use shortage::Shortage;
pub use status::{BudgetStatus, LevelStatus};
pub use tally::Amounts;
pub use warning::BudgetWarning;
