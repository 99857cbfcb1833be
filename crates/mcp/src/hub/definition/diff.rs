//! What differs between two definitions: as JSON pointers, and in words.
//!
//! Arrays are compared place by place, except `required`, which is a set of names. Next: `suspicion.rs`.

use super::below;
use super::tree::Node;

/// Most changes that are told apart.
pub const CHANGES_MAX: usize = 200;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where: a JSON pointer into the definition.
    pub pointer: String,
    /// What was there: a string's value, or JSON text; `None` for nothing.
    pub was: Option<String>,
    /// What is there now.
    pub is: Option<String>,
}

impl Change {
    /// What happened, in words without the values. Names in it are the upstream's own.
    #[must_use]
    pub fn words(&self) -> String {
        let happened = match (&self.was, &self.is) {
            (None, _) => "was added",
            (_, None) => "was removed",
            (Some(_), Some(_)) => "changed",
        };
        let unescaped = |part: &str| part.replace("~1", "/").replace("~0", "~");
        let parts: Vec<String> = self.pointer.split('/').skip(1).map(unescaped).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            [] => format!("the whole definition {happened}"),
            [member @ ("title" | "description")] => format!("the {member} {happened}"),
            ["inputSchema", "required", name] => {
                let is = if self.is.is_some() { "is required now" } else { "is optional now" };
                format!("parameter `{name}` {is}")
            }
            ["inputSchema", "properties", name] => format!("parameter `{name}` {happened}"),
            ["inputSchema", "properties", name, member] => {
                format!("`{member}` of parameter `{name}` {happened}")
            }
            ["inputSchema", "properties", name, ..] => {
                format!("something within parameter `{name}` {happened}")
            }
            ["inputSchema", ..] => format!("the input schema {happened}"),
            ["outputSchema", ..] => format!("the output schema {happened}"),
            ["annotations", name] => format!("annotation `{name}` {happened}"),
            [member, ..] => format!("`{member}` {happened}"),
        }
    }
}

pub(super) fn changes(was: &Node, is: &Node) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(was), Some(is), &mut found);
    found
}

fn compare(pointer: &str, was: Option<&Node>, is: Option<&Node>, found: &mut Vec<Change>) {
    if was == is || found.len() >= CHANGES_MAX {
        return;
    }
    match (was, is) {
        (Some(Node::Object(was)), Some(Node::Object(is))) => {
            compare_members(pointer, was, is, found);
        }
        (Some(Node::Array(was)), Some(Node::Array(is))) => match (names(was), names(is)) {
            (Some(was), Some(is)) if pointer.ends_with("/required") => {
                compare_names(pointer, &was, &is, found);
            }
            _ => {
                for at in 0..was.len().max(is.len()) {
                    compare(&below(pointer, &at.to_string()), was.get(at), is.get(at), found);
                }
            }
        },
        (was, is) => found.push(Change {
            pointer: pointer.to_owned(),
            was: was.map(Node::shown),
            is: is.map(Node::shown),
        }),
    }
}

/// Both are sorted by key.
fn compare_members(
    pointer: &str,
    was: &[(String, Node)],
    is: &[(String, Node)],
    found: &mut Vec<Change>,
) {
    let (mut was, mut is) = (was.iter().peekable(), is.iter().peekable());
    loop {
        let next = match (was.peek(), is.peek()) {
            (None, None) => return,
            (Some((key, _)), None) | (None, Some((key, _))) => key,
            (Some((one, _)), Some((other, _))) => one.min(other),
        };
        let before = was.next_if(|(key, _)| key == next).map(|(_, value)| value);
        let after = is.next_if(|(key, _)| key == next).map(|(_, value)| value);
        compare(&below(pointer, next), before, after, found);
    }
}

fn names(elements: &[Node]) -> Option<Vec<&str>> {
    let mut names = Vec::with_capacity(elements.len());
    for element in elements {
        let Node::Text(name) = element else { return None };
        names.push(name.as_str());
    }
    Some(names)
}

/// The order of names changes nothing, but it does change the digest: said as a change of the whole.
fn compare_names(pointer: &str, was: &[&str], is: &[&str], found: &mut Vec<Change>) {
    let before = found.len();
    let change = |name: &str, was: bool, is: bool| Change {
        pointer: below(pointer, name),
        was: was.then(|| name.to_owned()),
        is: is.then(|| name.to_owned()),
    };
    found
        .extend(was.iter().filter(|name| !is.contains(name)).map(|name| change(name, true, false)));
    found
        .extend(is.iter().filter(|name| !was.contains(name)).map(|name| change(name, false, true)));
    if found.len() == before {
        let text = |names: &[&str]| Some(names.join(", "));
        found.push(Change { pointer: pointer.to_owned(), was: text(was), is: text(is) });
    }
    found.truncate(CHANGES_MAX);
}
