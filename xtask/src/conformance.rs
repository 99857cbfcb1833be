//! The official conformance suite, directly and through the gate: what passes directly must pass
//! through the gate, check by check.
//!
//! Both frozen sets of requirements run against each peer that has the suite's fixed names. The
//! suite says itself which failures count; on top of that, no check may fail through the gate that
//! passes directly, or be missing. Then the suite judges the gate's own authorization server.
//!
//! Next: `conformance/authorization.rs`, `clients.rs`.

mod authorization;

use crate::clients;
use crate::gate::Legs;
use crate::peers::{self, Peers};
use crate::processes::{Server, captured, target};
use anyhow::{Context, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time for one run of one set. Measured: 3 to 15 s.
const RUN: Duration = Duration::from_secs(300);
/// The frozen sets of requirements.
const SETS: [&str; 2] = [LEGACY, MODERN];
const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// A server with the suite's fixed names.
struct Peer {
    name: &'static str,
    /// Whether the suite itself must be satisfied with it: our own server is complete, those on
    /// other SDKs only have to look the same through the gate.
    complete: bool,
}

const PEERS: [Peer; 3] = [
    Peer { name: "rmcp", complete: true },
    Peer { name: "typescript", complete: false },
    Peer { name: "fastmcp", complete: false },
];

/// How a check ended, for each scenario and check; a check may be made several times.
type Checks = BTreeMap<(String, String), Vec<String>>;

/// One run of one set.
struct Ran {
    checks: Checks,
    satisfied: bool,
    millis: u128,
}

impl Ran {
    fn count(&self, status: &str) -> usize {
        self.checks.values().flatten().filter(|found| *found == status).count()
    }
}

/// `cargo xtask conformance`.
pub(crate) fn run(root: &Path, words: &[String]) -> anyhow::Result<()> {
    let legs = Legs::read(words)?;
    let peers = peers::installed(root)?;
    let programs = legs.built(root, &["everything"])?;
    let mut complaints = Vec::new();
    println!("{:<12}{:<14}{:<8}{:>8}{:>8}  suite   time", "peer", "set", "leg", "passed", "failed");
    for peer in PEERS.iter().filter(|peer| legs.wants(peer.name)) {
        for set in SETS {
            let logs = target(root).join("conformance").join(peer.name).join(set);
            if logs.exists() {
                std::fs::remove_dir_all(&logs)?;
            }
            let stage = Stage { peers: &peers, programs: &programs, peer, set };
            let direct = stage.directly(&logs.join("direct"))?;
            print(peer, set, "direct", &direct);
            if peer.complete && !direct.satisfied {
                complaints.push(format!("{} {set}: the suite fails it directly", peer.name));
            }
            complaints.extend(failures(peer, set, "direct", &direct));
            if legs.direct {
                continue;
            }
            let through = stage.through(&legs, &logs.join("gate"))?;
            print(peer, set, "gate", &through);
            if direct.satisfied && !through.satisfied {
                complaints
                    .push(format!("{} {set}: the suite fails it through the gate", peer.name));
            }
            complaints.extend(
                differences(&direct.checks, &through.checks)
                    .into_iter()
                    .map(|difference| format!("{} {set}: {difference}", peer.name)),
            );
        }
    }
    if !legs.direct && legs.wants(authorization::NAME) {
        let stage = clients::Stage { peers: &peers, programs: &programs, legs: &legs };
        complaints.extend(authorization::judged(&stage, &target(root).join("conformance"))?);
    }
    if complaints.is_empty() {
        println!("conformance: every run is as it should be");
        return Ok(());
    }
    bail!("conformance:\n  {}", complaints.join("\n  "))
}

/// One peer and one set.
struct Stage<'a> {
    peers: &'a Peers,
    programs: &'a Path,
    peer: &'a Peer,
    set: &'a str,
}

impl Stage<'_> {
    fn directly(&self, logs: &Path) -> anyhow::Result<Ran> {
        let server = self.start(logs)?;
        self.suite(&server.address, logs)
    }

    /// A server of its own for each leg: nothing one leg leaves behind is seen by the other.
    fn through(&self, legs: &Legs, logs: &Path) -> anyhow::Result<Ran> {
        let server = self.start(logs)?;
        let gate = legs.start(self.programs, &server.address, logs)?;
        self.suite(&gate.address, logs)
    }

    fn start(&self, logs: &Path) -> anyhow::Result<Server> {
        let command = match self.peer.name {
            "rmcp" => Command::new(self.programs.join("everything")),
            "typescript" => self.peers.script("servers/typescript_server.mjs"),
            _ => self.peers.python("servers/fastmcp_server.py"),
        };
        Server::start(self.peer.name, command, "listening ", logs)
    }

    fn suite(&self, address: &str, logs: &Path) -> anyhow::Result<Ran> {
        let results = logs.join("results");
        let mut suite =
            self.peers.module("node_modules/@modelcontextprotocol/conformance/dist/index.js");
        suite.arg("server").arg("--url").arg(format!("http://{address}/mcp"));
        suite.arg("--requirements").arg(self.set).arg("-o").arg(&results);
        let began = Instant::now();
        let ended = captured(suite, RUN)?;
        let millis = began.elapsed().as_millis();
        std::fs::write(logs.join("suite.log"), format!("{}{}", ended.output, ended.errors))?;
        let checks = read(&results).with_context(|| {
            format!("the suite left no results; what it said:\n{}{}", ended.output, ended.errors)
        })?;
        Ok(Ran { checks, satisfied: ended.status.success(), millis })
    }
}

