//! One upstream: its lines, or why it cannot be one.
//!
//! Knows what the configuration does not take: programs that are not named by themselves, headers the
//! gate writes itself, users in URLs. Such things are changed, with a remark, or become comments.

use crate::import::lines::{Lines, covered, key, quoted};
use crate::import::server::{Program, Server, Way};
use crate::import::template::{Piece, Template, is_variable, reference};
use crate::import::variables::{Place, Variables, What};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;
use tollgate_core::bounds::{
    COMMAND_WORD_BYTES_MAX, COMMAND_WORDS_MAX, CREDENTIAL_BYTES_MAX, CREDENTIAL_HEADERS_MAX,
    GLOB_BYTES_MAX, SHOWN_NAME_BYTES_MAX,
};
use url::Url;

/// One upstream.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name in the configuration.
    pub(super) name: String,
    /// Its name in the client's file.
    pub(super) server: String,
    /// `http`, `sse` or `stdio`.
    pub(super) way: &'static str,
    pub(super) lines: Lines,
    pub(super) is_disabled: bool,
    /// Why it cannot be served.
    pub(super) refused: Option<String>,
    pub(super) only: Vec<String>,
    pub(super) without: Vec<String>,
}

impl Entry {
    pub(super) fn is_served(&self) -> bool {
        !self.is_disabled && self.refused.is_none()
    }
}

/// Writes one server as the upstream `name`.
pub(super) fn write(server: &Server, name: String, variables: &mut Variables) -> Entry {
    let mut draft = Draft {
        place: Place { upstream: &name, is_disabled: server.is_disabled, what: What::Text("") },
        variables,
        lines: Lines::default(),
        remarks: server.remarks.clone(),
        refused: None,
    };
    draft.refused = refusal(&server.way);
    draft.place.is_disabled |= draft.refused.is_some();
    let way = match &server.way {
        Way::Http { url, headers } => draft.remote("http", url, headers),
        Way::Sse { url, headers } => draft.remote("sse", url, headers),
        Way::Stdio(program) => draft.program(program, server.start_secs),
        Way::Nowhere(_) => "nothing",
    };
    let mut is_known = |tool: &String| draft.curates(tool);
    let only = server.only.iter().filter(|tool| is_known(tool)).cloned().collect();
    let without = server.without.iter().filter(|tool| is_known(tool)).cloned().collect();
    let Draft { lines: body, mut remarks, refused, .. } = draft;
    for (key, value) in &server.left {
        remarks.push(left(key, &covered(key, value).to_string()));
    }
    let mut lines = Lines::default();
    if name != server.name {
        lines.remark(1, &format!("Called {} in the file.", quoted(&server.name)));
    }
    lines.put(1, &format!("{}:", key(&name)));
    for remark in &remarks {
        lines.remark(2, remark);
    }
    lines.extend(body);
    let is_disabled = server.is_disabled;
    Entry { name, server: server.name.clone(), way, lines, is_disabled, refused, only, without }
}

/// What a key without a counterpart is answered with.
fn left(key: &str, value: &str) -> String {
    let advice = match key {
        "oauth" | "oauth_resource" | "auth" | "scopes" | "authProviderType" => {
            "; the gate signs in with a credential of its own: `credential: { header: { Authorization: \"Bearer ${env:NAME}\" } }`"
        }
        "headersHelper" => "; the gate runs no program for headers: use `credential`",
        "envFile" => {
            "; read the file into the environment of tollgate, and name its variables under `env`"
        }
        _ => "",
    };
    format!("not carried: {key}: {value}{advice}")
}

/// Why a server cannot be an upstream at all.
fn refusal(way: &Way) -> Option<String> {
    match way {
        Way::Nowhere(why) => Some(why.clone()),
        Way::Http { url, .. } | Way::Sse { url, .. } => match url.as_slice() {
            [Piece::Plain(text)] => {
                let fits = Url::parse(text)
                    .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
                (!fits).then(|| "its URL is not one of `http` or `https`".to_owned())
            }
            [Piece::Plain(text), ..] => {
                let fits = text.starts_with("http://") || text.starts_with("https://");
                (!fits).then(|| "its URL is not one of `http` or `https`".to_owned())
            }
            _ => None,
        },
        Way::Stdio(program) => refusal_of_program(program),
    }
}

