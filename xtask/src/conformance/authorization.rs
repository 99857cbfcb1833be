//! The official suite's command `authorization` against the gate's own issuer; every check must pass.
//!
//! The suite is the client: it prints an authorization URL and waits for the callback, and the script
//! that is the person in `clients/oauth.rs` agrees. The client has no secret: where a server accepts
//! clients without one at all, the suite sends none even for a client that has one, and no server may
//! accept that.
//!
//! Next: `clients/oauth/places.rs` (the gate).

use super::read;
use crate::clients::Stage;
use crate::clients::oauth::places::{Disk, Gate, own_issuer};
use crate::processes::{Server, captured, free_port};
use anyhow::bail;
use std::path::Path;
use std::time::{Duration, Instant};

/// What `--only` calls it.
pub(super) const NAME: &str = "authorization";
/// Time for the person, and for the suite after that. Measured: 1 s.
const RUN: Duration = Duration::from_secs(60);
/// The checks there are: fewer means that the suite skipped some.
const SCENARIOS: [&str; 2] = [
    "authorization-server-authorization-server-metadata-endpoint",
    "authorization-server-authorization-code-grant",
];

/// Runs the suite, and says what is wrong.
pub(super) fn judged(stage: &Stage<'_>, logs: &Path) -> anyhow::Result<Vec<String>> {
    let logs = logs.join(NAME);
    if logs.exists() {
        std::fs::remove_dir_all(&logs)?;
    }
    std::fs::create_dir_all(&logs)?;
    let logs = logs.canonicalize()?;
    let disk = Disk::laid_out(stage.peers, &logs.join("material"))?;
    // Nothing is called, so there need be no upstream.
    let gate = Gate::new(free_port()?, &logs, "127.0.0.1:9");
    let _running = gate.start(stage, &disk, &own_issuer(""))?;
    let password = gate.added_person(stage)?;
    let port = free_port()?;
    let back = format!("http://127.0.0.1:{port}/callback");
    let client = ["agents", "add", "suite", "--public", "--redirect-uri", &back, "--scope", "mcp"];
    gate.told(stage, &client)?;

    let results = logs.join("results");
    let began = Instant::now();
    let mut suite =
        stage.peers.module("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    suite.args(["authorization", "--client-id", "suite", "--url", &gate.url()]);
    suite.args(["--resource", &format!("{}/mcp", gate.url()), "--port", &port.to_string()]);
    suite.arg("--output-dir").arg(&results);
    let asking = format!("{}/oauth/authorize", gate.url());
    let suite = Server::start("suite", suite, &asking, &logs)?;
    let mut person = stage.peers.script("clients/oauth_browser.mjs");
    person.arg(format!("{asking}{}", suite.address)).env("PERSON_PASSWORD", password);
    let person = captured(person, RUN)?;
    if !person.status.success() {
        bail!("the person did not come back to the suite: {}", person.errors);
    }
    let satisfied = suite.ended(RUN)?.success();
    let checks = read(&results)?;
    let count = |status: &str| checks.values().flatten().filter(|found| *found == status).count();
    let millis = began.elapsed().as_millis();
    println!(
        "{:<12}{NAME:<14}{:<8}{:>8}{:>8}  {:<6}{:>5}.{} s",
        "issuer",
        "gate",
        count("SUCCESS"),
        count("FAILURE"),
        if satisfied { "ok" } else { "fails" },
        millis / 1000,
        millis % 1000 / 100,
    );
    let mut complaints = Vec::new();
    for ((scenario, check), statuses) in &checks {
        if statuses.iter().any(|status| status != "SUCCESS") {
            complaints.push(format!("{NAME} {scenario}:{check} is {}", statuses.join("+")));
        }
    }
    for scenario in SCENARIOS {
        if !checks.keys().any(|(ran, _)| ran == scenario) {
            complaints.push(format!("{NAME} {scenario} did not run"));
        }
    }
    if complaints.is_empty() && !satisfied {
        complaints.push(format!("{NAME}: the suite is not satisfied"));
    }
    Ok(complaints)
}
