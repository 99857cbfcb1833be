//! The request path: every stage in order, and nothing else.
//!
//! `serve` always answers; everything that can fail is in `carry`. A panic in one request is that
//! request's 500.

use crate::admit::{self, Taken};
use crate::aside;
use crate::body::GateBody;
use crate::cors;
use crate::forward;
use crate::frame::{self, Framed};
use crate::gate::Gate;
use crate::identify;
use crate::leash;
use crate::ledger::Ledger;
use crate::listen::Peer;
use crate::permit::{self, Outcome};
use crate::reply;
use crate::route;
use crate::snapshot::Snapshot;
use crate::soft;
use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollgate_core::refusal::{Reason, Refusal};

/// Serves one request.
pub async fn serve(
    gate: Arc<Gate>,
    request: Request<Incoming>,
    peer: Arc<Peer>,
) -> Response<GateBody> {
    let snapshot = gate.snapshot();
    let page = cors::Page::of(&request);
    if let Some(preflight) = page.as_ref().and_then(|page| page.preflight(&snapshot, &request)) {
        return preflight;
    }
    let mut ledger = Ledger::default();
    let carried =
        contained(&gate.panics, carry(&gate, &snapshot, request, &peer, &mut ledger)).await;
    let carried = carried.and_then(|response| leash::hold(&gate, &snapshot, &ledger, response));
    let mut response = carried.unwrap_or_else(|refusal| {
        tracing::debug!(reason = refusal.reason.code(), text = %refusal.text, "refused");
        reply::refuse(&refusal, ledger.id.as_deref())
    });
    if let Some(page) = page {
        page.allow(&snapshot, response.headers_mut());
    }
    response
}

/// Makes a panic the refusal of the one request that met it, and counts it.
// Not an `async fn`, whose future would have room for `carried` twice.
pub(crate) fn contained<T>(
    panics: &AtomicU64,
    carried: impl Future<Output = Result<T, Refusal>>,
) -> impl Future<Output = Result<T, Refusal>> {
    AssertUnwindSafe(carried).catch_unwind().map(|caught| match caught {
        Ok(carried) => carried,
        Err(_panic) => {
            panics.fetch_add(1, Ordering::Relaxed);
            Err(Refusal::new(Reason::Internal, "a defect of the gate: please report it"))
        }
    })
}

async fn carry(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    request: Request<Incoming>,
    peer: &Peer,
    ledger: &mut Ledger,
) -> Result<Response<GateBody>, Refusal> {
    let Some(route) = snapshot.routes.get(request.uri().path()).cloned() else {
        // Boxed: nearly nobody goes this way, and every call would carry its size.
        return Box::pin(aside::serve(gate, snapshot, request, peer, ledger)).await;
    };
    let arrival = frame::arrive(snapshot, route, request)?;
    let from = (&*arrival.route, &arrival.head);
    let caller = identify::caller(&snapshot.identify, from, peer, ledger).await?;
    let framed = frame::read(snapshot, (arrival, caller), ledger).await?;
    if framed.call().route.soft_sessions {
        return Box::pin(soft::recognised(gate, snapshot, framed, ledger)).await;
    }
    onward(gate, snapshot, framed, ledger).await
}

/// The path from a judged call to the response. Agents on HTTP+SSE enter here, whose messages come in
/// and leave by other requests; and agents without a session id, once that was found.
pub(crate) async fn onward(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    framed: Framed,
    ledger: &mut Ledger,
) -> Result<Response<GateBody>, Refusal> {
    let permitted = match permit::decide(gate, snapshot, framed, ledger).await? {
        Outcome::Permitted(permitted) => permitted,
        Outcome::Answered(response) => return Ok(response),
    };
    let admitted = match admit::take(&snapshot.admit, &gate.drain, permitted)? {
        Taken::On(admitted) => admitted,
        Taken::Answered(response) => return Ok(response),
    };
    let tabs = admitted.tabs().clone();
    let served = match route::choose(gate, snapshot, admitted).await {
        Ok(routed) => forward::send(gate, snapshot, routed).await,
        Err(refusal) => Err(refusal),
    };
    tabs.close(served)
}

#[cfg(test)]
mod tests {
    use super::contained;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tollgate_core::refusal::{Reason, Refusal};

    fn bytes_of_future<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// hyper moves it twice for each request: what few calls do is boxed, so that all are small.
    #[test]
    fn the_future_of_a_call_is_small() {
        let bytes = bytes_of_future(super::serve);
        assert!(bytes <= 6 * 1024, "{bytes} bytes");
    }

    #[tokio::test]
    async fn a_panic_is_the_internal_error_of_its_own_request() {
        let panics = AtomicU64::new(0);
        let met: Result<(), Refusal> = contained(&panics, async { panic!("a defect") }).await;
        assert_eq!(met.expect_err("it is refused").reason, Reason::Internal);
        assert_eq!(contained(&panics, async { Ok(7) }).await.expect("the next is served"), 7);
        assert_eq!(panics.load(Ordering::Relaxed), 1);
    }
}
