//! Who calls? Without an identity section: somebody anonymous, counted by address.
//!
//! The only maker of [`Identified`]. The stage runs also when identity is off, so that the path
//! never changes shape. Next: `permit.rs`.

use crate::call::Call;
use crate::frame::Framed;
use http::HeaderValue;
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
    /// The call.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// Who calls.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The same call as one of this session.
    #[must_use]
    pub fn in_session(mut self, id: Option<HeaderValue>) -> Self {
        self.call.session_id = id;
        self
    }

    /// Gives up the proof for its parts.
    #[must_use]
    pub fn into_parts(self) -> (Call, Principal) {
        (self.call, self.principal)
    }
}

/// A call that the gate makes for somebody who has proven who they are with an earlier one.
#[must_use]
pub(crate) fn on_behalf_of(principal: Principal, framed: Framed) -> Identified {
    Identified { call: framed.into_call(), principal }
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
