//! The lists of a hub: those of its upstreams one after the other, under the names agents see.
//!
//! Order is that of the configuration, then the upstream's own. A merged list is made once and kept
//! until a part of it changes, cut into pages whose bytes are ready. Where an agent is on its way
//! through the pages is in a sealed cursor; nothing is kept for it.
//!
//! SPEC: 2026-07-28 server/utilities/pagination and caching; server/tools: a deterministic order.

use super::catalog::{List, Stock};
use super::plan::Plan;
use crate::snapshot::Leg;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use tollgate_core::bounds::{AUDIENCES_MAX, PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use tollgate_core::clock::Millis;
use tollgate_mcp::hub::items::{ListKind, shown};
use tollgate_mcp::hub::{naming, uris};

use super::audience::Audience;

/// The merged lists that are ready, by audience and kind.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    // A plain mutex: held for a look at a handful of entries, and while a changed list is merged,
    // so that a thousand agents have it merged once.
    ready: Mutex<Vec<(Audience, ListKind, Arc<Merged>)>>,
}

/// The list of everything of one kind.
#[derive(Debug)]
pub(crate) struct Merged {
    stamps: Vec<Option<u64>>,
    pages: Vec<Page>,
    /// Whether every part says that all agents see the same.
    pub(crate) is_public: bool,
}

/// Some of the items, in order.
#[derive(Debug)]
pub(crate) struct Page {
    /// The items' JSON, joined by commas; empty for none.
    pub(crate) items: Bytes,
    starts: Place,
    /// The place of each item, and where its JSON ends.
    places: Vec<(Place, u32)>,
}

impl Page {
    /// The items one by one, with their places.
    fn each(&self) -> impl Iterator<Item = (Place, Bytes)> {
        let starts = std::iter::once(0).chain(self.places.iter().map(|(_, end)| end + 1));
        let spans = self.places.iter().zip(starts);
        spans.map(|((place, end), start)| (*place, self.items.slice(start as usize..*end as usize)))
    }
}

/// A place in a merged list: the leg, and the item in the leg's own list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) leg: u16,
    pub(crate) item: u32,
}

impl Place {
    /// As bytes, for sealing.
    pub(crate) fn to_bytes(self, kind: ListKind) -> [u8; 7] {
        let ([a, b], [c, d, e, f]) = (self.leg.to_be_bytes(), self.item.to_be_bytes());
        [kind as u8, a, b, c, d, e, f]
    }

    /// From [`Self::to_bytes`]; `None` for a list of another kind.
    pub(crate) fn from_bytes(bytes: &[u8], kind: ListKind) -> Option<Self> {
        let &[of, a, b, c, d, e, f] = bytes else { return None };
        let place =
            Self { leg: u16::from_be_bytes([a, b]), item: u32::from_be_bytes([c, d, e, f]) };
        (of == kind as u8).then_some(place)
    }
}

impl Merged {
    /// The page an agent is to see at this place, and where the next one begins.
    ///
    /// If the list changed since, pages may have moved: rather something twice than something never.
    pub(crate) fn page(&self, at: Place) -> (&Page, Option<Place>) {
        let behind = self.pages.partition_point(|page| page.starts <= at);
        // INVARIANT: there is always a first page, and it starts at the very start.
        let index = behind.saturating_sub(1);
        let next = self.pages.get(index + 1).map(|page| page.starts);
        (&self.pages[index], next)
    }

    /// The same of only those items that are to be shown, and where the next of them is.
    pub(crate) fn page_of(
        &self,
        at: Place,
        shows: impl Fn(Place) -> bool,
    ) -> (Vec<Bytes>, Option<Place>) {
        let (mut items, mut bytes) = (Vec::new(), 0);
        let all = self.pages.iter().flat_map(Page::each).filter(|(place, _)| *place >= at);
        for (place, json) in all.filter(|(place, _)| shows(*place)) {
            let is_full = items.len() >= PAGE_ITEMS_MAX || bytes + json.len() > PAGE_BYTES_MAX;
            if is_full && !items.is_empty() {
                return (items, Some(place));
            }
            bytes += json.len() + 1;
            items.push(json);
        }
        (items, None)
    }
}