fn refusal_of_program(program: &Program) -> Option<String> {
    let why = match program.command.as_slice() {
        [Piece::Variable { default: Some(default), .. }] if is_program(default) => return None,
        [Piece::Plain(command)] if command.trim().is_empty() => "its command is empty",
        [Piece::Plain(command)] if command.starts_with('~') => {
            "its command starts with `~`, which no shell replaces: write the whole path"
        }
        [Piece::Plain(command)]
            if command.chars().any(char::is_control) || command.contains("${") =>
        {
            "its command is not the name of a program"
        }
        [Piece::Plain(_)] => {
            let words = program.args.len().max(program.env.len() + program.inherited.len());
            let whole = |template: &Template| template.iter().map(length).sum::<usize>();
            let long = program.args.iter().chain(program.env.iter().map(|(_, value)| value));
            let too_long = long.map(whole).any(|bytes| bytes > COMMAND_WORD_BYTES_MAX);
            // A command line in one word becomes several, and each may gain one more.
            if words + 64 <= COMMAND_WORDS_MAX && !too_long {
                return None;
            }
            "it has too many arguments or variables, or too long ones"
        }
        _ => {
            "its command holds a placeholder; write the program, so that the file says what is run"
        }
    };
    Some(why.to_owned())
}

fn length(piece: &Piece) -> usize {
    match piece {
        Piece::Plain(text) => text.len(),
        Piece::Variable { .. } | Piece::Asked(_) | Piece::File(_) => 0,
    }
}

/// Whether text can be a program as it is.
fn is_program(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('~')
        && !text.contains("${")
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// An upstream that is being written.
struct Draft<'a> {
    place: Place<'a>,
    variables: &'a mut Variables,
    lines: Lines,
    remarks: Vec<String>,
    refused: Option<String>,
}

