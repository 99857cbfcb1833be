//! Puts what was read where agents find it, and holds back what pins do not let them see.
//!
//! Who reads lists and who settles pins may do so at the same time: each changes the stock in one step, and
//! a list that was read meanwhile is never replaced by an older one. Next: `crate::pins`.

use super::{Catalog, List, Stock, There, bit};
use crate::gate::Gate;
use crate::pins;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::hub::offer::Offer;

impl Catalog {
    /// Puts a list that was read on the shelf. Agents are told if it is another than they were
    /// shown, unless the upstream had announced that, which they were told then.
    pub(super) fn shelve(
        &self,
        gate: &Gate,
        there: There<'_>,
        (kind, was_announced): (ListKind, bool),
        list: List,
    ) {
        let was_missed = self.missed.fetch_and(!bit(kind), Ordering::AcqRel) & bit(kind) != 0;
        let stamp = |stock: &Stock| stock.list(kind).map(|list| list.stamp);
        let before = stamp(&self.stock());
        self.put(kind, &Arc::new(list));
        if kind == ListKind::Tools {
            pins::settle(gate, (there.0.name(), there.1));
        }
        let now = stamp(&self.stock());
        let differs = before.map_or(was_missed, |before| Some(before) != now);
        if kind == ListKind::Tools && before != now {
            gate.pins.note_names();
        }
        if differs && !was_announced {
            self.news[kind as usize].fetch_add(1, Ordering::AcqRel);
            gate.news.tell();
        }
    }

    /// Holds these tools back; whether agents see another list now, and have to be told.
    pub(super) fn hold_back(&self, held: &HashSet<Box<str>>) -> bool {
        let kind = ListKind::Tools;
        let stock = self.stock();
        let Some(list) = stock.list(kind).filter(|list| list.whole().is_some()) else {
            return false;
        };
        let settled = Arc::new(list.without(held));
        let differs = settled.stamp != list.stamp;
        if !differs && list.is_settled() {
            return false;
        }
        // One that was read meanwhile is settled by who read it.
        let is_news = differs && list.is_settled() && self.replace(kind, list, &settled);
        if !list.is_settled() {
            self.replace(kind, list, &settled);
        }
        if is_news {
            self.news[kind as usize].fetch_add(1, Ordering::AcqRel);
        }
        is_news
    }

    fn put(&self, kind: ListKind, list: &Arc<List>) {
        self.change(|stock| stock.lists[kind as usize] = Some(list.clone()));
    }

    /// Puts a list in the place of another, if that is still there.
    fn replace(&self, kind: ListKind, old: &Arc<List>, new: &Arc<List>) -> bool {
        let mut is_there = false;
        self.change(|stock| {
            let slot = &mut stock.lists[kind as usize];
            is_there = slot.as_ref().is_some_and(|present| Arc::ptr_eq(present, old));
            if is_there {
                *slot = Some(new.clone());
            }
        });
        is_there
    }

    /// Changes the stock. Who reads lists and who settles them may do so at the same time.
    pub(super) fn change(&self, mut how: impl FnMut(&mut Stock)) {
        self.stock.rcu(|stock| {
            let mut stock = Stock::clone(stock);
            how(&mut stock);
            stock
        });
    }

    pub(super) fn note_offer(&self, offer: Offer) {
        let offer = Arc::new(offer);
        self.change(|stock| stock.offer = Some(offer.clone()));
    }
}
