//! Whom a list is read for: servers show different things to agents of another era, and to agents
//! that declare other capabilities; and a child process that one agent has for itself may show that
//! agent what it shows nobody else.

use crate::settings::{Isolation, Transport};
use crate::snapshot::Leg;
use crate::upstream::OnBehalf;
use std::sync::Arc;
use tollgate_core::bounds::AUDIENCE_BYTES_MAX;
use tollgate_core::principal::{CallerKey, Principal};
use tollgate_mcp::era::Era;
use tollgate_mcp::json::{Message, find_path};

/// Agents that an upstream would show the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audience {
    /// The era they speak.
    pub(crate) era: Era,
    /// The JSON text of the capabilities they declare.
    pub(crate) capabilities: Arc<str>,
    /// The one caller it is, where the upstream serves each by a process of its own, or knows them.
    pub(crate) caller: Option<OnBehalf>,
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
        Self { era, capabilities: text.into(), caller: None }
    }

    /// The same for one caller, if any of these upstreams serves callers apart.
    pub(crate) fn with_caller(
        self,
        legs: &[Arc<Leg>],
        (caller, principal): (CallerKey, &Principal),
    ) -> Self {
        let is_apart = legs.iter().any(|leg| serves_apart(leg, self.era));
        Self { caller: is_apart.then(|| OnBehalf::principal(caller, principal)), ..self }
    }

    /// The audience it is at one upstream.
    pub(crate) fn at(&self, leg: &Leg) -> Self {
        let caller = self.caller.clone().filter(|_| serves_apart(leg, self.era));
        Self { caller, ..self.clone() }
    }

    /// The audience that declares nothing, where there is no room for one more.
    pub(crate) fn silent(&self) -> Self {
        Self { capabilities: "{}".into(), ..self.clone() }
    }
}

/// Whether each caller's calls carry a token of its own, or go to a process that serves nobody else.
/// Of legacy sessions each has its own where that is wanted, and no list could be read in it.
fn serves_apart(leg: &Leg, era: Era) -> bool {
    if leg.upstream.tells_principals_apart() {
        return true;
    }
    match &leg.upstream.settings().transport {
        Transport::Stdio(stdio) => match stdio.isolation {
            Isolation::Shared => false,
            Isolation::Agent => true,
            Isolation::Session => era == Era::Modern,
        },
        Transport::Http | Transport::Sse => false,
    }
}
