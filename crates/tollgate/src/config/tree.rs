//! Reads YAML into a tree of names, scalars and lists, each with its place in the file.
//!
//! The only file that knows the YAML library. Every scalar stays the text that was typed: whether
//! `off`, `1.10` or `0x10` is a word or a number is decided by the key it belongs to, never by YAML.
//! Refuses duplicate keys, anchors, aliases, merge keys, tags and second documents.
//!
//! Next: `decode.rs`, which turns the tree into the sections of `raw.rs`.

use crate::config::cover::shown_name;
use crate::config::report::{Mistake, Pos};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MessageFormatter, NonFiniteFloatPolicy, Spanned, UserMessageFormatter};
use std::collections::HashSet;
use std::fmt;
use tollgate_core::bounds::{CONFIG_DEPTH_MAX, CONFIG_NODES_MAX};

const TWICE: &str = "keep one of the two; which one would win is not something to guess";

/// One value of the file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Pos,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Nothing was written (`key:`), or `null`.
    Empty,
    /// A scalar as typed, without its quotes.
    Scalar(String),
    /// A scalar whose text is still to be taken from the source: see [`settle`].
    Unsettled,
    /// `[...]`, or lines with `-`.
    List(Vec<Node>),
    /// Keys and values, in the order of the file.
    Map(Vec<(Name, Node)>),
}

/// One key.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: Pos,
}

/// Reads `source`, or says where it stops being the YAML we take.
pub(super) fn parse(source: &str) -> Result<Node, Mistake> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: CONFIG_DEPTH_MAX,
            max_nodes: CONFIG_NODES_MAX,
            max_documents: 1,
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let mut root: Node =
        serde_saphyr::from_str_with_options(source, options).map_err(|e| mistake(&e))?;
    settle(&mut root, source)?;
    Ok(root)
}

/// Takes the text of numbers and booleans from the source, so that `1.10` does not become `1.1`, and
/// compares keys as text: to the library `1` and `"1"` are different ones, to us they are not.
fn settle(node: &mut Node, source: &str) -> Result<(), Mistake> {
    match &mut node.kind {
        Kind::Unsettled => {
            let typed = source.get(node.at.bytes.clone()).unwrap_or_default();
            node.kind = Kind::Scalar(typed.trim().to_owned());
        }
        Kind::List(items) => {
            for item in items {
                settle(item, source)?;
            }
        }
        Kind::Map(entries) => {
            let mut seen = HashSet::new();
            for (name, value) in entries {
                if !seen.insert(name.text.clone()) {
                    let message = format!("key `{}` is there twice", shown_name(&name.text));
                    return Err(Mistake::new(&name.at, message, TWICE));
                }
                settle(value, source)?;
            }
        }
        Kind::Empty | Kind::Scalar(_) => {}
    }
    Ok(())
}

fn mistake(error: &serde_saphyr::Error) -> Mistake {
    use serde_saphyr::Error;
    use serde_saphyr::budget::BudgetBreach;
    let error = error.without_snippet();
    let at = error.location().map(place);
    let (message, help) = match error {
        Error::DuplicateMappingKey { key, .. } => (
            key.as_ref().map_or_else(
                || "this key is there twice".into(),
                |k| format!("key `{}` is there twice", shown_name(k)),
            ),
            TWICE.to_owned(),
        ),
        Error::MultipleDocuments { .. }
        | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => (
            "the file holds more than one YAML document".to_owned(),
            "remove the `---` and what follows it, or move it to a file of its own".to_owned(),
        ),
        Error::UnsupportedTag { .. } => (
            "YAML tags (`!name`) are not taken".to_owned(),
            "remove the tag; text that starts with `!` belongs in quotes".to_owned(),
        ),
        Error::Budget {
            breach:
                BudgetBreach::Anchors { .. }
                | BudgetBreach::Aliases { .. }
                | BudgetBreach::MergeKeys { .. },
            ..
        }
        | Error::UnknownAnchor { .. } => (
            "YAML anchors and aliases (`&name`, `*name`, `<<`) are not taken".to_owned(),
            "write the value out; text that starts with `&` or `*` belongs in quotes".to_owned(),
        ),
        Error::Budget { .. } => (
            "the file is nested too deeply or holds too many values".to_owned(),
            format!("at most {CONFIG_DEPTH_MAX} levels and {CONFIG_NODES_MAX} values are read"),
        ),
        other => (
            format!("this is not valid YAML: {}", UserMessageFormatter.format_message(other)),
            "check the indentation (spaces, never tabs), the quotes and the brackets around here"
                .to_owned(),
        ),
    };
    Mistake { message, at, help }
}

fn place(location: serde_saphyr::Location) -> Pos {
    let span = location.span();
    let start = usize::try_from(span.byte_offset().unwrap_or(0)).unwrap_or(0);
    let length = usize::try_from(span.byte_len().unwrap_or(0)).unwrap_or(0);
    Pos {
        line: usize::try_from(location.line()).unwrap_or(0),
        column: usize::try_from(location.column()).unwrap_or(0),
        bytes: start..start.saturating_add(length),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { at: place(spanned.referenced), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
        Ok(Kind::Unsettled)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind::Unsettled)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
        Ok(Kind::Unsettled)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Kind, E> {
        Ok(Kind::Unsettled)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Kind, E> {
        Ok(Kind::Unsettled)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Unsettled)
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Empty)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Empty)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            if key.value == "<<" {
                return Err(A::Error::custom(
                    "merge keys (`<<`) are not taken: write the keys out",
                ));
            }
            let name = Name { text: key.value, at: place(key.referenced) };
            entries.push((name, map.next_value::<Node>()?));
        }
        Ok(Kind::Map(entries))
    }
}
