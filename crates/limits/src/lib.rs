//! How much may be called: rates of requests and tokens, calls at once, budgets.
//!
//! Integers only, and time is handed in: the same arithmetic is to run where several gates share their
//! counts. No I/O.

pub mod settings;
