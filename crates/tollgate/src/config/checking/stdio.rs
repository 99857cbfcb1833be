//! Checks of upstreams that are child processes: what is started, with which environment, within
//! which limits.
//!
//! The operator decides what is run. What is likely to be a slip, or hands the program to whoever
//! writes a variable, is warned of; what cannot work is refused. Reads no argument and no value aloud.

use crate::config::checking::{at_most, in_range, size_in_range, within};
use crate::config::cover::shown_name;
use crate::config::decode::{At, Key, Set};
use crate::config::programs::{Sharing, Variable};
use crate::config::raw::{ProcessCaps, Stdio, StdioTimeouts};
use crate::config::reading::{Reading, cause};
use crate::config::scalars::Span;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tollgate_core::bounds::{COMMAND_WORDS_MAX, MIB};
use tollgate_core::ids::Secret;
use tollgate_gate::settings::{Isolation, ProcessLimits, StdioSettings, UpstreamTimeouts};

/// Programs that take a text apart by themselves, behind one of these arguments.
const SHELLS: [&str; 12] = [
    "sh",
    "bash",
    "zsh",
    "dash",
    "ash",
    "ksh",
    "fish",
    "cmd",
    "cmd.exe",
    "pwsh",
    "powershell",
    "npx",
];

pub(super) fn stdio(
    name: &str,
    raw: &Stdio,
    reading: &mut Reading<'_>,
) -> Option<(StdioSettings, UpstreamTimeouts)> {
    in_range(&raw.processes, "stdio.processes", 1..=10_000, reading);
    let backoff = &raw.backoff.value;
    at_most(&backoff.first, &backoff.max, ["stdio.backoff.first", "stdio.backoff.max"], reading);
    let timeouts = timeouts(&raw.timeouts.value, &raw.start, reading);
    let resources = limits(&raw.limits.value, reading);
    let args = arguments(name, raw, reading);
    let env = environment(name, raw, reading);
    let cwd = folder(name, raw, reading);
    let guard = guard(raw, reading);
    let command = command(name, raw, &env, reading)?;
    let settings = StdioSettings {
        command,
        args,
        env,
        cwd,
        isolation: match raw.isolation.value {
            Sharing::Session => Isolation::Session,
            Sharing::Agent => Isolation::Agent,
            Sharing::Shared => Isolation::Shared,
        },
        processes_max: raw.processes.value.0,
        idle: raw.idle.value.0,
        start: raw.start.value.0,
        stop: raw.stop.value.0,
        backoff: (within(&backoff.first, &backoff.max), backoff.max.value.0),
        resources,
        guard: guard?,
    };
    Some((settings, timeouts))
}

fn timeouts(raw: &StdioTimeouts, start: &Set<Span>, reading: &mut Reading<'_>) -> UpstreamTimeouts {
    for (key, part) in [("first_byte", &raw.first_byte), ("pause", &raw.pause)] {
        at_most(part, &raw.total, [&format!("timeouts.{key}"), "timeouts.total"], reading);
    }
    UpstreamTimeouts {
        // A process is connected to by starting it.
        connect: within(start, &raw.total),
        first_byte: within(&raw.first_byte, &raw.total),
        pause: within(&raw.pause, &raw.total),
        total: raw.total.value.0,
    }
}

fn limits(raw: &ProcessCaps, reading: &mut Reading<'_>) -> ProcessLimits {
    let memory = typed(&raw.memory);
    if let Some(memory) = &memory {
        size_in_range(memory, "stdio.limits.memory", 16 * MIB..=1024 * 1024 * MIB, reading);
    }
    let open_files = typed(&raw.open_files);
    if let Some(open_files) = &open_files {
        in_range(open_files, "stdio.limits.open_files", 16..=1_048_576, reading);
    }
    let cpu = raw.cpu.given();
    if let Some(At { value, at }) = cpu.filter(|cpu| cpu.value.0.subsec_nanos() != 0) {
        let message = format!("`stdio.limits.cpu` ({value}) is not a whole number of seconds");
        reading.wrong(at, message, "the operating system counts seconds: write `30s` or `5m`");
    }
    let bytes = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    ProcessLimits {
        memory_bytes: memory.map(|size| bytes(size.value.0)),
        open_files: open_files.map(|count| bytes(count.value.0)),
        cpu_secs: cpu.map(|cpu| cpu.value.0.as_secs()),
    }
}

/// A key without a default, for the checks of those that have one.
fn typed<T: Clone>(key: &Key<T>) -> Option<Set<T>> {
    key.given().map(|At { value, at }| Set { value: value.clone(), at: Some(at.clone()) })
}

fn arguments(name: &str, raw: &Stdio, reading: &mut Reading<'_>) -> Vec<String> {
    let args = &raw.args.value.0;
    if let Some(at) = raw.args.at.as_ref().filter(|_| args.len() > COMMAND_WORDS_MAX) {
        let message = format!("`args` of upstream `{name}` has {} items", args.len());
        reading.wrong(at, message, format!("at most {COMMAND_WORDS_MAX}"));
    }
    let args: Vec<String> = args.iter().map(|word| word.value.0.expose().clone()).collect();
    let Some(At { value: program, at }) = raw.command.given() else { return args };
    let program = program.0.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    // What follows the name of a package is the package's.
    let is_own = |arg: &&String| program != "npx" || arg.starts_with('-');
    if SHELLS.contains(&program.as_str())
        && args.iter().take_while(is_own).any(|arg| hands_over_text(arg))
    {
        reading.warn(
            at,
            format!(
                "`{program}` takes the text of upstream `{name}` apart by itself: its quoting is yours, and a reference in it can become a command. Start the program itself, with `args`"
            ),
        );
    }
    args
}

