//! `tollgate guard`: the parent of one child process that is an upstream, so that nothing of it
//! survives the gate, not even a gate that was killed with -9.
//!
//! Started by the gate, never by people; no runtime, no log. It notices that the gate has closed the
//! line, or died, by the end of its standard input, which it never reads: the child does. It adopts
//! whatever the child leaves behind (children of `npx` or `uvx`, processes that changed their
//! session) and ends with the last of them.
//!
//! A second process of this file sets the limits on itself and becomes the command. Never a shell.
//!
//! Next: `guard/family.rs` for who is left, `guard/order.rs` for the arguments.

mod family;
mod order;

use family::{Family, News};
use order::{Order, Role};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The exit code of a command that cannot be started, as shells have it.
const EXIT_NOT_STARTED: u8 = 127;
/// What a command that ended by itself may leave running for a moment.
const REST: Duration = Duration::from_millis(500);
/// How long processes may take to vanish after SIGKILL; beyond that the kernel itself is stuck.
const VANISH: Duration = Duration::from_secs(10);
/// How often SIGKILL is repeated while there are any: some may be forking.
const AGAIN: Duration = Duration::from_millis(10);

/// Why a guard cannot do its work.
#[derive(Debug, thiserror::Error)]
enum GuardError {
    /// The arguments are not those the gate gives.
    #[error("this command is for the gate itself, which starts it for stdio upstreams: {0}")]
    Usage(&'static str),
    /// The command is not in the search path.
    #[error("`{command}` is not in PATH={path}")]
    NotFound {
        /// What was looked for.
        command: String,
        /// Where.
        path: String,
    },
    /// The command cannot be executed.
    #[error("`{command}` cannot be started: {error}")]
    NotStarted {
        /// What.
        command: String,
        /// Why.
        error: io::Error,
    },
    /// A limit cannot be set.
    #[error("the limit of {what} cannot be set to {value}: {error}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// To what.
        value: u64,
        /// Why.
        error: io::Error,
    },
    /// The operating system refuses something else.
    #[error("cannot watch over the process: {0}")]
    System(#[from] io::Error),
}

/// Does the guard's work if this process was started for it.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != "guard" {
        return None;
    }
    let done = Order::read(arguments).and_then(|order| match order.role {
        Role::Guard => watch(&order),
        Role::Child { guard } => Err(become_command(&order, guard)),
    });
    Some(match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The gate logs it. Without a standard error there is nobody to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(EXIT_NOT_STARTED)
        }
    })
}

/// What the guard waits for next.
enum Stage {
    /// The end of its standard input, or of the child.
    Running,
    /// The child ending by itself, since its standard input was closed.
    Closing(Instant),
    /// Everybody ending after SIGTERM.
    Ending(Instant),
    /// Everybody being gone after SIGKILL.
    Killing(Instant),
}

/// Starts the child and waits until it and everything it started is gone. Returns its exit code.
fn watch(order: &Order) -> Result<u8, GuardError> {
    family::adopt()?;
    let mut child = Command::new(own_program()?);
    child.arg("guard").args(order.for_child()).process_group(0);
    let child = child.spawn()?;
    let mut family = Family::of(&child)?;
    release_output()?;
    let mut code = EXIT_NOT_STARTED;
    let mut stage = Stage::Running;
    loop {
        let (watches_input, until) = match stage {
            Stage::Running => (true, None),
            Stage::Closing(until) | Stage::Ending(until) => (false, Some(until)),
            Stage::Killing(until) => (false, Some(until.min(Instant::now() + AGAIN))),
        };
        let news = family.wait(watches_input, until)?;
        stage = match (news, stage) {
            (News::AllGone, _) => return Ok(code),
            (News::ChildEnded(ended), stage) => {
                code = ended;
                match stage {
                    Stage::Running | Stage::Closing(_) => {
                        family.signal(Signal::TERM);
                        Stage::Ending(Instant::now() + order.stop.min(REST))
                    }
                    stage @ (Stage::Ending(_) | Stage::Killing(_)) => stage,
                }
            }
            (News::InputClosed, Stage::Running) => Stage::Closing(Instant::now() + order.stop),
            (News::Time, Stage::Closing(_)) => {
                family.signal(Signal::TERM);
                Stage::Ending(Instant::now() + order.stop)
            }
            (News::Time, Stage::Ending(_)) => {
                family.signal(Signal::KILL);
                Stage::Killing(Instant::now() + VANISH)
            }
            (News::Time, Stage::Killing(until)) if Instant::now() < until => {
                family.signal(Signal::KILL);
                Stage::Killing(until)
            }
            (News::Time, Stage::Killing(_)) => return Ok(code),
            (News::InputClosed | News::Time, stage) => stage,
        };
    }
}

/// This very program, also where its file was replaced meanwhile.
fn own_program() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Lets go of standard output, so that the gate sees its end when the child closes it.
fn release_output() -> io::Result<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nowhere)?)
}

/// Sets the limits on this process and replaces it by the command. Returns only why that failed.
fn become_command(order: &Order, guard: u32) -> GuardError {
    if let Err(error) = order.limits.set() {
        return error;
    }
    if let Err(error) = family::die_with(guard) {
        return error.into();
    }
    let error = Command::new(&order.command).args(&order.arguments).exec();
    let command = shown(&order.command);
    let is_searched = !command.contains('/');
    if error.kind() == io::ErrorKind::NotFound && is_searched {
        let path = std::env::var_os("PATH");
        let path = path.map_or_else(|| String::from("(not set)"), |path| shown(&path));
        return GuardError::NotFound { command, path };
    }
    GuardError::NotStarted { command, error }
}

fn shown(text: &OsStr) -> String {
    text.to_string_lossy().escape_debug().collect()
}
