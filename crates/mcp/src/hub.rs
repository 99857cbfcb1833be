//! Many upstreams as one server: how their names, lists, offers and messages look on a hub.
//!
//! Pure functions on bytes and spans. What an upstream says is carried byte for byte except where
//! it names something (a tool, a resource, a task, a request): those names get the upstream's name,
//! so that an agent's answer finds the way back without anything being remembered. Nothing here
//! decides who may see or call what.
//!
//! Next: `naming.rs` and `uris.rs` for the names, `items.rs` for lists, `offer.rs` for what a hub
//! says it can do, `rewrite.rs` for messages that pass, `definition.rs` for what is pinned of a tool.

pub mod definition;
pub mod items;
pub mod naming;
pub mod offer;
pub mod rewrite;
pub mod uris;

pub(crate) mod array;

/// The JSON string token of a text.
pub(crate) fn quote(text: &str) -> String {
    // INVARIANT: a string always has a JSON form; the error exists for other types.
    serde_json::to_string(text).unwrap_or_default()
}
