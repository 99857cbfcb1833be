//! What is noted about a request while it is served.
//!
//! The seam for the journal, metering and traces: opened with the request, filled in by the stages,
//! read when the answer is made.

use bytes::Bytes;
use tollgate_core::principal::Principal;
use tollgate_identity::DoorId;

/// The notes of one request.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The request's JSON-RPC id as raw JSON, once known: every refusal answers with it.
    pub id: Option<Bytes>,
    /// Who calls, once known: what is streamed to them ends when they are cut off.
    pub principal: Option<Principal>,
    /// What the caller was let in at, once known: whoever is cut off there is told where to turn.
    pub door: Option<DoorId>,
}
