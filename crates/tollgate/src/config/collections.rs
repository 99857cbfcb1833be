//! Lists, tables with names the operator chooses, and sections in whose place a word may stand.

use crate::config::cover::shown_name;
use crate::config::decode::{At, Decode, found};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::scalars::Scalar;
use crate::config::tree::{Kind, Node};
use serde_json::{Value, json};

/// `[a, b]`: one to many values. Wrong ones are left out, their mistakes recorded.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<At<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for List<T> {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            let message =
                format!("`{}` holds {} where a list belongs", reading.here(), found(node));
            reading.wrong(
                &node.at,
                message,
                "write `[first, second]`, or lines that start with `-`",
            );
            return None;
        };
        let before = reading.mistakes.len();
        let mut values = Vec::new();
        for item in items {
            if let Some(value) = T::decode(item, reading) {
                values.push(At { value, at: item.at.clone() });
            }
        }
        (reading.mistakes.len() == before).then_some(Self(values))
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }

    fn spell(&self) -> Option<Value> {
        self.0.iter().map(|item| item.value.spell()).collect::<Option<Vec<_>>>().map(Value::Array)
    }
}

/// A list of sections. One that is wrong is left out, its mistakes recorded; the others are kept, so
/// that they can still be compared.
#[derive(Clone, Debug)]
pub(super) struct Sections<T>(pub(super) Vec<At<T>>);

impl<T> Default for Sections<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for Sections<T> {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            let message =
                format!("`{}` holds {} where a list belongs", reading.here(), found(node));
            reading.wrong(&node.at, message, "write `[{ ... }]`, or lines that start with `-`");
            return None;
        };
        let kept = items.iter().filter_map(|item| {
            let value = T::decode(item, reading)?;
            Some(At { value, at: item.at.clone() })
        });
        Some(Self(kept.collect()))
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// A mapping whose keys are names the operator chooses.
#[derive(Clone, Debug)]
pub(super) struct Table<T>(pub(super) Vec<Row<T>>);

/// One entry of a table.
#[derive(Clone, Debug)]
pub(super) struct Row<T> {
    pub(super) name: String,
    pub(super) at: Pos,
    /// `None`: wrong, and the mistake is recorded. The name is known all the same.
    pub(super) value: Option<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for Table<T> {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            let message = format!("`{}` holds {} where names belong", reading.here(), found(node));
            reading.wrong(
                &node.at,
                message,
                "write `name: ...` lines below it, or `{ name: ... }`",
            );
            return None;
        };
        if entries.is_empty() {
            let message = format!("`{}` is empty", reading.here());
            reading.wrong(&node.at, message, "add at least one entry");
        }
        let mut rows = Vec::new();
        for (name, node) in entries {
            let value = if matches!(node.kind, Kind::Empty) {
                let message = format!("an entry of `{}` has no value", reading.here());
                let help = "write one after the colon, and a space between the two";
                reading.wrong(&name.at, message, help);
                None
            } else {
                reading.within(&shown_name(&name.text), |reading| T::decode(node, reading))
            };
            rows.push(Row { name: name.text.clone(), at: name.at.clone(), value });
        }
        Some(Self(rows))
    }

    fn schema() -> Value {
        json!({ "type": "object", "minProperties": 1, "additionalProperties": T::schema() })
    }
}

/// A section, or the word `off`.
#[derive(Clone, Debug)]
pub(super) enum OffOr<T> {
    /// The operator wrote `off`.
    Off,
    /// On, with these keys.
    On(T),
}

impl<T: Default> Default for OffOr<T> {
    fn default() -> Self {
        Self::On(T::default())
    }
}

impl<T: Decode> Decode for OffOr<T> {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(word) if word == "off" => Some(Self::Off),
            Kind::Scalar(word) => {
                let message = format!("`{word}` is not a value of `{}`", reading.here());
                reading.wrong(
                    &node.at,
                    message,
                    "write `off`, or keys; without it the defaults apply",
                );
                None
            }
            Kind::Empty | Kind::Unsettled | Kind::List(_) | Kind::Map(_) => {
                T::decode(node, reading).map(Self::On)
            }
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [{ "const": "off" }, T::schema()] })
    }
}

/// A section, or a word that stands for one.
#[derive(Clone, Debug)]
pub(super) enum WordOr<W, T> {
    /// The operator wrote the word.
    Word(W),
    /// The operator wrote keys.
    Keys(T),
}

impl<W: Default, T> Default for WordOr<W, T> {
    fn default() -> Self {
        Self::Word(W::default())
    }
}

impl<W: Scalar, T: Decode> Decode for WordOr<W, T> {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Kind::Scalar(word) = &node.kind else {
            return T::decode(node, reading).map(Self::Keys);
        };
        if let Ok(word) = W::parse(word) {
            return Some(Self::Word(word));
        }
        let message = format!("`{word}` is not a value of `{}`", reading.here());
        let words = W::FORM.trim_start_matches("one of: ").replace("` `", "`, `");
        reading.wrong(&node.at, message, format!("write {words}, or keys below it"));
        None
    }

    fn schema() -> Value {
        json!({ "anyOf": [<W as Scalar>::schema(), T::schema()] })
    }

    fn spell(&self) -> Option<Value> {
        match self {
            Self::Word(word) => Scalar::spell(word),
            Self::Keys(_) => None,
        }
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<At<T>>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        if matches!(node.kind, Kind::List(_)) {
            return List::decode(node, reading).map(|List(items)| Self(items));
        }
        let value = T::decode(node, reading)?;
        Some(Self(vec![At { value, at: node.at.clone() }]))
    }

    fn schema() -> Value {
        json!({ "anyOf": [T::schema(), List::<T>::schema()] })
    }
}
