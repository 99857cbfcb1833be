//! A call that is done, as the gate hands it over, and what it turned out to have taken.
//!
//! Handing over copies nothing: bodies are the very bytes that passed.
//!
//! Next: `meter.rs`.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind};
use tollgate_core::stores::{CallId, Outcome};

/// A call that is done: settled, priced and written down off the way of its reply.
pub struct Finished {
    /// Which: the gate's own random id.
    pub call: CallId,
    /// The agent, or `anonymous`.
    pub agent: Arc<str>,
    /// Who vouches for it.
    pub issuer: Option<Arc<str>>,
    /// The user it acted for.
    pub user: Option<Arc<str>>,
    /// The team it is put down to; `None` is unattributed.
    pub team: Option<Arc<str>>,
    /// The route.
    pub route: RoutePath,
    /// The upstream that was asked.
    pub upstream: UpstreamName,
    /// The JSON-RPC method.
    pub method: Arc<str>,
    /// What it acted on, by the upstream's own name; `None` where methods act on nothing.
    pub item: Option<(ItemKind, Arc<str>)>,
    /// The JSON text of the arguments as forwarded; empty if there were none.
    pub arguments: Bytes,
    /// What came back.
    pub results: Results,
    /// Bytes of what else was relayed meanwhile: progress, log messages, questions of the upstream.
    pub aside_bytes: u64,
    /// How it ended, as far as the gate knows: whether an answer says that it failed is found here.
    pub outcome: Outcome,
    /// How long it took, milliseconds.
    pub millis: u64,
    /// Told what was counted, once, whatever happens to the row: settles the reservation.
    pub settle: Option<Settle>,
}

/// What is told what a call took. It runs where calls are counted, so it must be quick.
pub type Settle = Box<dyn FnOnce(Actual) + Send>;

/// What came back of a call.
#[derive(Clone, Debug)]
pub enum Results {
    /// The JSON text of the whole JSON-RPC answer.
    Whole(Bytes),
    /// What was counted as it flowed, where the answer is not kept.
    Counted {
        /// Bytes relayed.
        bytes: u64,
        /// Tokens they are taken for.
        tokens: u64,
    },
    /// Nothing.
    None,
}

/// What a call turned out to have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// Tokens towards the upstream.
    pub tokens_in: u64,
    /// Tokens back.
    pub tokens_out: u64,
    /// Millionths of the price book's currency.
    pub cost_micros: u64,
}

impl Finished {
    /// What it acted on, as rules see it.
    #[must_use]
    pub fn item(&self) -> Option<Item<'_>> {
        let (kind, name) = self.item.as_ref()?;
        Some(Item { kind: *kind, upstream: &self.upstream, name })
    }

    /// Bytes it holds while it waits to be counted.
    pub(crate) fn held_bytes(&self) -> usize {
        let results = match &self.results {
            Results::Whole(answer) => answer.len(),
            Results::Counted { .. } | Results::None => 0,
        };
        self.arguments.len() + results
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished")
            .field("agent", &self.agent)
            .field("upstream", &self.upstream)
            .field("method", &self.method)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
