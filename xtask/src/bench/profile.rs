//! `--profile`: where the gate's CPU time goes during one cell, by symbol, with `perf`.
//!
//! Needs `perf` and the right to use it; measures nothing else in that run.
//!
//! Next: `docs/benchmarks.md`, which says how to read it.

use crate::bench::cells::Cell;
use crate::bench::lanes::{Lane, Stage};
use crate::bench::load::{LoadSettings, measure};
use crate::bench::processes::Running;
use crate::bench::records::Records;
use anyhow::Context;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Lines of the profile that are printed.
const LINES: usize = 50;

/// Profiles the gate (or the bare proxy, where there is no gate) during the first call cell.
pub(crate) fn run(stage: &Stage, cells: &[Cell], seconds: f64) -> anyhow::Result<()> {
    let cell = cells.iter().find(|cell| cell.is_driven()).context("no cell with calls chosen")?;
    let lane = if stage.gate().is_some() { Lane::Tollgate } else { Lane::Bare };
    let upstream = stage.start_upstream()?;
    let door = stage.open(lane, &upstream)?;
    let pid = door.pids().first().copied().context("no process to profile")?.to_string();
    let data = std::env::temp_dir().join(format!("tollgate-bench-{pid}.perf"));
    let mut record = Command::new("perf");
    record.args(["record", "--quiet", "-F", "1999", "-p", &pid, "-o"]).arg(&data);
    record.args(["--", "sleep", &format!("{seconds}")]).stdout(Stdio::null());
    let mut recording = Running::start(record).context("`perf` is not there")?;
    let settings = LoadSettings { warmup: 0.2, window: seconds, round: 0 };
    let mut records = Records::default();
    measure(stage, &door, cell, settings, &mut records)?;
    recording.wait_within(Duration::from_secs_f64(seconds + 10.0))?;

    let mut out = std::io::stdout().lock();
    writeln!(out, "{} during {}\n", lane.name(), cell.name())?;
    for (title, sort) in [("by object", "dso"), ("by symbol", "sym")] {
        let mut report = Command::new("perf");
        report.arg("report").arg("-i").arg(&data);
        report.args(["--stdio", "--no-children", "--sort", sort]).stderr(Stdio::null());
        let text = String::from_utf8_lossy(&report.output()?.stdout).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        writeln!(out, "{title}")?;
        for line in lines.take(LINES) {
            writeln!(out, "{line}")?;
        }
    }
    // A leftover in the folder for temporary files harms nobody.
    let _ = std::fs::remove_file(&data);
    for note in records.notes() {
        writeln!(out, "{note}")?;
    }
    Ok(())
}
