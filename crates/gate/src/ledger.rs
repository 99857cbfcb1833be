//! What is noted about a request while it is served.
//!
//! The seam for the journal, metering and traces: opened with the request, filled in by the stages,
//! read when the answer is made.

use bytes::Bytes;
use tollgate_core::principal::Principal;
use tollgate_identity::DoorId;
use tollgate_policy::RuleId;

/// The notes of one request.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The request's JSON-RPC id as raw JSON, once known: every refusal answers with it.
    pub id: Option<Bytes>,
    /// Who calls, once known: what is streamed to them ends when they are cut off.
    pub principal: Option<Principal>,
    /// What the caller was let in at, once known: whoever is cut off there is told where to turn.
    pub door: Option<DoorId>,
    /// What policy decided; of a batch, the last that counts most: denied before shadowed before allowed.
    pub decision: Option<Judged>,
}

/// A decision of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How it came out.
    pub verdict: Verdict,
    /// The rule it is by; `None` where nothing allows the call, or no rule is about it.
    pub rule: Option<RuleId>,
}

/// How a decision came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The call was allowed.
    Allowed,
    /// It would have been refused, and was made: the policy is in shadow.
    Shadowed,
    /// It was refused.
    Denied,
}

impl Ledger {
    /// Notes that a rule allows a call.
    pub fn note_allowed(&mut self, rule: RuleId) {
        self.note(Verdict::Allowed, Some(rule));
    }

    /// Notes that a call is refused.
    pub fn note_denied(&mut self, rule: Option<RuleId>) {
        self.note(Verdict::Denied, rule);
    }

    /// Notes that a call would have been refused.
    pub fn note_shadowed(&mut self, rule: Option<RuleId>) {
        self.note(Verdict::Shadowed, rule);
    }

    fn note(&mut self, verdict: Verdict, rule: Option<RuleId>) {
        if self.decision.is_none_or(|known| known.verdict <= verdict) {
            self.decision = Some(Judged { verdict, rule });
        }
    }
}
