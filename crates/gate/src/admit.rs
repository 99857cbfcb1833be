//! May they now? Without a limits section: yes, unless the gate is shutting down.
//!
//! The only maker of [`Admitted`]. Next: `route.rs`.

use crate::call::Call;
use crate::drain::Drain;
use crate::permit::Permitted;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};

/// How much is allowed.
#[derive(Debug)]
pub enum Admit {
    /// No limits are configured.
    Open,
}

/// A call that is taken on.
#[derive(Debug)]
pub struct Admitted {
    call: Call,
    principal: Principal,
}

impl Admitted {
    /// Gives up the proof for its parts.
    #[must_use]
    pub fn into_parts(self) -> (Call, Principal) {
        (self.call, self.principal)
    }
}

/// Takes the call on, or refuses it for now.
///
/// # Errors
/// [`Reason::Draining`] while the gate shuts down.
pub fn take(admit: &Admit, drain: &Drain, permitted: Permitted) -> Result<Admitted, Refusal> {
    if drain.is_begun() {
        let text = "the gate is shutting down: retry, and another instance will answer";
        return Err(Refusal::new(Reason::Draining, text).retry_after(1));
    }
    match admit {
        Admit::Open => {
            let (call, principal) = permitted.into_parts();
            Ok(Admitted { call, principal })
        }
    }
}
