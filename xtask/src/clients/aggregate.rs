//! Real clients tour the members of one route through the gate, and each member directly, and must
//! see the same apart from the renaming.
//!
//! Every client speaks the eras it can: pinned to one, and automatic. A route that mixes eras is
//! legacy to its agents; one of which all members speak both is toured in the modern era too. What
//! a tour is: `peers/clients/tour.json`.
//!
//! Next: `fixture.rs` (the members), `renaming.rs` (what is taken back).

use crate::clients::fixture::{DUAL, Fixture, MIXED, Places};
use crate::clients::renaming::{LISTS, settled, split, taken_back};
use crate::clients::{CLIENTS, Client, SHOWN_MAX, Stage, differ, last_lines};
use crate::processes::{Server, captured};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Time for one tour; the clients give up by themselves after 140 s.
const TOUR: Duration = Duration::from_secs(170);

/// One way through the gate.
struct Way {
    route: &'static str,
    members: &'static [&'static str],
    /// What the client is told.
    era: &'static str,
    /// What it must come to.
    spoken: &'static str,
}

const WAYS: [Way; 4] = [
    Way { route: "/mcp", members: &MIXED, era: "legacy", spoken: "legacy" },
    Way { route: "/mcp", members: &MIXED, era: "auto", spoken: "legacy" },
    Way { route: "/dual", members: &DUAL, era: "modern", spoken: "modern" },
    Way { route: "/dual", members: &DUAL, era: "auto", spoken: "modern" },
];

/// What is compared, in the order of the table. Those of a member have its name in the report.
const FEATURES: [&str; 20] = [
    "version",
    "level",
    "ping",
    "tools",
    "resources",
    "resourceTemplates",
    "prompts",
    "again",
    "calls",
    "session",
    "reads",
    "gets",
    "completion",
    "updates",
    "changed",
    "elicit",
    "sample",
    "roots",
    "progress",
    "logging",
];

/// What differed, by feature.
type Found = BTreeMap<&'static str, Vec<String>>;

/// Lets every client tour the route, and says what is wrong.
pub(crate) fn toured(stage: &Stage<'_>, logs: &Path) -> anyhow::Result<Vec<String>> {
    let places = Places::laid_out(&logs.join("places"))?;
    println!("{:<12}{:<7}{:<8}{}", "client", "route", "era", titles());
    // Two lanes, each with servers and a gate of its own: clients mostly wait.
    std::thread::scope(|scope| {
        let lanes = [0, 1].map(|lane| {
            let (places, logs) = (&places, logs.join(format!("lane-{lane}")));
            let clients = CLIENTS.iter().skip(lane).step_by(2);
            let clients = clients.filter(|client| stage.legs.wants(client.name));
            let clients: Vec<&Client> = clients.collect();
            scope.spawn(move || lane_toured(stage, places, &clients, &logs))
        });
        let mut complaints = Vec::new();
        for lane in lanes {
            complaints.extend(lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))??);
        }
        Ok(complaints)
    })
}

fn lane_toured(
    stage: &Stage<'_>,
    places: &Places,
    clients: &[&Client],
    logs: &Path,
) -> anyhow::Result<Vec<String>> {
    if clients.is_empty() {
        return Ok(Vec::new());
    }
    let fixture =
        |leg: &str| Fixture::started(stage.peers, stage.programs, places, &logs.join(leg));
    let direct = fixture("direct")?;
    let behind = if stage.legs.direct {
        None
    } else {
        let fixture = fixture("gate")?;
        let gate = stage.legs.serve(stage.programs, &fixture.config(), &logs.join("gate"))?;
        Some((fixture, gate))
    };
    let party = Party { stage, places, direct, gate: behind.as_ref().map(|(_, gate)| gate) };
    let mut complaints = Vec::new();
    for client in clients {
        complaints.extend(party.accompanied(client)?);
    }
    Ok(complaints)
}

fn titles() -> String {
    let short = |feature: &&str| match *feature {
        "resourceTemplates" => "templat".to_owned(),
        other => other.chars().take(7).collect(),
    };
    FEATURES.iter().map(|feature| format!("{:<8}", short(feature))).collect()
}

struct Party<'a> {
    stage: &'a Stage<'a>,
    places: &'a Places,
    direct: Fixture,
    gate: Option<&'a Server>,
}

