//! Pins: which definitions of tools were seen and approved.
//!
//! What a definition is, and its canonical text, is `tollgate_mcp::hub::definition`; a store compares
//! digests and keeps texts only for showing them.

use super::{Digest, Pending};
use std::fmt;

/// Who approved what nobody had seen before, under `trust: first-use`.
pub const FIRST_USE: &str = "first-use";

/// What is known of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRecord {
    /// Whose.
    pub upstream: String,
    /// The upstream's own name of the tool.
    pub tool: String,
    /// What was approved; `None` if nothing was.
    pub approved: Option<Approval>,
    /// The digest of what the upstream showed last.
    pub seen: Digest,
    /// Since when it showed that, Unix seconds.
    pub seen_at: u64,
}

/// That a definition was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its digest.
    pub digest: Digest,
    /// Who approved it: an operator's name, or [`FIRST_USE`].
    pub by: String,
    /// When, Unix seconds.
    pub at: u64,
}

/// A definition that an upstream shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The upstream's own name of the tool.
    pub tool: String,
    /// Its digest.
    pub digest: Digest,
    /// Its canonical text.
    pub text: String,
}

/// The canonical texts of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinTexts {
    /// What was approved.
    pub approved: Option<String>,
    /// What was seen last.
    pub seen: String,
}

/// Pins.
pub trait Pins: Send + Sync + fmt::Debug {
    /// All pins of one upstream, or of all, sorted by upstream and tool.
    fn all(&self, upstream: Option<String>) -> Pending<'_, Vec<PinRecord>>;

    /// The texts of one tool.
    fn texts(&self, upstream: String, tool: String) -> Pending<'_, Option<PinTexts>>;

    /// Notes what an upstream shows now; pins of tools that are not among it stay. With `trusts_first`,
    /// all of it is approved by [`FIRST_USE`] if this upstream has no pins yet; the time is now. Returns all
    /// pins of it.
    ///
    /// What finds no room is left out of the answer: it was seen, and is nobody's to approve.
    fn saw(
        &self,
        upstream: String,
        seen: Vec<Seen>,
        how: (bool, u64),
    ) -> Pending<'_, Vec<PinRecord>>;

    /// Approves what is seen now of these tools, each only if it still has this digest; returns those
    /// that had.
    fn approve(
        &self,
        upstream: String,
        tools: Vec<(String, Digest)>,
        how: (String, u64),
    ) -> Pending<'_, Vec<String>>;

    /// Forgets a tool, or all of an upstream; says how many.
    fn forget(&self, upstream: String, tool: Option<String>) -> Pending<'_, usize>;

    /// A number that is another one whenever any process changed a pin. Cheap: asked for twice a second.
    fn version(&self) -> Pending<'_, u64>;
}
