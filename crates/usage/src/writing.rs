//! The one task that writes rows to the ledger, and removes old ones.
//!
//! Rows wait until there are enough of them or the oldest has waited for long enough. What could not
//! be written is written again, with pauses, until it is: the ledger knows a row it has. The task ends
//! with the meter, after a last attempt.
//!
//! Next: `backends`, for the ledgers themselves.

use crate::meter::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tollgate_core::bounds::usage::{FLUSH_MILLIS, FLUSH_RETRY_MILLIS_MAX, FLUSH_ROWS, SWEEP_SECS};
use tollgate_core::stores::{UsageLedger, UsageRow};

/// Writes until the meter ends.
pub(crate) async fn write(shared: Arc<Shared>, ledger: Arc<dyn UsageLedger>) {
    let mut sweep_at = Instant::now();
    loop {
        tokio::select! {
            // Neither loses anything when the other comes first: a wake-up is kept by `Notify`, and the
            // time of the sweep by us.
            () = shared.backlog.first.notified() => {}
            () = sleep_until(sweep_at) => {
                sweep_at = Instant::now() + sweep(&shared, &*ledger).await;
            }
        }
        if !shared.is_ended() && !shared.is_hurried() {
            let enough = shared.backlog.enough.notified();
            // Either way rows are written now.
            drop(timeout(Duration::from_millis(FLUSH_MILLIS), enough).await);
        }
        loop {
            let rows = shared.backlog.take();
            if rows.is_empty() {
                break;
            }
            let is_more = rows.len() >= FLUSH_ROWS;
            append(&shared, &*ledger, rows).await;
            if !is_more {
                break;
            }
        }
        if shared.backlog.has_rows() {
            // They came while others were written: their wake-up was for rows that are gone.
            shared.backlog.first.notify_one();
        } else if shared.is_ended() && !shared.is_counting() {
            return;
        }
    }
}

/// Writes rows, however long it takes; an ended meter tries once.
async fn append(shared: &Shared, ledger: &dyn UsageLedger, rows: Vec<UsageRow>) {
    let mut pause = FLUSH_MILLIS;
    loop {
        match ledger.append(rows.clone()).await {
            Ok(_) => {
                if shared.failing_since.swap(0, Ordering::Relaxed) != 0 {
                    tracing::info!("the ledger of usage takes rows again");
                }
                return shared.backlog.wrote(rows.len());
            }
            Err(error) => {
                shared.failures.fetch_add(1, Ordering::Relaxed);
                // Zero says that all is well.
                let now = shared.clock.now().0.max(1);
                let before = shared.failing_since.compare_exchange(
                    0,
                    now,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if before.is_ok() {
                    tracing::error!(%error, "the ledger of usage takes no rows; they wait");
                }
            }
        }
        if shared.is_ended() {
            return;
        }
        sleep(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(FLUSH_RETRY_MILLIS_MAX);
    }
}

/// Removes what is older than the operator keeps; says when to look again.
async fn sweep(shared: &Shared, ledger: &dyn UsageLedger) -> Duration {
    let later = Duration::from_secs(SWEEP_SECS);
    let Some(secs) = shared.rules().settings.retain_secs else { return later };
    let before = shared.clock.unix_secs().saturating_sub(secs).saturating_mul(1_000);
    // Rows of calls come first.
    while shared.backlog.pending() < FLUSH_ROWS && !shared.is_ended() {
        match ledger.sweep(before).await {
            Ok(0) => return later,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "old rows of the ledger of usage are still there");
                return later;
            }
        }
    }
    Duration::from_secs(1)
}
