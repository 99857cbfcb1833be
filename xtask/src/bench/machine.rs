//! What the numbers were measured on: machine, versions, commit, day.
//!
//! What cannot be found out is said to be unknown; it never stops a measurement.
//!
//! Next: `report.rs`.

use crate::bench::lanes::Stage;
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Machine, versions, commit, day.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Day of the run (UTC).
    pub(crate) day: String,
    /// Commit of the workspace, with `+` when files had changed since.
    pub(crate) commit: String,
    cpu: String,
    cores: usize,
    kernel: String,
    nginx: String,
    tollgate: String,
    rustc: String,
    /// Processes that wanted a core in the minute after the run: much more than two means that the
    /// machine did other work too.
    load_average: String,
}

impl Machine {
    /// Finds out.
    pub(crate) fn read(stage: &Stage) -> Self {
        let root = stage.root();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.to_owned()));
        let commit = first_line(root, "git", &["rev-parse", "--short=12", "HEAD"]);
        let changed = first_line(root, "git", &["status", "--porcelain", "-uno"]);
        let gate =
            stage.gate().map(|gate| first_line(root, &gate.to_string_lossy(), &["--version"]));
        Self {
            day: day_of(SystemTime::now()),
            commit: if changed == UNKNOWN { commit } else { format!("{commit}+") },
            cpu: cpu.map_or_else(|| UNKNOWN.to_owned(), |cpu| cpu.trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: first_line(root, "uname", &["-sr"]),
            nginx: first_line(root, "nginx", &["-v"]),
            tollgate: gate.unwrap_or_else(|| "left out".to_owned()),
            rustc: first_line(root, "rustc", &["--version"]),
            load_average: read("/proc/loadavg").split(' ').next().unwrap_or(UNKNOWN).to_owned(),
        }
    }

    /// All of it in a sentence.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "{}, commit {}, {} cores of {}, {}; {}; {}; {}; load average at the end {}.",
            self.day,
            self.commit,
            self.cores,
            self.cpu,
            self.kernel,
            self.nginx,
            self.tollgate,
            self.rustc,
            self.load_average,
        )
    }
}

const UNKNOWN: &str = "unknown";

fn first_line(root: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root).output();
    let Ok(output) = output else { return UNKNOWN.to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map_or_else(|| UNKNOWN.to_owned(), |line| line.trim().to_owned())
}

/// The day in UTC, as `YYYY-MM-DD`.
fn day_of(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Days from 0000-03-01, in years that end with February: leap days come last.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_named_across_leap_years() {
        let day = |seconds| day_of(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(day(951_782_400), "2000-02-29");
        assert_eq!(day(951_868_800), "2000-03-01");
        assert_eq!(day(1_798_761_599), "2026-12-31");
    }
}
