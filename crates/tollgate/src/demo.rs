//! `tollgate demo`: the gate in front of two instances of the project's own demo server.
//!
//! Nothing here is special to the demonstration: the configuration is text as a user would write
//! it, read by the same reader, and the gate is started by the same code. What is printed is made
//! by pure functions, so that tests can hold it to being true.
//!
//! Next: `demo/governed.rs` for the one with identity; `tollgate_demo` for the server behind the gate.

mod governed;

mod scratch;

pub(crate) use governed::{LetIn, settle};
pub(crate) use scratch::Scratch;

use serde_json::json;
use std::future::Future;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate_demo::{Instance, PATH, STATELESS_VERSION, serve};

/// Where the gate of the demonstration listens if the user does not say.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8484);
/// The instances behind the gate, by the name each tells its callers.
const INSTANCES: [&str; 2] = ["demo-a", "demo-b"];

/// The configuration file in the folder of a demonstration.
const FILE: &str = "tollgate.yaml";

/// A gate that has begun to listen.
#[derive(Debug)]
pub(crate) struct Started<E> {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What gets in, where callers must prove who they are.
    pub(crate) let_in: Option<LetIn>,
    /// Ready when the gate has stopped and drained.
    pub(crate) ended: E,
}

/// Runs the demonstration until the gate ends.
///
/// With a folder, callers must prove who they are, and what that takes is stored there. `read` turns the text of a configuration file into what `start` takes; `start` starts the gate.
///
/// # Errors
/// When an instance cannot listen, when the gate does not start, or when the gate fails.
pub(crate) async fn run<C, S, E>(
    listen: Option<SocketAddr>,
    folder: Option<&Path>,
    read: impl FnOnce(&str) -> anyhow::Result<C>,
    start: impl FnOnce(C) -> S,
) -> anyhow::Result<()>
where
    S: Future<Output = anyhow::Result<Started<E>>>,
    E: Future<Output = anyhow::Result<()>>,
{
    let (stop, stopping) = watch::channel(false);
    let mut instances = JoinSet::new();
    let mut endpoints = Vec::new();
    for name in INSTANCES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        endpoints.push(listener.local_addr()?);
        let mut stopping = stopping.clone();
        instances.spawn(serve(listener, Instance { name: name.to_owned() }, async move {
            // An error means the sender is gone: the demonstration is over as well.
            let _over = stopping.wait_for(|stopping| *stopping).await;
        }));
    }
    let listen = match listen {
        Some(address) => address,
        None => free_address().await,
    };
    let mut file = configuration(listen, &endpoints);
    if let Some(folder) = folder {
        // Tokens are for a URL, so the port must be known before the gate starts.
        let listen = if listen.port() == 0 { free_port(listen).await? } else { listen };
        file = format!(
            "{}issuer: {{ sign_in: accounts }}\nstores: {{ embedded: tollgate.db }}\n",
            configuration(listen, &endpoints)
        );
        std::fs::write(folder.join(FILE), &file)?;
    }
    let started = start(read(&file)?).await?;
    let url = format!("http://{}{PATH}", started.address);
    let mut out = std::io::stdout();
    // A closed standard output is no reason to stop serving.
    let text = match (&started.let_in, folder) {
        (Some(let_in), Some(folder)) => governed::welcome(&url, let_in, &folder.join(FILE)),
        (_, _) => welcome(&url, &file),
    };
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let ended = started.ended.await;
    stop.send_replace(true);
    while let Some(instance) = instances.join_next().await {
        instance??;
    }
    ended
}

