//! Lines to child processes: one message a line on stdin and stdout, text for people on stderr.
//!
//! Every process has a guard of ours for a parent, which ends it and whatever it started when its
//! stdin is closed, be it by us or by our own death: so nothing here kills, and nothing may. The
//! command is what the operator wrote, never a shell, in the environment the operator wrote.
//!
//! SPEC: 2026-07-28 and 2025-11-25 basic/transports, stdio.
//!
//! Read on in `stdio/reader.rs` for stdout and `stdio/listener.rs` for stderr.

mod listener;
mod reader;

use crate::settings::StdioSettings;
use crate::upstream::duplex::{Carrier, Ended, HostSettings, Line, LineEnd, Noise, line};
use bytes::Bytes;
use listener::Listener;
use parking_lot::Mutex;
use reader::{Input, Stopped};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tollgate_core::bounds::LINE_BYTES_MAX;
use tollgate_core::ids::UpstreamName;

/// What a process left in its output when it ended is read for so long.
const REST: Duration = Duration::from_secs(1);
/// A guard needs no longer than twice the time to stop and this to see everybody gone.
const GUARD: Duration = Duration::from_secs(15);

/// Starts the processes of one upstream.
#[derive(Debug)]
pub(crate) struct Processes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: UpstreamName,
    settings: StdioSettings,
    noise: Noise,
    listener: Listener,
    // A plain mutex: held for one list operation.
    running: Mutex<Vec<u32>>,
}

impl Processes {
    pub(crate) fn new(upstream: UpstreamName, settings: StdioSettings) -> Arc<Self> {
        let noise = Noise::new(upstream.clone());
        let listener = Listener::new(upstream.clone());
        let running = Mutex::default();
        Arc::new(Self { shared: Arc::new(Shared { upstream, settings, noise, listener, running }) })
    }
}

impl HostSettings {
    /// How the processes of an upstream are shared.
    pub(crate) fn of(settings: &StdioSettings) -> Self {
        Self {
            isolation: settings.isolation,
            lines_max: settings.processes_max,
            idle: settings.idle,
            start: settings.start,
            backoff: settings.backoff,
        }
    }
}

impl Carrier for Processes {
    fn open(&self) -> Line {
        let (line, end) = line();
        // Ends with the process, which the end of the line ends.
        tokio::spawn(run(self.shared.clone(), end));
        line
    }

    fn processes(&self) -> Vec<u32> {
        self.shared.running.lock().clone()
    }
}

/// The life of one process.
async fn run(shared: Arc<Shared>, end: LineEnd) {
    let LineEnd { outgoing, incoming, close, ended } = end;
    let over = |why: String| ended.send_replace(Some(Ended::from(why)));
    let mut child = match start(&shared.settings) {
        Ok(child) => child,
        Err(why) => {
            drop(incoming);
            over(why);
            return;
        }
    };
    let pid = child.id().unwrap_or_default();
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        over(String::from("its pipes are not there"));
        return;
    };
    shared.running.lock().push(pid);
    let (upstream, command) = (&shared.upstream, &shared.settings.command);
    tracing::info!(%upstream, pid, command, "process started");
    let listening = {
        let shared = shared.clone();
        let listening = async move { shared.listener.listen(stderr, pid).await };
        AbortOnDropHandle::new(tokio::spawn(listening))
    };
    let writing = tokio::spawn(write(stdin, outgoing));
    let mut input = reader::input(stdout);
    let stopped = {
        let reading = reader::read(&mut input, &incoming, &shared.noise);
        tokio::pin!(reading);
        // Whatever comes first ends the line; a read that is dropped has nothing left to give.
        tokio::select! {
            stopped = &mut reading => stopped,
            () = close.cancelled() => Stopped::Unread,
            _ = child.wait() => {
                tokio::time::timeout(REST, reading).await.unwrap_or(Stopped::End)
            }
        }
    };
    drop(incoming);
    // Closes its stdin: the guard sees to everything else.
    writing.abort();
    // What is still said is read over, so that nobody waits for a full pipe; not from one that is
    // ended for saying too much.
    let rest = (stopped != Stopped::TooLong).then_some(input);
    let status = wind_up(&mut child, rest, shared.settings.stop).await;
    // A guard that was killed leaves its stderr to others, perhaps for ever.
    let said = tokio::time::timeout(REST, listening).await;
    let said = said.ok().and_then(Result::ok).unwrap_or_default();
    shared.running.lock().retain(|running| *running != pid);
    let why = stopped.fault().map_or_else(|| reason(status), str::to_owned);
    tracing::info!(%upstream, pid, %why, "process ended");
    over(if said.is_empty() { why } else { format!("{why}\nit last wrote `{said}`") });
}

