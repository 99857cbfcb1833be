//! Real clients on five SDKs walk real servers, directly and through the gate, and must see the
//! same.
//!
//! Each leg has a server of its own, so that what one walk leaves behind is not seen by the other;
//! the two legs of one walk run side by side. What a walk is: `peers/clients/plan.json`.
//!
//! Next: `conformance.rs`.

use crate::gate::Legs;
use crate::peers::{self, Peers};
use crate::processes::{Server, captured, free_port, target};
use anyhow::{Context, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time for one walk; the clients give up by themselves after 120 s.
const WALK: Duration = Duration::from_secs(150);
/// Most differences shown of one walk.
const SHOWN_MAX: usize = 5;
/// What a walk must have seen, where the server offers it.
const PROMISES: [&str; 3] = ["changed", "watched", "cancelled"];

struct Upstream {
    name: &'static str,
    eras: &'static [&'static str],
}

const UPSTREAMS: [Upstream; 4] = [
    Upstream { name: "rmcp", eras: &["legacy", "modern"] },
    Upstream { name: "npm-everything", eras: &["legacy"] },
    Upstream { name: "fastmcp", eras: &["legacy", "modern"] },
    Upstream { name: "typescript", eras: &["legacy", "modern"] },
];

struct Client {
    name: &'static str,
    eras: &'static [&'static str],
}

const CLIENTS: [Client; 5] = [
    Client { name: "py-mcp", eras: &["legacy", "modern"] },
    Client { name: "py-fastmcp", eras: &["legacy", "modern"] },
    Client { name: "js-v2", eras: &["legacy", "modern"] },
    Client { name: "js-v1", eras: &["legacy"] },
    Client { name: "rmcp", eras: &["legacy", "modern"] },
];

/// `cargo xtask clients`.
pub(crate) fn run(root: &Path, words: &[String]) -> anyhow::Result<()> {
    let legs = Legs::read(words)?;
    let peers = peers::installed(root)?;
    let programs = legs.built(root, &["everything", "rmcp-client"])?;
    let mut complaints = Vec::new();
    println!("{:<16}{:<12}{:<8}{:>8}  result", "server", "client", "era", "time");
    for upstream in &UPSTREAMS {
        let logs = target(root).join("clients").join(upstream.name);
        let stage = Stage { peers: &peers, programs: &programs };
        let direct = stage.server(upstream, &logs.join("direct"))?;
        let behind = if legs.direct {
            None
        } else {
            let server = stage.server(upstream, &logs.join("gate"))?;
            let gate = legs.start(&programs, &server.address, &logs.join("gate"))?;
            Some((server, gate))
        };
        let gate = behind.as_ref().map(|(_, gate)| gate.address.as_str());
        for client in CLIENTS.iter().filter(|client| legs.wants(client.name)) {
            for era in client.eras.iter().filter(|era| upstream.eras.contains(era)) {
                let walk = format!("{:<16}{:<12}{era:<8}", upstream.name, client.name);
                let began = Instant::now();
                let found = stage.compared(client, era, &direct.address, gate);
                let verdict = if found.is_empty() { "ok" } else { "differs" };
                let secs = began.elapsed().as_secs_f32();
                println!("{walk}{secs:>6.1} s  {verdict}");
                complaints.extend(found.into_iter().map(|it| format!("{walk}{it}")));
            }
        }
    }
    if complaints.is_empty() {
        println!("clients: every walk saw what it should");
        return Ok(());
    }
    bail!("clients:\n  {}", complaints.join("\n  "))
}

struct Stage<'a> {
    peers: &'a Peers,
    programs: &'a Path,
}

