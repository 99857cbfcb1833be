//! Real clients and a real server on HTTP+SSE (2024-11-05): each side through the gate, alone and
//! both, must see what it sees directly.
//!
//! The clients choose that transport by the end of the URL, `/sse`. npm's everything-server speaks
//! both transports, and each session of it is a server of its own, so the legs share one.

use crate::clients::{CLIENTS, Stage};
use crate::processes::{Server, free_port};
use std::path::Path;
use std::time::Instant;

/// The clients that still know the transport.
const KNOWING: [&str; 2] = ["py-mcp", "js-v1"];

/// One way through the gate, and what it is compared with.
struct Way {
    name: &'static str,
    /// Whether the client speaks HTTP+SSE.
    old_client: bool,
    path: &'static str,
}

const WAYS: [Way; 3] = [
    Way { name: "old agent", old_client: true, path: "/new/sse" },
    Way { name: "old server", old_client: false, path: "/old" },
    Way { name: "both old", old_client: true, path: "/old/sse" },
];

/// Walks all ways; says what is wrong.
pub(super) fn walked(stage: &Stage<'_>, logs: &Path) -> anyhow::Result<Vec<String>> {
    let new = everything(stage, "streamableHttp", "listening on port ", logs)?;
    let old = everything(stage, "sse", "running on port ", logs)?;
    let urls = (format!("http://{}/mcp", new.address), format!("http://{}/sse", old.address));
    let gate = match stage.legs.direct {
        true => None,
        false => {
            Some(stage.legs.serve(stage.programs, &configuration(&urls), &logs.join("gate"))?)
        }
    };
    let mut complaints = Vec::new();
    for way in &WAYS {
        let direct = if way.old_client { &urls.1 } else { &urls.0 };
        let through = gate.as_ref().map(|gate| format!("http://{}{}", gate.address, way.path));
        let clients = CLIENTS.iter().filter(|client| KNOWING.contains(&client.name));
        for client in clients.filter(|client| stage.legs.wants(client.name)) {
            let walk = format!("{:<16}{:<12}{:<8}", way.name, client.name, "legacy");
            let began = Instant::now();
            let found = stage.compared(client, "legacy", direct, through.as_deref());
            let verdict = if found.is_empty() { "ok" } else { "differs" };
            println!("{walk}{:>6.1} s  {verdict}", began.elapsed().as_secs_f32());
            complaints.extend(found.into_iter().map(|it| format!("{walk}{it}")));
        }
    }
    Ok(complaints)
}

fn configuration((new, old): &(String, String)) -> String {
    format!(
        "gate: {{ listen: \"127.0.0.1:0\" }}\nadmin: {{ listen: \"127.0.0.1:0\" }}\nupstreams:\n  \
         new: {{ http: {{ url: \"{new}\" }} }}\n  old: {{ sse: {{ url: \"{old}\" }} }}\nroutes:\n  \
         /new: {{ upstreams: [new], sse: true }}\n  /old: {{ upstreams: [old], sse: true }}\n"
    )
}

fn everything(
    stage: &Stage<'_>,
    transport: &str,
    says: &str,
    logs: &Path,
) -> anyhow::Result<Server> {
    let package = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let mut command = stage.peers.module(package);
    let port = free_port()?;
    command.arg(transport).env("PORT", port.to_string());
    let mut server = Server::start("npm-everything", command, says, &logs.join(transport))?;
    server.address = format!("127.0.0.1:{port}");
    Ok(server)
}