/// Starts the guard, which starts the command.
fn start(settings: &StdioSettings) -> Result<Child, String> {
    let mut command = Command::new(&settings.guard);
    command.arg("guard");
    let limits = settings.resources;
    for (flag, value) in [
        ("--memory-bytes", limits.memory_bytes),
        ("--open-files", limits.open_files),
        ("--cpu-secs", limits.cpu_secs),
        ("--stop-millis", u64::try_from(settings.stop.as_millis()).ok()),
    ] {
        if let Some(value) = value {
            command.arg(flag).arg(value.to_string());
        }
    }
    command.arg("--").arg(&settings.command).args(&settings.args).env_clear();
    command.envs(settings.env.iter().map(|(name, value)| (name, value.expose())));
    if let Some(folder) = &settings.cwd {
        if !folder.is_dir() {
            return Err(format!("its working directory `{}` is not there", folder.display()));
        }
        command.current_dir(folder);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Out of reach of what a terminal sends to the gate's group: we say when it ends.
    command.process_group(0);
    // INVARIANT: not `kill_on_drop`: a killed guard could not end the others.
    command.spawn().map_err(|error| format!("its guard cannot be started: {error}"))
}

/// Waits until the guard is gone, and everybody with it.
async fn wind_up(child: &mut Child, rest: Option<Input>, stop: Duration) -> Option<ExitStatus> {
    let drain = async {
        if let Some(mut rest) = rest {
            // A failed read ends it as well as the end does.
            let _ = tokio::io::copy_buf(&mut rest, &mut tokio::io::sink()).await;
        }
        std::future::pending::<()>().await;
    };
    let limit = stop.saturating_mul(2).saturating_add(GUARD);
    let waited = tokio::select! {
        waited = tokio::time::timeout(limit, child.wait()) => waited,
        () = drain => return None,
    };
    match waited {
        Ok(status) => status.ok(),
        Err(_) => {
            // A defect of ours. The kernel then kills the command, as its guard had arranged.
            let _ = child.kill().await;
            None
        }
    }
}

/// Writes messages, each on a line of its own, until the other side is gone.
async fn write(mut stdin: ChildStdin, mut messages: mpsc::Receiver<Bytes>) {
    while let Some(message) = messages.recv().await {
        let mut line = Vec::with_capacity(message.len() + 1);
        line.extend_from_slice(&message);
        line.push(b'\n');
        if stdin.write_all(&line).await.is_err() {
            return;
        }
    }
}

impl Stopped {
    /// What the process did wrong, if that is why the line ends.
    fn fault(&self) -> Option<&'static str> {
        match self {
            Self::End | Self::Unread => None,
            Self::TooLong => Some(TOO_LONG),
        }
    }
}

const TOO_LONG: &str = "it was ended for sending more than 16 MiB without a line break";
const _: () = assert!(LINE_BYTES_MAX == 16 * tollgate_core::bounds::MIB);

/// How a guard ended, which is how its process did.
fn reason(status: Option<ExitStatus>) -> String {
    match status.map(|status| status.code()) {
        None => String::from("its guard does not end"),
        Some(None) => String::from("its guard was killed"),
        Some(Some(127)) => String::from("it cannot be started"),
        Some(Some(code)) if code > 128 => format!("it was killed by signal {}", code - 128),
        Some(Some(code)) => format!("it exited with code {code}"),
    }
}
