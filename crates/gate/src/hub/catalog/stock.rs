//! What has been read of one upstream for one audience, and what went wrong. Replaced whole, never changed.
//!
//! When it is read again is not decided here. Next: `catalog.rs`.

use super::List;
use crate::inquiry::Silence;
use std::sync::Arc;
use tollgate_core::clock::Millis;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::hub::offer::Offer;

/// What has been read so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock {
    /// Its capabilities and instructions.
    pub(crate) offer: Option<Arc<Offer>>,
    pub(super) lists: [Option<Arc<List>>; 4],
    pub(super) silence: Option<Silence>,
    pub(super) failures: u32,
    pub(super) rest_until: Millis,
}

impl Stock {
    /// The last good list of a kind.
    pub(crate) fn list(&self, kind: ListKind) -> Option<&Arc<List>> {
        self.lists[kind as usize].as_ref()
    }

    /// Whether there is, or may be, a list of a kind that could not be read yet.
    pub(crate) fn lacks(&self, kind: ListKind) -> bool {
        self.list(kind).is_none() && self.offers(kind) != Some(false)
    }

    /// What is wrong with what was read, in words.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        if let Some(silence) = &self.silence {
            return Some(silence.to_string().into());
        }
        let cut = self.lists.iter().flatten().find_map(|list| list.trouble());
        cut.map(Arc::from)
    }

    /// Whether it has lists of a kind, if that is known.
    pub(super) fn offers(&self, kind: ListKind) -> Option<bool> {
        let offer = self.offer.as_ref()?;
        Some(match kind {
            ListKind::Tools => offer.tools.is_some(),
            ListKind::Prompts => offer.prompts.is_some(),
            ListKind::Resources | ListKind::Templates => offer.resources.is_some(),
        })
    }
}
