//! Says once a second at most that an upstream sends what is no message, and shows a little of it.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::LINE_SHOWN_CHARS_MAX;
use tollgate_core::ids::UpstreamName;

const PAUSE: Duration = Duration::from_secs(1);

/// Counts and reports noise of one upstream.
#[derive(Debug)]
pub struct Noise {
    upstream: UpstreamName,
    // A plain mutex: held for a few instructions.
    said: Mutex<(Option<Instant>, u64)>,
}

impl Noise {
    /// For this upstream.
    #[must_use]
    pub fn new(upstream: UpstreamName) -> Self {
        Self { upstream, said: Mutex::new((None, 0)) }
    }

    /// Takes note of some.
    pub fn note(&self, bytes: &[u8], why: &dyn std::fmt::Display) {
        let now = Instant::now();
        let mut said = self.said.lock();
        said.1 = said.1.saturating_add(1);
        if said.0.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
            return;
        }
        let skipped = std::mem::take(&mut said.1);
        said.0 = Some(now);
        drop(said);
        let (upstream, text) = (&self.upstream, shown(bytes));
        tracing::warn!(%upstream, skipped, %why, text, "the upstream sends what is no message");
    }
}

/// Text of somebody else for a log: one line, no control characters, not long.
#[must_use]
pub(crate) fn shown(bytes: &[u8]) -> String {
    // A character has at most four bytes, so no more of them can be shown.
    let start = &bytes[..bytes.len().min(LINE_SHOWN_CHARS_MAX * 4)];
    let text = String::from_utf8_lossy(start);
    let text: String = text.trim().chars().take(LINE_SHOWN_CHARS_MAX).collect();
    text.escape_debug().take(LINE_SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn text_of_somebody_else_is_short_and_holds_no_control_characters() {
        assert_eq!(shown(b" a\x1b[31mb\nc \xff "), "a\\u{1b}[31mb\\nc \u{fffd}");
        assert_eq!(shown(&vec![b'x'; 1 << 20]).len(), 200);
    }
}
