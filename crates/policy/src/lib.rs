//! Who may call what.
//!
//! Roles say what may be done, bindings and scopes who may do it; deny wins, and what nothing allows is
//! denied. Compiled once; a decision without conditions looks up bits. Pure: no clock, no I/O.
//!
//! Read in this order.

pub mod settings;

mod policy;

mod decision;

mod bits;

mod callers;

mod items;

mod learned;

mod item_scopes;

mod condition;

pub mod lint;

pub mod explain;

pub mod subject;

pub mod cases;

pub mod matrix;

pub use bits::RuleId;
pub use condition::{Condition, ConditionError};
pub use decision::{Decision, Denial, Question, method_of};
pub use policy::{Policy, PolicyError, Standing};
