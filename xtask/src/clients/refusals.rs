//! Real clients meet a denial and a limit, and their users must be told what to do: a tool that policy
//! hides is as unknown as one that never was, and at a limit the sentence with the wait reaches
//! whoever called; waiting so long is enough.
//!
//! What each client does is `peers/clients/refusals.*`. Every walk has a gate of its own, since all
//! come from one address.

use crate::clients::{CLIENTS, Client, Stage, Upstream, last_lines};
use crate::processes::captured;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time for one walk; the clients give up by themselves after 100 s.
const WALK: Duration = Duration::from_secs(120);
/// The server all walk to.
const SERVER: Upstream = Upstream { name: "rmcp", eras: &["legacy", "modern"] };
/// What may be called, what may not, and what there never was.
const ALLOWED: &str = "echo";
const DENIED: &str = "test_simple_text";
const UNKNOWN: &str = "no_such_tool";
/// What is asked, and what the server makes of it where nothing is refused.
const ASKED: &str = "still here";
const SAID: &str = r#"{"message":"still here"}"#;
/// The client that shows its user the status of a 429 and nothing of what was said (rmcp 3.8): for such
/// ones the operator writes `answer: jsonrpc`.
const DEAF: &str = "rmcp";
/// Calls before the limit is met: three at once, and one every five seconds.
const BURST: u64 = 3;
/// Longest wait the limit can ask for.
const WAIT_SECS_MAX: u64 = 5;

/// Lets every client meet them in each era; says what is wrong.
pub(super) fn walked(stage: &Stage<'_>, logs: &Path) -> anyhow::Result<Vec<String>> {
    let server = stage.server(&SERVER, &logs.join("server"))?;
    let walks: Vec<(&Client, &str)> = CLIENTS
        .iter()
        .filter(|client| stage.legs.wants(client.name))
        .flat_map(|client| client.eras.iter().map(move |era| (client, *era)))
        .collect();
    let mut complaints = Vec::new();
    // Clients mostly wait.
    for some in walks.chunks(3) {
        let address = &server.address;
        let found: Vec<(String, Vec<String>)> = std::thread::scope(|scope| {
            let walking: Vec<_> = some
                .iter()
                .map(|(client, era)| scope.spawn(|| walk(stage, (client, era), address, logs)))
                .collect();
            let joined = walking.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|walk| walk.unwrap_or_else(|_| panicked())).collect()
        });
        for (name, wrong) in found {
            complaints.extend(wrong.into_iter().map(|it| format!("{name}{it}")));
        }
    }
    Ok(complaints)
}

fn panicked() -> (String, Vec<String>) {
    (String::new(), vec!["a walk panicked".to_owned()])
}

fn walk(
    stage: &Stage<'_>,
    (client, era): (&Client, &str),
    upstream: &str,
    logs: &Path,
) -> (String, Vec<String>) {
    let name = format!("{:<16}{:<12}{era:<8}", "refusals", client.name);
    let began = Instant::now();
    let logs = logs.join(format!("{}-{era}", client.name));
    let wrong = match met(stage, (client, era), upstream, &logs) {
        Ok(report) => wrong(&report),
        Err(error) => vec![format!("{error:#}")],
    };
    let verdict = if wrong.is_empty() { "ok" } else { "wrong" };
    println!("{name}{:>6.1} s  {verdict}", began.elapsed().as_secs_f32());
    (name, wrong)
}

fn met(
    stage: &Stage<'_>,
    (client, era): (&Client, &str),
    upstream: &str,
    logs: &Path,
) -> anyhow::Result<Value> {
    let gate = stage.legs.serve(stage.programs, &config(upstream, client.name), logs)?;
    let wanted = json!({
        "url": format!("http://{}/mcp", gate.address),
        "era": era,
        "allowed": {"tool": ALLOWED, "arguments": {"message": ASKED}},
        "denied": {"tool": DENIED, "arguments": {}},
        "unknown": UNKNOWN,
        "turns": BURST + 3,
    });
    let mut command = stage.command(client);
    command.arg("--refusals").arg(wanted.to_string());
    let ended = captured(command, WALK)?;
    if !ended.status.success() {
        bail!("the client failed:\n{}", last_lines(&ended.errors));
    }
    let line = ended.output.lines().last().context("the client printed nothing")?;
    serde_json::from_str(line).context("the client printed no JSON")
}

fn config(upstream: &str, client: &str) -> String {
    let answer = if client == DEAF { "jsonrpc" } else { "http429" };
    format!(
        "gate: {{ listen: \"127.0.0.1:0\" }}\nadmin: {{ listen: \"127.0.0.1:0\" }}\n\
         upstreams:\n  peer: {{ http: {{ url: \"http://{upstream}/mcp\" }} }}\n\
         routes:\n  /mcp: {{ upstreams: [peer] }}\n\
         policy:\n  roles: {{ user: {{ tools: [\"peer__{ALLOWED}\"] }} }}\n  \
         bindings: [ {{ role: user, agents: [\"*\"] }} ]\n\
         limits:\n  answer: {answer}\n  rules:\n    - {{ name: echoes, per: [agent], tools: [\"peer__{ALLOWED}\"], \
         requests: {{ rate: 12/min, burst: {BURST} }} }}\n"
    )
}

/// What a walk reports that is not as it should be.
fn wrong(report: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{what}: {report}"));
        }
    };
    let text = |value: &Value| value["refused"].as_str().unwrap_or_default().to_owned();
    let (denied, unknown) = (text(&report["denied"]), text(&report["unknown"]));
    must(report["tools"] == json!([ALLOWED]), "the list shows something else than it should");
    must(denied.contains("unknown tool"), "the denial is not told");
    must(
        denied.replace(DENIED, "TOOL") == unknown.replace(UNKNOWN, "TOOL"),
        "a denied tool differs from one that never was",
    );
    must(report["turns"] == BURST, "the limit came at another call");
    let limited = report["limited"].as_str().unwrap_or_default();
    must(limited.contains("wait "), "the limit does not tell how long to wait");
    must(
        report["waited"].as_u64().is_some_and(|secs| secs <= WAIT_SECS_MAX + 2),
        "the wait is longer than the limit",
    );
    must(report["after"]["said"] == SAID, "waiting was not enough");
    wrong
}

#[cfg(test)]
mod tests {
    use super::{SAID, wrong};
    use serde_json::json;

    #[test]
    fn a_walk_as_it_should_be_has_nothing_wrong_and_each_fault_is_found() {
        let good = json!({
            "tools": ["echo"],
            "denied": {"refused": "unknown tool `test_simple_text`"},
            "unknown": {"refused": "unknown tool `no_such_tool`"},
            "turns": 3, "limited": "wait 5 s: used up", "waited": 5, "after": {"said": SAID},
        });
        assert_eq!(wrong(&good), Vec::<String>::new());
        for (member, bad) in [
            ("tools", json!(["echo", "test_simple_text"])),
            ("denied", json!({"refused": "forbidden"})),
            ("turns", json!(4)),
            ("limited", json!("too many requests")),
            ("waited", json!(60)),
            ("after", json!({"refused": "wait 1 s"})),
        ] {
            let mut report = good.clone();
            report[member] = bad;
            assert!(!wrong(&report).is_empty(), "{member}");
        }
    }
}
