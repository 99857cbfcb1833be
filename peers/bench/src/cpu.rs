//! CPU time of other processes, from `/proc`.
//!
//! `/proc/PID/task/*/schedstat` counts nanoseconds but forgets threads that ended; `/proc/PID/stat`
//! remembers them but counts ticks of 10 ms. Both are read, and the first is believed unless it has
//! visibly lost something.
//!
//! Next: `rounds.rs`, which samples it around the measured window.

use std::fs;

/// CPU time spent so far by some processes, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSample {
    by_threads: u64,
    by_ticks: u64,
}

/// Ticks per second: `USER_HZ`, fixed at 100 on Linux for everything in `/proc`.
const TICK_NANOS: u64 = 10_000_000;
/// What the tick counter may be ahead by rounding.
const ROUNDING_NANOS: u64 = 3 * TICK_NANOS;

impl CpuSample {
    /// Reads the counters of all of `pids` now; processes that are gone count nothing.
    pub fn of(pids: &[u32]) -> Self {
        let mut sample = Self::default();
        for pid in pids {
            sample.by_threads += threads_nanos(*pid);
            sample.by_ticks += ticks_nanos(*pid);
        }
        sample
    }

    /// Nanoseconds spent since `earlier`.
    pub fn since(self, earlier: Self) -> u64 {
        let by_threads = self.by_threads.saturating_sub(earlier.by_threads);
        let by_ticks = self.by_ticks.saturating_sub(earlier.by_ticks);
        if by_threads + ROUNDING_NANOS >= by_ticks { by_threads } else { by_ticks }
    }
}

fn threads_nanos(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn ticks_nanos(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is a name in brackets which may hold anything.
    let Some((_, after_name)) = stat.rsplit_once(')') else { return 0 };
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .map(|ticks| ticks * TICK_NANOS)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_believed_unless_a_thread_was_lost() {
        let zero = CpuSample::default();
        let fine = CpuSample { by_threads: 95_000_000, by_ticks: 100_000_000 };
        let lost = CpuSample { by_threads: 10_000_000, by_ticks: 100_000_000 };
        assert_eq!((fine.since(zero), lost.since(zero)), (95_000_000, 100_000_000));
    }
}