/// `-c`, `-lc`, `/c` and the like: what follows is a text to run.
fn hands_over_text(arg: &str) -> bool {
    let short = arg.len() <= 5 && arg.starts_with('-') && !arg.starts_with("--");
    short && arg.ends_with('c')
        || ["/c", "/k", "-command", "--call", "--command"]
            .contains(&arg.to_ascii_lowercase().as_str())
}

/// What is passed on, and what is set; the latter wins.
fn environment(
    name: &str,
    raw: &Stdio,
    reading: &mut Reading<'_>,
) -> Vec<(String, Secret<String>)> {
    let set = raw.env.given();
    let rows = set.map(|set| set.value.0.as_slice()).unwrap_or_default();
    if let Some(set) = set.filter(|_| rows.len() > COMMAND_WORDS_MAX) {
        let message = format!("`env` of upstream `{name}` has {} variables", rows.len());
        reading.wrong(&set.at, message, format!("at most {COMMAND_WORDS_MAX}"));
    }
    let mut seen = HashSet::new();
    let mut variables = Vec::new();
    for Variable(inherited) in raw.inherit_env.value.0.iter().map(|item| &item.value) {
        let is_set = rows.iter().any(|row| row.name == *inherited);
        if seen.insert(inherited) && !is_set {
            let value = reading.own_variable(inherited);
            variables.extend(value.map(|value| (inherited.clone(), Secret::new(value))));
        }
    }
    for row in rows {
        let shown = shown_name(&row.name);
        if !Variable::is_name(&row.name) {
            reading.wrong(
                &row.at,
                format!("`{shown}` is not the name of an environment variable"),
                "a name holds letters, digits and `_`, as in `API_KEY: \"${env:API_KEY}\"`",
            );
        }
        if row.name.starts_with("LD_") || row.name.starts_with("DYLD_") {
            reading.warn(
                &row.at,
                format!("`{shown}` puts other code into the program of upstream `{name}`: be sure who can write what it names"),
            );
        }
        variables.extend(row.value.as_ref().map(|word| (row.name.clone(), word.0.clone())));
    }
    variables
}

fn folder(name: &str, raw: &Stdio, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let At { value, at } = raw.cwd.given()?;
    let path = reading.whole_path(&value.value);
    let trouble = match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => return Some(path),
        Ok(_) => "it is not a folder".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "there is no such folder".to_owned()
        }
        Err(error) => cause(&error),
    };
    reading.wrong(
        at,
        format!("upstream `{name}` cannot be started in `{}`: {trouble}", value.typed),
        "make the folder, or remove `cwd`; relative paths start at the folder of the configuration file",
    );
    None
}

/// The program as it will be started: a bare name, or a whole path.
fn command(
    name: &str,
    raw: &Stdio,
    env: &[(String, Secret<String>)],
    reading: &mut Reading<'_>,
) -> Option<String> {
    let At { value: program, at } = raw.command.given()?;
    if program.0.contains('/') {
        let path = reading.whole_path(&program.0);
        if !can_run(&path) {
            reading.warn(
                at,
                format!("the program of upstream `{name}` is not there, or cannot be run"),
            );
        }
        let Ok(path) = path.into_os_string().into_string() else {
            let message =
                format!("the whole path of the program of upstream `{name}` is not UTF-8");
            reading.wrong(
                at,
                message,
                "move it, or the configuration file, to a folder whose path is",
            );
            return None;
        };
        return Some(path);
    }
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.expose());
    match path {
        None => reading.warn(
            at,
            format!("upstream `{name}` gets no `PATH`: its program is looked up in the folders of the system only"),
        ),
        Some(path) if !std::env::split_paths(path).any(|folder| can_run(&folder.join(&program.0))) => {
            reading.warn(at, format!("the program of upstream `{name}` is in no folder of its `PATH`"));
        }
        Some(_) => {}
    }
    Some(program.0.clone())
}

fn can_run(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// On Linux, the very file this process runs, even after another took its place on the disk: guard and
/// gate are then always of one version.
const OWN_PROGRAM: &str = "/proc/self/exe";

fn guard(raw: &Stdio, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let own = Path::new(OWN_PROGRAM);
    if own.exists() {
        return Some(own.to_owned());
    }
    match std::env::current_exe() {
        Ok(path) => Some(path),
        Err(error) => {
            if let Some(command) = raw.command.given() {
                let message = format!(
                    "the gate does not find its own program, which watches over child processes: {}",
                    cause(&error)
                );
                reading.wrong(
                    &command.at,
                    message,
                    "mount `/proc`, or start tollgate by its whole path",
                );
            }
            None
        }
    }
}
