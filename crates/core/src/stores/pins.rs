//! Pins: which definitions of tools were seen and approved.

use super::{Digest, Pending};
use std::fmt;

/// What was approved of one tool, prompt or resource template, and what was seen since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRecord {
    /// Whose.
    pub upstream: String,
    /// The upstream's own name of the tool.
    pub tool: String,
    /// The digest that was approved; `None` if none was.
    pub approved: Option<Digest>,
    /// The definition that was approved, canonical JSON, for showing what changed.
    pub approved_text: Option<String>,
    /// The digest of what the upstream shows now.
    pub seen: Digest,
    /// The definition the upstream shows now, canonical JSON.
    pub seen_text: String,
    /// When it was seen first in this form, Unix seconds.
    pub seen_at: u64,
    /// Who approved it: an operator's name, or `first-use`.
    pub approved_by: Option<String>,
}

/// Pins.
pub trait Pins: Send + Sync + fmt::Debug {
    /// All pins of one upstream, or of all.
    fn all(&self, upstream: Option<String>) -> Pending<'_, Vec<PinRecord>>;

    /// Notes what upstreams show now. Approves what nobody had seen before where `trusts_first` says so.
    /// Returns all pins of that upstream.
    fn saw(
        &self,
        upstream: String,
        seen: Vec<PinRecord>,
        trusts_first: bool,
    ) -> Pending<'_, Vec<PinRecord>>;

    /// Approves what is seen now of one tool, if it still has this digest; says whether it had.
    fn approve(
        &self,
        upstream: String,
        tool: String,
        seen: Digest,
        by: String,
    ) -> Pending<'_, bool>;

    /// Forgets a tool, or all of an upstream; says how many.
    fn forget(&self, upstream: String, tool: Option<String>) -> Pending<'_, usize>;

    /// A number that changes whenever any process changed a pin. Cheap: asked for once a second.
    fn version(&self) -> Pending<'_, u64>;
}
