//! What a server offers (its capabilities and instructions), read from an upstream, and said by a
//! hub about several.
//!
//! A hub offers what any member does, as far as it can carry it: `experimental` and the legacy
//! `tasks` are not carried, and of extensions only the two it knows. Lists of a hub can always
//! change, since its configuration can. Instructions are text of strangers that models read: they
//! are cut to size, lose characters that nobody sees, and stay below the heading of their upstream.

use bytes::Bytes;

use super::quote;
use crate::json::{Span, Text, find_path};

/// The tasks extension of the modern era.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// MCP Apps.
const APPS: &str = "io.modelcontextprotocol/ui";

/// Longest name and version of a server that are kept, in characters.
const LABEL_MAX: usize = 128;

/// A list an upstream has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Whether it announces changes.
    pub list_changed: bool,
}

/// What a server calls itself. Unverified: for people to read, for nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// `serverInfo.name`.
    pub name: String,
    /// `serverInfo.version`.
    pub version: String,
}

/// What a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// `tools`.
    pub tools: Option<Listed>,
    /// `prompts`.
    pub prompts: Option<Listed>,
    /// `resources`, templates included.
    pub resources: Option<Listed>,
    /// `resources.subscribe`.
    pub subscribe: bool,
    /// `completions`.
    pub completions: bool,
    /// `logging`.
    pub logging: bool,
    /// The extension `io.modelcontextprotocol/tasks`, of the modern era only.
    pub tasks: bool,
    /// The extension `io.modelcontextprotocol/ui` (MCP Apps).
    pub apps: bool,
    /// `instructions`.
    pub instructions: Option<String>,
    /// What the server calls itself.
    pub label: Option<Label>,
}

impl Offer {
    /// Reads the `result` of `initialize`; instructions longer than `instructions_max` bytes are
    /// cut. What is not of the expected JSON type is not offered.
    #[must_use]
    pub fn from_initialize(message: &Bytes, result: Span, instructions_max: usize) -> Self {
        let label = find_path(message, result, &["serverInfo"]);
        let mut offer = Self::read(message, result, instructions_max);
        offer.label = label.and_then(|span| read_label(message, span));
        // The legacy revisions have tasks of another kind, which a hub does not carry.
        offer.tasks = false;
        offer
    }

    /// Reads the `result` of `server/discover`, as [`Self::from_initialize`] does its.
    #[must_use]
    pub fn from_discover(message: &Bytes, result: Span, instructions_max: usize) -> Self {
        let path = ["_meta", "io.modelcontextprotocol/serverInfo"];
        let label = find_path(message, result, &path);
        let mut offer = Self::read(message, result, instructions_max);
        offer.label = label.and_then(|span| read_label(message, span));
        offer
    }

    fn read(message: &Bytes, result: Span, instructions_max: usize) -> Self {
        let object = |path: &[&str]| {
            find_path(message, result, path).filter(|span| span.of(message).first() == Some(&b'{'))
        };
        let is_true = |path: &[&str]| {
            find_path(message, result, path).is_some_and(|span| span.of(message) == b"true")
        };
        let listed = |name: &str| {
            object(&["capabilities", name])?;
            Some(Listed { list_changed: is_true(&["capabilities", name, "listChanged"]) })
        };
        let resources = listed("resources");
        let instructions = find_path(message, result, &["instructions"]);
        Self {
            tools: listed("tools"),
            prompts: listed("prompts"),
            resources,
            subscribe: resources.is_some() && is_true(&["capabilities", "resources", "subscribe"]),
            completions: object(&["capabilities", "completions"]).is_some(),
            logging: object(&["capabilities", "logging"]).is_some(),
            tasks: object(&["capabilities", "extensions", TASKS]).is_some(),
            apps: object(&["capabilities", "extensions", APPS]).is_some(),
            instructions: instructions
                .and_then(|span| read_text(message, span))
                .map(|text| cut(&text, instructions_max))
                .filter(|text| !text.is_empty()),
            label: None,
        }
    }

