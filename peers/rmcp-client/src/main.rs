//! Walks an MCP server along `peers/clients/plan.json`, or tours an aggregate along `tour.json`, or
//! asks for leave along `oauth.rs`, or meets refusals (`refusals.rs`), with the crate rmcp, and prints what it saw as one line of JSON.
//!
//! A test peer: times, ids and ports are left out, so that a walk through the gate can be compared
//! with a direct one. It refuses nothing and judges nothing; `cargo xtask clients` does.
//!
//! Next: `walk.rs` and `tour.rs` (what it does), `hear.rs` (what it answers and hears),
//! `oauth.rs` (who it is).

mod hear;
mod oauth;
mod refusals;
mod tour;
mod walk;

use anyhow::{Context, bail};
use rmcp::RoleClient;
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

const USAGE: &str = "usage: rmcp-client URL --era legacy|modern | rmcp-client --tour JSON | rmcp-client --oauth JSON | rmcp-client --refusals JSON";
/// Time for the whole walk.
const WALK: Duration = Duration::from_secs(120);
/// Time for the whole tour.
const TOUR: Duration = Duration::from_secs(140);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let report = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--tour", wanted] => {
            tokio::time::timeout(TOUR, toured(serde_json::from_str(wanted)?)).await
        }
        ["--refusals", wanted] => {
            tokio::time::timeout(WALK, refused(serde_json::from_str(wanted)?)).await
        }
        ["--oauth", told] => {
            tokio::time::timeout(oauth::WALK, oauth::walked(&serde_json::from_str(told)?)).await
        }
        [url, "--era", era] => tokio::time::timeout(WALK, walked(url, era)).await,
        _ => bail!(USAGE),
    };
    let report = report.context("it took too long")??;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

async fn walked(url: &str, era: &str) -> anyhow::Result<Value> {
    let plan: Value = serde_json::from_str(include_str!("../../clients/plan.json"))?;
    let heard = Arc::new(hear::Heard::default());
    let (client, _) = connected(&json!(url), era, &heard, &plan["answers"]).await?;
    let report = walk::walk(&client, &heard, &plan, era == "modern").await?;
    client.cancel().await?;
    Ok(report)
}

async fn refused(wanted: Value) -> anyhow::Result<Value> {
    let heard = Arc::new(hear::Heard::default());
    let era = wanted["era"].as_str().unwrap_or_default();
    let (client, _) = connected(&wanted["url"], era, &heard, &json!({})).await?;
    let report = refusals::met(&client, &wanted).await?;
    client.cancel().await?;
    Ok(report)
}

/// Tours what `wanted` names: `era`, `hub` (a URL, or null), `members` (name and target), `places`.
async fn toured(wanted: Value) -> anyhow::Result<Value> {
    let mut plan = include_str!("../../clients/tour.json").to_owned();
    for (name, place) in wanted["places"].as_object().context("no places")? {
        plan = plan.replace(&format!("{{{name}}}"), place.as_str().unwrap_or_default());
    }
    let mut plan: Value = serde_json::from_str(&plan)?;
    let files = wanted["places"]["files"].as_str().unwrap_or_default();
    plan["answers"]["roots"] = json!([{"uri": format!("file://{files}"), "name": "files"}]);
    let members: Vec<&Value> = wanted["members"].as_array().into_iter().flatten().collect();
    let name = |member: &'_ Value| member["name"].as_str().unwrap_or_default().to_owned();
    let mut reports = json!({});
    if wanted["hub"].is_string() {
        let names: Vec<String> = members.into_iter().map(name).collect();
        reports["hub"] = visited(&wanted, &wanted["hub"], &plan, &names).await?;
        return Ok(reports);
    }
    for member in members {
        let names = [name(member)];
        reports[&names[0]] = match visited(&wanted, &member["target"], &plan, &names).await {
            Ok(report) => report,
            Err(error) => json!({"refused": format!("{error:#}")}),
        };
    }
    Ok(reports)
}

/// One connection of a tour, from its start to its end.
async fn visited(
    wanted: &Value,
    target: &Value,
    plan: &Value,
    members: &[String],
) -> anyhow::Result<Value> {
    let heard = Arc::new(hear::Heard::default());
    let era = wanted["era"].as_str().unwrap_or_default();
    let (client, child) = connected(target, era, &heard, &plan["answers"]).await?;
    let hub = wanted["hub"].is_string();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let tour = tour::Tour { client: &client, heard: &heard, hub, plan };
    let report = tour.report(&members).await?;
    client.cancel().await?;
    drop(child);
    Ok(report)
}

type Client = RunningService<RoleClient, hear::Ear>;

/// Connects to a URL, or to a child process (`command`, `args`, `env`) that ends with the result.
async fn connected(
    target: &Value,
    era: &str,
    heard: &Arc<hear::Heard>,
    answers: &Value,
) -> anyhow::Result<(Client, Option<tokio::process::Child>)> {
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match era {
        "legacy" => ClientLifecycleMode::Initialize,
        "modern" => ClientLifecycleMode::Discover { preferred_versions: modern },
        "auto" => ClientLifecycleMode::Auto { preferred_versions: modern, legacy_version: None },
        _ => bail!(USAGE),
    };
    let ear = hear::Ear { heard: heard.clone(), answers: answers.clone() };
    if let Some(url) = target.as_str() {
        let transport = StreamableHttpClientTransport::from_uri(url);
        return Ok((ear.serve_with_lifecycle(transport, lifecycle).await?, None));
    }
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut command = tokio::process::Command::new(word(&target["command"]));
    command.args(target["args"].as_array().into_iter().flatten().map(word));
    command.envs(target["env"].as_object().into_iter().flatten().map(|(k, v)| (k, word(v))));
    if let Some(folder) = target["cwd"].as_str() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let pipes = (child.stdout.take().context("no pipe")?, child.stdin.take().context("no pipe")?);
    Ok((ear.serve_with_lifecycle(pipes, lifecycle).await?, Some(child)))
}
