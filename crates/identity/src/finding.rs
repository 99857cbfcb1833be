//! What looking into a credential came to, and how long that may be remembered.

use crate::denied::Denied;
use crate::remembered::Era;
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
    /// Until when that need not be found out again, in Unix seconds.
    pub(crate) until: u64,
    /// The era it was found out in.
    pub(crate) era: Era,
}

/// A credential that is not, or of which that could not be found out.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// What the caller is told.
    pub(crate) denied: Denied,
    /// Until when in Unix seconds, and in which era, the same answer may be given again; `None`:
    /// the next one who asks is looked into anew.
    pub(crate) until: Option<(u64, Era)>,
}

impl Refused {
    /// A credential that stays bad while the era lasts, as far as anyone can tell.
    pub(crate) const fn in_era(denied: Denied, era: Era, now: u64) -> Self {
        Self { denied, until: Some((now + TOKEN_REFUSED_SECS, era)) }
    }
}

impl From<Denied> for Refused {
    /// What may be different a moment later.
    fn from(denied: Denied) -> Self {
        Self { denied, until: None }
    }
}