impl Draft<'_> {
    fn fill<'b>(&'b mut self, template: &Template, what: What<'b>) -> String {
        let place = Place { what, ..self.place };
        self.variables.fill(template, place)
    }

    fn remote(
        &mut self,
        way: &'static str,
        url: &Template,
        headers: &[(String, Template)],
    ) -> &'static str {
        let mut url = url.clone();
        let mut rows = self.headers(headers);
        if let [Piece::Plain(text)] = url.as_mut_slice() {
            if let Some(hash) = text.find('#') {
                self.remarks
                    .push(format!("left out of the URL, as it is never sent: `{}`", &text[hash..]));
                text.truncate(hash);
            }
            if let Some(user) = take_user(text) {
                let has_other =
                    rows.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
                if has_other {
                    self.remarks.push("left out of the URL: a user and password, as there is a header `Authorization`".to_owned());
                } else {
                    self.remarks.push("user and password of the URL are a header: the variable holds `user:password` in base64".to_owned());
                    let place = Place { what: What::Header("Authorization"), ..self.place };
                    let value = self.variables.secret(None, &STANDARD.encode(user), place);
                    rows.push(("Authorization".to_owned(), format!("Basic {value}")));
                }
            }
        }
        let url = self.fill(&url, What::Text("URL"));
        self.lines.put(2, &format!("{way}: {{ url: {} }}", quoted(&url)));
        if !rows.is_empty() {
            self.lines.put(2, "credential:");
            self.lines.put(3, "header:");
            for (name, value) in rows {
                self.lines.put(4, &format!("{}: {}", key(&name), quoted(&value)));
            }
        }
        way
    }

    /// The headers the gate may send; the others become remarks.
    fn headers(&mut self, headers: &[(String, Template)]) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        let mut seen = HashSet::new();
        for (name, template) in headers {
            let lower = name.to_ascii_lowercase();
            let literal: String = template
                .iter()
                .map(|piece| if let Piece::Plain(text) = piece { text.as_str() } else { "x" })
                .collect();
            let visible = literal.bytes().all(|b| (0x20..=0x7e).contains(&b));
            let why = if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                Some("it is not the name of a header")
            } else if crate::config::is_own_header(&lower) {
                Some("the gate writes it itself")
            } else if literal.is_empty() || literal.trim() != literal || !visible {
                Some("its value is not one line of visible ASCII characters")
            } else if literal.len() > CREDENTIAL_BYTES_MAX || rows.len() >= CREDENTIAL_HEADERS_MAX {
                Some("it is too long, or one too many")
            } else if !seen.insert(lower) {
                Some("it is there twice")
            } else {
                None
            };
            match why {
                Some(why) => self.remarks.push(format!("not carried: header {name}: {why}")),
                None => {
                    let value = self.fill(template, What::Header(name));
                    rows.push((name.clone(), value));
                }
            }
        }
        rows
    }

    fn program(&mut self, program: &Program, start_secs: Option<u64>) -> &'static str {
        let (command, mut args) = self.command(program);
        let mut before: Option<String> = None;
        for template in &program.args {
            args.push(quoted(&self.fill(template, What::Argument(before.as_deref()))));
            before = match template.as_slice() {
                [Piece::Plain(text)] => Some(text.clone()),
                _ => None,
            };
        }
        let env = self.env(program);
        self.lines.put(2, "stdio:");
        self.lines.put(3, &format!("command: {}", quoted(&command)));
        if !args.is_empty() {
            self.lines.list(3, "args", &args);
        }
        if !env.is_empty() {
            self.lines.put(3, "env:");
            for (name, value) in env {
                self.lines.put(4, &format!("{name}: {}", quoted(&value)));
            }
        }
        if let Some(cwd) = &program.cwd {
            let is_relative =
                matches!(cwd.first(), Some(Piece::Plain(text)) if !text.starts_with('/'));
            if is_relative {
                self.lines.remark(3, "Relative to the folder of this file.");
            }
            let cwd = self.fill(cwd, What::Text("cwd"));
            self.lines.put(3, &format!("cwd: {}", quoted(&cwd)));
        }
        if let Some(secs) = start_secs {
            self.lines.put(3, &format!("start: {secs}s"));
        }
        "stdio"
    }

    /// The program, and what of its command line becomes arguments.
    fn command(&mut self, program: &Program) -> (String, Vec<String>) {
        let command = match program.command.as_slice() {
            [Piece::Plain(command)] => command.clone(),
            [Piece::Variable { name, default: Some(default) }] if is_program(default) => {
                self.remarks.push(format!("the command was `{default}` unless {name} was set"));
                default.clone()
            }
            // Refused: shown in a comment.
            pieces => return (pieces.iter().map(typed).collect(), Vec::new()),
        };
        if !command.contains(char::is_whitespace) {
            return (command, Vec::new());
        }
        let is_path = command.starts_with('/') || command.contains(":\\");
        if is_path || command.contains(['"', '\'', '\\']) || !program.args.is_empty() {
            self.remarks.push("`env` starts the program, whose path has a space in it".to_owned());
            let text = vec![Piece::Plain(command)];
            return ("env".to_owned(), vec![quoted(&self.fill(&text, What::Text("command")))]);
        }
        self.remarks
            .push("the command line is taken apart at its spaces: no shell does it".to_owned());
        let mut words = command.split_whitespace();
        let first = words.next().unwrap_or_default().to_owned();
        let mut before: Option<&str> = None;
        let mut args = Vec::new();
        for word in words {
            let text = vec![Piece::Plain(word.to_owned())];
            args.push(quoted(&self.fill(&text, What::Argument(before))));
            before = Some(word);
        }
        (first, args)
    }

    fn env(&mut self, program: &Program) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        let inherited = |name: &String| {
            (name.clone(), vec![Piece::Variable { name: name.clone(), default: None }])
        };
        let all =
            program.inherited.iter().filter(|name| program.env.iter().all(|(set, _)| set != *name));
        let all: Vec<_> = program.env.iter().cloned().chain(all.map(inherited)).collect();
        for (name, template) in &all {
            let has_nul = template
                .iter()
                .any(|piece| matches!(piece, Piece::Plain(text) if text.contains('\0')));
            if !is_variable(name) || has_nul {
                let why = "not the name of a variable, or not a value for one";
                self.remarks.push(format!("not carried: variable {name}: {why}"));
                continue;
            }
            rows.push((key(name), self.fill(template, What::Env(name))));
        }
        rows
    }

    /// Whether a tool can be named in a route.
    fn curates(&mut self, tool: &str) -> bool {
        let whole = self.place.upstream.len() + 2 + tool.len();
        let fits = !tool.is_empty()
            && whole <= SHOWN_NAME_BYTES_MAX.min(GLOB_BYTES_MAX)
            && tool.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/*".contains(&b));
        if !fits {
            self.remarks.push(format!(
                "not carried: what was said about the tool {tool}: its name is not short and plain"
            ));
        }
        fits
    }
}

/// A piece as it is shown in a comment.
fn typed(piece: &Piece) -> String {
    match piece {
        Piece::Plain(text) => text.clone(),
        Piece::Variable { name, .. } => reference(name),
        Piece::Asked(key) => format!("${{{key}}}"),
        Piece::File(path) => format!("${{file:{path}}}"),
    }
}

/// Takes `user:password@` out of a URL; what it was, decoded.
fn take_user(text: &mut String) -> Option<String> {
    let start = text.find("://")? + 3;
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |end| start + end);
    let at = start + text[start..end].rfind('@')?;
    let user: String = text[start..at].to_owned();
    text.replace_range(start..=at, "");
    let decoded = url::form_urlencoded::parse(format!("u={}", user.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned());
    Some(decoded.unwrap_or(user)).filter(|user| !user.is_empty())
}
