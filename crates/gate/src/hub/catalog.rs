//! What an upstream offers, as far as the gate has read it: its capabilities and its lists.
//!
//! Read when somebody wants it, by one task however many want it, and kept for as long as the
//! upstream allows. An upstream that is down, slow or hostile keeps its last good lists and its
//! trouble; others never wait for it longer than they said. Calls of tools do not come here unless a
//! shortened name has to be looked up.
//!
//! Next: `catalog/fetch.rs` for the reading, `catalog/shelving.rs` for keeping what was read,
//! `catalog/watch.rs` for word of changes.

mod audiences;
mod fetch;
mod list;
mod shelving;
mod stock;
mod watch;

pub(crate) use audiences::Catalogs;
pub(crate) use list::List;
pub(crate) use stock::Stock;
pub(crate) use watch::changed_list;

use crate::gate::Gate;
use crate::hub::audience::Audience;
use crate::inquiry::Silence;
use crate::knowledge::Knowledge;
use crate::upstream::Upstream;
use arc_swap::ArcSwap;
use fetch::Attendance;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch as channel;
use tollgate_core::bounds::{
    LISTING_SECS, LISTS_FRESH_MILLIS, LISTS_REST_MILLIS_MAX, LISTS_USABLE_MILLIS,
    LISTS_WATCHED_MILLIS,
};
use tollgate_core::clock::Millis;
use tollgate_mcp::hub::items::ListKind;

/// What one upstream offers to one audience.
#[derive(Debug)]
pub(crate) struct Catalog {
    audience: Audience,
    stock: ArcSwap<Stock>,
    changed: AtomicU8,
    /// Lists that somebody was shown without this upstream's part.
    missed: AtomicU8,
    /// Whether its tools are pinned.
    is_pinned: Arc<AtomicBool>,
    /// How often agents had reason to read each list again.
    news: [AtomicU64; 4],
    is_watched: AtomicBool,
    /// Somebody waited for a list of the task at work in vain.
    is_late: AtomicBool,
    used_at: AtomicU64,
    // A plain mutex: held for one look at whether a task is at work.
    at_work: Mutex<Option<channel::Receiver<()>>>,
    // Held by the one task at work, across its exchanges.
    attendance: tokio::sync::Mutex<Option<Attendance>>,
}

/// The upstream a catalog is of, and what else is known of it.
pub(crate) type There<'a> = (&'a Arc<Upstream>, &'a Arc<Knowledge>);

/// What somebody wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Capabilities and instructions.
    Offer,
    /// A list.
    List(ListKind),
}

/// How what is known serves a need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It does, or nothing better can be had now.
    Serves,
    /// It does, and should be read again meanwhile.
    Ages,
    /// It has to be read first.
    Lacks,
}

impl Catalog {
    fn new(audience: Audience, now: Millis, is_pinned: Arc<AtomicBool>) -> Self {
        Self {
            audience,
            stock: ArcSwap::default(),
            changed: AtomicU8::new(0),
            missed: AtomicU8::new(0),
            is_pinned,
            news: Default::default(),
            is_watched: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            used_at: AtomicU64::new(now.0),
            at_work: Mutex::new(None),
            attendance: tokio::sync::Mutex::new(None),
        }
    }

    /// What is known now.
    pub(crate) fn stock(&self) -> Arc<Stock> {
        self.stock.load_full()
    }

    /// What is known, if that serves the need as it is.
    pub(crate) fn ready(&self, need: Need, now: Millis) -> Option<Arc<Stock>> {
        let stock = self.stock();
        let serves = self.standing(&stock, need, now) == Standing::Serves;
        let is_there = match need {
            Need::Offer => stock.offer.is_some(),
            Need::List(kind) => !stock.lacks(kind),
        };
        (serves && is_there).then_some(stock)
    }

    /// What is known once the need is served, or after `wait`.
    pub(crate) async fn want(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        there: There<'_>,
        need: Need,
        wait: Duration,
    ) -> Arc<Stock> {
        let stock = self.served(gate, there, need, wait).await;
        if let Need::List(kind) = need
            && stock.lacks(kind)
        {
            self.missed.fetch_or(bit(kind), Ordering::AcqRel);
        }
        stock
    }

