//! Real clients on five SDKs walk real servers, directly and through the gate, and must see the
//! same; so must those that still speak HTTP+SSE; then all tour many servers behind one route, walk
//! from a bare URL through OAuth to a call, and at last meet a denial and a limit.
//!
//! Each leg has a server of its own, so that what one walk leaves behind is not seen by the other;
//! the two legs of one walk run side by side. What a walk is: `peers/clients/plan.json`.
//!
//! Next: `clients/old_transport.rs` (HTTP+SSE), `clients/aggregate.rs` (the tour),
//! `clients/oauth.rs` (who calls), `clients/refusals.rs` (what they may), `conformance.rs`.

mod aggregate;
pub(crate) mod fixture;
pub(crate) mod oauth;
mod old_transport;
mod refusals;
mod renaming;

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

/// What can be run alone.
const PARTS: [&str; 5] = ["walks", "http-sse", "aggregate", "oauth", "refusals"];

struct Upstream {
    name: &'static str,
    eras: &'static [&'static str],
}

/// The servers, in two lanes that take about the same time.
const LANES: [&[Upstream]; 2] = [
    &[
        Upstream { name: "rmcp", eras: &["legacy", "modern"] },
        Upstream { name: "npm-everything", eras: &["legacy"] },
    ],
    &[
        Upstream { name: "fastmcp", eras: &["legacy", "modern"] },
        Upstream { name: "typescript", eras: &["legacy", "modern"] },
    ],
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
    let part = words.first().filter(|word| PARTS.contains(&word.as_str()));
    let words = &words[usize::from(part.is_some())..];
    let wants = |name: &str| part.is_none_or(|part| part == name);
    let legs = Legs::read(words)?;
    let peers = peers::installed(root)?;
    let programs = legs.built(root, &["everything", "rmcp-client"])?;
    let stage = Stage { peers: &peers, programs: &programs, legs: &legs };
    let logs = target(root).join("clients");
    let mut complaints = Vec::new();
    if wants("walks") {
        complaints.extend(walked_in_lanes(&stage, &logs)?);
    }
    if wants("http-sse") {
        complaints.extend(old_transport::walked(&stage, &logs.join("http-sse"))?);
    }
    if wants("aggregate") {
        complaints.extend(aggregate::toured(&stage, &logs.join("aggregate"))?);
    }
    if wants("oauth") && !legs.direct {
        complaints.extend(oauth::walked(&stage, &logs.join("oauth"))?);
    }
    if wants("refusals") && !legs.direct {
        complaints.extend(refusals::walked(&stage, &logs.join("refusals"))?);
    }
    if complaints.is_empty() {
        println!("clients: every walk saw what it should");
        return Ok(());
    }
    bail!("clients:\n  {}", complaints.join("\n  "))
}

fn walked_in_lanes(stage: &Stage<'_>, logs: &Path) -> anyhow::Result<Vec<String>> {
    println!("{:<16}{:<12}{:<8}{:>8}  result", "server", "client", "era", "time");
    // Two lanes: clients mostly wait, and one lane would take twice as long.
    std::thread::scope(|scope| {
        let lanes = LANES.map(|lane| {
            scope.spawn(move || {
                let walked = lane.iter().map(|upstream| stage.walked(upstream, logs));
                walked.collect::<anyhow::Result<Vec<_>>>()
            })
        });
        let mut complaints = Vec::new();
        for lane in lanes {
            let walked = lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))??;
            complaints.extend(walked.into_iter().flatten());
        }
        Ok(complaints)
    })
}

/// What all walks need.
pub(crate) struct Stage<'a> {
    /// What was installed.
    pub(crate) peers: &'a Peers,
    /// What was built.
    pub(crate) programs: &'a Path,
    /// What the command line says.
    pub(crate) legs: &'a Legs,
}

impl Stage<'_> {
    /// Lets every client walk one server, and says what is wrong.
    fn walked(&self, upstream: &Upstream, logs: &Path) -> anyhow::Result<Vec<String>> {
        let logs = logs.join(upstream.name);
        let direct = self.server(upstream, &logs.join("direct"))?;
        let behind = if self.legs.direct {
            None
        } else {
            let server = self.server(upstream, &logs.join("gate"))?;
            let gate = self.legs.start(self.programs, &server.address, &logs.join("gate"))?;
            Some((server, gate))
        };
        let direct = format!("http://{}/mcp", direct.address);
        let gate = behind.as_ref().map(|(_, gate)| format!("http://{}/mcp", gate.address));
        let mut complaints = Vec::new();
        for client in CLIENTS.iter().filter(|client| self.legs.wants(client.name)) {
            for era in client.eras.iter().filter(|era| upstream.eras.contains(era)) {
                let walk = format!("{:<16}{:<12}{era:<8}", upstream.name, client.name);
                let began = Instant::now();
                let found = self.compared(client, era, &direct, gate.as_deref());
                let verdict = if found.is_empty() { "ok" } else { "differs" };
                println!("{walk}{:>6.1} s  {verdict}", began.elapsed().as_secs_f32());
                complaints.extend(found.into_iter().map(|it| format!("{walk}{it}")));
            }
        }
        Ok(complaints)
    }

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

    /// The program of a client.
    fn command(&self, client: &Client) -> Command {
        match client.name {
            "py-mcp" => self.peers.python("clients/mcp_client.py"),
            "py-fastmcp" => self.peers.python("clients/fastmcp_client.py"),
            "js-v2" => self.peers.script("clients/v2_client.mjs"),
            "js-v1" => self.peers.script("clients/v1_client.mjs"),
            _ => {
                let mut command = Command::new(self.programs.join("rmcp-client"));
                // Only the end of what it says is shown, which must be the error.
                command.env("RUST_BACKTRACE", "0");
                command
            }
        }
    }

    fn walk(&self, client: &Client, era: &str, url: &str) -> anyhow::Result<Value> {
        let mut command = self.command(client);
        command.arg(url).args(["--era", era]);
        let ended = captured(command, WALK)?;
        if !ended.status.success() {
            bail!("the client failed:\n{}", last_lines(&ended.errors));
        }
        let line = ended.output.lines().last().context("the client printed nothing")?;
        let mut report: Value = serde_json::from_str(line).context("the client printed no JSON")?;
        settle(&mut report);
        Ok(report)
    }
}

/// Takes out of a report what may differ between two walks of one server.
fn settle(report: &mut Value) {
    // npm's everything-server asks for roots, and logs the answer, some time after the session
    // began; whoever has no stream open by then misses it. It alone has this tool.
    let roots = Value::from(vec!["roots"]);
    let tools = report["tools"].as_array();
    let by_itself = tools.is_some_and(|tools| tools.contains(&"get-sum".into()));
    if let Some(asked) = report["asked"].as_array_mut() {
        asked.retain(|question| !by_itself || *question != roots);
        // Questions that a server asks at once may be answered in any order.
        asked.sort_by_key(ToString::to_string);
    }
    if by_itself {
        report["logs"] = Value::Null;
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
    fn questions_asked_at_once_compare_in_any_order() {
        let [mut one, mut other] =
            [json!({"asked": [["a"], ["b"]]}), json!({"asked": [["b"], ["a"]]})];
        settle(&mut one);
        settle(&mut other);
        assert_eq!(one, other);
    }

    #[test]
    fn a_promise_that_did_not_come_true_is_wrong() {
        assert_eq!(broken(&json!({"cancelled": false, "changed": true})).count(), 1);
    }
}
