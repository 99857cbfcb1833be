//! What calls that were let in have open, and how it is closed.
//!
//! `admit.rs` opens a tab (`Tab`) for each message that counts; it goes with the post to wherever its
//! answer comes from, and is closed once: by the answer (`expect.rs`), by what became of the request
//! (`path.rs`), or, when all of that is gone, by being dropped. Closing frees the place among calls at
//! once. What is plain to see is settled there and then; the rest is handed over to `tollgate-usage`,
//! which settles it behind the reply. What reached no upstream leaves no row.
//!
//! Next: `meter/tabs.rs` for the messages of one body, `meter/lasting.rs` for streams without an end,
//! `meter/parked.rs` for those that break off, `meter/fit.rs` for results that are too long.

mod fit;
mod ids;
mod lasting;
mod parked;
mod scales;
mod tabs;

pub(crate) use fit::Room;
pub use lasting::Lasting;
pub(crate) use parked::Parked;
pub use parked::Parking;
pub(crate) use scales::Scales;
pub use tabs::Tabs;

use crate::subject::Name;
use bytes::Bytes;
use ids::Ids;
use parking_lot::Mutex;
use std::sync::Arc;
use tollgate_core::clock::{Clock, Entropy, Millis};
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{ANONYMOUS, Item, ItemKind};
use tollgate_core::principal::Principal;
use tollgate_core::stores::Outcome;
use tollgate_limits::{Actual, Now, Receipt};
use tollgate_mcp::reply::Glance;
use tollgate_usage::{Finished, Meter, Results};

/// Bytes that count as one token, until somebody counts better.
const TOKEN_BYTES: u64 = 4;

/// What so many bytes are taken for.
pub(crate) const fn tokens_of(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(TOKEN_BYTES)
}

/// What closes tabs: who counts, and what time it is.
#[derive(Debug)]
pub struct Scale {
    pub(crate) meter: Meter,
    pub(crate) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ids: Ids,
    anonymous: Arc<str>,
}

impl Scale {
    /// A scale with this meter.
    #[must_use]
    pub fn new(meter: Meter, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let anonymous = Arc::from(ANONYMOUS);
        Self { meter, clock, entropy, ids: Ids::default(), anonymous }
    }

    /// What time it is, to limits.
    pub(crate) fn now(&self) -> Now {
        Now::of(&*self.clock)
    }
}

/// What one message has open. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Tab(Arc<Open>);

/// What is known of a message when it is let in.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) principal: Principal,
    pub(crate) team: Option<Arc<str>>,
    pub(crate) route: RoutePath,
    /// The upstream it is put down to, until it is sent to one.
    pub(crate) upstream: UpstreamName,
    pub(crate) method: Arc<str>,
    /// Its id as a raw token; empty if nobody waits for an answer.
    pub(crate) id: Bytes,
    pub(crate) item: Option<(ItemKind, Name)>,
    pub(crate) arguments: Bytes,
    /// How long its result may be.
    pub(crate) room: Option<Room>,
}

#[derive(Debug)]
struct Open {
    scale: Arc<Scale>,
    facts: Facts,
    begun: Millis,
    // A plain mutex, for the time of a few sums: one call is with one task at a time.
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    receipt: Receipt,
    /// Bytes that were passed on besides the answer.
    flowed: u64,
    /// To whom it was sent, if to anybody.
    sent: Option<UpstreamName>,
}

impl Tab {
    pub(crate) fn open(
        scale: &Arc<Scale>,
        facts: Facts,
        (receipt, begun): (Receipt, Millis),
    ) -> Self {
        let running = Mutex::new(Some(Running { receipt, flowed: 0, sent: None }));
        Self(Arc::new(Open { scale: scale.clone(), facts, begun, running }))
    }

    /// Whether this is the tab of the request with this id, a raw token.
    fn is_of(&self, id: &[u8]) -> bool {
        self.0.facts.id == id
    }

    /// Notes that it is being sent to an upstream; `None` if it turned out that it did not get there.
    fn note_sent(&self, upstream: Option<&UpstreamName>) {
        if let Some(running) = &mut *self.0.running.lock() {
            running.sent = upstream.cloned();
        }
    }

    /// So many bytes were passed on besides the answer.
    pub(crate) fn flow(&self, bytes: usize) {
        if let Some(running) = &mut *self.0.running.lock() {
            running.flowed += bytes as u64;
            let tokens = running.flowed.div_ceil(TOKEN_BYTES);
            running.receipt.flow(self.0.scale.now(), tokens);
        }
    }

    /// An answer that has its room, if this one has not.
    pub(crate) fn fit(&self, answer: &Bytes, glance: &Glance) -> Option<Bytes> {
        self.0.facts.room.as_ref().and_then(|room| fit::fit(answer, glance, room))
    }

    /// Its stream broke off, and may be resumed: its place is free until then. When that was; `None` if it
    /// is closed.
    fn pause(&self) -> Option<Millis> {
        self.0.running.lock().as_mut()?.receipt.finish();
        Some(self.0.scale.clock.now())
    }

