//! `tollgate policy matrix`: who can call what.
//!
//! Without `--live` nothing is connected to, and items are those the policy names without a pattern.

use crate::agent::{Agent, AgentError};
use crate::cli::{LogArgs, MatrixArgs, MatrixFormat};
use crate::policy::{AskError, House, refuse};
use crate::{screen, serve};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind};
use tollgate_gate::settings::{Transport, UpstreamSettings};
use tollgate_policy::matrix::{Reach, items, subjects};
use tollgate_policy::subject::Subject;

/// Longest silence of an upstream, in seconds. A program has its own time to start.
const ANSWER_SECS: u64 = 10;
/// Most characters of a name in a table.
const NAME_CHARS_MAX: usize = 80;

type Named = (ItemKind, UpstreamName, String);

/// Runs the command.
///
/// # Errors
/// An upstream cannot be asked, or standard output is closed.
pub(super) fn run(
    house: &House,
    asked: &MatrixArgs,
    as_json: bool,
    log: &LogArgs,
) -> anyhow::Result<ExitCode> {
    let (route, callers) = match callers(house, asked) {
        Ok(found) => found,
        Err(error) => return refuse(&error),
    };
    let items = if asked.live {
        serve::start_log(&serve::quiet(log))?;
        serve::runtime()?.block_on(live(house, &route))?
    } else {
        items(&house.rules)
    };
    let rows: Vec<(Named, Vec<Reach>)> = items
        .into_iter()
        .map(|(kind, upstream, name)| {
            let item = Item { kind, upstream: &upstream, name: &name };
            let reach =
                |(_, subject): &(String, Subject)| house.policy.reach(subject, &route, &item);
            let cells = callers.iter().map(reach).collect();
            ((kind, upstream, name), cells)
        })
        .collect();
    let names: Vec<&str> = callers.iter().map(|(name, _)| name.as_str()).collect();
    let text = match (as_json, asked.format) {
        (true, _) => json(&names, &rows),
        (false, MatrixFormat::Csv) => csv(&names, &rows),
        (false, MatrixFormat::Table) => table(&names, &rows),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if rows.is_empty() {
        let hint = "the policy names no item without a pattern: `--live` asks the upstreams for their lists";
        writeln!(std::io::stderr().lock(), "tollgate: {hint}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The route, and who stands in the columns.
fn callers(
    house: &House,
    asked: &MatrixArgs,
) -> Result<(RoutePath, Vec<(String, Subject)>), AskError> {
    let route = house.route(asked.route.as_deref())?;
    let mut named = Vec::new();
    named.extend(asked.agents.iter().map(|agent| {
        (format!("agent {agent}"), Subject { agent: Some(agent.clone()), ..Subject::default() })
    }));
    named.extend(asked.groups.iter().map(|group| {
        (format!("group {group}"), Subject { groups: vec![group.clone()], ..Subject::default() })
    }));
    named.extend(asked.scopes.iter().map(|scope| {
        (format!("scope {scope}"), Subject { scopes: vec![scope.clone()], ..Subject::default() })
    }));
    if named.is_empty() {
        named = subjects(&house.rules);
    }
    let vouched = named.into_iter().map(|(name, subject)| Ok((name, house.vouched(subject)?)));
    Ok((route, vouched.collect::<Result<_, AskError>>()?))
}

/// What the upstreams of a route say that they have.
async fn live(house: &House, route: &RoutePath) -> anyhow::Result<Vec<Named>> {
    let settings = &house.settings;
    let offered = settings.routes.iter().find(|one| one.path == *route);
    let mut found = Vec::new();
    for name in offered.map(|one| one.upstreams.as_slice()).unwrap_or_default() {
        let Some(upstream) = settings.upstreams.iter().find(|one| one.name == *name) else {
            continue;
        };
        let lists = lists(upstream).await;
        let lists = lists.map_err(|why| anyhow::anyhow!("upstream `{name}`: {why}"))?;
        found.extend(lists.into_iter().map(|(kind, item)| (kind, name.clone(), item)));
    }
    Ok(found)
}

async fn lists(upstream: &UpstreamSettings) -> Result<Vec<(ItemKind, String)>, AgentError> {
    let patience = match &upstream.transport {
        Transport::Stdio(program) => program.start,
        Transport::Http | Transport::Sse => Duration::from_secs(ANSWER_SECS),
    };
    let (mut agent, _) = Agent::connect(upstream.clone(), patience).await?;
    let mut found = Vec::new();
    let kinds = [
        (ItemKind::Tool, "tools/list", "tools", "name"),
        (ItemKind::Prompt, "prompts/list", "prompts", "name"),
        (ItemKind::Resource, "resources/list", "resources", "uri"),
    ];
    let mut failure = None;
    for (kind, method, key, id) in kinds {
        match agent.list(method, key).await {
            Ok(list) => {
                let names = list.iter().filter_map(|item| item[id].as_str());
                found.extend(names.map(|name| (kind, name.to_owned())));
            }
            // Servers without prompts or resources say so in an error.
            Err(AgentError::Refused { .. }) if kind != ItemKind::Tool => {}
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    agent.end().await;
    failure.map_or(Ok(found), Err)
}

fn label((kind, upstream, name): &Named) -> String {
    let name = screen::on_one_line(name, NAME_CHARS_MAX);
    match kind {
        ItemKind::Tool => format!("{upstream}__{name}"),
        ItemKind::Prompt | ItemKind::Resource => format!("{} {upstream}__{name}", kind.as_str()),
    }
}

fn table(callers: &[&str], rows: &[(Named, Vec<Reach>)]) -> String {
    let labels: Vec<String> = rows.iter().map(|(item, _)| label(item)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(4);
    let mut text = format!("{:<width$}", "item");
    for caller in callers {
        // Writing to a string cannot fail.
        let _ = write!(text, "  {caller}");
    }
    text.push('\n');
    for (label, (_, cells)) in labels.iter().zip(rows) {
        let mut line = format!("{label:<width$}");
        for (caller, cell) in callers.iter().zip(cells) {
            let _ = write!(line, "  {:<1$}", cell.as_str(), caller.chars().count());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn csv(callers: &[&str], rows: &[(Named, Vec<Reach>)]) -> String {
    let quoted = |text: &str| {
        // A cell that starts like this is a formula to a spreadsheet.
        let is_formula = text.starts_with(['=', '+', '@', '\t', '\r']);
        let guard = if is_formula { "'" } else { "" };
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    };
    let mut text = ["kind", "upstream", "name"].join(",");
    for caller in callers {
        let _ = write!(text, ",{}", quoted(caller));
    }
    text.push('\n');
    for ((kind, upstream, name), cells) in rows {
        let name = screen::on_one_line(name, usize::MAX);
        let _ = write!(text, "{},{upstream},{}", kind.as_str(), quoted(&name));
        for cell in cells {
            let _ = write!(text, ",{}", cell.as_str());
        }
        text.push('\n');
    }
    text
}

fn json(callers: &[&str], rows: &[(Named, Vec<Reach>)]) -> String {
    let rows = rows.iter().map(|((kind, upstream, name), cells)| {
        let cells = callers.iter().zip(cells);
        let cells: Map<String, Value> =
            cells.map(|(caller, cell)| ((*caller).to_owned(), cell.as_str().into())).collect();
        json!({ "kind": kind.as_str(), "upstream": upstream.as_str(), "name": name, "callers": cells })
    });
    format!("{}\n", screen::json(&Value::Array(rows.collect())))
}