impl Party<'_> {
    /// All ways of one client.
    fn accompanied(&self, client: &Client) -> anyhow::Result<Vec<String>> {
        let mut complaints = Vec::new();
        for spoken in ["legacy", "modern"] {
            if !client.eras.contains(&spoken) {
                continue;
            }
            let members: &[&str] = if spoken == "legacy" { &MIXED } else { &DUAL };
            let wanted =
                json!({"era": spoken, "hub": null, "members": self.direct.targets(members)});
            let directly = match self.tour(client, wanted) {
                Ok(report) => report,
                Err(error) => {
                    complaints.push(format!("{} directly, {spoken}: {error:#}", client.name));
                    continue;
                }
            };
            if self.gate.is_none() {
                let found = broken(&directly, members);
                complaints.extend(row(client, "direct", spoken, &directly, found));
            }
            let can = |way: &&Way| client.eras.contains(&way.era) || client.eras.len() > 1;
            for way in WAYS.iter().filter(|way| way.spoken == spoken).filter(can) {
                let Some(gate) = self.gate else { break };
                complaints.extend(self.compared(client, way, &directly, gate));
            }
        }
        Ok(complaints)
    }

    fn compared(&self, client: &Client, way: &Way, directly: &Value, gate: &Server) -> Vec<String> {
        let url = format!("http://{}{}", gate.address, way.route);
        let members: Vec<Value> = way.members.iter().map(|name| json!({"name": name})).collect();
        let wanted = json!({"era": way.era, "hub": url, "members": members});
        let name = format!("{:<12}{:<7}{:<8}", client.name, way.route, way.era);
        match self.tour(client, wanted) {
            Ok(report) => {
                let found = differences(directly, &report["hub"], way.members);
                row(client, way.route, way.era, directly, found)
            }
            Err(error) => {
                println!("{name}the tour failed");
                vec![format!("{name}the tour failed: {error:#}")]
            }
        }
    }

    /// Runs one client to its end.
    fn tour(&self, client: &Client, mut wanted: Value) -> anyhow::Result<Value> {
        wanted["places"] = self.places.json();
        let mut command = self.stage.command(client);
        command.args(["--tour", &wanted.to_string()]);
        let ended = captured(command, TOUR)?;
        if !ended.status.success() {
            bail!("the client failed:\n{}", last_lines(&ended.errors));
        }
        let line = ended.output.lines().last().context("the client printed nothing")?;
        serde_json::from_str(line).context("the client printed no JSON")
    }
}

/// Prints one row of the table and says what is wrong with it.
fn row(client: &Client, route: &str, era: &str, directly: &Value, found: Found) -> Vec<String> {
    let name = format!("{:<12}{route:<7}{era:<8}", client.name);
    let cells: String = FEATURES
        .iter()
        .map(|feature| {
            let cell = match (found.contains_key(feature), offered(directly, feature)) {
                (true, _) => "DIFFERS",
                (false, true) => "ok",
                (false, false) => "-",
            };
            format!("{cell:<8}")
        })
        .collect();
    println!("{name}{cells}");
    let all = found.into_iter().flat_map(|(feature, mut what)| {
        what.truncate(SHOWN_MAX);
        what.into_iter().map(move |what| format!("{feature}: {what}"))
    });
    all.map(|what| format!("{name}{what}")).collect()
}

/// Whether any member showed a feature directly.
fn offered(directly: &Value, feature: &str) -> bool {
    let reports = directly.as_object().into_iter().flatten();
    reports.into_iter().any(|(name, report)| {
        !report[feature].is_null()
            || report["lists"][feature].as_array().is_some_and(|list| !list.is_empty())
            || !visit(report, name)[member_feature(feature)].is_null()
    })
}

/// `prompts` is the list; getting them has the same name in the report of a member.
fn member_feature(feature: &str) -> &str {
    match feature {
        "prompts" => "",
        "gets" => "prompts",
        other => other,
    }
}

fn visit<'a>(report: &'a Value, member: &str) -> &'a Value {
    &report["members"][member]
}

/// What even a direct tour must have seen.
fn broken(directly: &Value, members: &[&str]) -> Found {
    let mut found = Found::new();
    for member in members {
        let report = &directly[*member];
        if let Some(refused) = report.get("refused") {
            found.entry("version").or_default().push(format!("{member}: {refused}"));
            continue;
        }
        if report["again"] != true {
            found.entry("again").or_default().push(format!("{member}: lists are not stable"));
        }
        for feature in ["updates", "changed"] {
            let told = &visit(report, member)[feature];
            if !told.is_null() && told["told"] != true {
                found.entry(feature).or_default().push(format!("{member}: {told}"));
            }
        }
    }
    found
}

