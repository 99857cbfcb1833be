//! The house rules that neither the compiler nor clippy keeps. Each complaint names the file, the
//! line and the rule.
//!
//! Exceptions to the length of files stand in `xtask/ratchet.txt` with their reason, and may only
//! shrink. There are no other exceptions.
//!
//! Next: `tidy/floors.rs` (who may depend on whom), `tidy/text.rs` (what may stand in a file),
//! `tidy/commands.rs` (the README's two commands).

mod commands;
mod floors;
mod text;

use crate::processes::captured;
use anyhow::{Context, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Production lines a file may have.
const LINES_MAX: usize = 400;
/// Where longer files are listed: path, lines, reason.
const RATCHET: &str = "xtask/ratchet.txt";

/// `cargo xtask tidy`.
pub(crate) fn run(root: &Path, words: &[String]) -> anyhow::Result<()> {
    if let Some(word) = words.first() {
        bail!("`tidy` takes no argument `{word}`");
    }
    let files = files(root)?;
    let mut complaints = floors::complaints(root)?;
    complaints.extend(commands::complaints(root));
    let mut lengths = Vec::new();
    for file in &files {
        complaints.extend(text::name(file));
        let Ok(content) = std::fs::read_to_string(root.join(file)) else { continue };
        complaints.extend(text::anywhere(file, &content));
        if file.ends_with(".rs") {
            complaints.extend(text::rust(file, &content));
            lengths.push((file.as_str(), text::production(file, &content).lines().count()));
        }
    }
    let ratchet = std::fs::read_to_string(root.join(RATCHET)).context(RATCHET)?;
    complaints.extend(too_long(&lengths, &ratchet));
    if complaints.is_empty() {
        println!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    bail!("tidy:\n  {}", complaints.join("\n  "))
}

/// What git tracks, or would.
fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = captured(git, Duration::from_secs(60))?;
    if !listed.status.success() {
        bail!("tidy needs git to know which files are ours: {}", listed.errors);
    }
    let mut files: Vec<String> = listed.output.lines().map(str::to_owned).collect();
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

fn too_long(lengths: &[(&str, usize)], ratchet: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut excused = Vec::new();
    for entry in ratchet.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = entry.splitn(3, ' ');
        let (path, lines, reason) = (parts.next(), parts.next(), parts.next());
        let lines = lines.and_then(|lines| lines.parse::<usize>().ok());
        let (Some(path), Some(lines), Some(_)) = (path, lines, reason) else {
            complaints.push(format!("{RATCHET}: `{entry}` is not `PATH LINES REASON`"));
            continue;
        };
        excused.push((path, lines));
        match lengths.iter().find(|(file, _)| *file == path) {
            None => complaints.push(format!("{RATCHET}: {path} is gone; remove the entry")),
            Some((_, now)) if *now < lines => complaints.push(format!(
                "{RATCHET}: {path} has {now} lines now; lower or remove the entry of {lines}"
            )),
            Some(_) => {}
        }
    }
    for (file, lines) in lengths {
        let excuse = excused.iter().find(|(path, _)| path == file).map(|(_, lines)| *lines);
        let allowed = excuse.unwrap_or(LINES_MAX);
        if *lines > allowed {
            complaints.push(format!("{file} has {lines} production lines; {allowed} are allowed"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_without_an_entry_is_a_complaint() {
        assert_eq!(too_long(&[("a.rs", 401)], "").len(), 1);
    }

    #[test]
    fn a_long_file_with_an_entry_of_its_length_is_excused() {
        assert!(too_long(&[("a.rs", 450)], "a.rs 450 one table").is_empty());
    }

    #[test]
    fn an_entry_must_shrink_with_its_file() {
        assert_eq!(too_long(&[("a.rs", 420)], "a.rs 450 one table").len(), 1);
    }

    #[test]
    fn an_entry_without_a_reason_is_a_complaint() {
        assert_eq!(too_long(&[("a.rs", 10)], "a.rs 450").len(), 1);
    }
}
