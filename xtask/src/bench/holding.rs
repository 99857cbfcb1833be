//! What a proxy costs while nothing happens: memory at rest, per session, per stream; time to start.
//!
//! Resident memory is that of all its processes together. Each figure is taken on a fresh process,
//! after a small warm-up of the same kind, so that first-time buffers are not charged to sessions.
//!
//! Next: `records.rs`.

use crate::bench::cells::Cell;
use crate::bench::lanes::{Door, Lane, Stage, Upstream};
use crate::bench::load::generate;
use crate::bench::processes::Running;
use crate::bench::records::Records;
use anyhow::Context;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

/// Starts timed on each lane.
const STARTS: u32 = 10;
/// Sessions, and streams, opened before counting.
const WARMUP: u32 = 64;
/// Time for buffers to be given back before memory is read.
const SETTLING: Duration = Duration::from_millis(400);

/// Measures memory of one lane; counts are of sessions and of streams.
pub(crate) fn measure_memory(
    stage: &Stage,
    upstream: &Upstream,
    lane: Lane,
    (sessions, streams): (u32, u32),
    (round, records): (u32, &mut Records),
) -> anyhow::Result<()> {
    let at = |cell: &Cell| cell.name();
    match measure_sessions(stage, upstream, lane, sessions) {
        Ok((idle, session)) => {
            records.keep_one((&at(&Cell::Idle), lane, round), "mib", idle);
            records.keep_one((&at(&Cell::Session), lane, round), "kib", session);
        }
        Err(error) => records.fail((&at(&Cell::Session), lane, round), format!("{error:#}")),
    }
    let count = streams.min(stage.streams_max());
    if count < streams {
        records.remark(format!(
            "{count} streams instead of {streams}: the limit on open files does not allow more"
        ));
    }
    match measure_streams(stage, upstream, lane, count) {
        Ok(stream) => records.keep_one((&at(&Cell::Stream), lane, round), "kib", stream),
        Err(error) => records.fail((&at(&Cell::Stream), lane, round), format!("{error:#}")),
    }
    Ok(())
}

/// MiB at rest, and KiB per session.
fn measure_sessions(
    stage: &Stage,
    upstream: &Upstream,
    lane: Lane,
    count: u32,
) -> anyhow::Result<(f64, f64)> {
    let door = stage.open(lane, upstream)?;
    std::thread::sleep(SETTLING);
    let idle = resident_kib(&door)?;
    let open =
        |count: u32| generate(stage, &door, "legacy", &["sessions", "--count", &count.to_string()]);
    open(WARMUP)?;
    std::thread::sleep(SETTLING);
    let before = resident_kib(&door)?;
    open(count)?;
    std::thread::sleep(SETTLING);
    let after = resident_kib(&door)?;
    Ok((idle / 1024.0, (after - before) / f64::from(count)))
}

/// KiB per open stream, the session it belongs to included.
fn measure_streams(
    stage: &Stage,
    upstream: &Upstream,
    lane: Lane,
    count: u32,
) -> anyhow::Result<f64> {
    let door = stage.open(lane, upstream)?;
    drop(hold_streams(stage, &door, WARMUP)?);
    std::thread::sleep(SETTLING);
    let before = resident_kib(&door)?;
    let held = hold_streams(stage, &door, count)?;
    std::thread::sleep(SETTLING);
    let after = resident_kib(&door)?;
    drop(held);
    Ok((after - before) / f64::from(count))
}

fn hold_streams(stage: &Stage, door: &Door, count: u32) -> anyhow::Result<Running> {
    let mut command = stage.load();
    command.args(["--addr", &door.addr.to_string(), "streams", "--count", &count.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command)?;
    let mut line = String::new();
    if let Some(output) = running.take_output() {
        // The generator gives up by itself after two minutes, which ends this read.
        BufReader::new(output).read_line(&mut line)?;
    }
    anyhow::ensure!(line.trim() == "ready", "{}", running.error_text());
    Ok(running)
}

/// Resident memory of all processes behind a door.
pub(crate) fn resident_kib(door: &Door) -> anyhow::Result<f64> {
    door.pids().iter().try_fold(0.0, |sum, pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(sum + kib.context("no VmRSS: memory is only measured on Linux")?)
    })
}

/// Times the start of every lane, ten times in turn.
pub(crate) fn measure_listening(stage: &Stage, records: &mut Records) -> anyhow::Result<()> {
    let upstream = stage.start_upstream()?;
    let name = Cell::Listening.name();
    for start in 0..STARTS {
        for lane in stage.lanes().into_iter().filter(|lane| *lane != Lane::Direct) {
            let at = (name.as_str(), lane, start);
            match stage.time_to_listen(lane, &upstream) {
                Ok(time) => records.keep_one(at, "ms", time.as_secs_f64() * 1e3),
                Err(error) => records.fail(at, format!("{error:#}")),
            }
        }
    }
    Ok(())
}
