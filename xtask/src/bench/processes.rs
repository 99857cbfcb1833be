//! Starting and ending what the benchmark runs: pinned, with enough file descriptors, by process id.
//!
//! INVARIANT: whatever is started here ends with its [`Running`], or on SIGINT and SIGTERM; programs
//! of the benchmark's own end too when their standard input closes, however this process ends.
//!
//! Next: `lanes.rs`.

use anyhow::Context;
use std::ffi::OsStr;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

static STARTED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// File descriptors asked for: two for each of 10,000 streams, and room.
const FILES_WANTED: u32 = 65_536;
/// Raises the limit on open files as far as allowed, then becomes the program.
const RAISE: &str = r#"ulimit -n "$FILES" 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"; exec "$@""#;
/// Any priority of this class comes before all ordinary programs.
const REALTIME_PRIORITY: &str = "5";
/// How long a program may take to end when asked to.
const ENDING: Duration = Duration::from_secs(5);
/// How long a program may take to listen.
const STARTING: Duration = Duration::from_secs(20);

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

/// Where and how urgently a program runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Placement {
    /// Its core; `None` is any.
    pub(crate) core: Option<u32>,
    /// Before everything else on the machine.
    pub(crate) is_realtime: bool,
}

/// A command for `program` with the highest limit on open files, placed as asked.
pub(crate) fn command(program: impl AsRef<OsStr>, placement: Placement) -> Command {
    let mut command = Command::new("sh");
    command.env("FILES", FILES_WANTED.to_string()).args(["-c", RAISE, "sh"]);
    if can_follow() {
        command.args(["setpriv", "--pdeathsig", "TERM"]);
    }
    if placement.is_realtime {
        command.args(["chrt", "-f", REALTIME_PRIORITY]);
    }
    if let Some(core) = placement.core {
        command.args(["taskset", "-c", &core.to_string()]);
    }
    command.arg(program);
    command
}

/// How many files a program started by [`command`] may have open.
pub(crate) fn files_max() -> u32 {
    let asked = command("sh", Placement::default()).args(["-c", "ulimit -n"]).output();
    let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    // An unlimited or unreadable answer is not a number: then what was asked for is assumed.
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(FILES_WANTED)
}

/// Whether `taskset` can pin a program to `core`.
pub(crate) fn can_pin(core: u32) -> bool {
    succeeds("taskset", &["-c", &core.to_string(), "true"])
}

/// Whether `setpriv` can end a program with this process, even if this one is killed.
fn can_follow() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| succeeds("setpriv", &["--pdeathsig", "TERM", "true"]))
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut probe = Command::new(program);
    probe.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Whether `chrt` can give programs the realtime class.
pub(crate) fn can_be_realtime() -> bool {
    succeeds("chrt", &["-f", REALTIME_PRIORITY, "true"])
}

impl Running {
    /// Starts a program; its standard input stays open until it is ended.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped());
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        lock().push(child.id());
        Ok(Self { child })
    }

    /// Its process id; `exec` keeps it through shell and `taskset`.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, once, if it was piped.
    pub(crate) fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The first line of its standard error, if that was piped: for a program that has ended.
    pub(crate) fn error_text(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            // An unreadable reason leaves an empty one.
            let _ = errors.read_to_string(&mut text);
        }
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Waits until something listens at `addr`, looking every `pause`.
    pub(crate) fn wait_for(&mut self, addr: SocketAddr, pause: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + STARTING;
        while TcpStream::connect(addr).is_err() {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("it ended ({status}) before it listened on {addr}");
            }
            anyhow::ensure!(Instant::now() < deadline, "nothing listens on {addr}");
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait_within(&mut self, wait: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            anyhow::ensure!(Instant::now() < deadline, "it did not end within {wait:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self) {
        drop(self.child.stdin.take());
        if !self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            signal(self.pid(), "TERM");
        }
        if self.wait_within(ENDING).is_err() {
            // What is gone already cannot be killed, which is as well.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let pid = self.pid();
        lock().retain(|started| *started != pid);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends all that was started when this process is told to end.
pub(crate) fn end_all_on_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal as listen};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (listen(SignalKind::interrupt()), listen(SignalKind::terminate()))
            else {
                return;
            };
            // Either is the end.
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            for pid in lock().iter() {
                signal(*pid, "TERM");
            }
            remove_folder();
            std::process::exit(130);
        });
    });
    Ok(())
}

/// The folder for generated files.
pub(crate) fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("tollgate-bench-{}", std::process::id()))
}

/// Removes the folder for generated files.
pub(crate) fn remove_folder() {
    // What is left in the folder for temporary files harms nobody.
    let _ = std::fs::remove_dir_all(folder());
}

/// An address on loopback that is free now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn signal(pid: u32, name: &str) {
    // A process that is gone cannot be signalled, which is as well.
    let _ = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

fn lock() -> std::sync::MutexGuard<'static, Vec<u32>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}
