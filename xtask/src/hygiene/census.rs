//! Who is alive: processes that carry a mark in their environment or run a marked program, and what
//! a process has open. Linux only, from `/proc`.
//!
//! INVARIANT: nothing is ever signalled that does not carry the mark of this run.
//!
//! Next: `../hygiene.rs` (what must be gone when).

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that every process of a run inherits.
pub(crate) const MARK: &str = "TOLLGATE_HYGIENE_MARK";

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Person {
    /// Its id.
    pub(crate) pid: u32,
    /// When it was started, in ticks: with the id, it names a process for ever.
    started: u64,
    /// What it runs.
    pub(crate) words: String,
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pid, self.words)
    }
}

/// What a look into `/proc` found.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Alive and marked.
    pub(crate) alive: Vec<Person>,
    /// Dead, not reaped by a parent that is ours.
    pub(crate) zombies: Vec<Person>,
}

/// Knows the mark, and everyone who ever carried it.
#[derive(Debug)]
pub(crate) struct Registrar {
    mark: String,
    program: PathBuf,
    known: HashSet<(u32, u64)>,
}

struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

impl Registrar {
    /// Looks for `mark`, and for processes that run `program`, whatever their environment.
    pub(crate) fn new(mark: &str, program: &Path) -> Self {
        let mark = format!("{MARK}={mark}");
        Self { mark, program: program.to_owned(), known: HashSet::new() }
    }

    /// Everyone but those `left_out`, by id.
    pub(crate) fn census(&mut self, left_out: &[u32]) -> Census {
        let mut census = Census::default();
        let mut dead = Vec::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            // A process that ends while it is looked at is not there.
            let Some(stat) = stat(pid) else { continue };
            let person = |words| Person { pid, started: stat.started, words };
            if stat.state == 'Z' {
                dead.push((stat.parent, person("(zombie)".to_owned())));
            } else if self.is_marked(pid) {
                self.known.insert((pid, stat.started));
                if !left_out.contains(&pid) {
                    census.alive.push(person(words(pid)));
                }
            }
        }
        // A zombie has no environment any more; it is ours if it was, and if its parent, which should
        // have reaped it, is ours too. Others wait for the parent of all.
        let ours: HashSet<u32> = self.known.iter().map(|(pid, _)| *pid).collect();
        for (parent, person) in dead {
            if ours.contains(&parent) && !left_out.contains(&person.pid) {
                census.zombies.push(person);
            }
        }
        census
    }

    fn is_marked(&self, pid: u32) -> bool {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == self.mark.as_bytes())
            || fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == self.program)
    }

    /// Kills everyone who carries the mark: after a failure, nothing may stay behind.
    pub(crate) fn kill_all(&mut self) {
        for person in self.census(&[]).alive {
            signal(person.pid, "KILL");
        }
    }
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets, which may hold anything.
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn words(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

/// How many files a process has open, and what they are.
pub(crate) fn open_files(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let mut names: Vec<String> = links.map(|link| link.display().to_string()).collect();
    names.sort();
    names
}

/// Signals a process that is ours.
pub(crate) fn signal(pid: u32, name: &str) {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null());
    // A process that is gone cannot be signalled, which is as well.
    let _ = kill.status();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_marked_child_is_found_and_is_gone_when_it_ended() {
        let mark = format!("test-{}", std::process::id());
        let mut registrar = Registrar::new(&mark, Path::new("/no/such/program"));
        let mut child = Command::new("sleep").arg("60").env(MARK, &mark).spawn().unwrap();
        // The child has our own environment until it has become the program.
        let deadline = Instant::now() + Duration::from_secs(10);
        while registrar.census(&[]).alive.len() != 1 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let found = registrar.census(&[]).alive;
        assert_eq!(found.iter().map(|it| it.pid).collect::<Vec<_>>(), [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(registrar.census(&[]).alive.is_empty());
    }
}
