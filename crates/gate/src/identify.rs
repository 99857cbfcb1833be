//! Who calls? Judged from the head of a request, before a byte of its body is read: who cannot prove
//! anything learns the same, whatever was sent.
//!
//! The only maker of [`Caller`]. The stage runs also when identity is off, so that the path never
//! changes shape; then somebody anonymous calls, counted by address. What proves what is not decided
//! here but in `tollgate-identity`; that nothing of it goes upstream, in `forward.rs`. Next: back to
//! `frame.rs` for the body.
//!
//! SPEC: 2026-07-28 basic/authorization, Access Token Usage; RFC 6750; RFC 9728 section 5.

mod bearer;

mod challenge;

use crate::ledger::Ledger;
use crate::listen::Peer;
use crate::snapshot::Route;
use bytes::Bytes;
use http::request::Parts;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_core::refusal::Refusal;
use tollgate_identity::{DoorId, Verifier};

/// How callers prove who they are.
#[derive(Debug)]
pub enum Identify {
    /// They do not.
    Anonymous,
    /// With every request.
    Required(Checkpoint),
}

/// What callers have to pass.
#[derive(Debug)]
pub struct Checkpoint {
    /// Who decides.
    pub verifier: Arc<Verifier>,
    /// The metadata of each route, by its path (RFC 9728).
    metadata: HashMap<String, Bytes>,
}

impl Checkpoint {
    /// A checkpoint for these doors.
    #[must_use]
    pub fn new(verifier: Arc<Verifier>, doors: usize) -> Self {
        let mut metadata: HashMap<String, Bytes> = (0..doors)
            .map(|door| verifier.door(DoorId(door)))
            .map(|facts| (facts.metadata_path.clone(), facts.metadata.clone()))
            .collect();
        // SPEC: 2026-07-28 basic/authorization, Protected Resource Metadata Discovery: clients that
        // find nothing with the path inserted look at the root, which can only mean one resource.
        if doors == 1 {
            metadata.insert(ROOT.to_owned(), verifier.door(DoorId(0)).metadata.clone());
        }
        Self { verifier, metadata }
    }
}

/// Where clients look last.
const ROOT: &str = "/.well-known/oauth-protected-resource";

impl Identify {
    /// The metadata at this path.
    #[must_use]
    pub fn metadata(&self, path: &str) -> Option<&Bytes> {
        match self {
            Self::Anonymous => None,
            Self::Required(checkpoint) => checkpoint.metadata.get(path),
        }
    }

    /// Who decides, if anybody does.
    #[must_use]
    pub fn verifier(&self) -> Option<&Arc<Verifier>> {
        match self {
            Self::Anonymous => None,
            Self::Required(checkpoint) => Some(&checkpoint.verifier),
        }
    }
}

/// Somebody who is known as well as the configuration demands.
#[derive(Clone, Debug)]
pub struct Caller {
    principal: Principal,
    key: CallerKey,
    address: IpAddr,
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

    /// From where.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Gives up the proof for who it is.
    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

/// Refuses somebody at this door who was let in before, and has been cut off since.
#[must_use]
pub(crate) fn cut_off(verifier: &Verifier, door: DoorId) -> Refusal {
    challenge::cut_off(verifier.door(door))
}

/// Refuses somebody whose credential lacks scopes for one call.
#[must_use]
pub(crate) fn insufficient(identify: &Identify, door: DoorId, scopes: &[Box<str>]) -> Refusal {
    let scopes: Vec<String> = scopes.iter().map(|scope| String::from(&**scope)).collect();
    let facts = identify.verifier().map(|verifier| verifier.door(door));
    challenge::insufficient(facts, &scopes)
}

/// Finds out who calls.
///
/// # Errors
/// [`tollgate_core::refusal::Reason::Unauthenticated`], `ScopeInsufficient`, `IdentityUnavailable`
/// and `BadRequest`, each with what to do about it.
pub async fn caller(
    identify: &Identify,
    (route, head): (&Route, &Parts),
    peer: &Peer,
    ledger: &mut Ledger,
) -> Result<Caller, Refusal> {
    let checkpoint = match identify {
        Identify::Anonymous => {
            let address = peer.address.ip();
            let key = CallerKey::of_address(address);
            return Ok(Caller { principal: Principal::Anonymous, key, address });
        }
        Identify::Required(checkpoint) => checkpoint,
    };
    let (verifier, door) = (&checkpoint.verifier, route.door);
    let facts = verifier.door(door);
    let presented = bearer::of(head).map_err(|wrong| challenge::malformed(facts, wrong))?;
    let principal = match (presented, &peer.certificate) {
        (Some(token), _) => match verifier.remembered(door, token) {
            Some(principal) => Ok(principal),
            // Boxed: few calls bring a new token, and every call would carry its size.
            None => Box::pin(verifier.verify(door, token)).await,
        },
        (None, Some(certificate)) => match verifier.certificate(door, certificate).await {
            Ok(Some(principal)) => Ok(principal),
            Ok(None) => return Err(challenge::missing(facts)),
            Err(denied) => Err(denied),
        },
        (None, None) => return Err(challenge::missing(facts)),
    };
    let principal = principal.map_err(|denied| challenge::denied(facts, denied))?;
    let key = match &principal {
        Principal::Anonymous => CallerKey::of_address(peer.address.ip()),
        Principal::Proven(proof) => proof.caller(),
    };
    ledger.principal = Some(principal.clone());
    ledger.door = Some(door);
    Ok(Caller { principal, key, address: peer.address.ip() })
}
