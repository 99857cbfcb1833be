//! Where results go besides the terminal: a JSON file with every number, and the history.
//!
//! History is only appended to. The JSON file is written whole or not at all.
//!
//! Next: `docs/benchmarks.md`, the history itself.

use crate::bench::machine::Machine;
use crate::bench::records::Records;
use anyhow::Context;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Writes every number with the machine it was measured on.
pub(crate) fn write_json(path: &Path, machine: &Machine, records: &Records) -> anyhow::Result<()> {
    let whole = serde_json::json!({ "machine": machine, "records": records });
    let beside = path.with_extension("part");
    fs::write(&beside, serde_json::to_vec_pretty(&whole)?)?;
    Ok(fs::rename(&beside, path)?)
}

/// Appends a section to the history.
pub(crate) fn append_history(path: &Path, machine: &Machine, text: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path).context("docs/benchmarks.md")?;
    writeln!(file, "\n## {}, commit {}\n\n{text}", machine.day, machine.commit)?;
    Ok(())
}
