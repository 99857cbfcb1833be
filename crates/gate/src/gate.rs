//! The gate as one value: the present configuration, and what outlives every configuration.

use crate::annex::Annex;
use crate::drain::Drain;
use crate::farewell::{Farewells, Parting};
use crate::http_sse::Lanes;
use crate::hub::News;
use crate::meter::{Parked, Scales};
use crate::permit::PermitCounts;
use crate::pins::Pinboard;
use crate::recovery::Memories;
use crate::seal::{Purpose, Seal};
use crate::session::Sessions;
use crate::settings::Settings;
use crate::snapshot::{Around, CompileError, Snapshot};
use crate::soft::SoftSessions;
use crate::streams::Streams;
use crate::tasks::Tasks;
use crate::ward::Orphanage;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::sessions::{Session, SessionBook};
use tollgate_core::stores::{Pins, UsageLedger};
use tollgate_limits::{BudgetStatus, LevelStatus};
use tollgate_usage::Figures;

/// All that a request needs.
#[derive(Debug)]
pub struct Gate {
    snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) sessions: Sessions,
    pub(crate) orphanage: Orphanage,
    pub(crate) farewells: Farewells,
    pub(crate) memories: Memories,
    pub(crate) streams: Streams,
    pub(crate) news: News,
    pub(crate) lanes: Lanes,
    pub(crate) soft: SoftSessions,
    pub(crate) tasks: Tasks,
    pub(crate) drain: Drain,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    identity: Option<tollgate_identity::Sources>,
    pub(crate) annex: Option<Arc<dyn Annex>>,
    scales: Scales,
    pub(crate) parked: Parked,
    pub(crate) pins: Pinboard,
    pub(crate) panics: AtomicU64,
}

/// What a gate is given by the house around it.
#[derive(Debug)]
pub struct Surroundings {
    /// Where sessions live.
    pub book: Arc<dyn SessionBook>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Ends everything.
    pub drain: Drain,
    /// What identity needs besides its settings.
    pub identity: Option<tollgate_identity::Sources>,
    /// What else stands on the listener.
    pub annex: Option<Arc<dyn Annex>>,
    /// Where rows of usage are kept.
    pub ledger: Option<Arc<dyn UsageLedger>>,
    /// Where pins of tools are kept, if anything is.
    pub pins: Option<Arc<dyn Pins>>,
}

impl Gate {
    /// A gate with its first configuration.
    ///
    /// # Errors
    /// [`CompileError`] if the configuration cannot be put to work.
    pub fn new(settings: Settings, around: Surroundings) -> Result<Arc<Self>, CompileError> {
        let Surroundings { book, clock, entropy, drain, identity, annex, ledger, pins } = around;
        let scales = Scales::new(ledger, clock.clone(), entropy.clone());
        let (identity_of, scale) = (identity.as_ref(), scales.of(&settings)?);
        let within = Around { entropy: &*entropy, identity: identity_of, scale };
        let snapshot = Snapshot::compile(settings, None, within)?;
        if pins.is_none() && !snapshot.settings.pins.is_empty() {
            return Err(CompileError::PinsLate);
        }
        let gate = Self {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            sessions: Sessions::new(book, clock.clone(), entropy.clone()),
            orphanage: Orphanage::default(),
            farewells: Farewells::default(),
            memories: Memories::default(),
            streams: Streams::default(),
            news: News::default(),
            lanes: Lanes::default(),
            soft: SoftSessions::default(),
            tasks: Tasks::default(),
            drain,
            clock,
            entropy,
            identity,
            annex,
            scales,
            parked: Parked::default(),
            pins: Pinboard::new(pins),
            panics: AtomicU64::new(0),
        };
        gate.configure_pins(&gate.snapshot());
        Ok(Arc::new(gate))
    }

    /// Tells what is known of each upstream how its tools are pinned.
    fn configure_pins(&self, snapshot: &Snapshot) {
        for leg in snapshot.routes.values().flat_map(|route| &route.legs) {
            let name = leg.upstream.name();
            let mut pins = snapshot.settings.pins.iter();
            leg.knowledge.configure_pins(pins.find(|one| one.upstream == *name));
        }
    }

    /// Puts another configuration in force for requests that begin from now on.
    ///
    /// # Errors
    /// [`CompileError`]; the old configuration then stays, whole.
    pub fn reload(&self, settings: Settings) -> Result<(), CompileError> {
        let old = self.snapshot.load_full();
        let scale = self.scales.of(&settings)?;
        let (entropy, identity) = (&*self.entropy, self.identity.as_ref());
        let within = Around { entropy, identity, scale };
        let next = Arc::new(Snapshot::compile(settings, Some(&old), within)?);
        if self.pins.store.is_none() && !next.settings.pins.is_empty() {
            return Err(CompileError::PinsLate);
        }
        self.scales.follow(&next.settings);
        // Before anybody is judged by it: whom it pins is read again first.
        self.configure_pins(&next);
        self.snapshot.store(next.clone());
        self.news.tell();
        if let Some(verifier) = next.identify.verifier() {
            verifier.start_background();
        }
        for upstream in next.upstreams.iter() {
            upstream.start_background();
        }
        for past in old.upstreams.iter() {
            if !next.upstreams.get(past.name()).is_some_and(|now| Arc::ptr_eq(now, past)) {
                past.leave();
            }
        }
        Ok(())
    }

    /// The configuration in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Where the configuration in force is found, whenever it is looked for.
    pub(crate) fn latest(&self) -> Arc<ArcSwap<Snapshot>> {
        self.snapshot.clone()
    }

