//! Which upstreams' tools are pinned, and what becomes of those that are not as they were approved.

use tollgate_core::ids::UpstreamName;

/// Pinning of one upstream's tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinSettings {
    /// Whose.
    pub upstream: UpstreamName,
    /// Who approves what is seen first.
    pub trust: Trust,
    /// What becomes of a tool that changed, or that came later.
    pub on_change: Treatment,
    /// What becomes of a tool with text that is written to mislead.
    pub suspicious: Treatment,
}

/// Who approves what is seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The first list of an upstream is approved as a whole.
    FirstUse,
    /// An operator approves each tool before anybody sees it.
    Approve,
}

/// What becomes of a tool that was not approved as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// It does not exist for agents until an operator approves it.
    Quarantine,
    /// It is shown and can be called; the operator is told.
    Flag,
}
