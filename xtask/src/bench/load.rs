//! Drives one cell on one lane with the load generator and keeps what it measured.
//!
//! A measurement that fails (a wrong reply, a closed connection) is kept as a failure and the run
//! goes on. The upstream's own count must agree with the generator's: no call may be answered by
//! something else, or be sent twice.
//!
//! Next: `holding.rs`.

use crate::bench::cells::{Cell, Rate, Shape};
use crate::bench::lanes::{Door, Stage, get};
use crate::bench::processes::Running;
use crate::bench::records::Records;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

/// The times of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadSettings {
    /// Seconds before the window.
    pub(crate) warmup: f64,
    /// Seconds of the window.
    pub(crate) window: f64,
    /// The round, from 0.
    pub(crate) round: u32,
}

/// Streams read to measure the first byte.
const FIRST_BYTES: u32 = 40;
/// How long the generator may take beyond its window.
const GRACE: Duration = Duration::from_secs(150);

/// Measures `cell` through `door` and keeps the result.
pub(crate) fn measure(
    stage: &Stage,
    door: &Door,
    cell: &Cell,
    settings: LoadSettings,
    records: &mut Records,
) -> anyhow::Result<()> {
    let name = cell.name();
    let at = (name.as_str(), door.lane, settings.round);
    let measured = match cell {
        Cell::Calls(shape, rate) => calls(stage, door, (*shape, *rate), settings),
        Cell::FirstByte(era) => {
            let count = FIRST_BYTES.to_string();
            generate(stage, door, era.name(), &["first-byte", "--count", &count])
                .map(|raw| latencies(&raw))
        }
        Cell::Idle | Cell::Session | Cell::Stream | Cell::Listening => return Ok(()),
    };
    match measured {
        Ok(values) => {
            if values.get("rewritten").is_some_and(|rewritten| *rewritten > 0.0) {
                records.remark(format!("{} writes replies its own way", door.lane.name()));
            }
            records.keep(at, values);
        }
        Err(error) => records.fail(at, format!("{error:#}")),
    }
    Ok(())
}

fn calls(
    stage: &Stage,
    door: &Door,
    (shape, rate): (Shape, Rate),
    settings: LoadSettings,
) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut args = vec!["calls".to_owned(), "--tool".to_owned(), shape.tool.to_owned()];
    let millis = |seconds: f64| format!("{:.0}", seconds * 1e3);
    args.extend(["--warmup-ms".to_owned(), millis(settings.warmup)]);
    args.extend(["--window-ms".to_owned(), millis(settings.window)]);
    if let Rate::PerSecond(rate) = rate {
        args.extend(["--rate".to_owned(), rate.to_string()]);
    }
    for pid in door.pids() {
        args.extend(["--watch".to_owned(), pid.to_string()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let before = calls_seen(door)?;
    let raw = generate(stage, door, shape.era.name(), &args)?;
    let seen = calls_seen(door)? - before;
    let made = number(&raw, "calls_in_all");
    anyhow::ensure!(seen == made, "{made} calls were made, but the upstream saw {seen}");

    let (calls, window_ns) = (number(&raw, "calls"), number(&raw, "window_ns"));
    anyhow::ensure!(calls > 0.0, "no call was completed");
    let mut values = latencies(&raw);
    values.insert("calls_per_s".to_owned(), calls * 1e9 / window_ns);
    if !door.pids().is_empty() {
        values.insert("cpu_s_per_10k".to_owned(), number(&raw, "cpu_ns") / 1e9 / calls * 1e4);
    }
    values.insert("rewritten".to_owned(), number(&raw, "rewritten"));
    values.insert("reconnects".to_owned(), number(&raw, "reconnects"));
    Ok(values)
}

/// Runs the generator to its end and reads its line.
pub(crate) fn generate(
    stage: &Stage,
    door: &Door,
    era: &str,
    args: &[&str],
) -> anyhow::Result<Value> {
    let mut command = stage.load();
    command.args(["--addr", &door.addr.to_string(), "--era", era]).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command)?;
    let ended_well = running.wait_within(GRACE)?;
    let mut text = String::new();
    if let Some(mut output) = running.take_output() {
        output.read_to_string(&mut text)?;
    }
    anyhow::ensure!(ended_well, "{}", running.error_text());
    serde_json::from_str(&text).context("the load generator's line")
}

fn latencies(raw: &Value) -> BTreeMap<String, f64> {
    ["p50", "p99", "p999", "max"]
        .iter()
        .filter_map(|name| Some((format!("{name}_us"), raw[format!("{name}_ns")].as_f64()? / 1e3)))
        .collect()
}

fn calls_seen(door: &Door) -> anyhow::Result<f64> {
    let reply = get(door.upstream, "/stats")?;
    let (_, body) = reply.split_once("\r\n\r\n").context("the upstream's /stats")?;
    Ok(number(&serde_json::from_str(body)?, "calls"))
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or(0.0)
}
