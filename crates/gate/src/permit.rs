//! May they? Without a policy section: yes, and it says so.
//!
//! The only maker of [`Permitted`]; nothing after this file can run for a call that was denied.
//! Next: `admit.rs`.

use crate::call::{Ask, Call};
use crate::frame::Framed;
use crate::gate::Gate;
use crate::snapshot::Snapshot;
use crate::subject::Subjects;
use std::sync::Arc;
use tollgate_core::party::Party;
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
    /// The call. What its messages act on is in [`crate::call::Post::subjects`].
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// Who makes it, as rules see it.
    #[must_use]
    pub const fn party(&self) -> Party<'_> {
        self.call.party(&self.principal)
    }

    /// Gives up the proof for its parts.
    #[must_use]
    pub fn into_parts(self) -> (Call, Principal) {
        (self.call, self.principal)
    }
}

/// Decides whether the call may be made at all.
#[must_use]
pub async fn decide(_gate: &Arc<Gate>, snapshot: &Arc<Snapshot>, framed: Framed) -> Permitted {
    let (mut call, principal) = framed.into_parts();
    if let Ask::Post(post) = &mut call.ask
        && snapshot.names_subjects()
    {
        post.subjects = Subjects::of(&call.route, post);
    }
    match snapshot.permit {
        Permit::Open => Permitted { call, principal },
    }
}
