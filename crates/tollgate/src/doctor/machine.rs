//! The machine: its clock, and how many files it lets a process have open.

use crate::doctor::finding::Finding;
use rustix::process::{Resource, getrlimit};
use std::time::{SystemTime, UNIX_EPOCH};
use tollgate_core::bounds::DESCRIPTORS_RESERVED;

/// The first second of 2026: no copy of this program ran before.
const BUILT_AFTER: u64 = 1_767_225_600;
/// Fewer descriptors than this are soon used up.
const DESCRIPTORS_FEW: u64 = 1_024;

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A clock that is far off; what upstreams say of it comes with them.
pub(super) fn clock() -> Option<Finding> {
    judge_clock(now())
}

fn judge_clock(now: u64) -> Option<Finding> {
    (now < BUILT_AFTER).then(|| {
        Finding::fail("clock", "this machine believes that it is before 2026")
            .advise("set it, and start a time service: certificates and sessions are judged by it")
    })
}

/// The limit of open files, which every connection counts against.
pub(super) fn descriptors(connections: Option<usize>) -> Finding {
    judge_descriptors(getrlimit(Resource::Nofile).maximum, connections)
}

fn judge_descriptors(limit: Option<u64>, connections: Option<usize>) -> Finding {
    let Some(limit) = limit else { return Finding::ok("open files", "not limited") };
    // An agent's connection and the one to its upstream.
    let room = limit.saturating_sub(DESCRIPTORS_RESERVED) / 2;
    let wanted =
        connections.map_or(0, |connections| u64::try_from(connections).unwrap_or(u64::MAX));
    let text = format!("at most {limit}, room for {room} connections");
    if limit < DESCRIPTORS_FEW || room < wanted {
        let text = if wanted > 0 { format!("{text} of the {wanted} allowed") } else { text };
        return Finding::warn("open files", &text).advise(
            "raise `ulimit -Hn` (systemd: `LimitNOFILE=`), or lower `gate.limits.connections`",
        );
    }
    Finding::ok("open files", &text)
}

#[cfg(test)]
mod tests {
    use super::{judge_clock, judge_descriptors};

    #[test]
    fn a_clock_in_the_past_is_a_failure() {
        assert!(
            judge_clock(0).is_some_and(|finding| finding.to_string().starts_with("FAIL  clock"))
        );
        assert_eq!(judge_clock(1_795_000_000), None);
    }

    #[test]
    fn few_descriptors_are_told_with_the_remedy() {
        let line = judge_descriptors(Some(4_096), Some(50_000)).to_string();
        assert!(
            line.starts_with(
                "warn  open files: at most 4096, room for 2032 connections of the 50000"
            )
        );
        assert!(line.contains("LimitNOFILE="));
        assert!(judge_descriptors(Some(1_048_576), Some(50_000)).to_string().starts_with("ok"));
        assert!(judge_descriptors(None, None).to_string().starts_with("ok"));
    }
}