impl Shelf {
    /// The merged list of these stocks, one for each leg of the plan.
    pub(crate) fn merged(
        &self,
        plan: &Plan,
        legs: &[Arc<Leg>],
        (audience, kind): (&Audience, ListKind),
        stocks: &[Arc<Stock>],
    ) -> Arc<Merged> {
        let stamp = |stock: &Arc<Stock>| stock.list(kind).map(|list| list.stamp);
        let mut ready = self.ready.lock();
        let found = ready.iter().position(|(of, its_kind, _)| *its_kind == kind && of == audience);
        if let Some(at) = found {
            let merged = &ready[at].2;
            let is_same = merged.stamps.len() == stocks.len()
                && merged.stamps.iter().zip(stocks).all(|(known, stock)| *known == stamp(stock));
            if is_same {
                return merged.clone();
            }
            ready.swap_remove(at);
        }
        let merged = Arc::new(merge(plan, legs, kind, stocks));
        if ready.len() >= AUDIENCES_MAX * ListKind::ALL.len() {
            ready.remove(0);
        }
        ready.push((audience.clone(), kind, merged.clone()));
        merged
    }
}

fn merge(plan: &Plan, legs: &[Arc<Leg>], kind: ListKind, stocks: &[Arc<Stock>]) -> Merged {
    let mut pages = Pages::default();
    let mut seen = HashSet::new();
    let mut is_public = true;
    for (number, (leg, stock)) in legs.iter().zip(stocks).enumerate() {
        let Some(list) = stock.list(kind) else {
            is_public &= !stock.lacks(kind);
            continue;
        };
        is_public &= list.is_public;
        for (at, name, json) in items(plan, leg, kind, list) {
            if !seen.insert(name.clone()) {
                let upstream = leg.upstream.name();
                tracing::warn!(%upstream, name = %name.escape_debug(), "hidden: something before it has this name");
                continue;
            }
            let place = Place {
                leg: u16::try_from(number).unwrap_or(u16::MAX),
                item: u32::try_from(at).unwrap_or(u32::MAX),
            };
            pages.add(place, &json);
        }
    }
    let stamps = stocks.iter().map(|stock| stock.list(kind).map(|list| list.stamp)).collect();
    Merged { stamps, pages: pages.finish(), is_public }
}

/// The items of one leg that agents see: each item's number, name and JSON.
fn items<'a>(
    plan: &'a Plan,
    leg: &'a Leg,
    kind: ListKind,
    list: &'a List,
) -> impl Iterator<Item = (usize, String, Bytes)> + 'a {
    let upstream = plan.prefix(leg);
    let curated = plan.curated(kind);
    list.items.iter().enumerate().filter_map(move |(at, item)| {
        let name = match (upstream, kind) {
            (None, _) => item.name.clone(),
            (Some(upstream), ListKind::Tools | ListKind::Prompts) => {
                naming::join(upstream, &item.name)
            }
            (Some(upstream), ListKind::Resources | ListKind::Templates) => {
                uris::outward(upstream, &item.name)
            }
        };
        let name = curated.show(&name)?.into_owned();
        let json = shown(upstream, kind, item, &name, curated.description(&name));
        Some((at, name, json))
    })
}

/// Pages while they fill.
#[derive(Default)]
struct Pages {
    done: Vec<Page>,
    items: Vec<u8>,
    places: Vec<(Place, u32)>,
    starts: Place,
}

impl Pages {
    fn add(&mut self, at: Place, json: &[u8]) {
        let is_full =
            self.places.len() >= PAGE_ITEMS_MAX || self.items.len() + json.len() > PAGE_BYTES_MAX;
        if is_full && !self.places.is_empty() {
            self.turn();
            self.starts = at;
        }
        if !self.places.is_empty() {
            self.items.push(b',');
        }
        self.items.extend_from_slice(json);
        self.places.push((at, u32::try_from(self.items.len()).unwrap_or(u32::MAX)));
    }

    fn turn(&mut self) {
        let items = Bytes::from(std::mem::take(&mut self.items));
        let places = std::mem::take(&mut self.places);
        self.done.push(Page { items, starts: self.starts, places });
    }

    fn finish(mut self) -> Vec<Page> {
        if !self.places.is_empty() || self.done.is_empty() {
            self.turn();
        }
        self.done
    }
}

/// How long agents may take a list of these parts for fresh, in milliseconds. One with a part that
/// is missing is not: it may come any moment.
pub(crate) fn ttl_millis(stocks: &[Arc<Stock>], kind: ListKind, now: Millis) -> u64 {
    if stocks.iter().any(|stock| stock.lacks(kind)) {
        return 0;
    }
    let left = |list: &Arc<List>| {
        list.ttl_millis.map_or(0, |ttl| ttl.saturating_sub(now.since(list.taken)))
    };
    stocks.iter().filter_map(|stock| stock.list(kind)).map(left).min().unwrap_or(0)
}
