//! What policy, limits and the bill cost (`governed`), how exact a limit is (`exactness`), and what a
//! runaway agent costs another one (`runaway`).
//!
//! Costs: gates that differ in their sections only, called in turns within a round, so that ratios are
//! of one moment of the machine. Next: `governed/limits.rs` for the other two.

mod limits;

use crate::bench::cells::Era;
use crate::bench::hub::HubSettings;
use crate::bench::lanes::{Door, Stage, Upstream};
use crate::bench::load::generate;
use crate::bench::ratios::{ByRound, Spread, added, ratios};
use crate::bench::tell;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeMap;

/// By kind, era and metric: the values of all rounds.
type Values = BTreeMap<(&'static str, &'static str, &'static str), ByRound>;

const POLICY: &str = r#"policy:
  roles: { caller: { tools: ["bench__json_*"], deny: ["*__never_*"] } }
  bindings: [ { role: caller, agents: ["*"] } ]
"#;
/// Limits that are never met.
const LIMITS: &str = "limits:
  per_agent: { requests: 100M/min, tokens: { rate: 600M/min, burst: 100000M }, concurrent: 10000 }
  per_tool: { requests: 100M/min }
";
const BILL: &str = r#"prices:
  currency: EUR
  entries: [ { name: calls, tools: ["*"], per_call: "0.001", per_1k_tokens_out: "0.01" } ]
"#;

/// Kinds of gates, and the sections each has.
const KINDS: [(&str, &[&str]); 5] = [
    ("none of it", &[]),
    ("policy", &[POLICY]),
    ("limits", &[LIMITS]),
    ("policy and limits", &[POLICY, LIMITS]),
    ("policy, limits and the bill", &[POLICY, LIMITS, BILL]),
];
/// The gate that everything is compared with.
const OFF: &str = KINDS[0].0;
const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];
/// Loads, and calls per second where that is fixed.
const LOADS: [(&str, Option<u32>); 2] = [("saturated", None), ("1000/s", Some(1000))];

/// What `--only` asks for of it.
pub(crate) fn chosen(only: &[String]) -> Vec<&'static str> {
    let parts = ["governed", "exactness", "runaway"];
    let wants = |part: &&str| only.is_empty() || only.iter().any(|asked| part.contains(&**asked));
    parts.into_iter().filter(wants).collect()
}

/// Measures, and tells it in Markdown.
pub(crate) fn measure(
    stage: &Stage,
    parts: &[&str],
    settings: HubSettings,
) -> anyhow::Result<String> {
    let mut told = String::new();
    for part in parts {
        told.push_str(&match *part {
            "governed" => costs(stage, settings)?,
            "exactness" => limits::exactness(stage, settings)?,
            _ => limits::runaway(stage, settings)?,
        });
    }
    Ok(told)
}

fn costs(stage: &Stage, settings: HubSettings) -> anyhow::Result<String> {
    let upstream = stage.start_upstream()?;
    let gates =
        KINDS.map(|(kind, sections)| (kind, stage.open_with(&upstream, &sections.concat())));
    let mut values = Values::new();
    for round in 0..settings.rounds {
        for era in ERAS {
            for (load, rate) in LOADS {
                tell(&format!(
                    "round {} of {}: governed, {}, {load}",
                    round + 1,
                    settings.rounds,
                    era.name()
                ));
                let mut order: Vec<usize> = (0..gates.len()).collect();
                // Another order in each round, so that none always follows the same neighbour.
                order.rotate_left(round as usize % gates.len());
                for at in order {
                    let (kind, door) = &gates[at];
                    let door =
                        door.as_ref().map_err(|error| anyhow::anyhow!("{kind}: {error:#}"))?;
                    let measured = call(stage, door, era, rate, settings)
                        .with_context(|| format!("{kind}, {}, {load}", era.name()))?;
                    keep(&mut values, (kind, era.name(), load), round, &measured);
                }
            }
        }
    }
    Ok(table(&values))
}

fn call(
    stage: &Stage,
    door: &Door,
    era: Era,
    rate: Option<u32>,
    settings: HubSettings,
) -> anyhow::Result<Value> {
    let mut args = window(settings);
    args.splice(0..0, ["calls", "--tool", "json_1k"].map(str::to_owned));
    if let Some(rate) = rate {
        args.extend(["--rate".to_owned(), rate.to_string()]);
    }
    for pid in door.pids() {
        args.extend(["--watch".to_owned(), pid.to_string()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    generate(stage, door, era.name(), &args)
}

/// The options that say how long is measured.
fn window(settings: HubSettings) -> Vec<String> {
    let millis = |seconds: f64| format!("{:.0}", seconds * 1e3);
    let (warmup, seconds) = (millis(settings.warmup), millis(settings.seconds));
    vec!["--warmup-ms".to_owned(), warmup, "--window-ms".to_owned(), seconds]
}

fn keep(
    values: &mut Values,
    (kind, era, load): (&'static str, &'static str, &'static str),
    round: u32,
    measured: &Value,
) {
    let number = |name: &str| measured[name].as_f64().unwrap_or_default();
    let mut note = |metric, value| {
        values.entry((kind, era, metric)).or_default().insert(round, value);
    };
    let cpu = number("cpu_ns") / number("calls").max(1.0) / 1e3;
    if load == "saturated" {
        note("cpu", cpu);
    } else {
        note("cpu at 1,000/s", cpu);
        note("p50", number("p50_ns") / 1e3);
    }
}

fn table(values: &Values) -> String {
    let mut text =
        "\n| tools/call, 1 KiB, µs | era | CPU per call, saturated | added | ratio | CPU at \
                    1,000/s, ratio | p50 at 1,000/s, added |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    let none = ByRound::new();
    let of = |kind, era, metric| values.get(&(kind, era, metric)).unwrap_or(&none);
    let shown = |values: &ByRound| match Spread::of(values) {
        Some(Spread { min, median, max }) => format!("{median:.2} ({min:.2}..{max:.2})"),
        None => "–".to_owned(),
    };
    for era in ERAS.map(Era::name) {
        for (kind, _) in KINDS {
            let (cpu, paced) = (of(kind, era, "cpu"), of(kind, era, "cpu at 1,000/s"));
            text.push_str(&format!(
                "| {kind} | {era} | {} | {} | {} | {} | {} |\n",
                shown(cpu),
                shown(&added(cpu, of(OFF, era, "cpu"))),
                shown(&ratios(cpu, of(OFF, era, "cpu"))),
                shown(&ratios(paced, of(OFF, era, "cpu at 1,000/s"))),
                shown(&added(of(kind, era, "p50"), of(OFF, era, "p50"))),
            ));
        }
    }
    text
}

impl Stage {
    /// Starts the gate before one upstream with more sections in its configuration.
    fn open_with(&self, upstream: &Upstream, sections: &str) -> anyhow::Result<Door> {
        let (door, _file) = self.open_configured(upstream, |_folder, listen, admin| {
            Ok(format!(
                "gate: {{ listen: \"{listen}\" }}\nadmin: {{ listen: \"{admin}\" }}\n{sections}\
                 upstreams:\n  bench: {{ era: both, http: {{ url: \"http://{}/mcp\" }} }}\n\
                 routes:\n  /mcp: {{ upstreams: [bench] }}\n",
                upstream.addr,
            ))
        })?;
        Ok(door)
    }
}
