//! May they? Without a policy section: yes, and it says so.
//!
//! The only maker of [`Permitted`]; nothing after this file can run for a call that was denied.
//! Next: `admit.rs`.

use crate::call::Call;
use crate::frame::Framed;
use tollgate_core::principal::Principal;

/// What is allowed.
#[derive(Debug)]
pub enum Permit {
    /// No policy is configured: every call.
    Open,
}

/// A call that policy allows.
#[derive(Debug)]
pub struct Permitted {
    call: Call,
    principal: Principal,
}

impl Permitted {
    /// Gives up the proof for its parts.
    #[must_use]
    pub fn into_parts(self) -> (Call, Principal) {
        (self.call, self.principal)
    }
}

/// Decides whether the call may be made at all.
#[must_use]
pub fn decide(permit: &Permit, framed: Framed) -> Permitted {
    match permit {
        Permit::Open => {
            let (call, principal) = framed.into_parts();
            Permitted { call, principal }
        }
    }
}
