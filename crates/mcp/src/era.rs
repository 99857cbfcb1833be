//! The two eras of the protocol: which one a request belongs to, and the rules of each.
//!
//! Only files of this folder compare protocol versions. The rest of the house asks questions
//! (`allows_batches`, `carries_version_header`) and never sees a date.
//!
//! SPEC: 2026-07-28 basic/versioning, Backward Compatibility with Initialization-Based Versions.

pub mod legacy;
pub mod modern;

use crate::json::{Kind, Message};
use crate::methods::Method;
use tollgate_core::refusal::{Reason, Refusal};

/// Legacy (`initialize`, sessions) or modern (stateless).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2024-11-05 to 2025-11-25.
    Legacy,
    /// 2026-07-28 on.
    Modern,
}

impl Era {
    /// Whether a client that vanishes has thereby cancelled its request.
    ///
    /// SPEC: 2026-07-28 basic/patterns/cancellation: closing the stream is cancelling. 2025-11-25
    /// basic/transports, Sending Messages: a disconnect should not be read as cancellation.
    #[must_use]
    pub const fn disconnect_is_cancel(self) -> bool {
        matches!(self, Self::Modern)
    }
}

/// The era of one message, by the body first and the version header second.
///
/// # Errors
/// A refusal when the body makes no modern claim but the header names a version that needs one, or
/// a version nobody speaks.
pub fn classify(
    body: &[u8],
    message: &Message,
    method: Method,
    version_header: Option<&str>,
) -> Result<Era, Refusal> {
    if message.fields.meta.is_some_and(|meta| meta.protocol_version.is_some()) {
        return Ok(Era::Modern);
    }
    if method == Method::Initialize {
        return Ok(Era::Legacy);
    }
    match version_header {
        None => Ok(Era::Legacy),
        Some(version) if legacy::Version::parse(version).is_some() => Ok(Era::Legacy),
        Some(version) if modern::speaks(version) => claim_missing(body, message),
        Some(version) => Err(unknown_version(version, supported())),
    }
}

/// Judges the version header of a GET or DELETE, which only sessions have.
///
/// # Errors
/// [`Reason::MethodNotAllowed`] where the header names a version without sessions;
/// [`Reason::VersionUnsupported`] where nobody speaks it.
///
/// SPEC: 2025-11-25 basic/transports, Protocol Version Header: invalid or unsupported is 400;
/// 2026-07-28 streamable-http: GET and DELETE are 405.
pub fn check_session_operation(version_header: Option<&str>) -> Result<(), Refusal> {
    match version_header {
        None => Ok(()),
        Some(version) if legacy::Version::parse(version).is_some() => Ok(()),
        Some(version) if modern::speaks(version) => Err(Refusal::new(
            Reason::MethodNotAllowed,
            "this protocol version has no sessions: only POST is served",
        )),
        Some(version) => Err(unknown_version(version, supported())),
    }
}

fn claim_missing(_body: &[u8], message: &Message) -> Result<Era, Refusal> {
    match message.kind {
        // Nothing is defined for them on this transport; they are accepted and dropped.
        Kind::Notification => Ok(Era::Modern),
        Kind::Response => Err(Refusal::new(
            Reason::InvalidRequest,
            "this revision has no responses from clients: answer by repeating the request with \
             `inputResponses`",
        )),
        Kind::Request => Err(modern::missing_meta("io.modelcontextprotocol/protocolVersion")),
    }
}

/// The refusal of a version that the gate does not speak. To a client that made a modern claim only
/// modern versions are named: it could use no other without starting over.
#[must_use]
pub fn unknown_version(requested: &str, supported: Vec<&'static str>) -> Refusal {
    let shown: String = requested.chars().take(40).collect();
    Refusal::new(
        Reason::VersionUnsupported,
        "unsupported protocol version: use one that `data.supported` lists",
    )
    .offering(supported, shown)
}

/// All versions the gate speaks, newest first.
fn supported() -> Vec<&'static str> {
    let mut all = vec![modern::VERSION];
    all.extend(legacy::Version::OFFERED.map(legacy::Version::as_str));
    all
}
