//! Whom a list is read for: servers show different things to agents of another era, and to agents
//! that declare other capabilities.

use std::sync::Arc;
use tollgate_core::bounds::AUDIENCE_BYTES_MAX;
use tollgate_mcp::era::Era;
use tollgate_mcp::json::{Message, find_path};

/// Agents that an upstream would show the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audience {
    /// The era they speak.
    pub(crate) era: Era,
    /// The JSON text of the capabilities they declare.
    pub(crate) capabilities: Arc<str>,
}

impl Audience {
    /// The audience a modern message belongs to.
    pub(crate) fn of_message(body: &[u8], message: &Message) -> Self {
        let declared = message.fields.meta.and_then(|meta| meta.client_capabilities);
        Self::new(Era::Modern, declared.map(|span| span.of(body)))
    }

    /// The audience of a session, by the `initialize` it began with.
    pub(crate) fn of_session(initialize: &[u8]) -> Self {
        let whole = tollgate_mcp::json::Span::new(0, initialize.len());
        let declared = find_path(initialize, whole, &["params", "capabilities"]);
        Self::new(Era::Legacy, declared.map(|span| span.of(initialize)))
    }

    /// Capabilities too long to keep count as none: what is then not shown can still be called.
    fn new(era: Era, capabilities: Option<&[u8]>) -> Self {
        let text = capabilities.filter(|text| text.len() <= AUDIENCE_BYTES_MAX);
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("{}");
        Self { era, capabilities: text.into() }
    }
}
