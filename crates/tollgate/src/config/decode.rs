//! From the tree of a file to sections with typed keys: the machinery `raw.rs` is declared with.
//!
//! One declaration of a section gives three things that can then not differ: how it is read, which of
//! its keys are known, and its JSON Schema. Collects mistakes; a value that is wrong is left out, and
//! what follows can tell "wrong" from "not written". serde's derive stops at the first mistake, which is why it is not used.
//!
//! Next: `scalars.rs` for the kinds of values.

use crate::config::cover::shown_name;
use crate::config::reading::Reading;
use crate::config::report::{Mistake, Pos};
use crate::config::tree::{Kind, Name, Node};
use serde_json::{Map, Value, json};

/// A value the file can hold.
pub(super) trait Decode: Sized {
    /// Reads it; `None` where it was wrong, and the mistake is recorded.
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self>;
    /// Its JSON Schema.
    fn schema() -> Value;
    /// How it is typed, for defaults in the schema; `None` for sections.
    fn spell(&self) -> Option<Value> {
        None
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Pos,
}

/// A key without a default.
#[derive(Clone, Debug)]
pub(super) enum Key<T> {
    /// Not written.
    Absent,
    /// Written and wrong; the mistake is recorded.
    Wrong,
    /// Written and right.
    Given(At<T>),
}

impl<T> Key<T> {
    pub(super) fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A key that must be written. Its absence is recorded as a mistake by the section that has it.
#[derive(Clone, Debug)]
pub(super) struct Needed<T>(pub(super) Key<T>);

impl<T> Needed<T> {
    pub(super) fn given(&self) -> Option<&At<T>> {
        self.0.given()
    }
}

/// A key with a default; `at` is `None` where the default stands.
#[derive(Clone, Debug)]
pub(super) struct Set<T> {
    pub(super) value: T,
    pub(super) at: Option<Pos>,
}

/// How a section holds a key.
pub(super) trait Slot: Sized {
    type Value: Decode;
    const NEEDED: bool;
    fn fill(key: Key<Self::Value>, default: Option<Self::Value>) -> Self;
}

impl<T: Decode> Slot for Key<T> {
    type Value = T;
    const NEEDED: bool = false;
    fn fill(key: Key<T>, _: Option<T>) -> Self {
        key
    }
}

impl<T: Decode> Slot for Needed<T> {
    type Value = T;
    const NEEDED: bool = true;
    fn fill(key: Key<T>, _: Option<T>) -> Self {
        Self(key)
    }
}

/// A key that has a default. `Option` only because the compiler cannot see that one was declared.
impl<T: Decode + Default> Slot for Set<T> {
    type Value = T;
    const NEEDED: bool = false;
    fn fill(key: Key<T>, default: Option<T>) -> Self {
        match key {
            Key::Given(At { value, at }) => Self { value, at: Some(at) },
            Key::Absent | Key::Wrong => Self { value: default.unwrap_or_default(), at: None },
        }
    }
}

/// The entries of a section that is being read.
pub(super) struct Fields<'n> {
    at: Pos,
    entries: &'n [(Name, Node)],
    known: Vec<&'static str>,
    later: &'static [(&'static str, &'static str)],
}

impl<'n> Fields<'n> {
    /// The entries of `node`; `None`, and a mistake, unless it is a mapping.
    pub(super) fn open(
        node: &'n Node,
        later: &'static [(&'static str, &'static str)],
        reading: &mut Reading<'_>,
    ) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            let found = found(node);
            let place = reading.here();
            let message = if place.is_empty() {
                format!("the file holds {found} where its sections belong")
            } else {
                format!("`{place}` holds {found} where keys belong")
            };
            reading.wrong(
                &node.at,
                message,
                "write `key: value` lines below it, or `{ key: value }`",
            );
            return None;
        };
        Some(Self { at: node.at.clone(), entries, known: Vec::new(), later })
    }

    /// Reads one key.
    pub(super) fn slot<S: Slot>(
        &mut self,
        key: &'static str,
        default: Option<S::Value>,
        reading: &mut Reading<'_>,
    ) -> S {
        self.known.push(key);
        let entry = self.entries.iter().find(|(name, _)| name.text == key);
        let value = match entry {
            Some((name, node)) => reading.within(key, |reading| read_value(name, node, reading)),
            None => Key::Absent,
        };
        // A key of a later version may be what was written in its place.
        let has_later = || {
            self.later
                .iter()
                .any(|(later, _)| self.entries.iter().any(|(name, _)| name.text == *later))
        };
        if S::NEEDED && value.is_absent() && !has_later() {
            let help = format!("add the key `{key}`; `tollgate schema` describes it");
            let (message, at) = match reading.here().as_str() {
                "" => (format!("there is no `{key}`"), None),
                place => (format!("`{place}` has no `{key}`"), Some(self.at.clone())),
            };
            reading.mistakes.push(Mistake { message, at, help });
        }
        S::fill(value, default)
    }

    /// Records the keys that no slot asked for.
    pub(super) fn close(self, reading: &mut Reading<'_>) {
        for (name, node) in self.entries {
            if self.known.contains(&name.text.as_str()) {
                continue;
            }
            let place = reading.here();
            let inside = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
            let key = &shown_name(&name.text);
            if let Some((_, help)) = self.later.iter().find(|(later, _)| later == key) {
                reading.wrong(
                    &name.at,
                    format!("this version of tollgate does not have `{key}`{inside}"),
                    *help,
                );
                continue;
            }
            let help = match nearest(key, &self.known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", listed(&self.known)),
            };
            // What stands alone may be the value of the key before it, and a secret.
            let alone = matches!(node.kind, Kind::Empty) && *key == name.text;
            let message = match alone && nearest(key, &self.known).is_none() {
                true => format!("an unknown key without a value{inside}"),
                false => format!("unknown key `{key}`{inside}"),
            };
            reading.wrong(&name.at, message, help);
        }
    }
}