    /// It was answered with this message.
    pub(crate) fn answered(&self, answer: &Bytes, is_error: bool) {
        let outcome = if is_error { Outcome::Error } else { Outcome::Done };
        self.0.close(Results::Whole(answer.clone()), outcome);
    }

    /// It came to nothing, and the caller was told so.
    pub(crate) fn failed(&self) {
        self.0.close(Results::None, Outcome::Error);
    }

    /// The gate answered it in so many bytes, or accepted what needs no answer.
    fn served(&self, bytes: usize) {
        if self.0.facts.id.is_empty() && self.0.facts.item.is_some() {
            return self.0.close(Results::None, Outcome::Done);
        }
        // What nobody waits for is not answered, only accepted.
        let tokens = if self.0.facts.id.is_empty() { 0 } else { tokens_of(bytes) };
        self.0.settle_here(tokens);
    }

    /// It was not let in after all.
    pub(crate) fn undo(&self) {
        if let Some(running) = self.0.running.lock().take() {
            running.receipt.undo();
        }
    }

    /// Its stream has ended.
    fn ended(&self, outcome: Outcome) {
        self.0.close_stream(outcome);
    }
}

impl Open {
    fn close(&self, results: Results, outcome: Outcome) {
        let Some(mut running) = self.running.lock().take() else { return };
        running.receipt.finish();
        // What nobody got costs nothing: dropping the receipt gives the tokens back.
        let Some(upstream) = running.sent.take() else { return };
        if let Results::Whole(answer) = &results
            && let Some(mut actual) = self.at_once(&upstream, answer)
        {
            actual.tokens_out += running.flowed.div_ceil(TOKEN_BYTES);
            return running.receipt.settle(self.scale.now(), actual);
        }
        self.hand_over(running, upstream, (results, outcome));
    }

    /// What it took, where that is counted faster than it is handed over.
    fn at_once(&self, upstream: &UpstreamName, answer: &[u8]) -> Option<Actual> {
        let Facts { item, arguments, .. } = &self.facts;
        let item =
            item.as_ref().map(|(kind, name)| Item { kind: *kind, upstream, name: name.as_str() });
        let counted = self.scale.meter.at_once(item.as_ref(), arguments, answer)?;
        let tollgate_usage::Actual { tokens_in, tokens_out, cost_micros } = counted;
        Some(Actual { tokens_in, tokens_out, cost_micros })
    }

    /// Closes it without a row: what it took is known here.
    fn settle_here(&self, tokens_out: u64) {
        let Some(running) = self.running.lock().take() else { return };
        let tokens_in = tokens_of(self.facts.arguments.len());
        let actual = Actual { tokens_in, tokens_out, cost_micros: 0 };
        running.receipt.settle(self.scale.now(), actual);
    }

    /// Closes what is counted by what has flowed. A stream that carried nothing leaves no row.
    fn close_stream(&self, outcome: Outcome) {
        let Some(mut running) = self.running.lock().take() else { return };
        running.receipt.finish();
        let bytes = std::mem::take(&mut running.flowed);
        if bytes == 0 && self.facts.id.is_empty() {
            return;
        }
        let upstream = self.facts.upstream.clone();
        let results = Results::Counted { bytes, tokens: bytes.div_ceil(TOKEN_BYTES) };
        self.hand_over(running, upstream, (results, outcome));
    }

    fn hand_over(
        &self,
        running: Running,
        upstream: UpstreamName,
        (results, outcome): (Results, Outcome),
    ) {
        let Self { scale, facts, begun, .. } = self;
        let proof = facts.principal.proof();
        let item = facts.item.as_ref().map(|(kind, name)| (*kind, Arc::from(name.as_str())));
        let Running { receipt, flowed, .. } = running;
        let clock = scale.clock.clone();
        let settle = move |actual: tollgate_usage::Actual| {
            let tollgate_usage::Actual { tokens_in, tokens_out, cost_micros } = actual;
            receipt.settle(Now::of(&*clock), Actual { tokens_in, tokens_out, cost_micros });
        };
        scale.meter.note(Finished {
            call: scale.ids.next(&*scale.entropy, scale.clock.unix_secs()),
            agent: proof.map_or_else(|| scale.anonymous.clone(), |proof| proof.client.clone()),
            issuer: proof.map(|proof| proof.issuer.clone()),
            user: proof.and_then(|proof| proof.user.clone()),
            team: facts.team.clone(),
            route: facts.route.clone(),
            upstream,
            method: facts.method.clone(),
            item,
            arguments: facts.arguments.clone(),
            results,
            aside_bytes: flowed,
            outcome,
            millis: scale.clock.now().since(*begun),
            settle: Some(Box::new(settle)),
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Whoever waited for it has gone, or was told that it broke off.
        self.close(Results::None, Outcome::Unfinished);
    }
}