    /// Starts what runs beside the requests: checks of endpoints, and the end of sessions whose
    /// life is over. Ends when the gate is dropped.
    pub fn start_background(self: &Arc<Self>) {
        for upstream in self.snapshot().upstreams.iter() {
            upstream.start_background();
        }
        if let Some(verifier) = self.snapshot().identify.verifier() {
            verifier.start_background();
        }
        if let Some(store) = self.pins.store.clone() {
            tokio::spawn(Pinboard::watch(Arc::downgrade(self), store));
        }
        if self.identity.is_some() {
            tokio::spawn(Self::watch_revocations(Arc::downgrade(self)));
        }
        let gate = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut part = 0;
            loop {
                let Some(gate) = gate.upgrade() else { return };
                let pause = gate.sweep(part);
                part = part.wrapping_add(1);
                drop(gate);
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Ends the sessions of callers that are cut off, as soon as that is known.
    async fn watch_revocations(gate: Weak<Self>) {
        // Whom to watch changes with the configuration.
        const LOOK: Duration = Duration::from_millis(500);
        let mut seen = 0;
        loop {
            let Some(verifier) =
                gate.upgrade().map(|gate| gate.snapshot().identify.verifier().cloned())
            else {
                return;
            };
            let Some(verifier) = verifier else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let mut changes = verifier.revocations();
            let now = *changes.borrow_and_update();
            if now == seen {
                drop(tokio::time::timeout(LOOK, changes.changed()).await);
                continue;
            }
            seen = now;
            let Some(gate) = gate.upgrade() else { return };
            // A credential that is void ends what is streamed to it; sessions are the principal's.
            let is_over = |session: &Session| verifier.is_cut_off(&session.principal);
            for part in 0..gate.sessions.parts() {
                gate.say_farewell(gate.sessions.end_where(part, &is_over));
            }
        }
    }

    fn say_farewell(&self, over: Vec<Arc<Session>>) {
        let snapshot = self.snapshot();
        for session in over {
            if let Some(upstream) = snapshot.upstreams.get(&session.upstream) {
                self.farewells.send(upstream, Parting::of(upstream, &session));
            }
        }
    }

    /// Ends what upstreams run, such as child processes, and waits until it is gone, at most for
    /// `limit`. False if something is left.
    pub async fn close_upstreams(&self, limit: Duration) -> bool {
        let snapshot = self.snapshot();
        let closing = snapshot.upstreams.iter().map(|upstream| upstream.close(limit));
        let closed = futures_util::future::join_all(closing).await;
        closed.into_iter().all(|is_closed| is_closed)
    }

    /// Waits until all usage noted so far is in the ledger, at most for `limit`. False if some is not.
    pub async fn flush_usage(&self, limit: Duration) -> bool {
        let snapshot = self.snapshot();
        let Some(limited) = snapshot.admit.limited() else { return true };
        limited.scale().meter.flush(limit).await
    }

    /// Ends the sessions of one part of the book whose life is over; says when to go on.
    fn sweep(&self, part: usize) -> Duration {
        let snapshot = self.snapshot();
        let life = snapshot.settings.sessions.life;
        let parts = self.sessions.parts().max(1);
        self.say_farewell(self.sessions.sweep(part % parts, life));
        if part.is_multiple_of(parts) {
            self.memories.sweep();
            self.parked.sweep(self.clock.now());
            self.soft.sweep(self.clock.now(), life);
            let legs = snapshot.routes.values().flat_map(|route| &route.legs);
            let now = self.clock.now();
            legs.for_each(|leg| leg.knowledge.catalogs().sweep(now));
        }
        // Once around in a quarter of the idle time, within 1 to 60 seconds.
        let around = (life.idle_millis / 4).clamp(1_000, 60_000);
        Duration::from_millis((around / parts as u64).max(10))
    }

    /// Seals a value with the present ring; `None` if it is too long.
    pub(crate) fn seal(
        &self,
        seal: &Seal,
        (purpose, context): (Purpose, &[&[u8]]),
        plain: &[u8],
    ) -> Option<String> {
        seal.seal(purpose, context, plain, &*self.entropy)
    }

    /// How limits and the meter are doing; `None` where nothing is limited or metered.
    #[must_use]
    pub fn usage(&self) -> Option<UseStatus> {
        let snapshot = self.snapshot();
        let (limits, scale) = snapshot.admit.limited().map(|it| (it.limits(), it.scale()))?;
        let levels = limits.levels();
        let budgets = limits.budgets(scale.now());
        Some(UseStatus { levels, budgets, figures: scale.meter.figures() })
    }

    /// How the gate is doing.
    #[must_use]
    pub fn status(&self) -> GateStatus {
        GateStatus {
            sessions: self.sessions.count(),
            streams: self.streams.count(),
            orphans: self.orphanage.count(),
            panics: self.panics.load(Ordering::Relaxed),
            is_draining: self.drain.is_begun(),
            permit: self.snapshot().permit.book().map(|book| book.tally.counts()),
        }
    }
}

/// What limits and the meter have done, for `/status`.
#[derive(Clone, Debug)]
pub struct UseStatus {
    /// Limits, in the order of the file.
    pub levels: Vec<LevelStatus>,
    /// Budgets, in the order of the file.
    pub budgets: Vec<BudgetStatus>,
    /// Calls counted, and their rows.
    pub figures: Figures,
}

/// Counts for `/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateStatus {
    /// Legacy sessions.
    pub sessions: usize,
    /// Lasting event streams.
    pub streams: usize,
    /// Calls being read to their end for clients that vanished.
    pub orphans: usize,
    /// Requests that ended in a defect of ours.
    pub panics: u64,
    /// Whether the gate is shutting down.
    pub is_draining: bool,
    /// What policy decided; `None` without one.
    pub permit: Option<PermitCounts>,
}
