//! What rules are written with: patterns of names and of items, networks, names of the file itself.

use crate::config::decode::{listed, nearest};
use crate::config::scalars::{Scalar, words};
use serde_json::{Value, json};
use tollgate_rules::glob::Glob;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::who::Network;

/// A pattern of names of agents, users or methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamePattern(pub(super) Glob);

impl Scalar for NamePattern {
    const KIND: &'static str = "a pattern of names";
    const FORM: &'static str =
        "write a name; `*` stands for any characters, everything else for itself";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        Glob::parse(text).map(Self).map_err(|error| Some(error.to_string()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0.as_str()))
    }
}

/// A pattern of tools, prompts or resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ItemPattern(pub(super) ItemGlob);

impl Scalar for ItemPattern {
    const KIND: &'static str = "a pattern of tools, prompts or resources";
    const FORM: &'static str = "write `UPSTREAM__NAME`, on every route; `*` stands for any characters, and `*` alone for everything";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        ItemGlob::parse(text).map(Self).map_err(|error| Some(error.to_string()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }

    fn spell(&self) -> Option<Value> {
        Some(json!(self.0.to_string()))
    }
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NetworkText(pub(super) Network);

impl Scalar for NetworkText {
    const KIND: &'static str = "a network";
    const FORM: &'static str =
        "write `10.0.0.0/8`, `2001:db8::/32` or one address; bits that do not count are 0";

    fn parse(text: &str) -> Result<Self, Option<String>> {
        Network::parse(text).map(Self).ok_or(None)
    }

    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

words! {
    /// Whether a policy is enforced.
    PolicyMode {
        #[default]
        Enforce = "enforce",
        Shadow = "shadow",
    }
}

words! {
    /// What scopes that name single items mean.
    ItemScopesWord {
        #[default]
        Grant = "grant",
        Limit = "limit",
        Ignore = "ignore",
    }
}

/// The help line where a name is none of those the file has.
pub(super) fn unknown_name(typed: &str, known: &[&str]) -> String {
    match (nearest(typed, known), known) {
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, []) => "there is none in this file".to_owned(),
        (None, known) => format!("one of: {}", listed(known)),
    }
}
