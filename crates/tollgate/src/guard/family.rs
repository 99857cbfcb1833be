//! The child of a guard and everything that came of it: waiting for them, finding them, ending them.
//!
//! On Linux the guard adopts every process whose own parent died, so whoever is left is among its
//! descendants, whatever group or session they moved to. Elsewhere only the child's group is known.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::process::Child;
use std::time::Instant;

/// What a guard waits for.
pub(super) enum News {
    /// The child ended, with this exit code (128 and more: by a signal).
    ChildEnded(u8),
    /// The child and all its descendants are gone.
    AllGone,
    /// Nobody holds the other end of standard input any more.
    InputClosed,
    /// The time is over.
    Time,
}

/// The child and its descendants.
pub(super) struct Family {
    child: Pid,
    reports: PipeReader,
}

const ENDED: u8 = b'e';
const GONE: u8 = b'g';

impl Family {
    /// Watches over a child that was just started. The thread ends with the last descendant.
    pub(super) fn of(child: &Child) -> io::Result<Self> {
        let child = Pid::from_child(child);
        let (reports, tell) = io::pipe()?;
        std::thread::Builder::new().stack_size(64 * 1024).spawn(move || reap(child, tell))?;
        Ok(Self { child, reports })
    }

    /// Waits for the next news; `watches_input` also for the end of standard input.
    pub(super) fn wait(&mut self, watches_input: bool, until: Option<Instant>) -> io::Result<News> {
        loop {
            let input = io::stdin();
            // Nothing is asked for: hang-ups are told anyway, data is the child's.
            let mut watched = [
                PollFd::new(&self.reports, PollFlags::IN),
                PollFd::new(&input, PollFlags::empty()),
            ];
            let watched = if watches_input { &mut watched[..] } else { &mut watched[..1] };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.map(|left| left.try_into().unwrap_or_default());
            match poll(watched, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(0) => return Ok(News::Time),
                Ok(_) => {}
            }
            let is_input_over = watched.get(1).is_some_and(|input| !input.revents().is_empty());
            if !watched[0].revents().is_empty() {
                let mut report = [0; 2];
                self.reports.read_exact(&mut report)?;
                return Ok(match report {
                    [ENDED, code] => News::ChildEnded(code),
                    _ => News::AllGone,
                });
            }
            if is_input_over {
                return Ok(News::InputClosed);
            }
        }
    }

    /// Sends a signal to everybody who is left. Those who are gone meanwhile do not mind.
    pub(super) fn signal(&self, signal: Signal) {
        for pid in left(self.child) {
            let _ = rustix::process::kill_process(pid, signal);
        }
        if !cfg!(target_os = "linux") {
            let _ = rustix::process::kill_process_group(self.child, signal);
        }
    }
}

/// Reaps everybody who ends, so that there are no zombies, and tells of the child and of the last.
fn reap(child: Pid, mut tell: PipeWriter) {
    loop {
        let report = match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => [ENDED, exit_code(status)],
            Ok(_) | Err(rustix::io::Errno::INTR) => continue,
            // No children are left, and so no descendants.
            Err(_) => [GONE, 0],
        };
        if tell.write_all(&report).is_err() || report[0] == GONE {
            return;
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| signal.saturating_add(128));
    let code = status.exit_status().or(signal).unwrap_or(255);
    u8::try_from(code).unwrap_or(255)
}

/// Becomes the parent of orphaned descendants.
pub(super) fn adopt() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Has this process, and the command it becomes, killed when its guard dies.
pub(super) fn die_with(guard: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        if parent.and_then(|pid| u32::try_from(pid).ok()) != Some(guard) {
            return Err(io::Error::other("the guard has ended already"));
        }
    }
    let _ = guard;
    Ok(())
}

/// Every descendant of this process that is not a zombie.
#[cfg(target_os = "linux")]
fn left(_child: Pid) -> Vec<Pid> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let everybody: Vec<(i32, i32)> = folder
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name before the last parenthesis may contain anything.
            let mut fields = stat.rsplit(')').next()?.split_whitespace();
            let is_zombie = fields.next()? == "Z";
            let parent: i32 = fields.next()?.parse().ok()?;
            (!is_zombie).then_some((pid, parent))
        })
        .collect();
    let mut found = vec![rustix::process::getpid().as_raw_nonzero().get()];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(everybody.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

#[cfg(not(target_os = "linux"))]
fn left(child: Pid) -> Vec<Pid> {
    vec![child]
}
