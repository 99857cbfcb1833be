//! What meters calls, from configuration to configuration: begun when one wants it, and begun anew only
//! if it has to start or stop writing rows.

use super::Scale;
use crate::settings::Settings;
use crate::snapshot::CompileError;
use parking_lot::Mutex;
use std::sync::Arc;
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::stores::UsageLedger;
use tollgate_rules::teams::Teams;
use tollgate_usage::Meter;
use tollgate_usage::settings::{Estimator, OnFailure, PriceSettings, UsageSettings};

/// Keeps the scale.
#[derive(Debug)]
pub(crate) struct Scales {
    ledger: Option<Arc<dyn UsageLedger>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The present one, and whether it writes rows.
    present: Mutex<Option<(bool, Arc<Scale>)>>,
}

impl Scales {
    pub(crate) const fn new(
        ledger: Option<Arc<dyn UsageLedger>>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { ledger, clock, entropy, present: Mutex::new(None) }
    }

    /// The scale for these settings; `None` where nothing is limited or metered.
    pub(crate) fn of(&self, settings: &Settings) -> Result<Option<Arc<Scale>>, CompileError> {
        let Some(usage) = usage(settings) else { return Ok(None) };
        let mut present = self.present.lock();
        if let Some((writes, scale)) = &*present
            && *writes == usage.has_ledger
        {
            return Ok(Some(scale.clone()));
        }
        let ledger = self.ledger.clone().filter(|_| usage.has_ledger);
        let writes = usage.has_ledger;
        if writes && ledger.is_none() {
            return Err(CompileError::LedgerLate);
        }
        let meter = Meter::start(usage, ledger, self.clock.clone())?;
        let scale = Arc::new(Scale::new(meter, self.clock.clone(), self.entropy.clone()));
        *present = Some((writes, scale.clone()));
        Ok(Some(scale))
    }

    /// Counts by these settings from now on.
    pub(crate) fn follow(&self, settings: &Settings) {
        let present = self.present.lock();
        if let (Some((_, scale)), Some(usage)) = (&*present, usage(settings)) {
            scale.meter.reload(usage);
        }
    }
}

/// What is metered. Limits need it too: what calls take is known only when it is counted.
fn usage(settings: &Settings) -> Option<UsageSettings> {
    settings.usage.clone().or_else(|| {
        settings.quotas.is_some().then(|| UsageSettings {
            estimator: Estimator::Bytes,
            reported: Vec::new(),
            prices: PriceSettings { currency: "USD".into(), entries: Vec::new() },
            teams: Teams::default(),
            has_ledger: false,
            on_failure: OnFailure::Open,
            retain_secs: None,
        })
    })
}
