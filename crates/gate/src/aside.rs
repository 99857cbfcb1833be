//! Requests for paths that are no routes: the old transport, metadata of protected resources, and
//! what else stands on the listener.

use crate::body::GateBody;
use crate::frame;
use crate::gate::Gate;
use crate::http_sse;
use crate::ledger::Ledger;
use crate::listen::Peer;
use crate::reply;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use tollgate_core::refusal::{Reason, Refusal};

/// Serves a request for a path that is no route.
///
/// # Errors
/// [`Reason::RouteUnknown`] where nothing is, and what is refused there.
pub(crate) async fn serve(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    request: Request<Incoming>,
    peer: &Peer,
    ledger: &mut Ledger,
) -> Result<Response<GateBody>, Refusal> {
    let path = request.uri().path();
    if let Some(door) = snapshot.sse_paths.get(path) {
        return http_sse::serve(gate, snapshot, (door, request), peer, ledger).await;
    }
    // What is said here is for every page to know; what is done here looks at the page itself.
    frame::no_repeats(request.headers())?;
    snapshot.names.check_host(request.uri(), request.headers())?;
    if let Some(document) = snapshot.identify.metadata(path) {
        return Ok(metadata(request.method(), document.clone()));
    }
    let Some(annex) = gate.annex.as_ref().filter(|annex| annex.serves(path)) else {
        let text = "nothing is served at this path: use a route the operator configured";
        return Err(Refusal::new(Reason::RouteUnknown, text));
    };
    let answer = annex.serve(request, peer.address.ip(), peer.is_tls).await;
    Ok(answer.map(|body| GateBody::Full((!body.is_empty()).then_some(body))))
}

/// SPEC: RFC 9728 section 3.2: a JSON document, for everybody.
fn metadata(method: &Method, document: Bytes) -> Response<GateBody> {
    let mut response = match *method {
        Method::GET | Method::HEAD => reply::json(StatusCode::OK, document),
        Method::OPTIONS => reply::empty(StatusCode::NO_CONTENT),
        _ => reply::empty(StatusCode::METHOD_NOT_ALLOWED),
    };
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    response
}
