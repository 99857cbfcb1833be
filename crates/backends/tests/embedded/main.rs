//! What only a file can do wrong: several processes at once, a kill in the middle, no space, the
//! wrong mode, and files that are something else.
//!
//! Next: `races.rs`, `crashes.rs`, `files.rs`.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

mod crashes;
mod files;
mod races;
mod scene;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program on a store file: `examples/store_child.rs`, which cargo builds for tests.
fn child(words: &[&str]) -> Command {
    let mut path = std::env::current_exe().expect("a path");
    path.pop();
    path.pop();
    path.push("examples/store_child");
    assert!(path.exists(), "examples are built only where no single test is chosen with `--test`");
    let mut command = Command::new(path);
    command.args(words);
    command
}

/// The same, with a line of shell before it.
fn child_after(shell: &str, words: &[&str]) -> Command {
    let child = child(words);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell}; exec \"$0\" \"$@\"")]).arg(child.get_program());
    command.args(words);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", text(path)))
}

/// The file as any other program of SQLite sees it.
async fn raw(path: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.expect("a connection")
}

async fn run(path: &Path, sql: &'static str) {
    let mut line = raw(path).await;
    sqlx::raw_sql(sql).execute(&mut line).await.expect("it runs");
    line.close().await.expect("it closes");
}