/// Reads `server-SCENARIO-TIME/checks.json` of each scenario.
fn read(results: &Path) -> anyhow::Result<Checks> {
    let mut checks = Checks::new();
    for entry in std::fs::read_dir(results)? {
        let entry = entry?;
        let folder = entry.file_name().to_string_lossy().into_owned();
        let scenario = scenario(&folder);
        let text = std::fs::read_to_string(entry.path().join("checks.json"))?;
        let Value::Array(found) = serde_json::from_str(&text)? else {
            bail!("{folder}/checks.json is not a list");
        };
        for check in found {
            let word = |name: &str| check[name].as_str().unwrap_or("?").to_owned();
            checks.entry((scenario.clone(), word("id"))).or_default().push(word("status"));
        }
    }
    for statuses in checks.values_mut() {
        statuses.sort();
    }
    if checks.is_empty() {
        bail!("no scenario ran");
    }
    Ok(checks)
}

/// `server-tools-list-2026-11-20T08-09-08-707Z` is a run of `tools-list`.
fn scenario(folder: &str) -> String {
    let name = folder.strip_prefix("server-").unwrap_or(folder);
    let date = name.match_indices("-20").map(|(at, _)| at).find(|at| {
        let rest = &name.as_bytes()[*at..];
        rest.len() >= 25 && rest[5] == b'-' && rest[8] == b'-' && rest[11] == b'T'
    });
    name[..date.unwrap_or(name.len())].to_owned()
}

fn differences(direct: &Checks, through: &Checks) -> Vec<String> {
    let mut differences = Vec::new();
    for (key @ (scenario, check), before) in direct {
        match through.get(key) {
            None => differences.push(format!("{scenario}:{check} is missing through the gate")),
            Some(after) if worse(before, after) => differences.push(format!(
                "{scenario}:{check} is {} directly and {} through the gate",
                before.join("+"),
                after.join("+")
            )),
            Some(_) => {}
        }
    }
    let added = through.iter().filter(|(key, statuses)| {
        !direct.contains_key(*key) && statuses.iter().any(|status| status == "FAILURE")
    });
    differences.extend(added.map(|((scenario, check), _)| {
        format!("{scenario}:{check} fails through the gate and is not made directly")
    }));
    differences
}

/// Different, unless all that changed is that fewer fail.
fn worse(before: &[String], after: &[String]) -> bool {
    let failed = |statuses: &[String]| statuses.iter().filter(|it| *it == "FAILURE").count();
    before != after && (failed(after) >= failed(before) || before.len() != after.len())
}

fn failures(peer: &Peer, set: &str, leg: &str, ran: &Ran) -> Vec<String> {
    if !peer.complete {
        return Vec::new();
    }
    ran.checks
        .iter()
        .filter(|(_, statuses)| statuses.iter().any(|status| status == "FAILURE"))
        .map(|((scenario, check), _)| {
            format!("{} {set} {leg}: {scenario}:{check} fails", peer.name)
        })
        .collect()
}

fn print(peer: &Peer, set: &str, leg: &str, ran: &Ran) {
    println!(
        "{:<12}{set:<14}{leg:<8}{:>8}{:>8}  {:<6}{:>5}.{} s",
        peer.name,
        ran.count("SUCCESS"),
        ran.count("FAILURE"),
        if ran.satisfied { "ok" } else { "fails" },
        ran.millis / 1000,
        ran.millis % 1000 / 100,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(statuses: &[&str]) -> Checks {
        let statuses = statuses.iter().map(|status| (*status).to_owned()).collect();
        Checks::from([(("tools-list".to_owned(), "names".to_owned()), statuses)])
    }

    #[test]
    fn a_run_is_named_by_its_scenario_without_the_time() {
        let folder = "server-json-schema-2020-12-2026-11-20T08-09-16-401Z";
        assert_eq!(scenario(folder), "json-schema-2020-12");
    }

    #[test]
    fn a_check_that_fails_only_through_the_gate_is_a_difference() {
        assert_eq!(differences(&checks(&["SUCCESS"]), &checks(&["FAILURE"])).len(), 1);
    }

    #[test]
    fn a_check_that_is_not_made_through_the_gate_is_a_difference() {
        assert_eq!(differences(&checks(&["SUCCESS"]), &Checks::new()).len(), 1);
    }

    #[test]
    fn a_check_that_fails_only_directly_is_no_difference() {
        assert_eq!(differences(&checks(&["FAILURE"]), &checks(&["SUCCESS"])).len(), 0);
    }
}
