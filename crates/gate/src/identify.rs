//! Who calls? Judged from the head of a request, before a byte of its body is read: who cannot prove
//! anything learns the same, whatever was sent.
//!
//! The only maker of [`Caller`]. The stage runs also when identity is off, so that the path never
//! changes shape; then somebody anonymous calls, counted by address. Next: back to `frame.rs` for the
//! body.

use std::net::IpAddr;
use tollgate_core::principal::{CallerKey, Principal};

/// How callers prove who they are.
#[derive(Debug)]
pub enum Identify {
    /// They do not.
    Anonymous,
}

/// Somebody who is known as well as the configuration demands.
#[derive(Clone, Debug)]
pub struct Caller {
    principal: Principal,
    key: CallerKey,
}

impl Caller {
    /// Who calls.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whom caps count, and whom isolation keeps apart.
    #[must_use]
    pub const fn key(&self) -> CallerKey {
        self.key
    }

    /// Gives up the proof for who it is.
    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

/// Finds out who calls.
#[must_use]
pub fn caller(identify: &Identify, address: IpAddr) -> Caller {
    match identify {
        Identify::Anonymous => {
            Caller { principal: Principal::Anonymous, key: CallerKey::of_address(address) }
        }
    }
}
