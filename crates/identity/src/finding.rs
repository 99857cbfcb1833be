//! What looking into a credential came to, and how long that may be remembered.

use crate::denied::Denied;
use crate::remembered::{Era, Lasting};
use std::sync::Arc;
use tollgate_core::bounds::identity::TOKEN_REFUSED_SECS;
use tollgate_core::principal::Proof;

/// What a credential came to.
pub(crate) type Outcome = Result<Finding, Refused>;

/// A credential that is good.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// What it proves.
    pub(crate) proof: Arc<Proof>,
    /// How long that need not be found out again.
    pub(crate) lasting: Lasting,
}

/// A credential that is not, or of which that could not be found out.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// What the caller is told.
    pub(crate) denied: Denied,
    /// How long the same answer may be given again; `None`: the next one who asks is looked into
    /// anew.
    pub(crate) lasting: Option<Lasting>,
}

impl Refused {
    /// A credential that stays bad while the era lasts, as far as anyone can tell.
    pub(crate) const fn in_era(denied: Denied, era: Era, now: u64) -> Self {
        Self { denied, lasting: Some(Lasting { until: now + TOKEN_REFUSED_SECS, era }) }
    }
}

impl From<Denied> for Refused {
    /// What may be different a moment later.
    fn from(denied: Denied) -> Self {
        Self { denied, lasting: None }
    }
}
