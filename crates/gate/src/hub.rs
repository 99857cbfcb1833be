//! Routes with several upstreams: one MCP server towards agents, one client towards each upstream.

use crate::body::GateBody;
use crate::call::Call;
use crate::gate::Gate;
use crate::snapshot::Snapshot;
use http::Response;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};

/// Serves a call of a route with several upstreams.
///
/// # Errors
/// Refusals.
pub async fn serve(
    _gate: &Gate,
    _snapshot: &Snapshot,
    _call: &Call,
    _principal: &Principal,
) -> Result<Response<GateBody>, Refusal> {
    Err(Refusal::new(Reason::Internal, "not yet"))
}