    async fn served(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        there: There<'_>,
        need: Need,
        wait: Duration,
    ) -> Arc<Stock> {
        let until = tokio::time::Instant::now() + wait;
        // A task at work may be after something else first.
        for _ in 0..=ListKind::ALL.len() {
            let stock = self.stock();
            match self.standing(&stock, need, gate.clock.now()) {
                Standing::Serves => return stock,
                Standing::Ages => {
                    drop(self.read(gate, there, need));
                    return stock;
                }
                Standing::Lacks => {}
            }
            let mut done = self.read(gate, there, need);
            // One agent waits for an upstream that hangs, not each in turn. What it can do at all, a
            // session is told once, so that is waited for.
            let is_list = matches!(need, Need::List(_));
            if is_list && self.is_late.load(Ordering::Relaxed) {
                break;
            }
            // Closed when the task is done, however it ended.
            if tokio::time::timeout_at(until, done.changed()).await.is_err() {
                self.is_late.fetch_or(is_list, Ordering::Relaxed);
                break;
            }
        }
        self.stock()
    }

    /// Notes that the upstream said a list changed.
    pub(crate) fn note_changed(&self, kind: ListKind) {
        // Resources and their templates have one notification.
        let bits = match kind {
            ListKind::Resources | ListKind::Templates => {
                bit(ListKind::Resources) | bit(ListKind::Templates)
            }
            ListKind::Tools | ListKind::Prompts => bit(kind),
        };
        self.changed.fetch_or(bits, Ordering::AcqRel);
        self.news[kind as usize].fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that a list has to be read again before anybody relies on it.
    pub(crate) fn note_stale(&self, kind: ListKind) {
        self.changed.fetch_or(bit(kind), Ordering::AcqRel);
    }

    /// A number that grows whenever agents have reason to read a list again.
    pub(crate) fn news(&self, kind: ListKind) -> u64 {
        self.news[kind as usize].load(Ordering::Acquire)
    }

    fn standing(&self, stock: &Stock, need: Need, now: Millis) -> Standing {
        if stock.silence.is_some() {
            // Lists of an upstream in trouble are not waited for again: it is asked meanwhile, and
            // agents are told. What it can do at all, a session is told once, at its beginning.
            return match need {
                _ if now < stock.rest_until => Standing::Serves,
                Need::Offer if stock.offer.is_none() => Standing::Lacks,
                Need::Offer | Need::List(_) => Standing::Ages,
            };
        }
        let kind = match need {
            Need::Offer if stock.offer.is_some() => return Standing::Serves,
            Need::Offer => return Standing::Lacks,
            Need::List(kind) => kind,
        };
        match (stock.offers(kind), stock.list(kind)) {
            (Some(false), _) => Standing::Serves,
            (None, _) | (_, None) => Standing::Lacks,
            (Some(true), Some(_)) if self.changed.load(Ordering::Acquire) & bit(kind) != 0 => {
                Standing::Lacks
            }
            (Some(true), Some(list)) => self.age(kind, list, now),
        }
    }

    /// SPEC: 2026-07-28 server/utilities/caching: `ttlMs` says how long a list is fresh; a
    /// subscription to changes may take its place. Legacy servers say nothing about it.
    ///
    /// Tools that are pinned are read again after the usual time whatever is said: what could have changed
    /// is not to be left to the word of who changed it.
    fn age(&self, kind: ListKind, list: &List, now: Millis) -> Standing {
        let age = now.since(list.taken);
        let is_pinned = kind == ListKind::Tools && self.is_pinned.load(Ordering::Acquire);
        let (fresh, usable) = match list.ttl_millis {
            _ if is_pinned => (LISTS_FRESH_MILLIS, LISTS_FRESH_MILLIS),
            _ if self.is_watched.load(Ordering::Relaxed) => {
                (LISTS_WATCHED_MILLIS, LISTS_USABLE_MILLIS)
            }
            Some(ttl) => return if age < ttl { Standing::Serves } else { Standing::Lacks },
            None => (LISTS_FRESH_MILLIS, LISTS_USABLE_MILLIS),
        };
        if age < fresh {
            Standing::Serves
        } else if age < fresh + usable {
            Standing::Ages
        } else {
            Standing::Lacks
        }
    }

    /// Has a list read again, beside whatever goes on.
    pub(crate) fn read_again(self: &Arc<Self>, gate: &Arc<Gate>, there: There<'_>, kind: ListKind) {
        let rests = gate.clock.now() < self.stock.load().rest_until;
        if !rests {
            drop(self.read(gate, there, Need::List(kind)));
        }
    }

    /// Sets a task to work, unless one is; the receiver's channel closes when it is done.
    fn read(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        there: There<'_>,
        need: Need,
    ) -> channel::Receiver<()> {
        let mut at_work = self.at_work.lock();
        if let Some(working) = at_work.as_ref().filter(|working| working.has_changed().is_ok()) {
            return working.clone();
        }
        let (done, working) = channel::channel(());
        *at_work = Some(working.clone());
        drop(at_work);
        let (this, gate) = (self.clone(), gate.clone());
        let (upstream, knowledge) = (there.0.clone(), there.1.clone());
        tokio::spawn(async move {
            let limit = Duration::from_secs(LISTING_SECS) + upstream.start_time();
            let read = fetch::read(&this, &gate, (&upstream, &knowledge), need);
            let read = tokio::time::timeout(limit, read).await;
            let failed = read.unwrap_or(Err(Silence::Timeout)).err();
            this.note_outcome(&gate, &upstream, failed);
            drop(done);
        });
        working
    }

    /// Keeps what went wrong, and lets the upstream rest a while, longer each time.
    fn note_outcome(&self, gate: &Gate, upstream: &Upstream, failed: Option<Silence>) {
        self.is_late.store(false, Ordering::Relaxed);
        let before = self.stock();
        match &failed {
            None if before.silence.is_some() => {
                tracing::info!(upstream = %upstream.name(), "its lists can be read again");
            }
            Some(silence) if before.silence.is_none() => {
                let kept = before.lists.iter().flatten().count();
                tracing::warn!(upstream = %upstream.name(), why = %silence, kept, "its lists cannot be read: agents go on with those that were kept");
            }
            None | Some(_) => {}
        }
        let now = gate.clock.now();
        self.change(|stock| match &failed {
            None => (stock.silence, stock.failures) = (None, 0),
            Some(silence) => {
                stock.failures = stock.failures.saturating_add(1);
                let rest = 500_u64.saturating_mul(1 << stock.failures.min(16));
                stock.rest_until = Millis(now.0 + rest.min(LISTS_REST_MILLIS_MAX));
                stock.silence = Some(silence.clone());
            }
        });
    }
}

const fn bit(kind: ListKind) -> u8 {
    1 << kind as u8
}

#[cfg(test)]
mod tests {
    use super::list::Gathering;
    use super::{Catalog, Standing};
    use crate::hub::audience::Audience;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tollgate_core::bounds::{LISTS_FRESH_MILLIS, LISTS_USABLE_MILLIS};
    use tollgate_core::clock::Millis;
    use tollgate_mcp::hub::items::ListKind::{Prompts, Tools};
    use tollgate_mcp::hub::items::{ListKind, ListPage};

