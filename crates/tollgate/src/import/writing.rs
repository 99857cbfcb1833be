//! The configuration: one upstream for each server, one route over all, and each by itself.
//!
//! Everything that could not be carried is a comment where it belongs. What the gate could not serve
//! (no URL, a program that is not named by itself) is a comment as a whole, with the reason.
//!
//! Next: `entry.rs` for one upstream.

use crate::import::entry::{self, Entry};
use crate::import::formats::Source;
use crate::import::lines::{Lines, key, quoted};
use crate::import::names;
use crate::import::variables::{Variables, Wanted};
use tollgate_core::bounds::{CURATION_ENTRIES_MAX, ROUTE_UPSTREAMS_MAX};

/// A file that was turned into a configuration.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) wanted: Vec<Wanted>,
    /// How many upstreams there are, over HTTP, over HTTP+SSE, and as processes.
    pub(super) counts: [usize; 3],
    pub(super) disabled: usize,
    /// Servers that are comments, and why.
    pub(super) refused: Vec<(String, String)>,
}

/// Writes the configuration of a file called `from`.
pub(super) fn write(source: &Source, from: &str) -> Written {
    let mut variables = Variables::new(&source.servers, &source.inputs);
    let servers: Vec<&str> = source.servers.iter().map(|server| server.name.as_str()).collect();
    let names = names::settle(&servers);
    let entries: Vec<Entry> = source
        .servers
        .iter()
        .zip(names)
        .map(|(server, name)| entry::write(server, name, &mut variables))
        .collect();
    let mut lines = Lines::default();
    head(&mut lines, source, from);
    let counts = |way: &str| entries.iter().filter(|it| it.is_served() && it.way == way).count();
    let mut written = Written {
        text: String::new(),
        wanted: variables.wanted,
        counts: ["http", "sse", "stdio"].map(counts),
        disabled: entries.iter().filter(|it| it.is_disabled && it.refused.is_none()).count(),
        refused: Vec::new(),
    };
    let mut below = Lines::default();
    let served: Vec<&Entry> = entries.iter().filter(|entry| entry.is_served()).collect();
    routes(&mut below, &served);
    lines.put(0, "upstreams:");
    for entry in entries {
        match &entry.refused {
            None if !entry.is_disabled => lines.extend(entry.lines),
            None => {
                lines.remark(
                    1,
                    "disabled in the file: to take it in, remove the `# `, and add it to a route",
                );
                lines.extend_as_comments(1, entry.lines);
            }
            Some(why) => {
                lines.remark(1, &format!("not carried: {}: {why}", quoted(&entry.server)));
                lines.extend_as_comments(1, entry.lines);
                written.refused.push((entry.server, why.clone()));
            }
        }
    }
    lines.gap();
    lines.extend(below);
    written.text = lines.into_text();
    written
}

fn head(lines: &mut Lines, source: &Source, from: &str) {
    lines.remark(0, &format!("Made by `tollgate import` from {from} ({}).", source.kind));
    lines.remark(
        0,
        "What looked like a secret is a reference: the command listed the variables to set.",
    );
    lines.remark(0, "Check it:  tollgate check --config tollgate.yaml");
    lines.remark(0, "Serve it:  tollgate serve --config tollgate.yaml    Agents: tollgate connect");
    if !source.others.is_empty() {
        let others: Vec<String> = source.others.iter().map(|other| format!("`{other}`")).collect();
        lines.remark(0, &format!("Not looked at in {from}: {}.", others.join(", ")));
    }
    lines.gap();
}

fn routes(lines: &mut Lines, served: &[&Entry]) {
    lines.put(0, "routes:");
    let [first, rest @ ..] = served else { return };
    if rest.is_empty() {
        lines.remark(1, "One upstream: agents see its tools under their own names.");
    } else {
        lines.remark(1, "All of them behind one URL: tools are called `upstream__tool`.");
    }
    let (shown_here, beyond) = served.split_at(served.len().min(ROUTE_UPSTREAMS_MAX));
    if !beyond.is_empty() {
        let names: Vec<&str> = beyond.iter().map(|entry| entry.name.as_str()).collect();
        let text = format!(
            "A route offers at most {ROUTE_UPSTREAMS_MAX} upstreams; the others: {}",
            names.join(", ")
        );
        lines.remark(1, &text);
    }
    route(lines, "/mcp", shown_here);
    if rest.is_empty() {
        return;
    }
    lines.gap();
    lines.remark(1, "Each by itself, under its own names. Remove what nobody needs.");
    for entry in std::iter::once(first).chain(rest) {
        route(lines, &format!("/mcp/{}", entry.name), &[*entry]);
    }
}

fn route(lines: &mut Lines, path: &str, entries: &[&Entry]) {
    let names: Vec<String> = entries.iter().map(|entry| key(&entry.name)).collect();
    let (include, exclude) = chosen(entries);
    let short = format!("{path}: {{ upstreams: [{}] }}", names.join(", "));
    if include.is_empty() && exclude.is_empty() && entries.len() == 1 {
        return lines.put(1, &short);
    }
    lines.put(1, &format!("{path}:"));
    lines.list(2, "upstreams", &names);
    if include.is_empty() && exclude.is_empty() {
        return;
    }
    lines.remark(2, "The tools that the client showed or hid.");
    if include.len().max(exclude.len()) > CURATION_ENTRIES_MAX {
        return lines.remark(2, &format!("not carried: more than {CURATION_ENTRIES_MAX} of them"));
    }
    lines.put(2, "tools:");
    for (key, names) in [("include", include), ("exclude", exclude)] {
        if !names.is_empty() {
            lines.list(3, key, &names);
        }
    }
}

/// What a route includes and excludes, by the names agents see on it.
fn chosen(entries: &[&Entry]) -> (Vec<String>, Vec<String>) {
    let name = |entry: &Entry, tool: &str| match entries {
        [_] => quoted(tool),
        _ => quoted(&format!("{}__{tool}", entry.name)),
    };
    let mut include = Vec::new();
    if entries.iter().any(|entry| !entry.only.is_empty()) {
        for entry in entries {
            if entry.only.is_empty() {
                include.push(name(entry, "*"));
            }
            include.extend(entry.only.iter().map(|tool| name(entry, tool)));
        }
    }
    let without =
        entries.iter().flat_map(|entry| entry.without.iter().map(|tool| name(entry, tool)));
    (include, without.collect())
}
