//! The tabs of one body's messages.

use super::{Lasting, Tab};
use crate::body::GateBody;
use http::Response;
use std::sync::Arc;
use tollgate_core::ids::UpstreamName;
use tollgate_core::refusal::Refusal;

/// What the messages of a body have open. Clones share it.
#[derive(Clone, Debug, Default)]
pub enum Tabs {
    /// Nothing: nothing is counted, or nothing here counts.
    #[default]
    None,
    /// That of a single message.
    #[expect(private_interfaces, reason = "only the gate opens them")]
    One(Tab),
    /// Those of a batch, in the order of its messages; answers have none.
    #[expect(private_interfaces, reason = "only the gate opens them")]
    Many(Arc<[Option<Tab>]>),
    /// That of a stream that lasts: what flows in it is counted on its way out.
    #[expect(private_interfaces, reason = "only the gate opens them")]
    Lasting(Tab),
}

impl Tabs {
    /// The tab of the request with this id, a raw token, where answers are waited for.
    pub(crate) fn of(&self, id: &[u8]) -> Option<&Tab> {
        match self {
            Self::None | Self::Lasting(_) => None,
            Self::One(tab) => Some(tab).filter(|tab| tab.is_of(id)),
            Self::Many(tabs) => tabs.iter().flatten().find(|tab| tab.is_of(id)),
        }
    }

    /// That of the one message of a batch with this number, as a body of its own.
    #[must_use]
    pub fn alone(&self, number: usize) -> Self {
        match self {
            Self::Many(tabs) => tabs.get(number).cloned().flatten().map_or(Self::None, Self::One),
            Self::None | Self::One(_) | Self::Lasting(_) => Self::None,
        }
    }

    /// Notes that the body is being sent to an upstream; `None` if it turned out not to get there.
    pub(crate) fn note_sent(&self, upstream: Option<&UpstreamName>) {
        self.all().for_each(|tab| tab.note_sent(upstream));
    }

    /// So many bytes were passed on besides answers. In a batch nobody can tell for which of its
    /// requests: the first one has them.
    pub(crate) fn flow(&self, bytes: usize) {
        match self {
            Self::None | Self::Lasting(_) => {}
            Self::One(_) | Self::Many(_) => {
                if let Some(tab) = self.all().next() {
                    tab.flow(bytes);
                }
            }
        }
    }

    /// Closes what is open by what became of the request; streams go on with theirs.
    pub(crate) fn close(
        self,
        served: Result<Response<GateBody>, Refusal>,
    ) -> Result<Response<GateBody>, Refusal> {
        if matches!(self, Self::None) {
            return served;
        }
        let response = served.inspect_err(|_| self.all().for_each(Tab::failed))?;
        match (self, response.body()) {
            (tabs, GateBody::Full(piece)) => {
                let bytes = piece.as_ref().map_or(0, bytes::Bytes::len);
                tabs.all().for_each(|tab| tab.served(bytes));
                Ok(response)
            }
            (Self::Lasting(tab), _) => {
                Ok(response.map(|stream| GateBody::Lasting(Box::new(Lasting::new(stream, tab)))))
            }
            (_, _) => Ok(response),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Tab> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(tab) | Self::Lasting(tab) => (Some(tab), None),
            Self::Many(tabs) => (None, Some(tabs)),
        };
        one.into_iter().chain(many.into_iter().flat_map(|tabs| tabs.iter().flatten()))
    }
}
