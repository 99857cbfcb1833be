//! Every mistake an operator can make has a report that was read by a person: see `golden/config-errors`.
//!
//! `UPDATE=1 cargo test -p tollgate config_errors` writes the reports anew; review the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config-errors")
}

fn mistaken_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// What `tollgate check` says about a file, and its exit code.
fn report(file: &Path) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["check", "--config"])
        .arg(file.file_name().unwrap())
        .current_dir(golden())
        .env_clear()
        .env("TOLLGATE_TEST_EMPTY", "")
        .env("TOLLGATE_TEST_SECRET", "hunter2")
        .output()
        .unwrap();
    assert!(output.stdout.is_empty(), "{}: a report goes to standard error", file.display());
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn config_errors_reports_are_as_reviewed() {
    let mut wrong = Vec::new();
    for file in mistaken_files() {
        let (report, code) = report(&file);
        let expected = file.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &report).unwrap();
        }
        let reviewed = std::fs::read_to_string(&expected).unwrap_or_default();
        if report != reviewed || code != Some(2) {
            wrong.push(format!("{} (exit code {code:?}):\n{report}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn config_errors_never_show_a_secret() {
    let showing: Vec<_> =
        mistaken_files().into_iter().filter(|file| report(file).0.contains("hunter2")).collect();
    assert_eq!(showing, Vec::<PathBuf>::new());
}

#[test]
fn six_mistakes_are_reported_at_once() {
    let (report, _) = report(&golden().join("six-mistakes-at-once.yaml"));
    let places: Vec<_> =
        report.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    let expected = [
        "six-mistakes-at-once.yaml:2:11",
        "six-mistakes-at-once.yaml:3:28",
        "six-mistakes-at-once.yaml:4:10",
        "six-mistakes-at-once.yaml:6:19",
        "six-mistakes-at-once.yaml:8:26",
        "six-mistakes-at-once.yaml:10:23",
    ];
    assert_eq!(places, expected);
}