fn read_value<T: Decode>(name: &Name, node: &Node, reading: &mut Reading<'_>) -> Key<T> {
    if matches!(node.kind, Kind::Empty) {
        let place = reading.here();
        reading.wrong(
            &name.at,
            format!("`{place}` has no value"),
            "write one after the colon, or remove the key",
        );
        return Key::Wrong;
    }
    match T::decode(node, reading) {
        Some(value) => Key::Given(At { value, at: node.at.clone() }),
        None => Key::Wrong,
    }
}

/// What a node is, in words.
pub(super) fn found(node: &Node) -> &'static str {
    match node.kind {
        Kind::Empty => "nothing",
        Kind::Scalar(_) | Kind::Unsettled => "a single value",
        Kind::List(_) => "a list",
        Kind::Map(_) => "keys",
    }
}

/// The known word that `typed` was probably meant to be.
pub(super) fn nearest<'w>(typed: &str, known: &[&'w str]) -> Option<&'w str> {
    let typed = typed.to_ascii_lowercase();
    let near = |word: &&&str| {
        let distance = strsim::damerau_levenshtein(&typed, word);
        distance <= 1 + word.chars().count() / 5
    };
    let closest =
        known.iter().filter(near).min_by_key(|word| strsim::damerau_levenshtein(&typed, word));
    let prefix = || known.iter().find(|word| typed.len() >= 3 && word.starts_with(&typed));
    closest.or_else(prefix).copied()
}

/// `a`, `b` and `c`, for help lines.
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The schema of a section, key by key.
pub(super) struct Shape {
    description: String,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Shape {
    pub(super) fn new(description: &str) -> Self {
        Self { description: one_line(description), properties: Map::new(), required: Vec::new() }
    }

    pub(super) fn key<S: Slot>(
        mut self,
        key: &str,
        description: &str,
        default: Option<S::Value>,
    ) -> Self {
        let mut schema = S::Value::schema();
        if let Value::Object(object) = &mut schema {
            object.insert("description".into(), json!(one_line(description)));
            if let Some(default) = default.and_then(|value| value.spell()) {
                object.insert("default".into(), default);
            }
        }
        if S::NEEDED {
            self.required.push(json!(key));
        }
        self.properties.insert(key.to_owned(), schema);
        self
    }

    pub(super) fn close(self) -> Value {
        let mut schema = json!({
            "description": self.description,
            "type": "object",
            "additionalProperties": false,
            "properties": self.properties,
        });
        if let (Value::Object(object), false) = (&mut schema, self.required.is_empty()) {
            object.insert("required".into(), Value::Array(self.required));
        }
        schema
    }
}

/// A comment of several lines as one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Declares a section: its keys, how each is held, its default and its description.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $name:ident {
            $( $(#[doc = $key_doc:literal])* $key:ident : $slot:ty $(= $default:expr)? ),+ $(,)?
        }
        $( later { $( $later:literal => $help:expr ),+ $(,)? } )?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub(in crate::config) struct $name {
            $( $(#[doc = $key_doc])* pub(in crate::config) $key: $slot ),+
        }

        impl Decode for $name {
            fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
                let mut fields = Fields::open(node, &[$( $( ($later, $help) ),+ )?], reading)?;
                let section = Self {
                    $( $key: fields.slot(key!($key), default!($($default)?), reading) ),+
                };
                fields.close(reading);
                Some(section)
            }

            fn schema() -> Value {
                Shape::new(concat!($($doc, "\n"),*))
                    $( .key::<$slot>(key!($key), concat!($($key_doc, "\n"),*), default!($($default)?)) )+
                    .close()
            }
        }

        impl Default for $name {
            /// The section as if it had been written without any key.
            fn default() -> Self {
                Self { $( $key: Slot::fill(Key::Absent, default!($($default)?)) ),+ }
            }
        }
    };
}

/// The key as it is typed: `for` is a word of Rust and carries `r#`.
macro_rules! key {
    ($key:ident) => {
        stringify!($key).trim_start_matches("r#")
    };
}

macro_rules! default {
    () => {
        None
    };
    ($default:expr) => {
        Some($default)
    };
}

pub(super) use {default, key, section};
