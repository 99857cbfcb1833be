//! One list of one upstream, whole: all its pages, within bounds.

use crate::pins::Listed;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tollgate_core::clock::Millis;
use tollgate_core::stores::Seen;
use tollgate_mcp::hub::items::{Item, ListPage};
use tollgate_mcp::hub::naming;

/// A list as it was read.
#[derive(Debug)]
pub(crate) struct List {
    /// The items, in the upstream's order; no two of one name.
    pub(crate) items: Vec<Item>,
    /// When it was read.
    pub(crate) taken: Millis,
    /// How long the upstream says it is fresh.
    pub(crate) ttl_millis: Option<u64>,
    /// Whether the upstream says that all agents see the same.
    pub(crate) is_public: bool,
    /// Equal for lists of equal contents.
    pub(crate) stamp: u64,
    upstream: Arc<str>,
    odd: HashMap<String, usize>,
    refused: usize,
    cut: Option<&'static str>,
    /// Where tools are pinned: all of them, of which `items` are those that are offered.
    whole: Option<Arc<[Listed]>>,
    /// Whether they were compared with their pins.
    is_settled: bool,
}

impl List {
    /// The item that agents see as `shown`, where that is not simply its name with a prefix.
    pub(crate) fn odd(&self, shown: &str) -> Option<&Item> {
        self.items.get(*self.odd.get(shown)?)
    }

    /// All its tools, where they are pinned.
    pub(crate) fn whole(&self) -> Option<Arc<[Listed]>> {
        self.whole.clone()
    }

    /// Whether its tools were compared with their pins since it was read.
    pub(crate) const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// The same list with its tools pinned, and what is to be told to their store. It shows only what was
    /// offered before, until it is settled.
    pub(crate) fn pinned(self, offers: impl Fn(&Listed) -> bool) -> (Self, Vec<Seen>) {
        let (listed, seen): (Vec<_>, Vec<_>) = self.items.iter().cloned().map(Listed::of).unzip();
        let whole = Some(Arc::from(listed));
        let list = Self { whole, is_settled: false, ..self };
        (list.showing(offers), seen.into_iter().flatten().collect())
    }

    /// The same list without these tools.
    pub(crate) fn without(&self, held: &HashSet<Box<str>>) -> Self {
        let list =
            self.showing(|tool| tool.digest.is_some() && !held.contains(tool.item.name.as_str()));
        Self { is_settled: true, ..list }
    }

    fn showing(&self, shows: impl Fn(&Listed) -> bool) -> Self {
        let whole = self.whole.as_deref().unwrap_or_default();
        let items: Vec<Item> =
            whole.iter().filter(|tool| shows(tool)).map(|tool| tool.item.clone()).collect();
        let (stamp, odd) = indexed(&self.upstream, &items);
        Self {
            items,
            taken: self.taken,
            ttl_millis: self.ttl_millis,
            is_public: self.is_public,
            stamp,
            upstream: self.upstream.clone(),
            odd,
            refused: self.refused,
            cut: self.cut,
            whole: self.whole.clone(),
            is_settled: self.is_settled,
        }
    }

    /// What is wrong with it.
    pub(crate) fn trouble(&self) -> Option<String> {
        let cut = self.cut.map(|why| format!("its list was cut: {why}"));
        let refused = (self.refused > 0)
            .then(|| format!("{} of its tools or resources are not offered", self.refused));
        cut.or(refused)
    }
}

/// A list while its pages come in.
#[derive(Debug)]
pub(crate) struct Gathering {
    upstream: String,
    items: Vec<Item>,
    seen: HashMap<String, ()>,
    ttl_millis: Option<u64>,
    is_public: bool,
    refused: usize,
    bytes: usize,
}

impl Gathering {
    pub(crate) fn new(upstream: &str) -> Self {
        Self {
            upstream: upstream.to_owned(),
            items: Vec::new(),
            seen: HashMap::new(),
            ttl_millis: None,
            is_public: true,
            refused: 0,
            bytes: 0,
        }
    }

    /// Adds a page of `bytes` length. The first of equal names stays.
    pub(crate) fn add(&mut self, page: ListPage, bytes: usize) {
        self.bytes += bytes;
        self.is_public &= page.is_public;
        // The list is as fresh as its oldest page.
        self.ttl_millis = match (self.ttl_millis, page.ttl_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.refused += page.refused_count;
        for refused in &page.refused {
            tracing::warn!(upstream = %self.upstream, name = %refused.name, why = refused.why, "not offered");
        }
        for item in page.items {
            if self.seen.insert(item.name.clone(), ()).is_none() {
                self.items.push(item);
            } else {
                self.refused += 1;
                tracing::warn!(upstream = %self.upstream, name = %item.name.escape_debug(), why = "its name is there twice", "not offered");
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The list, with up to `max` items; `cut` says why reading ended before its end.
    pub(crate) fn finish(
        mut self,
        max: usize,
        mut cut: Option<&'static str>,
        taken: Millis,
    ) -> List {
        if self.items.len() > max {
            self.items.truncate(max);
            cut = cut.or(Some("it has too many items"));
        }
        if let Some(why) = cut {
            tracing::warn!(upstream = %self.upstream, why, kept = self.items.len(), "a list was cut");
        }
        let (stamp, odd) = indexed(&self.upstream, &self.items);
        List {
            stamp,
            upstream: self.upstream.into(),
            items: self.items,
            taken,
            ttl_millis: self.ttl_millis,
            is_public: self.is_public,
            odd,
            refused: self.refused,
            cut,
            whole: None,
            is_settled: true,
        }
    }
}

/// A list's stamp, and its odd names.
fn indexed(upstream: &str, items: &[Item]) -> (u64, HashMap<String, usize>) {
    let mut hasher = DefaultHasher::new();
    let mut odd = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        item.json.hash(&mut hasher);
        if !naming::is_plain(upstream, &item.name) {
            odd.insert(naming::join(upstream, &item.name), at);
        }
    }
    (hasher.finish(), odd)
}
