//! Text in a definition that is written to mislead: characters a person does not see but a model reads,
//! and words about another upstream's tools, which may steer a model's use of those (shadowing).
//!
//! Both rules are about characters and names, not about meaning: phrases such as "ignore what you were
//! told" are worded anew more easily than a list of them is kept, and stand in honest text too.
//!
//! Next: the gate's `pins/`, which decides what becomes of a tool with such text.

use super::below;
use super::tree::Node;
use crate::hub::naming::{SEPARATOR, is_hidden};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Most findings of one definition.
pub const FINDINGS_MAX: usize = 16;

/// Most characters a finding names; the rest are counted.
const NAMED_MAX: usize = 8;

/// Shortest name of a tool that is looked for in others' text.
const NAME_MIN: usize = 6;

/// One suspicious place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a JSON pointer into the definition.
    pub pointer: String,
    /// What is there.
    pub what: Suspicion,
}

/// What is suspicious.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Characters that are not seen, or that change how others are shown.
    Hidden {
        /// The first of them, each once.
        characters: Vec<char>,
        /// How many there are.
        count: usize,
    },
    /// It names a tool of another upstream.
    Speaks {
        /// Whose.
        upstream: String,
        /// What it is called there.
        tool: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, what } = self;
        let pointer = pointer.escape_debug();
        match what {
            Suspicion::Hidden { characters, count } => {
                write!(f, "`{pointer}` holds {count} hidden characters:")?;
                characters.iter().try_for_each(|c| write!(f, " U+{:04X}", u32::from(*c)))?;
                if *count > characters.len() { f.write_str(" …") } else { Ok(()) }
            }
            Suspicion::Speaks { upstream, tool } => {
                let tool = tool.escape_debug();
                write!(f, "`{pointer}` speaks about tool `{tool}` of upstream `{upstream}`")
            }
        }
    }
}

/// The tools of all other upstreams, as far as their names stand out in a text.
///
/// LIMIT: names of one plain word (`search`) are not looked for alone, only as `UPSTREAM__NAME`: honest
/// text is full of them. Nor are names that this upstream has, too.
#[derive(Clone, Debug, Default)]
pub struct Others<'a> {
    upstreams: HashSet<&'a str>,
    tools: HashMap<&'a str, &'a str>,
}

impl<'a> Others<'a> {
    /// Notes another upstream and its tools, leaving out names that are this upstream's `own` too.
    pub fn add(
        &mut self,
        upstream: &'a str,
        tools: impl IntoIterator<Item = &'a str>,
        own: &HashSet<&str>,
    ) {
        self.upstreams.insert(upstream);
        let telling = tools.into_iter().filter(|name| stands_out(name) && !own.contains(name));
        self.tools.extend(telling.map(|name| (name, upstream)));
    }
}

/// Whether a name is none that honest text holds by chance: long, and made of several words.
fn stands_out(name: &str) -> bool {
    let letters = name.as_bytes();
    let has_joint = name.trim_matches(is_joint).contains(is_joint);
    let has_hump =
        letters.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    name.len() >= NAME_MIN && (has_joint || has_hump)
}

const fn is_joint(letter: char) -> bool {
    matches!(letter, '_' | '-' | '.')
}

/// Whether a character in running text deceives readers, given those beside it. Line ends and tabs do
/// not; nor does what emoji and some scripts are joined with, where it joins two of their characters.
#[must_use]
pub fn is_deceptive(before: Option<char>, letter: char, after: Option<char>) -> bool {
    // Anything that is seen, beyond ASCII and Latin letters.
    let is_joinable = |c: Option<char>| c.is_some_and(|c| c >= '\u{590}' && !is_hidden(c));
    match letter {
        '\n' | '\r' | '\t' => false,
        // Which picture an emoji, a digit or a sign is shown as: one behind each.
        '\u{fe0e}' | '\u{fe0f}' => {
            !before.is_some_and(|c| matches!(c, '0'..='9' | '#' | '*' | '©' | '®'))
                && !is_joinable(before)
        }
        '\u{200c}' | '\u{200d}' => {
            // Behind an emoji may be its variation selector.
            let is_behind = is_joinable(before) || before == Some('\u{fe0f}');
            !(is_behind && is_joinable(after))
        }
        other => is_hidden(other),
    }
}

pub(super) fn scan(tree: &Node, others: &Others<'_>) -> Vec<Finding> {
    let mut own = HashSet::new();
    keys(tree, &mut own);
    let mut search = Search { others, own, found: Vec::new() };
    search.node("", tree);
    search.found
}

/// All keys: names of parameters, which text of the tool speaks about.
fn keys<'a>(node: &'a Node, found: &mut HashSet<&'a str>) {
    match node {
        Node::Object(members) => {
            for (key, value) in members {
                found.insert(key);
                keys(value, found);
            }
        }
        Node::Array(elements) => elements.iter().for_each(|element| keys(element, found)),
        Node::Text(_) | Node::Token(_) => {}
    }
}

struct Search<'a> {
    others: &'a Others<'a>,
    own: HashSet<&'a str>,
    found: Vec<Finding>,
}

impl Search<'_> {
    fn node(&mut self, pointer: &str, node: &Node) {
        if self.found.len() >= FINDINGS_MAX {
            return;
        }
        match node {
            Node::Object(members) => {
                for (key, value) in members {
                    let pointer = below(pointer, key);
                    self.characters(&pointer, key);
                    self.node(&pointer, value);
                }
            }
            Node::Array(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    self.node(&below(pointer, &at.to_string()), element);
                }
            }
            Node::Text(text) => {
                self.characters(pointer, text);
                // What a tool is called says nothing about others.
                if pointer != "/name" {
                    self.names(pointer, text);
                }
            }
            Node::Token(_) => {}
        }
    }

    fn characters(&mut self, pointer: &str, text: &str) {
        if text.is_ascii() && !text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return;
        }
        let (mut characters, mut count, mut before) = (Vec::new(), 0, None);
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            if is_deceptive(before, letter, letters.peek().copied()) {
                count += 1;
                if characters.len() < NAMED_MAX && !characters.contains(&letter) {
                    characters.push(letter);
                }
            }
            before = Some(letter);
        }
        if count > 0 {
            self.note(pointer, Suspicion::Hidden { characters, count });
        }
    }

    fn names(&mut self, pointer: &str, text: &str) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || is_joint(c);
        for word in text.split(|c: char| !is_part(c)) {
            // A full stop ends a sentence, or stands between two words that are names.
            let word = word.trim_matches(['.', '-']);
            let parts = word.split('.').map(|part| part.trim_matches('-'));
            let Some((upstream, tool)) =
                std::iter::once(word).chain(parts).find_map(|word| self.spoken_of(word))
            else {
                continue;
            };
            self.note(pointer, Suspicion::Speaks { upstream, tool });
        }
    }

    /// Whose tool a word names.
    fn spoken_of(&self, word: &str) -> Option<(String, String)> {
        if let Some((upstream, tool)) = word.split_once(SEPARATOR)
            && self.others.upstreams.contains(upstream)
            && !tool.is_empty()
        {
            return Some((upstream.to_owned(), tool.to_owned()));
        }
        if self.own.contains(word) {
            return None;
        }
        let upstream = self.others.tools.get(word)?;
        Some(((*upstream).to_owned(), word.to_owned()))
    }

    fn note(&mut self, pointer: &str, what: Suspicion) {
        let finding = Finding { pointer: pointer.to_owned(), what };
        if self.found.len() < FINDINGS_MAX && !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }
}