/// Where the aggregate differs from its members.
fn differences(directly: &Value, hub: &Value, members: &[&str]) -> Found {
    let mut found = broken(directly, members);
    if hub["again"] != true {
        found.entry("again").or_default().push("lists are not stable".to_owned());
    }
    let first = &directly[members[0]];
    let (one, other) = (&first["version"], &hub["version"]);
    if one != other {
        found.entry("version").or_default().push(format!("{one} became {other}"));
    }
    for (feature, wanted) in [("ping", &first["ping"]), ("level", &first["level"])] {
        if &hub[feature] != wanted {
            let what = format!("{wanted} became {}", hub[feature]);
            found.entry(feature).or_default().push(what);
        }
    }
    for list in LISTS {
        let what = lists_differ(directly, hub, list, members);
        if !what.is_empty() {
            found.insert(list.0, what);
        }
    }
    for feature in &FEATURES[8..] {
        let key = member_feature(feature);
        for member in members {
            let legacy = hub["level"] != Value::Null;
            let settle =
                |seen: &Value| if legacy { without_roots(settled(seen)) } else { settled(seen) };
            let one = settle(&visit(&directly[*member], member)[key]);
            let other = settle(&taken_back(&visit(hub, member)[key], member));
            let mut what = Vec::new();
            differ(member, &one, &other, &mut what);
            if !what.is_empty() {
                found.entry(feature).or_default().extend(what);
            }
        }
    }
    found
}

/// Legacy servers ask for roots when they please: what else was asked meanwhile is a coincidence.
fn without_roots(mut seen: Value) -> Value {
    let roots = json!(["roots"]);
    for asked in seen.as_array_mut().into_iter().flatten().filter_map(|call| call.get_mut(3)) {
        if let Some(asked) = asked.as_array_mut() {
            asked.retain(|question| *question != roots);
        }
    }
    seen
}

fn lists_differ(
    directly: &Value,
    hub: &Value,
    list: (&'static str, &'static str),
    members: &[&str],
) -> Vec<String> {
    let merged = &hub["lists"][list.0];
    if !merged.is_array() {
        return vec![format!("no list: {merged}")];
    }
    let parts = match split(merged, list, members) {
        Ok(parts) => parts,
        Err(why) => return vec![why],
    };
    let mut what = Vec::new();
    for (member, part) in members.iter().zip(&parts) {
        let own = &directly[*member]["lists"][list.0];
        // Who does not have a list has an empty one in the aggregate.
        let own = if own.is_array() { own.clone() } else { json!([]) };
        let names = |items: &Value| -> Value {
            items.as_array().into_iter().flatten().map(|item| item[list.1].clone()).collect()
        };
        if names(&own) == names(part) {
            differ(member, &settled(&own), &settled(part), &mut what);
        } else {
            what.push(format!("{member} lists {} directly, {} here", names(&own), names(part)));
        }
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct() -> Value {
        json!({"a": {
            "version": "v", "ping": {}, "level": {}, "again": true,
            "lists": {"tools": [{"name": "x", "title": "X"}], "resources": {"refused": -32601}},
            "members": {"a": {"calls": [["x", {"content": []}]]}}
        }})
    }

    fn hub(tool: &Value, call: &Value) -> Value {
        json!({
            "version": "v", "ping": {}, "level": {}, "again": true,
            "lists": {"tools": [tool], "resources": [], "resourceTemplates": [], "prompts": []},
            "members": {"a": {"calls": [["x", call]]}}
        })
    }

    #[test]
    fn an_aggregate_that_only_renames_does_not_differ() {
        let hub = hub(&json!({"name": "a__x", "title": "X"}), &json!({"content": []}));
        assert_eq!(differences(&direct(), &hub, &["a"]), Found::new());
    }

    #[test]
    fn a_lost_member_of_a_tool_and_another_answer_are_found() {
        let hub = hub(&json!({"name": "a__x"}), &json!({"content": [1]}));
        let found = differences(&direct(), &hub, &["a"]);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["calls", "tools"]);
    }
}
