//! Who calls? Without an identity section: somebody anonymous, counted by address.
//!
//! The only maker of [`Identified`]. The stage runs also when identity is off, so that the path
//! never changes shape. Next: `permit.rs`.

use crate::call::Call;
use crate::frame::Framed;
use tollgate_core::principal::Principal;

/// How callers prove who they are.
#[derive(Debug)]
pub enum Identify {
    /// They do not.
    Anonymous,
}

/// A call whose caller is known.
#[derive(Debug)]
pub struct Identified {
    call: Call,
    principal: Principal,
}

impl Identified {
    /// Gives up the proof for its parts.
    #[must_use]
    pub fn into_parts(self) -> (Call, Principal) {
        (self.call, self.principal)
    }
}

/// Finds out who calls.
#[must_use]
pub fn caller(identify: &Identify, framed: Framed) -> Identified {
    match identify {
        Identify::Anonymous => {
            Identified { call: framed.into_call(), principal: Principal::Anonymous }
        }
    }
}
