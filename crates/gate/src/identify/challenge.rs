//! What somebody is told who is not known well enough: where to get a token, and for what.
//!
//! SPEC: RFC 6750 section 3; RFC 9728 section 5.1; 2026-07-28 basic/authorization, Error Handling and
//! Scope Challenge Handling.

use tollgate_core::refusal::{Reason, Refusal};
use tollgate_identity::{Denied, DoorFacts};
use tollgate_oauth::challenge::Challenge;
use tollgate_oauth::error::{Code, Error};

/// Nothing was presented. SPEC: RFC 6750 section 3.1: then there is no error code.
pub(super) fn missing(facts: &DoorFacts) -> Refusal {
    let text = "this route needs an access token: get one from the authorization server that \
                `resource_metadata` in `WWW-Authenticate` leads to, and send it as `Authorization: \
                Bearer`";
    Refusal::new(Reason::Unauthenticated, text).challenging(challenge(facts, None, &facts.scopes))
}

/// What was presented cannot be read.
pub(super) fn malformed(facts: &DoorFacts, wrong: &'static str) -> Refusal {
    let header = challenge(facts, Some((Code::InvalidRequest, wrong)), &facts.scopes);
    Refusal::new(Reason::BadRequest, wrong).challenging(header)
}

/// What was presented was good when the call began, and is no longer.
pub(super) fn cut_off(facts: &DoorFacts) -> Refusal {
    let text = "this agent was cut off while its call was under way: its result is withheld";
    denied(facts, Denied::Invalid { why: text.into() })
}

/// What was presented is not good enough.
pub(super) fn denied(facts: &DoorFacts, denied: Denied) -> Refusal {
    match denied {
        Denied::Malformed { why } => {
            let header = challenge(facts, Some((Code::InvalidRequest, &why)), &facts.scopes);
            Refusal::new(Reason::BadRequest, why).challenging(header)
        }
        Denied::Invalid { why } => {
            let header = challenge(facts, Some((Code::InvalidToken, &why)), &facts.scopes);
            Refusal::new(Reason::Unauthenticated, why).challenging(header)
        }
        Denied::Insufficient { scopes } => {
            let text =
                format!("this needs the scopes: {}; ask for a token with them", scopes.join(" "));
            let header = challenge(facts, Some((Code::InsufficientScope, &text)), &scopes);
            Refusal::new(Reason::ScopeInsufficient, text).challenging(header)
        }
        Denied::Unavailable { why, retry_after_secs } => {
            let secs = u32::try_from(retry_after_secs).unwrap_or(u32::MAX);
            Refusal::new(Reason::IdentityUnavailable, why).retry_after(secs)
        }
    }
}

/// What was presented lacks scopes for one call; without identity, nobody could get them.
pub(super) fn insufficient(facts: Option<&DoorFacts>, scopes: &[String]) -> Refusal {
    match facts {
        Some(facts) => denied(facts, Denied::Insufficient { scopes: scopes.to_vec() }),
        None => {
            let text = format!("this needs the scopes: {}", scopes.join(" "));
            Refusal::new(Reason::ScopeInsufficient, text)
        }
    }
}

fn challenge(facts: &DoorFacts, error: Option<(Code, &str)>, scopes: &[String]) -> String {
    Challenge {
        resource_metadata: facts.metadata_url.clone(),
        error: error.map(|(code, text)| Error { code, description: text.to_owned() }),
        scope: scopes.to_vec(),
    }
    .header()
}
