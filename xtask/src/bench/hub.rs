//! Many upstreams on one route: what lists cost (`hub-list`), and what a call costs more than on a
//! route with one upstream (`hub-call`).
//!
//! One upstream process stands for all of them, told apart by path. Both routes are served by one and
//! the same gate, in turns within a round, so that their ratio is of one moment of the machine.
//!
//! Next: `ratios.rs` (spreads), `lanes.rs` (how programs are placed).

use crate::bench::cells::Era;
use crate::bench::holding::resident_kib;
use crate::bench::lanes::{Door, Stage};
use crate::bench::load::generate;
use crate::bench::ratios::{ByRound, Spread, ratios};
use crate::bench::tell;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Upstreams on the route.
const UPSTREAMS: usize = 200;
/// Tools of each.
const TOOLS: u64 = 50;
/// Time for the gate to have learnt every list.
const COMPLETE: Duration = Duration::from_secs(60);
/// What a call on the hub may cost, compared with one on a route with one upstream.
const CALL_GOAL: f64 = 1.10;
const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HubSettings {
    /// Interleaved rounds.
    pub(crate) rounds: u32,
    /// Seconds of each window.
    pub(crate) seconds: f64,
    /// Seconds before it.
    pub(crate) warmup: f64,
}

/// The two measurements, by the names that `--only` has for them.
pub(crate) fn chosen(only: &[String]) -> Vec<&'static str> {
    let all = ["hub-list", "hub-call"];
    let wanted = |name: &&str| only.is_empty() || only.iter().any(|part| name.contains(&**part));
    all.into_iter().filter(wanted).collect()
}

/// Measures what was chosen, and tells it in Markdown.
pub(crate) fn measure(
    stage: &Stage,
    chosen: &[&str],
    settings: HubSettings,
) -> anyhow::Result<String> {
    let mut text = String::new();
    if chosen.contains(&"hub-list") {
        text.push_str(&lists(stage, settings)?);
    }
    if chosen.contains(&"hub-call") {
        text.push_str(&calls(stage, settings)?);
    }
    Ok(text)
}

fn lists(stage: &Stage, settings: HubSettings) -> anyhow::Result<String> {
    let crowd = stage.start_crowd(TOOLS)?;
    let mut text = format!(
        "\n| {UPSTREAMS} upstreams, {TOOLS} tools each | tools | pages | MiB | page p50, ms | \
         page p99, ms | list p50, ms | list p99, ms |\n|---|---|---|---|---|---|---|---|\n"
    );
    let begun = Instant::now();
    let door = stage.open_hub(&crowd, UPSTREAMS)?;
    let listening = begun.elapsed();
    let before = resident_kib(&door)?;
    let wanted = TOOLS * UPSTREAMS as u64;
    let mut attempts = 0;
    let first = loop {
        attempts += 1;
        let listed = generate(stage, &door, "modern", &["--path", "/all", "lists"])?;
        if listed["tools"] == wanted {
            break begun.elapsed();
        }
        anyhow::ensure!(
            begun.elapsed() < COMPLETE,
            "the list has {} of {wanted} tools after {} s",
            listed["tools"],
            COMPLETE.as_secs()
        );
    };
    let learnt = resident_kib(&door)?;
    let window = format!("{:.0}", settings.seconds * 1e3);
    for round in 0..settings.rounds {
        for era in ERAS {
            tell(&format!("round {} of {}: hub-list {}", round + 1, settings.rounds, era.name()));
            let args = ["--path", "/all", "lists", "--least", "5", "--window-ms", &window];
            let listed = generate(stage, &door, era.name(), &args)?;
            text.push_str(&list_row(era, &listed));
        }
    }
    let after = resident_kib(&door)?;
    text.push_str(&format!(
        "\nListening after {:.0} ms, first complete list {:.0} ms after the start ({attempts} \
         attempts). Resident: {:.1} MiB listening, {:.1} MiB with all lists, {:.1} MiB after the \
         load.\n",
        listening.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3,
        before / 1024.0,
        learnt / 1024.0,
        after / 1024.0
    ));
    Ok(text)
}

fn list_row(era: Era, listed: &Value) -> String {
    let number = |name: &str| listed[name].as_f64().unwrap_or_default();
    let millis = |name: &str| format!("{:.2}", number(name) / 1e6);
    format!(
        "| {} | {} | {} | {:.2} | {} | {} | {} | {} |\n",
        era.name(),
        listed["tools"],
        listed["pages"],
        number("bytes") / 1024.0 / 1024.0,
        millis("page_p50_ns"),
        millis("page_p99_ns"),
        millis("list_p50_ns"),
        millis("list_p99_ns")
    )
}

/// A route of the gate, and what tools are called there.
const ROUTES: [(&str, &str, &str); 3] =
    [("one upstream", "/one", ""), ("two", "/two", "u000__"), ("200", "/all", "u000__")];
/// Metrics of one measurement, as the generator names them.
const METRICS: [&str; 3] = ["cpu", "p50_ns", "p99_ns"];

/// By era, load, route and metric: the values of all rounds.
type Values = BTreeMap<(&'static str, &'static str, &'static str, &'static str), ByRound>;

