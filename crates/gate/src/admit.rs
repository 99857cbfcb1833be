//! May they now? Without limits and metering: yes, unless the gate is shutting down.
//!
//! The only maker of [`Admitted`]. Whatever is refused here has reached nobody, and costs nothing; what
//! is let in carries the tabs that settle it (`meter.rs`). A message counts once, however often the
//! gate itself repeats it, and whatever it came in by. Next: `admit/limited.rs`, then `route.rs`.

mod limited;

pub use limited::Limited;

use crate::body::GateBody;
use crate::call::Call;
use crate::drain::Drain;
use crate::meter::Tabs;
use crate::permit::Permitted;
use http::Response;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};

/// How much is allowed.
#[derive(Debug)]
pub enum Admit {
    /// No limits are configured, and nothing is metered.
    Open,
    /// As much as there is room for; what is used is metered.
    Limited(Box<Limited>),
}

impl Admit {
    /// What limits and meters, if anything does.
    #[must_use]
    pub fn limited(&self) -> Option<&Limited> {
        match self {
            Self::Open => None,
            Self::Limited(limited) => Some(limited),
        }
    }
}

/// A call that is taken on.
#[derive(Debug)]
pub struct Admitted {
    call: Call,
    principal: Principal,
    tabs: Tabs,
}

impl Admitted {
    /// What its messages have open.
    #[must_use]
    pub const fn tabs(&self) -> &Tabs {
        &self.tabs
    }

    /// Gives up the proof for its parts.
    #[must_use]
    pub fn into_parts(self) -> (Call, Principal) {
        (self.call, self.principal)
    }
}

/// What becomes of a call here, if it is not refused by status.
#[derive(Debug)]
pub enum Taken {
    /// It is taken on.
    On(Admitted),
    /// It is refused in the form of an answer.
    Answered(Response<GateBody>),
}

/// Takes the call on, or refuses it for now.
///
/// # Errors
/// [`Reason::Draining`] while the gate shuts down; [`Reason::LimitReached`],
/// [`Reason::BudgetExhausted`], [`Reason::NeverFits`] and [`Reason::LedgerUnavailable`].
pub fn take(admit: &Admit, drain: &Drain, permitted: Permitted) -> Result<Taken, Refusal> {
    if drain.is_begun() {
        let text = "the gate is shutting down: retry, and another instance will answer";
        return Err(Refusal::new(Reason::Draining, text).retry_after(1));
    }
    match admit {
        Admit::Open => {
            let (call, principal) = permitted.into_parts();
            Ok(Taken::On(Admitted { call, principal, tabs: Tabs::None }))
        }
        Admit::Limited(limited) => limited.take(permitted),
    }
}
