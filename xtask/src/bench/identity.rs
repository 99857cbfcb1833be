//! What it costs to know who calls (`identity`): a call without identity, with tokens that are
//! remembered, and with tokens that are not.
//!
//! Two gates, one with identity and one without, are measured in turns within a round, so that their
//! ratio is of one moment of the machine. Calls are modern: those have no sessions, which belong to
//! one principal. Tokens are signed here beforehand; the issuer that is asked about opaque ones
//! answers from a thread of this process.
//!
//! Next: `identity/credentials.rs` (what is sent), `ratios.rs` (spreads).

pub(crate) mod credentials;

use crate::bench::cells::Era;
use crate::bench::hub::HubSettings;
use crate::bench::identity::credentials::Credentials;
use crate::bench::lanes::{Door, Stage, Upstream};
use crate::bench::load::generate;
use crate::bench::ratios::{ByRound, Spread, added, ratios};
use crate::bench::tell;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeMap;

/// By kind and metric: the values of all rounds.
type Values = BTreeMap<(&'static str, &'static str), ByRound>;

/// Kinds of calls: what they carry, and whether each token is new.
const KINDS: [(&str, bool); 7] = [
    ("no identity", false),
    ("JWT, one agent", false),
    ("JWT, 1,000 agents", false),
    ("opaque token", false),
    ("API key", false),
    ("ES256, each new", true),
    ("RS256, each new", true),
];
/// Loads, and the metric that tells of them.
const LOADS: [&str; 2] = ["saturated", "1000/s"];
/// The gate without identity: what everything is compared with.
const OFF: &str = KINDS[0].0;

/// Whether `--only` asks for it.
pub(crate) fn is_chosen(only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|part| "identity".contains(&**part))
}

/// Measures, and tells it in Markdown.
pub(crate) fn measure(stage: &Stage, settings: HubSettings) -> anyhow::Result<String> {
    let upstream = stage.start_upstream()?;
    let (off, on) = (stage.open_plain(&upstream)?, stage.open_identified(&upstream, "")?);
    let credentials = Credentials::make(&on)?;
    let mut values = Values::new();
    for round in 0..settings.rounds {
        for load in LOADS {
            tell(&format!("round {} of {}: identity, {load}", round + 1, settings.rounds));
            let mut kinds = KINDS;
            // Another order in each round, so that none always follows the same neighbour.
            kinds.rotate_left(round as usize % KINDS.len());
            for (kind, is_new) in kinds {
                let door = if kind == OFF { &off } else { &on.door };
                // Fresh ones are made for each measurement: those sent before are remembered.
                let tokens = credentials.file(kind, is_new)?;
                let measured = call(stage, door, load, (tokens.as_deref(), is_new), settings)
                    .with_context(|| format!("{kind}, {load}"))?;
                keep(&mut values, (kind, load), round, &measured);
            }
        }
    }
    Ok(table(&values))
}

fn call(
    stage: &Stage,
    door: &Door,
    load: &str,
    (tokens, is_new): (Option<&str>, bool),
    settings: HubSettings,
) -> anyhow::Result<Value> {
    let millis = |seconds: f64| format!("{:.0}", seconds * 1e3);
    let mut args: Vec<String> = Vec::new();
    if let Some(tokens) = tokens {
        args.extend(["--tokens".to_owned(), tokens.to_owned()]);
    }
    if is_new {
        args.push("--fresh".to_owned());
    }
    args.extend(["calls", "--tool", "json_1k", "--warmup-ms"].map(str::to_owned));
    args.extend([millis(settings.warmup), "--window-ms".to_owned(), millis(settings.seconds)]);
    if load != "saturated" {
        args.extend(["--rate".to_owned(), "1000".to_owned()]);
    }
    for pid in door.pids() {
        args.extend(["--watch".to_owned(), pid.to_string()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    generate(stage, door, Era::Modern.name(), &args)
}

fn keep(
    values: &mut Values,
    (kind, load): (&'static str, &'static str),
    round: u32,
    measured: &Value,
) {
    let number = |name: &str| measured[name].as_f64().unwrap_or_default();
    let mut note = |metric, value| {
        values.entry((kind, metric)).or_default().insert(round, value);
    };
    let cpu = number("cpu_ns") / number("calls").max(1.0) / 1e3;
    if load == "saturated" {
        note("cpu", cpu);
    } else {
        note("cpu at 1,000/s", cpu);
        note("p50", number("p50_ns") / 1e3);
        note("p99", number("p99_ns") / 1e3);
    }
}

fn table(values: &Values) -> String {
    let mut text = "\n| tools/call with identity, modern, µs | CPU per call, saturated | added | \
                    ratio | CPU at 1,000/s, ratio | p50 at 1,000/s, added |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    let none = ByRound::new();
    let of = |kind, metric| values.get(&(kind, metric)).unwrap_or(&none);
    let shown = |values: &ByRound| match Spread::of(values) {
        Some(Spread { min, median, max }) => format!("{median:.2} ({min:.2}..{max:.2})"),
        None => "–".to_owned(),
    };
    for (kind, _) in KINDS {
        let (cpu, paced) = (of(kind, "cpu"), of(kind, "cpu at 1,000/s"));
        text.push_str(&format!(
            "| {kind} | {} | {} | {} | {} | {} |\n",
            shown(cpu),
            shown(&added(cpu, of(OFF, "cpu"))),
            shown(&ratios(cpu, of(OFF, "cpu"))),
            shown(&ratios(paced, of(OFF, "cpu at 1,000/s"))),
            shown(&added(of(kind, "p50"), of(OFF, "p50"))),
        ));
    }
    text
}

/// The gate with identity.
#[derive(Debug)]
pub(crate) struct Governed {
    /// Where it is called.
    pub(crate) door: Door,
    /// Its configuration, which lies in a folder of its own with the key sets.
    pub(crate) config: std::path::PathBuf,
    /// Its program.
    pub(crate) program: std::path::PathBuf,
    /// The issuers' keys.
    pub(crate) issuers: credentials::Issuers,
}

impl Stage {
    fn open_plain(&self, upstream: &Upstream) -> anyhow::Result<Door> {
        self.open(crate::bench::lanes::Lane::Tollgate, upstream)
    }

    /// Starts a gate with identity, and with more sections in its configuration.
    pub(crate) fn open_identified(
        &self,
        upstream: &Upstream,
        sections: &str,
    ) -> anyhow::Result<Governed> {
        let issuers = credentials::Issuers::start()?;
        let program = self.gate().context("there is no gate")?.to_owned();
        let (door, config) = self.open_configured(upstream, |folder, listen, admin| {
            issuers.write(folder)?;
            Ok(format!(
                "gate: {{ listen: \"{listen}\" }}\nadmin: {{ listen: \"{admin}\" }}\n{}{sections}upstreams:\n  \
                 bench: {{ era: both, http: {{ url: \"http://{}/mcp\" }} }}\nroutes:\n  \
                 /mcp: {{ upstreams: [bench] }}\n",
                issuers.section(),
                upstream.addr,
            ))
        })?;
        Ok(Governed { door, config, program, issuers })
    }
}