fn calls(stage: &Stage, settings: HubSettings) -> anyhow::Result<String> {
    let crowd = stage.start_crowd(TOOLS)?;
    let door = stage.open_hub(&crowd, UPSTREAMS)?;
    let direct = Door::to(&crowd);
    let mut values = Values::new();
    for round in 0..settings.rounds {
        for era in ERAS {
            tell(&format!("round {} of {}: hub-call {}", round + 1, settings.rounds, era.name()));
            for load in ["saturated", "1000/s"] {
                let mut routes = ROUTES.to_vec();
                // Another order in each round, so that none always follows the same neighbour.
                routes.rotate_left(round as usize % ROUTES.len());
                for (name, path, prefix) in routes {
                    let path = ["--path", path, "--prefix", prefix];
                    let measured = call(stage, &door, (era, load), path, settings)?;
                    keep(&mut values, (era.name(), load, name), round, &measured);
                }
                let measured = call(
                    stage,
                    &direct,
                    (era, load),
                    ["--path", "/u000", "--prefix", ""],
                    settings,
                );
                if let Ok(measured) = measured {
                    keep(&mut values, (era.name(), load, "direct"), round, &measured);
                }
            }
        }
    }
    Ok(call_table(&values))
}

fn call(
    stage: &Stage,
    door: &Door,
    (era, load): (Era, &str),
    path: [&str; 4],
    settings: HubSettings,
) -> anyhow::Result<Value> {
    let millis = |seconds: f64| format!("{:.0}", seconds * 1e3);
    let mut args: Vec<String> = path.map(str::to_owned).to_vec();
    args.extend(["calls", "--tool", "json_1k", "--warmup-ms"].map(str::to_owned));
    args.extend([millis(settings.warmup), "--window-ms".to_owned(), millis(settings.seconds)]);
    if load != "saturated" {
        args.extend(["--rate".to_owned(), "1000".to_owned()]);
    }
    for pid in door.pids() {
        args.extend(["--watch".to_owned(), pid.to_string()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    generate(stage, door, era.name(), &args).with_context(|| format!("{} {path:?}", era.name()))
}

fn keep(
    values: &mut Values,
    (era, load, route): (&'static str, &'static str, &'static str),
    round: u32,
    measured: &Value,
) {
    let number = |name: &str| measured[name].as_f64().unwrap_or_default();
    for metric in METRICS {
        let value = match metric {
            "cpu" => number("cpu_ns") / number("calls").max(1.0) / 1e3,
            other => number(other) / 1e3,
        };
        values.entry((era, load, route, metric)).or_default().insert(round, value);
    }
}

fn call_table(values: &Values) -> String {
    let mut text =
        "\n| tools/call, µs | direct | one upstream | two | 200 | 200/one | goal | met? \
                    |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    let none = ByRound::new();
    for era in ERAS.map(Era::name) {
        for (load, metric, title) in [
            ("saturated", "cpu", "CPU per call, saturated"),
            ("1000/s", "cpu", "CPU per call at 1,000/s"),
            ("1000/s", "p50_ns", "p50 at 1,000/s"),
            ("1000/s", "p99_ns", "p99 at 1,000/s"),
        ] {
            let of = |route| values.get(&(era, load, route, metric)).unwrap_or(&none);
            let middle = |route| match Spread::of(of(route)) {
                Some(spread) if spread.median > 0.0 => format!("{:.1}", spread.median),
                _ => "–".to_owned(),
            };
            let ratio = Spread::of(&ratios(of("200"), of("one upstream")));
            let (ratio, met) = match ratio {
                Some(Spread { min, median, max }) => (
                    format!("{median:.2} ({min:.2}..{max:.2})"),
                    if median <= CALL_GOAL { "yes" } else { "no" },
                ),
                None => ("–".to_owned(), "–"),
            };
            let (goal, met) = match metric {
                "cpu" => (format!("≤ {CALL_GOAL:.2}"), met),
                _ => (String::new(), ""),
            };
            text.push_str(&format!(
                "| {era} {title} | {} | {} | {} | {} | {ratio} | {goal} | {met} |\n",
                middle("direct"),
                middle("one upstream"),
                middle("two"),
                middle("200"),
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_names_choose_measurements() {
        assert_eq!(chosen(&["hub-c".to_owned()]), ["hub-call"]);
        assert_eq!(chosen(&["legacy".to_owned()]), Vec::<&str>::new());
        assert_eq!(chosen(&[]).len(), 2);
    }

    #[test]
    fn the_goal_is_judged_by_the_median_ratio_of_rounds() {
        let mut values = Values::new();
        for (round, one, all) in [(0, 10.0, 10.5), (1, 20.0, 25.0), (2, 10.0, 10.9)] {
            values
                .entry(("legacy", "saturated", "one upstream", "cpu"))
                .or_default()
                .insert(round, one);
            values.entry(("legacy", "saturated", "200", "cpu")).or_default().insert(round, all);
        }
        let table = call_table(&values);
        assert!(table.contains("| 1.09 (1.05..1.25) | ≤ 1.10 | yes |"), "{table}");
    }
}
