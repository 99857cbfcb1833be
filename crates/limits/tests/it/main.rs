//! Limits and budgets as the gate uses them: taken before a call, settled after it.
//!
//! Time is a number here; nothing waits.
#![expect(clippy::expect_used, reason = "what is expected of a test's own making")]

mod budgets;

mod giving_back;

mod levels;

mod promises;

mod scene;

mod threads;
