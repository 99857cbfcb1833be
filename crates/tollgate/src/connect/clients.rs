//! The clients: what each reads, from which file, and what it cannot do.
//!
//! Their documentation, as of November 2026:
//! - Claude Code: code.claude.com/docs/en/mcp
//! - Claude Desktop: support.claude.com article 11503834 ("will not connect to remote servers that are
//!   configured directly via `claude_desktop_config.json`"), and github.com/punkpeye/mcp-remote
//! - Cursor: cursor.com/docs/mcp
//! - VS Code: code.visualstudio.com/docs/agents/reference/mcp-configuration
//! - Windsurf, since June 2026 Devin Desktop: docs.devin.ai/desktop/cascade/mcp; before that
//!   docs.windsurf.com/windsurf/cascade/mcp
//! - Codex: developers.openai.com/codex/mcp
//! - Zed: zed.dev/docs/ai/mcp, zed.dev/docs/configuring-zed

use crate::cli::ConnectClient;
use serde_json::{Value, json};
use url::{Host, Url};

/// What a client can be connected to.
#[derive(Debug)]
pub(super) struct Offer {
    /// What the client calls it.
    pub(super) name: String,
    pub(super) url: Url,
    /// The same over HTTP+SSE, where the route serves that.
    pub(super) sse: Option<String>,
}

/// What to put where.
#[derive(Debug)]
pub(super) struct Paste {
    pub(super) client: &'static str,
    /// Where (a system, or a scope), and which file.
    pub(super) files: Vec<(&'static str, &'static str)>,
    pub(super) notes: Vec<String>,
    /// The content of the file.
    pub(super) content: String,
}

/// What to put where for one client.
pub(super) fn paste(client: ConnectClient, offer: &Offer) -> Paste {
    match client {
        ConnectClient::ClaudeCode | ConnectClient::All => claude_code(offer),
        ConnectClient::ClaudeDesktop => claude_desktop(offer),
        ConnectClient::Cursor => cursor(offer),
        ConnectClient::Vscode => vscode(offer),
        ConnectClient::Windsurf => windsurf(offer),
        ConnectClient::Codex => codex(offer),
        ConnectClient::Zed => zed(offer),
    }
}

/// `{ KEY: { NAME: SERVER } }`.
fn file(key: &str, name: &str, server: &Value) -> String {
    format!("{:#}\n", json!({ key: { name: server } }))
}

fn claude_code(offer: &Offer) -> Paste {
    let Offer { name, url, .. } = offer;
    Paste {
        client: "Claude Code",
        files: vec![("project", ".mcp.json in its root")],
        notes: vec![format!("or run: claude mcp add --transport http --scope user {name} {url}")],
        content: file("mcpServers", name, &json!({ "type": "http", "url": url.as_str() })),
    }
}

fn claude_desktop(offer: &Offer) -> Paste {
    let Offer { name, url, .. } = offer;
    let mut args = vec!["-y", "mcp-remote", url.as_str()];
    // mcp-remote takes clear text on loopback only, unless it is told.
    if url.scheme() == "http" && !is_loopback(url) {
        args.push("--allow-http");
    }
    let mut notes = vec![
        "its file takes programs only: `npx mcp-remote` (needs Node.js) is the bridge".to_owned(),
    ];
    if url.scheme() == "https" && !is_loopback(url) {
        notes.push(format!("or, where {url} can be reached from the internet: Customize > Connectors > Add custom connector"));
    }
    Paste {
        client: "Claude Desktop",
        files: vec![
            ("macOS", "~/Library/Application Support/Claude/claude_desktop_config.json"),
            ("Windows", "%APPDATA%\\Claude\\claude_desktop_config.json"),
            ("Linux", "~/.config/Claude/claude_desktop_config.json"),
        ],
        notes,
        content: file("mcpServers", name, &json!({ "command": "npx", "args": args })),
    }
}

fn cursor(offer: &Offer) -> Paste {
    Paste {
        client: "Cursor",
        files: vec![
            ("macOS, Linux", "~/.cursor/mcp.json"),
            ("Windows", "%USERPROFILE%\\.cursor\\mcp.json"),
            ("project", ".cursor/mcp.json"),
        ],
        notes: Vec::new(),
        content: file("mcpServers", &offer.name, &json!({ "url": offer.url.as_str() })),
    }
}

fn vscode(offer: &Offer) -> Paste {
    Paste {
        client: "VS Code",
        files: vec![
            ("project", ".vscode/mcp.json"),
            ("macOS", "~/Library/Application Support/Code/User/mcp.json"),
            ("Windows", "%APPDATA%\\Code\\User\\mcp.json"),
            ("Linux", "~/.config/Code/User/mcp.json"),
        ],
        notes: vec![
            "the command `MCP: Open User Configuration` opens the file of the user".to_owned(),
        ],
        content: file(
            "servers",
            &offer.name,
            &json!({ "type": "http", "url": offer.url.as_str() }),
        ),
    }
}

fn windsurf(offer: &Offer) -> Paste {
    let Offer { name, url, .. } = offer;
    let older = json!({ "mcpServers": { name: { "serverUrl": url.as_str() } } });
    Paste {
        client: "Windsurf (Devin Desktop)",
        files: vec![
            ("macOS, Linux", "~/.config/devin/mcp_config.json"),
            ("Windows", "%APPDATA%\\devin\\mcp_config.json"),
            ("project", ".devin/mcp_config.json"),
        ],
        notes: vec![format!(
            "before it was renamed, in ~/.codeium/windsurf/mcp_config.json: {older}"
        )],
        content: file("mcpServers", name, &json!({ "url": url.as_str() })),
    }
}

fn codex(offer: &Offer) -> Paste {
    let Offer { name, url, .. } = offer;
    Paste {
        client: "Codex",
        files: vec![
            ("macOS, Linux", "~/.codex/config.toml"),
            ("Windows", "%USERPROFILE%\\.codex\\config.toml"),
            ("project", ".codex/config.toml"),
        ],
        notes: vec![format!("or run: codex mcp add {name} --url {url}")],
        // Names and URLs hold nothing that TOML would have escaped.
        content: format!("[mcp_servers.{name}]\nurl = \"{url}\"\n"),
    }
}

fn zed(offer: &Offer) -> Paste {
    Paste {
        client: "Zed",
        files: vec![
            ("macOS, Linux", "~/.config/zed/settings.json"),
            ("Windows", "%APPDATA%\\Zed\\settings.json"),
        ],
        notes: vec!["add it beside the other keys of the file".to_owned()],
        content: file("context_servers", &offer.name, &json!({ "url": offer.url.as_str() })),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