impl Stage<'_> {
    fn server(&self, upstream: &Upstream, logs: &Path) -> anyhow::Result<Server> {
        let ours = "listening ";
        match upstream.name {
            "rmcp" => {
                let command = Command::new(self.programs.join("everything"));
                Server::start(upstream.name, command, ours, logs)
            }
            "fastmcp" => {
                let command = self.peers.python("servers/fastmcp_server.py");
                Server::start(upstream.name, command, ours, logs)
            }
            "typescript" => {
                let command = self.peers.script("servers/typescript_server.mjs");
                Server::start(upstream.name, command, ours, logs)
            }
            _ => {
                let package = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
                let mut command = self.peers.module(package);
                let port = free_port()?;
                command.arg("streamableHttp").env("PORT", port.to_string());
                let mut server = Server::start(upstream.name, command, "listening on port ", logs)?;
                server.address = format!("127.0.0.1:{port}");
                Ok(server)
            }
        }
    }

    /// Walks both legs side by side and says what is wrong.
    fn compared(
        &self,
        client: &Client,
        era: &str,
        direct: &str,
        gate: Option<&str>,
    ) -> Vec<String> {
        let (directly, through) = std::thread::scope(|scope| {
            let through = gate.map(|gate| scope.spawn(move || self.walk(client, era, gate)));
            let directly = self.walk(client, era, direct);
            (directly, through.map(std::thread::ScopedJoinHandle::join))
        });
        let mut wrong = Vec::new();
        let directly = match directly {
            Ok(report) => {
                wrong.extend(broken(&report).map(|it| format!("directly: {it}")));
                report
            }
            Err(error) => return vec![format!("directly: {error:#}")],
        };
        match through {
            None => {}
            Some(Ok(Ok(report))) => {
                wrong.extend(broken(&report).map(|it| format!("through the gate: {it}")));
                let mut differences = Vec::new();
                differ("", &directly, &report, &mut differences);
                differences.truncate(SHOWN_MAX);
                wrong.extend(differences);
            }
            Some(Ok(Err(error))) => wrong.push(format!("through the gate: {error:#}")),
            Some(Err(_)) => wrong.push("through the gate: the walk panicked".to_owned()),
        }
        wrong
    }

    fn walk(&self, client: &Client, era: &str, address: &str) -> anyhow::Result<Value> {
        let mut command = match client.name {
            "py-mcp" => self.peers.python("clients/mcp_client.py"),
            "py-fastmcp" => self.peers.python("clients/fastmcp_client.py"),
            "js-v2" => self.peers.script("clients/v2_client.mjs"),
            "js-v1" => self.peers.script("clients/v1_client.mjs"),
            _ => Command::new(self.programs.join("rmcp-client")),
        };
        command.arg(format!("http://{address}/mcp")).args(["--era", era]);
        let ended = captured(command, WALK)?;
        if !ended.status.success() {
            bail!("the client failed:\n{}", last_lines(&ended.errors));
        }
        let line = ended.output.lines().last().context("the client printed nothing")?;
        let mut report: Value = serde_json::from_str(line).context("the client printed no JSON")?;
        // Questions that a server asks at once may be answered in any order.
        if let Some(asked) = report["asked"].as_array_mut() {
            asked.sort_by_key(ToString::to_string);
        }
        Ok(report)
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn broken(report: &Value) -> impl Iterator<Item = String> {
    let wrong = PROMISES.iter().filter(|promise| report[**promise] == false);
    wrong.map(|promise| format!("`{promise}` did not come true"))
}

/// Lists where two reports differ, by path.
fn differ(path: &str, left: &Value, right: &Value, differences: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(one), Value::Object(other)) => {
            let missing = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(missing) {
                differ(&format!("{path}/{key}"), &left[key], &right[key], differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                differ(&format!("{path}/{at}"), one, other, differences);
            }
        }
        _ if left != right => {
            differences.push(format!("{path} is {left} directly and {right} through the gate"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_named_by_its_path() {
        let mut differences = Vec::new();
        let (left, right) = (json!({"calls": [1, {"x": 2}]}), json!({"calls": [1, {"x": 3}]}));
        differ("", &left, &right, &mut differences);
        assert_eq!(differences, ["/calls/1/x is 2 directly and 3 through the gate"]);
    }

    #[test]
    fn a_member_seen_only_through_the_gate_is_a_difference() {
        let mut differences = Vec::new();
        differ("", &json!({}), &json!({"extra": 1}), &mut differences);
        assert_eq!(differences.len(), 1);
    }

    #[test]
    fn a_promise_that_did_not_come_true_is_wrong() {
        assert_eq!(broken(&json!({"cancelled": false, "changed": true})).count(), 1);
    }
}