    /// What a hub offers whose members offer these, each under its upstream's name and in order.
    /// `instructions` of the operator replace those of the members, which are cut to
    /// `instructions_max` bytes in all.
    #[must_use]
    pub fn merge<'a>(
        members: impl Iterator<Item = (&'a str, &'a Self)>,
        instructions: Option<&str>,
        instructions_max: usize,
    ) -> Self {
        let mut hub = Self::default();
        let mut text = String::new();
        for (upstream, member) in members {
            either(&mut hub.tools, member.tools);
            either(&mut hub.prompts, member.prompts);
            either(&mut hub.resources, member.resources);
            hub.subscribe |= member.subscribe;
            hub.completions |= member.completions;
            hub.logging |= member.logging;
            hub.tasks |= member.tasks;
            hub.apps |= member.apps;
            if instructions.is_none()
                && let Some(said) = &member.instructions
            {
                push_section(&mut text, upstream, said);
            }
        }
        hub.instructions = match instructions {
            Some(instructions) => Some(instructions.to_owned()).filter(|text| !text.is_empty()),
            None if text.is_empty() => None,
            None => Some(cut(&text, instructions_max)),
        };
        hub
    }

    /// The `result` of `initialize` in a legacy `version`, by a server of this name and version.
    #[must_use]
    pub fn initialize_result(&self, version: &str, server: (&str, &str)) -> Vec<u8> {
        let mut result = format!(r#"{{"protocolVersion":{},"#, quote(version));
        result.push_str(&self.capabilities(false));
        result.push_str(&format!(r#","serverInfo":{}"#, label(server)));
        self.push_instructions(&mut result);
        result.push('}');
        result.into_bytes()
    }

    /// The `result` of `server/discover` by a server that speaks these modern `versions`. Private,
    /// because what a hub shows depends on who asks.
    #[must_use]
    pub fn discover_result(&self, versions: &[&str], server: (&str, &str), ttl_ms: u64) -> Vec<u8> {
        let versions: Vec<String> = versions.iter().map(|version| quote(version)).collect();
        let mut result =
            format!(r#"{{"resultType":"complete","supportedVersions":[{}],"#, versions.join(","));
        result.push_str(&self.capabilities(true));
        self.push_instructions(&mut result);
        result.push_str(&format!(
            r#","ttlMs":{ttl_ms},"cacheScope":"private","_meta":{{"io.modelcontextprotocol/serverInfo":{}}}}}"#,
            label(server)
        ));
        result.into_bytes()
    }

    fn capabilities(&self, is_modern: bool) -> String {
        let mut members = Vec::new();
        if self.logging {
            members.push(r#""logging":{}"#.to_owned());
        }
        if self.completions {
            members.push(r#""completions":{}"#.to_owned());
        }
        if self.prompts.is_some() {
            members.push(r#""prompts":{"listChanged":true}"#.to_owned());
        }
        if self.resources.is_some() {
            let subscribe = self.subscribe;
            members.push(format!(r#""resources":{{"subscribe":{subscribe},"listChanged":true}}"#));
        }
        if self.tools.is_some() {
            members.push(r#""tools":{"listChanged":true}"#.to_owned());
        }
        let known = [(self.tasks && is_modern, TASKS), (self.apps, APPS)];
        let extensions: Vec<String> = known
            .iter()
            .filter(|(is_offered, _)| *is_offered)
            .map(|(_, name)| format!(r#""{name}":{{}}"#))
            .collect();
        if !extensions.is_empty() {
            members.push(format!(r#""extensions":{{{}}}"#, extensions.join(",")));
        }
        format!(r#""capabilities":{{{}}}"#, members.join(","))
    }

    fn push_instructions(&self, result: &mut String) {
        if let Some(instructions) = &self.instructions {
            result.push_str(&format!(r#","instructions":{}"#, quote(instructions)));
        }
    }
}

fn either(hub: &mut Option<Listed>, member: Option<Listed>) {
    if let Some(member) = member {
        hub.get_or_insert_default().list_changed |= member.list_changed;
    }
}

fn label((name, version): (&str, &str)) -> String {
    format!(r#"{{"name":{},"version":{}}}"#, quote(name), quote(version))
}

fn read_label(message: &[u8], object: Span) -> Option<Label> {
    let member = |key: &str| {
        let text = read_text(message, find_path(message, object, &[key])?)?;
        Some(text.chars().filter(|letter| !is_hidden_in_text(*letter)).take(LABEL_MAX).collect())
    };
    Some(Label { name: member("name")?, version: member("version").unwrap_or_default() })
}

fn read_text(message: &[u8], value: Span) -> Option<String> {
    let bytes = value.of(message);
    let escaped = memchr::memchr(b'\\', bytes).is_some();
    (bytes.first() == Some(&b'"'))
        .then(|| Text { span: value, escaped }.decode(message).into_owned())
}

/// The text without hidden characters, and with a mark where it was cut.
fn cut(text: &str, bytes_max: usize) -> String {
    let is_visible = |letter: &char| matches!(letter, '\n' | '\t') || !is_hidden_in_text(*letter);
    let visible: String = text.chars().filter(is_visible).collect();
    if visible.len() <= bytes_max {
        return visible;
    }
    let end = visible.floor_char_boundary(bytes_max);
    let left_out = visible.len() - end;
    format!("{}\n[cut by the gateway: {left_out} more bytes]", &visible[..end])
}

/// Controls, line separators, bidirectional controls and tags. Joiners and variation selectors stay: text needs them.
fn is_hidden_in_text(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Appends what an upstream says below its heading. Its own headings move below that one, so that
/// it cannot speak under another upstream's.
fn push_section(text: &mut String, upstream: &str, said: &str) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("## ");
    text.push_str(upstream);
    for line in said.trim().lines() {
        text.push('\n');
        if line.trim_start().starts_with('#') {
            text.push_str("##");
            text.push_str(line.trim_start());
        } else {
            text.push_str(line);
        }
    }
}
