//! The environment variables of an imported configuration: what each is called, and what for.
//!
//! Variables the file already refers to keep their names; secrets and questions get names nobody else
//! has. The same secret under the same name is one variable. Values are kept for `--print-secrets`
//! alone.

use crate::import::formats::Input;
use crate::import::secrets::{Found, in_argument, in_named, in_text};
use crate::import::server::{Server, Way};
use crate::import::template::{Piece, Template, literal, reference, shout};
use std::collections::{HashMap, HashSet};
use tollgate_core::ids::Secret;

/// A variable to be set before the configuration can be used.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// Where it is used first.
    pub(super) place: String,
    /// What the file had in its place.
    pub(super) value: Option<Secret<String>>,
    /// A default, or what a person would be asked.
    pub(super) hint: Option<String>,
    /// Whether anything that is not a comment uses it.
    pub(super) is_used: bool,
}

/// All of them, in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) wanted: Vec<Wanted>,
    /// Names the file refers to.
    reserved: HashSet<String>,
    /// Questions by the text of their placeholder.
    asked: HashMap<String, String>,
    inputs: HashMap<String, (String, Option<String>)>,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The upstream.
    pub(super) upstream: &'a str,
    pub(super) is_disabled: bool,
    pub(super) what: What<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    Header(&'a str),
    Env(&'a str),
    /// An argument, and the one before it.
    Argument(Option<&'a str>),
    /// Anything else, in a word.
    Text(&'a str),
}

impl Place<'_> {
    fn words(&self) -> String {
        let what = match self.what {
            What::Header(name) => format!("header {name}"),
            What::Env(name) => format!("variable {name}"),
            What::Argument(_) => "an argument".to_owned(),
            What::Text(word) => word.to_owned(),
        };
        format!("upstream {}, {what}", self.upstream)
    }

    /// What the variable of a secret here should be called: without, and with, the upstream's name.
    fn wishes(&self, hint: Option<&str>) -> [String; 2] {
        let upstream = shout(self.upstream);
        let own = match (self.what, hint) {
            (What::Env(name), None) => shout_as_is(name),
            (What::Env(name), Some(hint)) => format!("{}_{hint}", shout_as_is(name)),
            (What::Header(name), _) if name.eq_ignore_ascii_case("authorization") => {
                format!("{upstream}_TOKEN")
            }
            (What::Header(name), _) => format!("{upstream}_{}", shout(name)),
            (What::Argument(_) | What::Text(_), hint) => {
                format!("{upstream}_{}", hint.unwrap_or("SECRET"))
            }
        };
        let own =
            if own.starts_with(|c: char| c.is_ascii_digit()) { format!("MCP_{own}") } else { own };
        let prefixed = match self.what {
            What::Env(_) => format!("{upstream}_{own}"),
            What::Header(_) | What::Argument(_) | What::Text(_) => own.clone(),
        };
        [own, prefixed]
    }
}

/// A name of a variable as it is, if it can be one.
fn shout_as_is(name: &str) -> String {
    if crate::import::template::is_variable(name) { name.to_owned() } else { shout(name) }
}

impl Variables {
    /// Starts with the names that the servers refer to.
    pub(super) fn new(servers: &[Server], inputs: &[Input]) -> Self {
        let mut variables = Self::default();
        let all = servers.iter().flat_map(templates).flatten();
        variables.reserved = all
            .filter_map(|piece| match piece {
                Piece::Variable { name, .. } => Some(name.clone()),
                Piece::Plain(_) | Piece::Asked(_) | Piece::File(_) => None,
            })
            .collect();
        let input = |input: &Input| {
            (format!("input:{}", input.id), (input.description.clone(), input.default.clone()))
        };
        variables.inputs = inputs.iter().map(input).collect();
        variables
    }

    /// The text for the configuration: literals escaped, everything else a reference.
    pub(super) fn fill(&mut self, template: &Template, place: Place<'_>) -> String {
        let is_single = template.len() == 1;
        template.iter().map(|piece| self.piece(piece, is_single, place)).collect()
    }

    fn piece(&mut self, piece: &Piece, is_single: bool, place: Place<'_>) -> String {
        match piece {
            Piece::Plain(text) => {
                let found = match place.what {
                    What::Header(name) | What::Env(name) if is_single => in_named(name, text),
                    What::Argument(before) if is_single => in_argument(before, text),
                    What::Header(_) | What::Env(_) | What::Argument(_) | What::Text(_) => {
                        in_text(text)
                    }
                };
                self.cover(text, &found, place)
            }
            Piece::Variable { name, default } => {
                let hint = default.as_ref().map(|default| {
                    let secret = in_named(name, default);
                    let shown = if secret.is_empty() { default.as_str() } else { "***" };
                    format!("was `{shown}` where it was not set")
                });
                self.want(name.clone(), None, hint, place);
                reference(name)
            }
            Piece::Asked(key) => self.asked(key, place),
            Piece::File(path) => format!("${{file:{path}}}"),
        }
    }

    fn cover(&mut self, text: &str, found: &[Found], place: Place<'_>) -> String {
        let mut covered = String::new();
        let mut at = 0;
        for one in found.iter().filter(|one| !one.bytes.is_empty()) {
            // `$` in front of a reference would make it literal, so it belongs to the secret.
            let start = at + text[at..one.bytes.start].trim_end_matches('$').len();
            let value = &text[start..one.bytes.end];
            covered.push_str(&literal(&text[at..start]));
            covered.push_str(&self.secret(one.hint.as_deref(), value, place));
            at = one.bytes.end;
        }
        covered + &literal(&text[at..])
    }

    /// A reference to a variable that holds `value`.
    pub(super) fn secret(&mut self, hint: Option<&str>, value: &str, place: Place<'_>) -> String {
        let [own, prefixed] = place.wishes(hint);
        let numbered = (2_usize..).map(|n| format!("{prefixed}_{n}"));
        let mut wishes = [own.clone(), prefixed.clone()].into_iter().chain(numbered);
        let same = Secret::new(value.to_owned());
        let is_free = |name: &String| {
            let known = self.wanted.iter().find(|wanted| wanted.name == *name);
            !self.reserved.contains(name)
                && known.is_none_or(|known| known.value.as_ref() == Some(&same))
        };
        let name = wishes.find(is_free).unwrap_or(own);
        self.want(name.clone(), Some(same.clone()), None, place);
        reference(&name)
    }

    fn asked(&mut self, key: &str, place: Place<'_>) -> String {
        if let Some(name) = self.asked.get(key).cloned() {
            self.want(name.clone(), None, None, place);
            return reference(&name);
        }
        let wish =
            shout(key.strip_prefix("input:").or_else(|| key.strip_prefix("env:")).unwrap_or(key));
        let wish = if wish.is_empty() || wish.starts_with(|c: char| c.is_ascii_digit()) {
            format!("INPUT_{wish}")
        } else {
            wish
        };
        let numbered = (2_usize..).map(|n| format!("{wish}_{n}"));
        let is_free = |name: &String| {
            !self.reserved.contains(name) && self.wanted.iter().all(|wanted| wanted.name != *name)
        };
        let name = std::iter::once(wish.clone()).chain(numbered).find(is_free).unwrap_or(wish);
        let hint = match self.inputs.get(key) {
            Some((description, Some(default))) if in_text(default).is_empty() => {
                format!("{description} (default `{default}`)")
            }
            Some((description, _)) => description.clone(),
            None => format!("was `${{{key}}}`"),
        };
        self.asked.insert(key.to_owned(), name.clone());
        self.want(name.clone(), None, Some(hint), place);
        reference(&name)
    }

    fn want(
        &mut self,
        name: String,
        value: Option<Secret<String>>,
        hint: Option<String>,
        place: Place<'_>,
    ) {
        let is_used = !place.is_disabled;
        match self.wanted.iter_mut().find(|wanted| wanted.name == name) {
            Some(known) => {
                known.is_used |= is_used;
                known.hint = known.hint.take().or(hint);
            }
            None => {
                self.wanted.push(Wanted { name, place: place.words(), value, hint, is_used });
            }
        }
    }
}

fn templates(server: &Server) -> Vec<&Template> {
    match &server.way {
        Way::Http { url, headers } | Way::Sse { url, headers } => {
            std::iter::once(url).chain(headers.iter().map(|(_, value)| value)).collect()
        }
        Way::Stdio(program) => {
            let env = program.env.iter().map(|(_, value)| value);
            std::iter::once(&program.command)
                .chain(&program.args)
                .chain(env)
                .chain(&program.cwd)
                .collect()
        }
        Way::Nowhere(_) => Vec::new(),
    }
}
