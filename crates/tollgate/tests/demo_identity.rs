//! `tollgate demo --identity`: the lines it prints do what they say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// The demonstration on a free port, with what it printed. It is told to stop when dropped.
struct Demo {
    child: Child,
    text: String,
}

impl Demo {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["demo", "--identity", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut text = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // Written at once; the last paragraph ends it.
        while !text.contains("Make it yours") {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "the demonstration ended:\n{text}");
        }
        Self { child, text }
    }

    /// The printed line that holds this, as it would be pasted.
    fn line(&self, part: &str) -> &str {
        let found = self.text.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no line with `{part}` in\n{}", self.text)).trim()
    }

    /// The part of the text between two others.
    fn between(&self, before: &str, after: &str) -> &str {
        self.text.split(before).nth(1).unwrap().split(after).next().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked first, since only then does it remove what it stored.
        if matches!(self.child.try_wait(), Ok(None)) {
            shell(&format!("kill -TERM {}", self.child.id()));
        }
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && since.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It ended by itself where this fails.
        let _ = self.child.kill();
    }
}

/// Runs lines in a shell, with this build's `tollgate` found by its name.
fn shell(script: &str) -> String {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_tollgate"));
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new("/bin/sh").args(["-c", script]).env("PATH", path).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_printed_lines_let_an_agent_in_and_nobody_else() {
    let demo = Demo::start();
    let token = demo.line("TOKEN=$(curl");
    let call = demo.line("Authorization: Bearer $TOKEN");
    let answer = shell(&format!("{token}\n{call}"));
    assert!(answer.contains("counted by demo-"), "{answer}");

    let refused = shell(demo.line("curl -sS -i"));
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.to_ascii_lowercase().contains("resource_metadata="), "{refused}");

    // Cut off, the token that was good a moment ago is so no more, within a second.
    let held = shell(&format!("{token}\necho $TOKEN"));
    let call = format!("TOKEN={}\n{call}", held.trim());
    assert!(shell(&call).contains("counted by demo-"));
    let revoked = shell(demo.line("tollgate agents revoke"));
    assert!(revoked.contains("agent `demo` revoked"), "{revoked}");
    let since = Instant::now();
    while shell(&call).contains("counted by demo-") {
        assert!(since.elapsed() < PATIENCE, "the agent is still let in");
    }
    shell(demo.line("tollgate agents restore"));
    while !shell(&call).contains("counted by demo-") {
        assert!(since.elapsed() < PATIENCE, "the agent is not let in again");
    }
}

#[test]
fn the_demonstration_leaves_nothing_behind() {
    let mut demo = Demo::start();
    let file = demo.between("agents revoke demo --config ", "\n").to_owned();
    assert!(std::path::Path::new(&file).exists(), "{file}");
    shell(&format!("kill -TERM {}", demo.child.id()));
    let since = Instant::now();
    while demo.child.try_wait().unwrap().is_none() {
        assert!(since.elapsed() < PATIENCE, "the demonstration does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let folder = std::path::Path::new(&file).parent().unwrap();
    assert!(!folder.exists(), "{}", folder.display());
}
