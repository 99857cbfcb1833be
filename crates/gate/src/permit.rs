//! May they? Without a policy section: yes, and it says so.
//!
//! The only maker of [`Permitted`]; nothing after this file can run for a call that was denied. A call
//! of what the caller may not use is answered here, in the words for what is not there. One look for
//! most calls; whatever has to wait or to be refused is in `permit/judge.rs`.
//!
//! What comes back later than the decision (replies, streams, changed policies) is `permit/watch.rs`.
//! Next: `admit.rs`.

mod judge;

mod pinned;

mod refusing;

mod subscription;

mod tally;

mod visible;

mod watch;

pub use tally::{PermitCounts, Tally};
pub(crate) use visible::{Sight, differing, kind_of};
pub use watch::{Reloads, Watch};

use crate::body::GateBody;
use crate::call::{Ask, Call, Post};
use crate::frame::Framed;
use crate::gate::Gate;
use crate::hub;
use crate::ledger::Ledger;
use crate::snapshot::Snapshot;
use crate::subject::{Subjects, Target};
use http::Response;
use judge::Bench;
use std::sync::Arc;
use tollgate_core::party::{ItemKind, Party};
use tollgate_core::principal::Principal;
use tollgate_core::refusal::Refusal;
use tollgate_mcp::era::Era;
use tollgate_mcp::hub::items::ListKind;
use tollgate_policy::settings::{Mode, PolicySettings};
use tollgate_policy::{Policy, PolicyError};

/// What is allowed.
#[derive(Clone, Debug)]
pub enum Permit {
    /// No policy is configured: every call.
    Open,
    /// What the policy allows.
    Policy(Arc<Rulebook>),
}

/// A policy in force.
#[derive(Debug)]
pub struct Rulebook {
    pub(crate) policy: Policy,
    /// Counts over all versions of the policy.
    pub(crate) tally: Arc<Tally>,
}

impl Permit {
    /// Compiles a policy. One that did not change stays the same value.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn compile(
        settings: Option<&PolicySettings>,
        previous: Option<&Snapshot>,
    ) -> Result<Self, PolicyError> {
        let Some(settings) = settings else { return Ok(Self::Open) };
        let before = previous.and_then(|old| Some((old.permit.book()?, old)));
        if let Some((book, _)) =
            before.filter(|(_, old)| old.settings.policy.as_ref() == Some(settings))
        {
            return Ok(Self::Policy(book.clone()));
        }
        let policy = Policy::compile(settings)?;
        let tally = before.map(|(book, _)| book.tally.clone()).unwrap_or_default();
        Ok(Self::Policy(Arc::new(Rulebook { policy, tally })))
    }

    /// The policy, if there is one.
    #[must_use]
    pub const fn book(&self) -> Option<&Arc<Rulebook>> {
        match self {
            Self::Open => None,
            Self::Policy(book) => Some(book),
        }
    }

    /// The policy, if there is one that is enforced.
    #[must_use]
    pub fn enforced(&self) -> Option<&Arc<Rulebook>> {
        self.book().filter(|book| book.is_enforced())
    }
}

impl Rulebook {
    /// Whether anything is refused or hidden by it.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.policy.mode() == Mode::Enforce
    }
}

/// A call that policy allows.
#[derive(Debug)]
pub struct Permitted {
    call: Call,
    principal: Principal,
}

impl Permitted {
    /// The call. What its messages act on is in [`Post::subjects`].
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

/// What became of a call.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on.
    Permitted(Permitted),
    /// It was answered as by a server that does not have what it names, and goes nowhere.
    Answered(Response<GateBody>),
}

/// Decides whether the call may be made at all.
///
/// # Errors
/// `PolicyDenied` and `ScopeInsufficient` where the caller may know why; `UpstreamDown` where nobody can
/// say what the upstream has.
pub async fn decide(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    framed: Framed,
    ledger: &mut Ledger,
) -> Result<Outcome, Refusal> {
    let (mut call, principal) = framed.into_parts();
    if let Ask::Post(post) = &mut call.ask
        && snapshot.names_subjects()
    {
        post.subjects = Subjects::of(&call.route, post);
        if post.subjects.all().iter().any(|target| matches!(target, Target::Shortened { .. })) {
            Box::pin(hub::settle(gate, snapshot, (&mut call, &principal))).await;
        }
    }
    if !pinned::is_clear(&call, gate.clock.now()) {
        let judged = pinned::judge(gate, snapshot, (&mut call, &principal));
        if let Some(response) = Box::pin(judged).await? {
            return Ok(Outcome::Answered(response));
        }
    }
    let Permit::Policy(book) = &snapshot.permit else {
        return Ok(Outcome::Permitted(Permitted { call, principal }));
    };
    if !is_clear(snapshot, book, (&call, &principal), ledger) {
        let judged = judge::all(gate, (snapshot, book), (&mut call, &principal), ledger);
        if let Some(response) = Box::pin(judged).await? {
            return Ok(Outcome::Answered(response));
        }
    }
    // Not before: what mirrors an argument says that there is a tool.
    if let (Ask::Post(post), Some(leg)) = (&call.ask, call.route.straight())
        && let Some(message) = post.one().filter(|_| post.era == Era::Modern)
    {
        leg.knowledge.check_params(&post.body, message, &post.params)?;
    }
    Ok(Outcome::Permitted(Permitted { call, principal }))
}

/// Whether the call is one of the many that are allowed at the first look.
fn is_clear(
    snapshot: &Snapshot,
    book: &Rulebook,
    (call, principal): (&Call, &Principal),
    ledger: &mut Ledger,
) -> bool {
    let Ask::Post(post) = &call.ask else { return true };
    let Subjects::One(target) = &post.subjects else { return false };
    let (Target::Item(subject), Some(message)) = (target, post.one()) else {
        return *target == Target::Nothing;
    };
    if book.is_enforced() && !is_known(call, subject.leg, (subject.kind, subject.name.as_str())) {
        return false;
    }
    let bench = Bench::new(snapshot, book, call.party(principal), judge::place(&call.route));
    match bench.item(&subject.item(&call.route), judge::Asked::of(post, message)) {
        Ok(rule) => {
            book.tally.note_allowed();
            ledger.note_allowed(rule);
            true
        }
        Err(_) => false,
    }
}

/// Whether a list of the upstream has told of this. Resources cannot all be listed.
fn is_known(call: &Call, leg: usize, (kind, name): (ItemKind, &str)) -> bool {
    let kind = match kind {
        ItemKind::Tool => ListKind::Tools,
        ItemKind::Prompt => ListKind::Prompts,
        ItemKind::Resource => return true,
    };
    call.route.legs[leg].knowledge.roster().has(kind, name) == Some(true)
}

/// Whether messages of a body have to be answered one by one.
fn is_batch(post: &Post) -> bool {
    post.one().is_none()
}
