//! One list of one upstream, whole: all its pages, within bounds.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use tollgate_core::clock::Millis;
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
    odd: HashMap<String, usize>,
    refused: usize,
    cut: Option<&'static str>,
}

impl List {
    /// The item that agents see as `shown`, where that is not simply its name with a prefix.
    pub(crate) fn odd(&self, shown: &str) -> Option<&Item> {
        self.items.get(*self.odd.get(shown)?)
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
        let mut hasher = DefaultHasher::new();
        let mut odd = HashMap::new();
        for (at, item) in self.items.iter().enumerate() {
            item.json.hash(&mut hasher);
            if !naming::is_plain(&self.upstream, &item.name) {
                odd.insert(naming::join(&self.upstream, &item.name), at);
            }
        }
        List {
            stamp: hasher.finish(),
            items: self.items,
            taken,
            ttl_millis: self.ttl_millis,
            is_public: self.is_public,
            odd,
            refused: self.refused,
            cut,
        }
    }
}
