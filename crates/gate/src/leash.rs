//! Ends what is streamed to a caller when the right to it ends: the credential expires, or somebody
//! revokes it.
//!
//! A stream that began with a good token must not outlive it. It is cut like one whose upstream broke
//! off, so that nobody takes it for complete; the client comes back with a new token and goes on.
//! Replies that are not streams need none of this: they are made in one piece.
//!
//! SPEC: 2026-07-28 basic/authorization, Token Requirements: authorization is part of every request;
//! RFC 7009 section 2: revoked takes effect immediately.

use crate::body::{Cut, GateBody};
use crate::gate::Gate;
use crate::identify;
use crate::ledger::Ledger;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate_core::clock::Clock;
use tollgate_core::principal::{Principal, Proof};
use tollgate_core::refusal::Refusal;
use tollgate_identity::Verifier;

/// Longest wait before the wall clock is looked at again: it may jump.
const LOOK: Duration = Duration::from_secs(60);

/// Passes a response on to a caller who still has the right to it.
///
/// # Errors
/// `Unauthenticated` where that right was revoked while the call was under way.
pub(crate) fn hold(
    gate: &Gate,
    snapshot: &Snapshot,
    ledger: &Ledger,
    response: Response<GateBody>,
) -> Result<Response<GateBody>, Refusal> {
    let Some(verifier) = snapshot.identify.verifier() else { return Ok(response) };
    let Some(door) = ledger.door else { return Ok(response) };
    let Some(principal @ Principal::Proven(proof)) = &ledger.principal else { return Ok(response) };
    if verifier.is_revoked(principal) {
        return Err(identify::cut_off(verifier, door));
    }
    if matches!(response.body(), GateBody::Full(_)) {
        return Ok(response);
    }
    let hold = |stream| {
        let leashed = Leashed::new(stream, proof.clone(), verifier.clone(), gate.clock.clone());
        GateBody::Leashed(Box::new(leashed))
    };
    Ok(response.map(hold))
}

/// A stream and what ends it.
pub struct Leashed {
    stream: GateBody,
    principal: Principal,
    verifier: Arc<Verifier>,
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl std::fmt::Debug for Leashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leashed").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Leashed {
    /// The stream, for as long as the proof is good.
    pub(crate) fn new(
        stream: GateBody,
        proof: Arc<Proof>,
        verifier: Arc<Verifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let principal = Principal::Proven(proof.clone());
        let (watched, by) = (principal.clone(), verifier.clone());
        let ended = async move {
            tokio::select! {
                () = expired(&proof, &*clock) => {}
                () = revoked(watched, &by) => {}
            }
        };
        Self { stream, principal, verifier, ended: Some(Box::pin(ended)) }
    }

    /// The next piece, or the cut.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(ended) = &mut self.ended else { return Poll::Ready(None) };
        let mut is_over = ended.as_mut().poll(context).is_ready();
        if !is_over {
            let piece = Pin::new(&mut self.stream).poll_frame(context);
            // Its session may have ended a moment before this noticed why: that is no proper end.
            is_over =
                matches!(piece, Poll::Ready(None)) && self.verifier.is_revoked(&self.principal);
            if !is_over {
                return piece;
            }
        }
        self.ended = None;
        self.stream = GateBody::Full(None);
        Poll::Ready(Some(Err(Cut)))
    }
}

async fn expired(proof: &Proof, clock: &dyn Clock) {
    let Some(expires) = proof.expires else { return std::future::pending().await };
    loop {
        let left = expires.saturating_sub(clock.unix_secs());
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_secs(left).min(LOOK)).await;
    }
}

async fn revoked(principal: Principal, verifier: &Verifier) {
    let mut changes = verifier.revocations();
    loop {
        if verifier.is_revoked(&principal) {
            return;
        }
        if changes.changed().await.is_err() {
            // The configuration that knew of revocations is gone; its successor's streams are not
            // these. What is left is the expiry.
            std::future::pending::<()>().await;
        }
    }
}
