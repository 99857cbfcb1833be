//! Word that something a hub shows has changed: one number that grows.
//!
//! Whoever listens compares what it had told its agent with what is so now; nothing is queued.

use tokio::sync::watch;

/// Where changes are told. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct News(watch::Sender<u64>);

impl Default for News {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl News {
    /// Tells that something changed.
    pub(crate) fn tell(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Hears of changes from now on.
    pub(crate) fn hear(&self) -> watch::Receiver<u64> {
        let mut heard = self.0.subscribe();
        heard.mark_unchanged();
        heard
    }
}
