//! What the gate orders a guard to do: the command, its limits, and how much time it gets to end.
//!
//! Read by hand: the gate is the only writer of this command line.

use super::GuardError;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::time::Duration;

/// An order, as the gate gave it.
pub(super) struct Order {
    /// Which of the two processes this is.
    pub(super) role: Role,
    /// Limits for the command.
    pub(super) limits: Limits,
    /// How long the command may take to end.
    pub(super) stop: Duration,
    /// The program.
    pub(super) command: OsString,
    /// Its arguments, as they are.
    pub(super) arguments: Vec<OsString>,
}

/// Which of the two processes of a guard.
pub(super) enum Role {
    /// The one that watches.
    Guard,
    /// The one that becomes the command; `guard` is who watches it.
    Child {
        /// The process id of the guard.
        guard: u32,
    },
}

/// Limits of the operating system.
#[derive(Default)]
pub(super) struct Limits {
    memory_bytes: Option<u64>,
    open_files: Option<u64>,
    cpu_secs: Option<u64>,
}

const STOP: Duration = Duration::from_secs(2);

impl Order {
    /// Reads the arguments behind `guard`.
    pub(super) fn read(mut given: impl Iterator<Item = OsString>) -> Result<Self, GuardError> {
        let (mut role, mut limits, mut stop) = (Role::Guard, Limits::default(), STOP);
        loop {
            let Some(flag) = given.next() else { return Err(GuardError::Usage("no command")) };
            if flag == "--" {
                break;
            }
            let value = given.next().and_then(|value| value.to_str()?.parse::<u64>().ok());
            let value = value.ok_or(GuardError::Usage("a flag without a number"))?;
            match flag.to_str() {
                Some("--memory-bytes") => limits.memory_bytes = Some(value),
                Some("--open-files") => limits.open_files = Some(value),
                Some("--cpu-secs") => limits.cpu_secs = Some(value),
                Some("--stop-millis") => stop = Duration::from_millis(value),
                Some("--child-of") => {
                    let guard =
                        u32::try_from(value).map_err(|_| GuardError::Usage("no process"))?;
                    role = Role::Child { guard };
                }
                _ => return Err(GuardError::Usage("an unknown flag")),
            }
        }
        let command = given.next().ok_or(GuardError::Usage("no command"))?;
        Ok(Self { role, limits, stop, command, arguments: given.collect() })
    }

    /// The arguments with which this process starts the one that becomes the command.
    pub(super) fn for_child(&self) -> Vec<OsString> {
        let mut given: Vec<OsString> =
            vec!["--child-of".into(), std::process::id().to_string().into()];
        for (flag, value) in [
            ("--memory-bytes", self.limits.memory_bytes),
            ("--open-files", self.limits.open_files),
            ("--cpu-secs", self.limits.cpu_secs),
        ] {
            if let Some(value) = value {
                given.extend([flag.into(), value.to_string().into()]);
            }
        }
        given.extend(["--".into(), self.command.clone()]);
        given.extend(self.arguments.iter().cloned());
        given
    }
}

impl Limits {
    /// Sets them on this process and whatever it becomes; and no core dumps, which would leave the
    /// secrets of its environment in files.
    pub(super) fn set(&self) -> Result<(), GuardError> {
        // Last, since it may be less than this program itself occupies.
        for (what, resource, value) in [
            ("core dumps", Resource::Core, Some(0)),
            ("open files", Resource::Nofile, self.open_files),
            ("processor seconds", Resource::Cpu, self.cpu_secs),
            ("memory", Resource::As, self.memory_bytes),
        ] {
            let Some(value) = value else { continue };
            let limit = Rlimit { current: Some(value), maximum: Some(value) };
            setrlimit(resource, limit).map_err(|error| GuardError::Limit {
                what,
                value,
                error: error.into(),
            })?;
        }
        Ok(())
    }
}