/// The usual address, or any free port of the loopback interface when that one is taken.
async fn free_address() -> SocketAddr {
    match TcpListener::bind(LISTEN).await {
        Ok(_free) => LISTEN,
        Err(_taken) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// A port that was free a moment ago.
async fn free_port(listen: SocketAddr) -> std::io::Result<SocketAddr> {
    TcpListener::bind(listen).await?.local_addr()
}

/// The configuration file of the demonstration.
fn configuration(listen: SocketAddr, endpoints: &[SocketAddr]) -> String {
    let urls: Vec<String> =
        endpoints.iter().map(|address| format!("\"http://{address}{PATH}\"")).collect();
    format!(
        "gate: {{ listen: \"{listen}\" }}\n\
         admin: {{ listen: \"127.0.0.1:0\" }}\n\
         upstreams:\n\
         \x20 demo: {{ http: {{ endpoints: [{}] }} }}\n\
         routes:\n\
         \x20 {PATH}: {{ upstreams: [demo] }}\n",
        urls.join(", ")
    )
}

/// What a user sees when the demonstration has started.
fn welcome(url: &str, file: &str) -> String {
    format!(
        "\nTollgate is open at  {url}\n\
         Behind it: one MCP server in two instances ({}), each speaking both eras:\n\
         sessions (2025-11-25 and earlier) and stateless (2026-07-28). Every session stays on the\n\
         instance that owns it. Stop with Ctrl-C.\n\n\
         Call a tool:\n\n{}\n\n\
         Connect a client:\n\n{}\n\
         Make it yours: put your servers into tollgate.yaml, then  tollgate serve --config tollgate.yaml\n\n\
         {}\n",
        INSTANCES.join(" and "),
        curl(url, ""),
        clients(url, false),
        indented(file),
    )
}

/// One command that calls a tool in the stateless era, whole on one line.
fn curl(url: &str, options: &str) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS_VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "curl", "version": "1" },
    });
    let params = json!({ "name": "count", "arguments": { "by": 2 }, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    format!(
        "curl -sS {options}{url} -H 'Content-Type: application/json' \
         -H 'Accept: application/json, text/event-stream' \
         -H 'MCP-Protocol-Version: {STATELESS_VERSION}' \
         -H 'Mcp-Method: tools/call' -H 'Mcp-Name: count' -d '{body}'"
    )
}

/// What is called from a shell, and shows what it was answered.
const INSPECTOR: &str = "MCP Inspector";

/// A configuration to paste for each common client, or for those in which people sign in.
fn clients(url: &str, people_only: bool) -> String {
    let entries = [
        ("Claude Code", format!("claude mcp add --transport http tollgate-demo {url}")),
        (
            "Claude Desktop (claude_desktop_config.json)",
            format!(
                r#"{{ "mcpServers": {{ "tollgate-demo": {{ "command": "npx", "args": ["-y", "mcp-remote", "{url}"] }} }} }}"#
            ),
        ),
        (
            "Cursor (.cursor/mcp.json)",
            format!(r#"{{ "mcpServers": {{ "tollgate-demo": {{ "url": "{url}" }} }} }}"#),
        ),
        (
            "VS Code (.vscode/mcp.json)",
            format!(
                r#"{{ "servers": {{ "tollgate-demo": {{ "type": "http", "url": "{url}" }} }} }}"#
            ),
        ),
        (
            "Windsurf (mcp_config.json)",
            format!(r#"{{ "mcpServers": {{ "tollgate-demo": {{ "serverUrl": "{url}" }} }} }}"#),
        ),
        ("Codex (~/.codex/config.toml)", format!("[mcp_servers.tollgate-demo]\nurl = \"{url}\"")),
        (
            INSPECTOR,
            format!(
                "npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list"
            ),
        ),
    ];
    // A command that ends cannot wait for somebody to sign in.
    let shown = entries.iter().filter(|(client, _)| !people_only || *client != INSPECTOR);
    shown.map(|(client, text)| format!("  {client}\n{}\n", indented(text))).collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Started, clients, configuration, curl, free_address, run, welcome};
    use serde_json::Value;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    const URL: &str = "http://127.0.0.1:8484/mcp";

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn the_file_names_both_instances_and_the_route() {
        let file = configuration(address(8484), &[address(1), address(2)]);
        assert!(file.contains("listen: \"127.0.0.1:8484\""));
        assert!(file.contains("[\"http://127.0.0.1:1/mcp\", \"http://127.0.0.1:2/mcp\"]"));
        assert!(file.contains("  /mcp: { upstreams: [demo] }"));
    }

    #[test]
    fn the_curl_line_is_one_line_whose_headers_mirror_its_body() {
        let line = curl(URL, "");
        assert_eq!(line.lines().count(), 1);
        let body = line.split(" -d '").nth(1).expect("a body").trim_end_matches('\'');
        let body: Value = serde_json::from_str(body).expect("JSON");
        for (header, value) in [
            ("Mcp-Method", &body["method"]),
            ("Mcp-Name", &body["params"]["name"]),
            (
                "MCP-Protocol-Version",
                &body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"],
            ),
        ] {
            let value = value.as_str().expect("a string");
            assert!(line.contains(&format!("-H '{header}: {value}'")), "{header}");
        }
    }

    #[test]
    fn every_json_configuration_is_json_that_names_the_url() {
        let text = clients(URL, false);
        let configurations: Vec<Value> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(configurations.len(), 4);
        assert!(configurations.iter().all(|one| one.to_string().contains(URL)));
    }

    #[test]
    fn the_welcome_shows_the_url_the_command_and_the_file() {
        let text = welcome(URL, "gate: { listen: x }\n");
        for part in [URL, "tollgate serve --config tollgate.yaml", "    gate: { listen: x }"] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[tokio::test]
    async fn the_instances_answer_while_the_gate_runs_and_end_with_it() {
        let seen = Mutex::new(Vec::new());
        let read = |file: &str| {
            let urls = file.split('"').filter(|part| part.starts_with("http://"));
            Ok(urls.map(|url| url.to_owned()).collect::<Vec<_>>())
        };
        let start = async |urls: Vec<String>| {
            let addresses = urls.iter().filter_map(|url| url.split('/').nth(2));
            for address in addresses.map(str::to_owned) {
                let up = tokio::net::TcpStream::connect(&address).await.is_ok();
                seen.lock().expect("no panic").push((address, up));
            }
            Ok(Started { address: address(8484), let_in: None, ended: async { Ok(()) } })
        };
        run(Some(address(0)), None, read, start).await.expect("ends well");
        let seen = seen.into_inner().expect("no panic");
        assert_eq!(seen.iter().map(|(_, up)| *up).collect::<Vec<_>>(), [true, true]);
        for (address, _) in seen {
            assert!(tokio::net::TcpStream::connect(&address).await.is_err(), "{address}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_not_insisted_on() {
        let taken = tokio::net::TcpListener::bind(super::LISTEN).await;
        let given = free_address().await;
        assert_eq!(given.port(), 0, "{taken:?}");
    }
}
