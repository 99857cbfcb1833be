//! Where each client keeps its servers in a file, and how to tell whose file it is.
//!
//! The clients' documentation, as of November 2026: code.claude.com/docs/en/mcp (`mcpServers`,
//! `.mcp.json`, variables with defaults), cursor.com/docs/mcp, docs.windsurf.com/windsurf/cascade/mcp
//! (`serverUrl`), code.visualstudio.com/docs/agents/reference/mcp-configuration (`servers`, `inputs`),
//! developers.openai.com/codex/mcp and `codex-rs/config/src/mcp_types.rs` (`mcp_servers`),
//! zed.dev/docs/ai/mcp (`context_servers`).

use crate::cli::ImportFormat;
use crate::import::ImportError;
use crate::import::reading::{self, Notation};
use crate::import::server::{self, Server};
use crate::import::template::Placeholders;
use serde_json::{Map, Value};
use tollgate_core::bounds::UPSTREAMS_MAX;

/// A file whose servers were found.
#[derive(Debug)]
pub(super) struct Source {
    /// Whose file it is, in words.
    pub(super) kind: &'static str,
    pub(super) servers: Vec<Server>,
    /// What the client asked its user for: id, description, default.
    pub(super) inputs: Vec<Input>,
    /// Keys beside the servers, which were not looked at.
    pub(super) others: Vec<String>,
}

/// One question of VS Code to its user.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) default: Option<String>,
}

/// A client's way of writing.
struct Dialect {
    kind: &'static str,
    placeholders: Placeholders,
    /// The keys from the root to the servers.
    place: &'static [&'static str],
}

const CLAUDE: Dialect =
    Dialect { kind: "mcpServers", placeholders: Placeholders::Any, place: &["mcpServers"] };
const VSCODE: Dialect =
    Dialect { kind: "VS Code", placeholders: Placeholders::VsCode, place: &["servers"] };
/// In `settings.json`, where VS Code had it first.
const VSCODE_SETTINGS: Dialect = Dialect {
    kind: "VS Code settings",
    placeholders: Placeholders::VsCode,
    place: &["mcp", "servers"],
};
const CODEX: Dialect =
    Dialect { kind: "Codex", placeholders: Placeholders::None, place: &["mcp_servers"] };
const ZED: Dialect =
    Dialect { kind: "Zed", placeholders: Placeholders::None, place: &["context_servers"] };

/// Reads the servers of a file.
///
/// # Errors
/// It cannot be read, or has no servers where the format keeps them.
pub(super) fn read(text: &str, format: ImportFormat) -> Result<Source, ImportError> {
    let (tree, candidates): (Value, &[Dialect]) = match format {
        ImportFormat::Claude => (reading::read(text, Notation::Json)?, &[CLAUDE]),
        ImportFormat::Vscode => (reading::read(text, Notation::Json)?, &[VSCODE, VSCODE_SETTINGS]),
        ImportFormat::Codex => (reading::read(text, Notation::Toml)?, &[CODEX]),
        ImportFormat::Zed => (reading::read(text, Notation::Json)?, &[ZED]),
        ImportFormat::Auto => (guess(text)?, &[CLAUDE, ZED, VSCODE, VSCODE_SETTINGS, CODEX]),
    };
    let found = candidates.iter().find_map(|dialect| Some((dialect, at(&tree, dialect.place)?)));
    let mut source = match found {
        Some((dialect, servers)) => source(&tree, dialect, servers),
        None if matches!(format, ImportFormat::Auto | ImportFormat::Claude) => elsewhere(&tree)?,
        None => return Err(ImportError::NoServers { places: places(candidates) }),
    };
    if source.servers.is_empty() {
        return Err(ImportError::Empty);
    }
    if source.servers.len() > UPSTREAMS_MAX {
        return Err(ImportError::TooMany);
    }
    source.others.sort();
    Ok(source)
}

/// JSON unless it is TOML.
fn guess(text: &str) -> Result<Value, ImportError> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with(['{', '/']) {
        return reading::read(text, Notation::Json);
    }
    reading::read(text, Notation::Toml).map_err(|_| ImportError::Unknown)
}

fn at<'t>(tree: &'t Value, place: &[&str]) -> Option<&'t Map<String, Value>> {
    place.iter().try_fold(tree, |tree, key| tree.get(key))?.as_object()
}

fn places(candidates: &[Dialect]) -> String {
    let place = |dialect: &Dialect| format!("`{}`", dialect.place.join("."));
    candidates.iter().map(place).collect::<Vec<_>>().join(" or ")
}

fn source(tree: &Value, dialect: &Dialect, servers: &Map<String, Value>) -> Source {
    let [root, ..] = dialect.place else { return nothing(dialect.kind) };
    let beside = if dialect.place.len() > 1 { &tree[*root] } else { tree };
    let mut source = nothing(dialect.kind);
    source.servers = servers
        .iter()
        .map(|(name, entry)| server::read(name, entry, dialect.placeholders))
        .collect();
    source.inputs = inputs(&beside["inputs"]);
    let is_known = |key: &&String| {
        key.as_str() == *root
            || key.as_str() == "$schema"
            || (key.as_str() == "inputs" && !source.inputs.is_empty())
    };
    source.others = tree
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .filter(|key| !is_known(key))
        .cloned()
        .collect();
    let of_projects = of_projects(tree);
    if !of_projects.is_empty() {
        source.others.retain(|other| other != "projects");
    }
    source.servers.extend(of_projects);
    source
}

fn nothing(kind: &'static str) -> Source {
    Source { kind, servers: Vec::new(), inputs: Vec::new(), others: Vec::new() }
}

/// Servers that Claude Code keeps for single projects (`~/.claude.json`).
fn of_projects(tree: &Value) -> Vec<Server> {
    let mut servers = Vec::new();
    for (path, project) in tree.get("projects").and_then(Value::as_object).into_iter().flatten() {
        for (name, entry) in
            project.get("mcpServers").and_then(Value::as_object).into_iter().flatten()
        {
            let mut server = server::read(name, entry, CLAUDE.placeholders);
            server.remarks.push(format!("was for the project `{path}` only"));
            servers.push(server);
        }
    }
    servers
}

/// Files without the usual key: those of projects, and plain tables of servers as plugins have them.
fn elsewhere(tree: &Value) -> Result<Source, ImportError> {
    let mut source = nothing(CLAUDE.kind);
    source.servers = of_projects(tree);
    if !source.servers.is_empty() {
        return Ok(source);
    }
    let is_server = |entry: &Value| {
        ["command", "url", "serverUrl", "httpUrl"].iter().any(|key| entry.get(key).is_some())
    };
    match tree.as_object().filter(|table| !table.is_empty() && table.values().all(is_server)) {
        Some(table) => {
            let server =
                |(name, entry): (&String, &Value)| server::read(name, entry, CLAUDE.placeholders);
            source.servers = table.iter().map(server).collect();
            Ok(source)
        }
        None => Err(ImportError::NoServers { places: places(&[CLAUDE, VSCODE, CODEX, ZED]) }),
    }
}

fn inputs(list: &Value) -> Vec<Input> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let input = |input: &Value| {
        Some(Input {
            id: text(&input["id"])?,
            description: text(&input["description"]).unwrap_or_default(),
            default: text(&input["default"]),
        })
    };
    list.as_array().into_iter().flatten().filter_map(input).collect()
}
