//! Everything that must hold, from cheap to dear; the README's test command and CI call this.
//!
//! Each step says how long it took; the first that fails ends the run. The tests of our own come
//! last, so that their summary is the end of the output.
//!
//! Next: `peers.rs`, `conformance.rs`, `clients.rs`, `hygiene.rs`, `tidy.rs`.

use crate::processes::{captured, shown};
use crate::{browser, clients, conformance, hygiene, peers, tidy};
use anyhow::bail;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Time for one step of cargo's; a cold build on two cores takes minutes.
const STEP: Duration = Duration::from_secs(2_400);
/// The licence checker, pinned; it is built once and kept with the peers.
const DENY_VERSION: &str = "0.20.2";

/// `cargo xtask test`.
pub(crate) fn run(root: &Path, words: &[String]) -> anyhow::Result<()> {
    if let Some(word) = words.first() {
        bail!("`test` takes no argument `{word}`");
    }
    let none: [String; 0] = [];
    step("format", || cargo(root, &["fmt", "--all", "--", "--check"], &[]))?;
    step("tidy", || tidy::run(root, &none))?;
    step("lints", || {
        let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        cargo(root, &lints, &[])
    })?;
    step("docs", || {
        let docs = ["doc", "--workspace", "--no-deps", "--locked"];
        cargo(root, &docs, &[("RUSTDOCFLAGS", "-Dwarnings")])
    })?;
    step("peers", || peers::run(root, &none))?;
    step("licences", || licences(root))?;
    step("conformance", || conformance::run(root, &none))?;
    step("clients", || clients::run(root, &none))?;
    step("browser", || browser::run(root, &none))?;
    step("hygiene", || hygiene::run(root, &none))?;
    step("doc tests", || cargo(root, &["test", "--workspace", "--doc", "--locked"], &[]))?;
    step("tests", || tests(root))
}

fn step(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("== {name}");
    let began = Instant::now();
    let done = work();
    let secs = began.elapsed().as_secs_f32();
    match done {
        Ok(()) => {
            // The last step's own summary is the last line; nothing is printed after it.
            if name != "tests" {
                println!("== {name}: done in {secs:.1} s");
            }
            Ok(())
        }
        Err(error) => Err(error.context(format!("{name} failed after {secs:.1} s"))),
    }
}

fn cargo(root: &Path, words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(words).envs(variables.iter().copied());
    shown(cargo, STEP)
}

fn licences(root: &Path) -> anyhow::Result<()> {
    let mut deny = Command::new(deny(root)?);
    deny.current_dir(root).args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    shown(deny, STEP)
}

/// The licence checker of the machine, or one built into `.peers/`.
fn deny(root: &Path) -> anyhow::Result<PathBuf> {
    let ours = root.join(".peers/bin/cargo-deny");
    for program in [ours.clone(), PathBuf::from("cargo-deny")] {
        let mut version = Command::new(&program);
        version.arg("--version");
        if captured(version, Duration::from_secs(60)).is_ok_and(|ended| ended.status.success()) {
            return Ok(program);
        }
    }
    println!("building cargo-deny {DENY_VERSION} into .peers/ (once) ...");
    let home = root.join(".peers").display().to_string();
    cargo(
        root,
        &[
            "install",
            "cargo-deny",
            "--version",
            DENY_VERSION,
            "--locked",
            "--quiet",
            "--root",
            &home,
        ],
        // Its speed does not matter, and an optimised build takes several times as long.
        &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"), ("CARGO_PROFILE_RELEASE_LTO", "off")],
    )?;
    Ok(ours)
}

fn tests(root: &Path) -> anyhow::Result<()> {
    let mut nextest = Command::new("cargo-nextest");
    nextest.args(["nextest", "--version"]);
    if captured(nextest, Duration::from_secs(60)).is_ok_and(|ended| ended.status.success()) {
        let words = ["nextest", "run", "--workspace", "--locked", "--no-tests", "pass"];
        return cargo(root, &[&words[..], &["--status-level", "fail"]].concat(), &[]);
    }
    cargo_test(root)
}

/// `cargo test` prints one summary for each program; their sum is printed at the end.
fn cargo_test(root: &Path) -> anyhow::Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo.args(["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"]);
    let ended = captured(cargo, STEP)?;
    print!("{}", ended.output);
    eprint!("{}", ended.errors);
    let [passed, failed] = [" passed", " failed"].map(|word| sum(&ended.output, word));
    println!("{passed} passed, {failed} failed");
    if !ended.status.success() {
        bail!("cargo test failed: {}", ended.status);
    }
    Ok(())
}

/// Adds the numbers before `word` in lines such as `test result: ok. 3 passed; 0 failed; ...`.
fn sum(output: &str, word: &str) -> u64 {
    let results = output.lines().filter(|line| line.starts_with("test result:"));
    let counts = results.filter_map(|line| {
        let (before, _) = line.split_once(word)?;
        before.rsplit([' ', '.', ';']).next()?.parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_all_programs_are_added() {
        let output = "test result: ok. 3 passed; 1 failed; 0 ignored\nnoise 9 passed\n\
                      test result: ok. 4 passed; 0 failed; 0 ignored\n";
        assert_eq!((sum(output, " passed"), sum(output, " failed")), (7, 1));
    }
}
