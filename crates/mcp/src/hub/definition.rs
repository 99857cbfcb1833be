//! The definition of a tool as it is pinned: one text for all ways to write the same thing.
//!
//! Everything an upstream says about a tool is pinned except [`LEFT_OUT`], also members that no revision
//! of MCP knows: what a model may read must not change unseen. The canonical form is JSON without
//! white space; the keys of each object are sorted by their UTF-8 bytes; strings hold escapes only
//! where JSON demands them, the short ones where there are any, else `\u00xx` in lower case; numbers
//! are as they were written (`1.0` is not `1`). It is not that of RFC 8785, which rounds numbers and
//! sorts by UTF-16. The digest of a definition is SHA-256 over the UTF-8 bytes of this text, and is
//! made where there is a library for it.
//!
//! Nothing here approves anything. Next: `definition/tree.rs` for the form, `diff.rs` for what changed,
//! `suspicion.rs` for text that is written to mislead.

mod diff;
mod suspicion;
mod tree;

pub use diff::{CHANGES_MAX, Change};
pub use suspicion::{FINDINGS_MAX, Finding, Others, Suspicion, is_deceptive};

use crate::json::{Limits, judge_value};
use tollgate_core::bounds::{JSON_DEPTH_MAX, LIST_ITEM_BYTES_MAX};
use tree::Node;

/// What is not pinned of a tool: `icons`, pictures for people, whose addresses expire; `_meta`, notes
/// between programs, some of them new with each answer.
pub const LEFT_OUT: [&str; 2] = ["_meta", "icons"];

/// What is pinned of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    name: String,
    tree: Node,
}

impl Definition {
    /// Reads a tool as a list has it, or the text of [`Self::canonical`]. `None` for what is no tool:
    /// not strict JSON, nested too deeply, longer than an item of a list may be, or without a name.
    #[must_use]
    pub fn of_tool(json: &[u8]) -> Option<Self> {
        if json.len() > LIST_ITEM_BYTES_MAX {
            return None;
        }
        let limits = Limits { depth_max: JSON_DEPTH_MAX, items_max: u32::MAX, ..Limits::default() };
        judge_value(json, &limits).ok()?;
        let Node::Object(mut members) = Node::read(json)? else { return None };
        members.retain(|(key, _)| !LEFT_OUT.contains(&key.as_str()));
        let name = members.iter().find(|(key, _)| key == "name")?;
        let Node::Text(name) = &name.1 else { return None };
        Some(Self { name: name.clone(), tree: Node::Object(members) })
    }

    /// The tool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The one text of this definition.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.tree.write(&mut text);
        text
    }

    /// What must be done to this definition to make it the other one; at most [`CHANGES_MAX`].
    #[must_use]
    pub fn changes_to(&self, other: &Self) -> Vec<Change> {
        diff::changes(&self.tree, &other.tree)
    }

    /// What in it is written to mislead; at most [`FINDINGS_MAX`].
    #[must_use]
    pub fn suspicions(&self, others: &Others<'_>) -> Vec<Finding> {
        suspicion::scan(&self.tree, others)
    }
}

/// Most characters of a key in a pointer: one that is longer is no name anybody reads, and would be
/// repeated for everything below it.
const KEY_MAX: usize = 128;

/// A JSON pointer to a member or an element below `above`.
///
/// SPEC: RFC 6901 section 3: `~` and `/` are escaped.
fn below(above: &str, key: &str) -> String {
    let end = key.char_indices().nth(KEY_MAX).map_or(key.len(), |(at, _)| at);
    let cut = if end < key.len() { "…" } else { "" };
    format!("{above}/{}{cut}", key[..end].replace('~', "~0").replace('/', "~1"))
}
