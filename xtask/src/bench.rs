//! `cargo xtask bench`: how fast the gate is, as ratios against a direct call, a bare proxy and nginx.
//!
//! Everything runs on loopback, in interleaved rounds, and is ended by process id, also on Ctrl-C. It
//! is never part of the tests: it takes minutes and wants the machine for itself.
//!
//! In the order a reader needs them: what is measured (`cells`; `hub` for many upstreams at once; `identity` for who calls; `governed` for what
//! they may, and how much),
//! between what (`lanes`), with what (`processes`, `load`, `holding`), and what is made of it (`records`, `ratios`, `table`, `report`).

mod cells;
mod governed;
mod holding;
mod hub;
mod identity;
mod lanes;
mod load;
mod machine;
mod processes;
mod profile;
mod ratios;
mod records;
mod report;
mod table;

use crate::bench::cells::Cell;
use crate::bench::lanes::{Lane, Stage, Wanted};
use crate::bench::load::LoadSettings;
use crate::bench::records::Records;
use anyhow::Context;
use clap::Parser;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// Measures the gate against a direct call, a bare proxy and nginx.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Flags {
    /// Interleaved rounds; the spread is over them.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds measured in each cell and round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// One round of one second each: to see that everything works, not to compare.
    #[arg(long)]
    quick: bool,
    /// Only cells whose name contains this (`legacy/json_1k`, `rate-1000`, `memory`, `listening`,
    /// `hub-list`, `hub-call`, `identity`, `governed`, `exactness`, `runaway`).
    #[arg(long)]
    only: Vec<String>,
    /// Write all raw numbers to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Append the table to docs/benchmarks.md.
    #[arg(long)]
    append_history: bool,
    /// Measure this gate instead of building one.
    #[arg(long, value_name = "PATH")]
    gate_bin: Option<PathBuf>,
    /// Leave Tollgate out.
    #[arg(long)]
    skip_tollgate: bool,
    /// Record the gate with `perf` during the first of the chosen cells and print where its time goes.
    #[arg(long)]
    profile: bool,
    /// Run all that is measured in the realtime class (root): on a machine that does other work too.
    #[arg(long, conflicts_with = "profile")]
    realtime: bool,
    /// Idle sessions opened to measure their memory.
    #[arg(long, default_value_t = 10_000)]
    sessions: u32,
    /// Streams opened to measure their memory; fewer where the limit on open files is lower.
    #[arg(long, default_value_t = 10_000)]
    streams: u32,
}

/// Before each measured window, while connections and buffers find their size.
const WARMUP_SECS: f64 = 0.4;

/// Carries out `cargo xtask bench` with the arguments after its name.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let mut flags = Flags::parse_from(std::iter::once(OsString::from("bench")).chain(args));
    if flags.quick {
        (flags.rounds, flags.seconds) = (1, 1.0);
    }
    processes::end_all_on_signal()?;
    let stage = Stage::build(Wanted {
        gate_bin: flags.gate_bin.clone(),
        skip_tollgate: flags.skip_tollgate,
        for_profile: flags.profile,
        is_realtime: flags.realtime,
    })?;
    let cells = Cell::chosen(&flags.only);
    let hub = if flags.skip_tollgate { Vec::new() } else { hub::chosen(&flags.only) };
    let has_identity = !flags.skip_tollgate && identity::is_chosen(&flags.only);
    let governed = if flags.skip_tollgate { Vec::new() } else { governed::chosen(&flags.only) };
    anyhow::ensure!(
        !cells.is_empty() || !hub.is_empty() || has_identity || !governed.is_empty(),
        "no cell has a name with {:?}",
        flags.only
    );
    if flags.profile {
        return profile::run(&stage, &cells, flags.seconds);
    }
    let mut records = Records::default();
    let rounds = if cells.is_empty() { 0 } else { flags.rounds };
    for round in 0..rounds {
        measure_round(&flags, &stage, &cells, round, &mut records)?;
    }
    if cells.contains(&Cell::Listening) {
        holding::measure_listening(&stage, &mut records)?;
    }
    let (rounds, seconds) = (flags.rounds, flags.seconds);
    let settings = hub::HubSettings { rounds, seconds, warmup: WARMUP_SECS };
    let mut more = hub::measure(&stage, &hub, settings)?;
    if has_identity {
        more.push_str(&identity::measure(&stage, settings)?);
    }
    more.push_str(&governed::measure(&stage, &governed, settings)?);
    publish(&flags, &stage, (&cells, &records), &more)
}

fn measure_round(
    flags: &Flags,
    stage: &Stage,
    cells: &[Cell],
    round: u32,
    records: &mut Records,
) -> anyhow::Result<()> {
    let upstream = stage.start_upstream()?;
    // Another order in each round, so that no lane always follows the same neighbour.
    let mut lanes = stage.lanes();
    let turn = round as usize % lanes.len();
    lanes.rotate_left(turn);
    if cells.iter().any(|cell| cell.is_driven()) {
        let doors = lanes
            .iter()
            .map(|lane| stage.open(*lane, &upstream))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let settings = LoadSettings { warmup: WARMUP_SECS, window: flags.seconds, round };
        for cell in cells.iter().filter(|cell| cell.is_driven()) {
            tell(&format!("round {} of {}: {}", round + 1, flags.rounds, cell.name()));
            for door in &doors {
                load::measure(stage, door, cell, settings, records)?;
            }
        }
    }
    for lane in lanes.iter().filter(|lane| **lane != Lane::Direct) {
        if cells.iter().any(Cell::is_memory) {
            tell(&format!("round {} of {}: memory of {}", round + 1, flags.rounds, lane.name()));
            let counts = (flags.sessions, flags.streams);
            holding::measure_memory(stage, &upstream, *lane, counts, (round, records))?;
        }
    }
    Ok(())
}

fn publish(
    flags: &Flags,
    stage: &Stage,
    (cells, records): (&[Cell], &Records),
    more: &str,
) -> anyhow::Result<()> {
    let machine = machine::Machine::read(stage);
    let mut text = format!("{}\n", machine.sentence());
    if !cells.is_empty() {
        text.push_str(&format!("\n{}", table::draw(cells, records, &stage.absent())));
    }
    text.push_str(more);
    for note in stage.notes().into_iter().chain(records.notes()) {
        text.push_str(&format!("\n- {note}"));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    if let Some(path) = &flags.json {
        report::write_json(path, &machine, records)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    if flags.append_history {
        report::append_history(&stage.root().join("docs/benchmarks.md"), &machine, &text)?;
    }
    Ok(())
}

/// Progress, where it does not mix with the table.
fn tell(line: &str) {
    // Nobody to tell is no reason to stop measuring.
    let _ = writeln!(std::io::stderr(), "{line}");
}
