//! What a process writes to stderr: into the log under the upstream's name, and its last line kept
//! for whoever asks why it died.
//!
//! Always read, so that no process waits for a full pipe; logged within bounds. Not an error by
//! itself: servers log there.
//!
//! SPEC: 2026-07-28 basic/transports/stdio: clients should not take output there for an error.

use crate::upstream::duplex::shown;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::ChildStderr;
use tokio::time::Instant;
use tollgate_core::bounds::{STDERR_LINE_BYTES_MAX, STDERR_LINES_PER_SEC};
use tollgate_core::ids::UpstreamName;

const SECOND: Duration = Duration::from_secs(1);

/// Logs what the processes of one upstream write.
#[derive(Debug)]
pub(super) struct Listener {
    upstream: UpstreamName,
    // A plain mutex: held for a few instructions a line.
    pace: Mutex<Pace>,
}

/// How much was logged in this second, by all processes of the upstream.
#[derive(Debug, Default)]
struct Pace {
    since: Option<Instant>,
    lines: usize,
    dropped: u64,
}

impl Listener {
    pub(super) fn new(upstream: UpstreamName) -> Self {
        Self { upstream, pace: Mutex::default() }
    }

    /// Logs until the end; returns the last line that was not empty.
    pub(super) async fn listen(&self, stderr: ChildStderr, pid: u32) -> String {
        let mut input = BufReader::new(stderr);
        let (mut line, mut last) = (Vec::new(), String::new());
        loop {
            let (taken, is_whole, is_end) = match input.fill_buf().await {
                Ok([]) | Err(_) => (0, true, true),
                Ok(bytes) => {
                    let end = memchr::memchr(b'\n', bytes);
                    let taken = end.unwrap_or(bytes.len());
                    let room = STDERR_LINE_BYTES_MAX - line.len();
                    line.extend_from_slice(&bytes[..taken.min(room)]);
                    (taken + usize::from(end.is_some()), end.is_some(), false)
                }
            };
            input.consume(taken);
            if is_whole && !line.trim_ascii().is_empty() {
                last = shown(&line);
                self.log(&line, pid);
            }
            if is_whole {
                line.clear();
            }
            if is_end {
                return last;
            }
        }
    }

    fn log(&self, line: &[u8], pid: u32) {
        let upstream = &self.upstream;
        let now = Instant::now();
        let mut pace = self.pace.lock();
        if pace.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
            let dropped = std::mem::take(&mut pace.dropped);
            *pace = Pace { since: Some(now), ..Pace::default() };
            if dropped > 0 {
                tracing::warn!(%upstream, dropped, "lines on stderr were too many to log");
            }
        }
        pace.lines += 1;
        let is_logged = pace.lines <= STDERR_LINES_PER_SEC;
        pace.dropped += u64::from(!is_logged);
        drop(pace);
        if is_logged {
            let text = String::from_utf8_lossy(line);
            let text: String = text.trim_end().escape_debug().collect();
            tracing::info!(%upstream, pid, "stderr: {text}");
        }
    }
}
