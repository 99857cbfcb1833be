//! Child processes with deadlines: servers that say where they listen, and commands that end.
//!
//! A server is killed when its handle is dropped; nothing is ever ended by name. What a server
//! prints goes to a log file, of which the end is shown when it does not come up.
//!
//! Next: `gate.rs` (the one server that is ours to test).

use anyhow::{Context, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// A server must say where it listens within this time; a cold Python start takes seconds.
const START: Duration = Duration::from_secs(60);
/// Between two looks at a child that should end.
const LOOK: Duration = Duration::from_millis(20);

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// The `host:port` it listens on.
    pub(crate) address: String,
}

impl Server {
    /// Starts `command` and waits for a word `marker` + address (or marker, space, address) in
    /// what it prints.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        marker: &str,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs)?;
        let log = logs.join(format!("{name}.log"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        let file = File::create(&log)?;
        let (found, address) = sync_channel(1);
        for pipe in [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ] {
            let pipe = pipe.context("the child has no pipes")?;
            let (found, file, marker) = (found.clone(), file.try_clone()?, marker.to_owned());
            std::thread::spawn(move || drain(pipe, file, &marker, &found));
        }
        drop(found);
        let mut server = Self { child, address: String::new() };
        server.address = awaited(&address).with_context(|| {
            format!("{name} did not say where it listens; the end of its log:\n{}", end_of(&log))
        })?;
        Ok(server)
    }

    /// Waits for one that ends by itself, at most for `limit`.
    pub(crate) fn ended(mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        ended(&mut self.child, limit)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the child is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn drain(pipe: Box<dyn Read + Send>, mut log: File, marker: &str, found: &SyncSender<String>) {
    for line in BufReader::new(pipe).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line);
        // A log that cannot be written must not stop the server it is about.
        drop(writeln!(log, "{line}"));
        if let Some((_, after)) = line.split_once(marker)
            && let Some(address) = after.split_whitespace().next()
        {
            // Nobody listens any more once the first address is known.
            drop(found.try_send(address.to_owned()));
        }
    }
}

fn awaited(address: &Receiver<String>) -> anyhow::Result<String> {
    address.recv_timeout(START).context("it ended, or took too long")
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// What a command that ended has left.
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it printed to its standard output.
    pub(crate) output: String,
    /// What it printed to its standard error.
    pub(crate) errors: String,
}

/// Runs a command to its end, at most for `limit`, and keeps what it prints.
pub(crate) fn captured(mut command: Command, limit: Duration) -> anyhow::Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let output = collected(child.stdout.take());
    let errors = collected(child.stderr.take());
    let status = ended(&mut child, limit).with_context(|| format!("{command:?}"))?;
    let text = |pipe: std::thread::JoinHandle<String>| pipe.join().unwrap_or_default();
    Ok(Ended { status, output: text(output), errors: text(errors) })
}

/// Runs a command to its end, at most for `limit`, and lets it print.
pub(crate) fn shown(mut command: Command, limit: Duration) -> anyhow::Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let status = ended(&mut child, limit).with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

fn collected(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            drop(pipe.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn ended(child: &mut Child, limit: Duration) -> anyhow::Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("did not end within {} s and was killed", limit.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}

/// A port of this machine that nobody listens on now, for servers that cannot say which they took.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Where cargo puts what it builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Builds packages and returns the folder of their programs.
pub(crate) fn built(root: &Path, packages: &[&str], release: bool) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--quiet"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    if release {
        cargo.arg("--release");
    }
    shown(cargo, Duration::from_secs(1_800))?;
    Ok(target(root).join(if release { "release" } else { "debug" }))
}
