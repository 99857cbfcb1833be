//! Whom and what rules are about.
//!
//! Policy, limits, budgets, prices and teams all say "these agents" and "those tools"; this is the one
//! way in which they say it. Names are compared byte for byte: nothing folds case or normalises.
//! Nothing here decides anything. Read in this order.

pub mod glob;

pub mod items;

pub mod who;

pub mod teams;
