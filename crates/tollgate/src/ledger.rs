//! The ledger of usage in a running gate: opened at the start, asked by the operator's listener.
//!
//! The gate writes to it; nobody else in this process does. Next: `usage/served.rs`.

use crate::usage;
use anyhow::Context as _;
use std::path::Path;
use std::sync::Arc;
use tollgate_backends::embedded::EmbeddedUsage;
use tollgate_console::UsageAnswer;
use tollgate_core::clock::Clock as _;
use tollgate_core::stores::UsageLedger;
use tollgate_gate::gate::Gate;
use tollgate_gate::system::SystemClock;

/// Opens it, where the configuration wants one.
///
/// # Errors
/// It cannot be used.
pub(crate) async fn open(file: Option<&Path>) -> anyhow::Result<Option<Arc<dyn UsageLedger>>> {
    let Some(file) = file else { return Ok(None) };
    let ledger = EmbeddedUsage::open(file).await.context("stores.usage")?;
    Ok(Some(Arc::new(ledger)))
}

/// Answers the operator.
pub(crate) async fn answer(
    gate: &Gate,
    ledger: Option<&Arc<dyn UsageLedger>>,
    query: &str,
) -> UsageAnswer {
    let snapshot = gate.snapshot();
    match (ledger, &snapshot.settings.usage) {
        (Some(ledger), Some(settings)) => {
            let now = SystemClock::default().unix_secs();
            usage::served(query, now, &**ledger, settings).await
        }
        _ => UsageAnswer::Absent,
    }
}
