//! The section `pins` of an upstream: what keeps its tools as they were approved.

use crate::config::decode::{Decode, Fields, Key, Set, Shape, Slot, default, key, section};
use crate::config::reading::Reading;
use crate::config::tree::Node;
use crate::config::values::{Treatment, Trust};
use serde_json::Value;

section! {
    /// Pinning of an upstream's tools: each is offered as it was approved, or not at all. `tollgate pins` lists, compares
    /// and approves. Approvals are kept in `stores`.
    Pins {
        /// Who approves what is seen first. `first-use`: the first list of tools that the gate reads is approved as a
        /// whole; what comes later is not. `approve`: no tool is offered before an operator approved it.
        trust: Set<Trust> = Trust::FirstUse,
        /// What becomes of a tool that changed since, or is new after the first list. `quarantine`: nobody sees or
        /// calls it until it is approved. `flag`: it is offered, logged, and counted in `/status`.
        on_change: Set<Treatment> = Treatment::Quarantine,
        /// The same for a tool that nobody but `first-use` approved and whose text holds hidden characters (tags,
        /// bidirectional controls, zero width) or names a tool of another upstream.
        suspicious: Set<Treatment> = Treatment::Quarantine,
    }
}