    /// How a list stands so long after it was read, if the upstream says that it is fresh for so long.
    fn standing(is_pinned: bool, kind: ListKind, ttl_ms: Option<u64>, age: u64) -> Standing {
        let is_pinned = Arc::new(AtomicBool::new(is_pinned));
        let catalog = Catalog::new(Audience::of_session(b"{}"), Millis(0), is_pinned);
        catalog.is_watched.store(ttl_ms.is_none(), Ordering::Relaxed);
        let mut gathering = Gathering::new("peer");
        gathering.add(ListPage { ttl_ms, ..ListPage::default() }, 0);
        let list = gathering.finish(1, None, Millis(1_000));
        catalog.age(kind, &list, Millis(1_000 + age))
    }

    #[test]
    fn tools_that_are_pinned_are_read_again_whatever_the_upstream_says() {
        for ttl in [Some(u64::MAX), Some(0), None] {
            let of = |age| standing(true, Tools, ttl, age);
            assert_eq!(of(LISTS_FRESH_MILLIS - 1), Standing::Serves, "{ttl:?}");
            assert_eq!(of(LISTS_FRESH_MILLIS), Standing::Ages, "{ttl:?}");
            assert_eq!(of(2 * LISTS_FRESH_MILLIS - 1), Standing::Ages, "{ttl:?}");
            assert_eq!(of(2 * LISTS_FRESH_MILLIS), Standing::Lacks, "{ttl:?}");
        }
    }

    #[test]
    fn other_lists_are_fresh_as_long_as_the_upstream_says() {
        for (is_pinned, kind) in [(false, Tools), (true, Prompts)] {
            assert_eq!(standing(is_pinned, kind, Some(60_000), 59_999), Standing::Serves);
            assert_eq!(standing(is_pinned, kind, Some(60_000), 60_000), Standing::Lacks);
            let long = LISTS_FRESH_MILLIS + LISTS_USABLE_MILLIS;
            assert_eq!(standing(is_pinned, kind, None, long), Standing::Serves, "it is watched");
        }
    }
}
