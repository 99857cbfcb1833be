//! The handle by which the gate hands over what is done and asks what to expect.
//!
//! A thread of its own counts, so that no tokenizer ever takes the time of a call, and one task writes
//! rows. When more calls end than can be counted in time, whoever notes one more counts it by its
//! bytes: the row and the settlement come in any case. Both end with the last handle.
//!
//! Next: `queue.rs`, `counting.rs`, `backlog.rs`, `writing.rs`.

use crate::averages::Averages;
use crate::backlog::Backlog;
use crate::call::{Actual, Finished};
use crate::counting::{self, Counted};
use crate::prices::{PriceBook, Quantities};
use crate::queue::{Noted, Queue};
use crate::settings::{Estimator, OnFailure, UsageSettings};
use crate::text::{Ruler, of_bytes, wide};
use crate::{plain, rows, writing};
use parking_lot::RwLock;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tollgate_core::bounds::usage::{FAILING_CLOSED_MILLIS, PENDING_ROWS_CLOSED};
use tollgate_core::clock::Clock;
use tollgate_core::party::Item;
use tollgate_core::stores::{Outcome, UsageLedger};

/// Counts calls and writes them down. Cheap to clone.
#[derive(Clone)]
pub struct Meter {
    shared: Arc<Shared>,
    _life: Arc<Life>,
}

/// Why no call should begin: the ledger could not take its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// It has failed for some time.
    #[error("the ledger of usage has taken no rows for {0} ms")]
    Failing(u64),
    /// It is far behind.
    #[error("{0} rows wait for the ledger of usage")]
    Behind(usize),
}

/// What the meter has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls noted.
    pub noted: u64,
    /// Calls not counted yet, and rows not in the ledger yet.
    pub pending: u64,
    /// Rows in the ledger.
    pub written: u64,
    /// Rows lost, because too many waited.
    pub lost: u64,
    /// Calls counted by bytes, because too many waited to be counted.
    pub hurried: u64,
    /// Calls of which a tokenizer read only the beginning.
    pub extrapolated: u64,
    /// Reports of upstreams that could not be used.
    pub reports_void: u64,
    /// Attempts to write that failed.
    pub failures: u64,
}

/// What the handles, the thread and the task have in common.
pub(crate) struct Shared {
    // Written when the configuration changes; readers take the pointer and leave.
    rules: RwLock<Arc<Rules>>,
    averages: Averages,
    queue: Queue,
    pub(crate) backlog: Backlog,
    pub(crate) clock: Arc<dyn Clock>,
    /// Wall clock minus monotonic clock at the start, milliseconds.
    anchor: u64,
    has_ledger: bool,
    is_ended: AtomicBool,
    is_hurried: AtomicBool,
    /// Monotonic milliseconds of the first of the failures that go on; 0 if all is well.
    pub(crate) failing_since: AtomicU64,
    pub(crate) failures: AtomicU64,
    noted: AtomicU64,
    hurried: AtomicU64,
    extrapolated: AtomicU64,
    reports_void: AtomicU64,
}

/// One version of the settings.
pub(crate) struct Rules {
    pub(crate) settings: UsageSettings,
    book: PriceBook,
    ruler: Ruler,
}

impl Rules {
    fn new(settings: UsageSettings) -> Self {
        let book = PriceBook::new(&settings.prices);
        let ruler = Ruler::new(settings.estimator);
        Self { settings, book, ruler }
    }
}

/// Ends the thread and the task when the last handle is gone.
struct Life(Arc<Shared>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.is_ended.store(true, Ordering::Release);
        self.0.queue.end();
        self.0.backlog.first.notify_one();
        self.0.backlog.enough.notify_one();
    }
}

impl Meter {
    /// Starts counting, and writing if there is a ledger. To be called within a runtime if there is.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        settings: UsageSettings,
        ledger: Option<Arc<dyn UsageLedger>>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let anchor = clock.unix_secs().saturating_mul(1_000).saturating_sub(clock.now().0);
        let shared = Arc::new(Shared {
            rules: RwLock::new(Arc::new(Rules::new(settings))),
            averages: Averages::new(),
            queue: Queue::default(),
            backlog: Backlog::default(),
            clock,
            anchor,
            has_ledger: ledger.is_some(),
            is_ended: AtomicBool::new(false),
            is_hurried: AtomicBool::new(false),
            failing_since: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            hurried: AtomicU64::new(0),
            extrapolated: AtomicU64::new(0),
            reports_void: AtomicU64::new(0),
        });
        let counter = shared.clone();
        std::thread::Builder::new().name("meter".to_owned()).spawn(move || counter.run())?;
        if let Some(ledger) = ledger {
            tokio::spawn(writing::write(shared.clone(), ledger));
        }
        Ok(Self { _life: Arc::new(Life(shared.clone())), shared })
    }

    /// Puts other settings in force for calls that are counted from now on. Whether there is a ledger
    /// stays as it was at the start.
    pub fn reload(&self, settings: UsageSettings) {
        let rules = Arc::new(Rules::new(settings));
        *self.shared.rules.write() = rules;
    }

    /// Whether calls should begin.
    ///
    /// # Errors
    /// They should not: the operator wants no call without its row, and the ledger takes none.
    pub fn is_ready(&self) -> Result<(), Unready> {
        let shared = &*self.shared;
        let since = shared.failing_since.load(Ordering::Relaxed);
        let pending = shared.backlog.pending();
        if (since == 0 && pending < PENDING_ROWS_CLOSED)
            || shared.rules().settings.on_failure == OnFailure::Open
        {
            return Ok(());
        }
        if pending >= PENDING_ROWS_CLOSED {
            return Err(Unready::Behind(pending));
        }
        let millis = shared.clock.now().0.saturating_sub(since);
        if millis >= FAILING_CLOSED_MILLIS { Err(Unready::Failing(millis)) } else { Ok(()) }
    }

    /// Takes a call that is done. Never waits; counts it here and now, by its bytes, if too many wait.
    pub fn note(&self, call: Finished) {
        let shared = &*self.shared;
        shared.noted.fetch_add(1, Ordering::Relaxed);
        let noted = Noted { call, at_millis: shared.at_millis() };
        if let Err(noted) = shared.queue.offer(noted) {
            shared.hurried.fetch_add(1, Ordering::Relaxed);
            let counted = counting::cheap(&noted.call);
            shared.settle(*noted, &counted);
        }
    }

    /// What a call took that was answered with this, where that is plain to see and nobody wants more:
    /// no row, no tokenizer, no report of the upstream. Such a call must not be noted besides.
    #[must_use]
    pub fn at_once(
        &self,
        item: Option<&Item<'_>>,
        arguments: &[u8],
        answer: &[u8],
    ) -> Option<Actual> {
        let shared = &*self.shared;
        let rules = shared.rules();
        let settings = &rules.settings;
        let is_plain = settings.estimator == Estimator::Bytes && settings.reported.is_empty();
        if !is_plain || (shared.has_ledger && settings.has_ledger) {
            return None;
        }
        let tokens_in = of_bytes(wide(plain::compact_bytes(arguments)?));
        let tokens_out = of_bytes(wide(plain::text_bytes(answer)?));
        shared.noted.fetch_add(1, Ordering::Relaxed);
        if let Some(item) = item {
            shared.averages.learn(item, tokens_out);
        }
        Some(Actual { tokens_in, tokens_out, cost_micros: 0 })
    }

    /// Tokens to expect back from an item: a moving average of what came back before.
    #[must_use]
    pub fn estimate_out(&self, item: &Item<'_>) -> u64 {
        self.shared.averages.expected(item)
    }

    /// Millionths a call of the item is expected to cost, but for the time it takes.
    #[must_use]
    pub fn estimate_cost(&self, item: &Item<'_>, tokens_in: u64, tokens_out: u64) -> u64 {
        let rules = self.shared.rules();
        let Some(price) = rules.book.price(item, self.shared.at_millis()) else { return 0 };
        let bytes = tokens_in.saturating_add(tokens_out).saturating_mul(4);
        price.cost(&Quantities { calls: 1, tokens_in, tokens_out, bytes, millis: 0 })
    }

    /// What it has done.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let shared = &*self.shared;
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Figures {
            noted: read(&shared.noted),
            pending: wide(shared.pending()),
            written: shared.backlog.written(),
            lost: shared.backlog.lost(),
            hurried: read(&shared.hurried),
            extrapolated: read(&shared.extrapolated),
            reports_void: read(&shared.reports_void),
            failures: read(&shared.failures),
        }
    }

    /// Waits until everything noted so far is counted and in the ledger, at most so long; says whether
    /// it is.
    pub async fn flush(&self, limit: Duration) -> bool {
        let shared = &*self.shared;
        shared.is_hurried.store(true, Ordering::Release);
        let drained = async {
            while shared.pending() > 0 {
                shared.backlog.enough.notify_one();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let is_done = tokio::time::timeout(limit, drained).await.is_ok();
        shared.is_hurried.store(false, Ordering::Release);
        is_done
    }
}

impl Shared {
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    /// Whether no handle is left.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    /// Whether somebody waits for rows to be written.
    pub(crate) fn is_hurried(&self) -> bool {
        self.is_hurried.load(Ordering::Acquire)
    }

    /// Whether rows may still come. The counting thread tells when it ends.
    pub(crate) fn is_counting(&self) -> bool {
        self.queue.len() > 0
    }

    // In this order: a call is counted only after its row waits.
    fn pending(&self) -> usize {
        let calls = self.queue.len();
        calls + self.backlog.pending()
    }

    /// The wall clock in milliseconds: seconds of the clock people set, and what of them has passed by
    /// the clock nobody sets.
    fn at_millis(&self) -> u64 {
        let second = self.clock.unix_secs().saturating_mul(1_000);
        self.clock.now().0.saturating_add(self.anchor).clamp(second, second.saturating_add(999))
    }

    /// What the counting thread does.
    fn run(&self) {
        let mut batch = VecDeque::new();
        while self.queue.next(&mut batch) {
            let rules = self.rules();
            for noted in batch.drain(..) {
                let bytes = noted.call.held_bytes();
                // A defect in what reads an upstream's answer must not stop the bill.
                let counted = catch_unwind(AssertUnwindSafe(|| {
                    counting::count(&noted.call, rules.ruler, &rules.settings)
                }));
                let counted = counted.unwrap_or_else(|_| counting::cheap(&noted.call));
                if catch_unwind(AssertUnwindSafe(|| self.settle(noted, &counted))).is_err() {
                    tracing::error!("a call could not be settled: this is a defect");
                }
                self.queue.done(bytes);
            }
        }
        self.backlog.first.notify_one();
    }

    /// Prices a call, writes it down, and tells whoever reserved for it.
    fn settle(&self, noted: Noted, counted: &Counted) {
        let Noted { mut call, at_millis } = noted;
        if counted.is_extrapolated {
            self.extrapolated.fetch_add(1, Ordering::Relaxed);
        }
        if counted.is_report_void {
            self.reports_void.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(item) = call.item().filter(|_| counted.outcome != Outcome::Unfinished) {
            self.averages.learn(&item, counted.tokens_out);
        }
        let priced = rows::priced(&call, counted, &self.rules().book, at_millis);
        let actual = Actual {
            tokens_in: counted.tokens_in,
            tokens_out: counted.tokens_out,
            cost_micros: priced.1,
        };
        // The row first: it is there even if what is told fails.
        if self.has_ledger && self.rules().settings.has_ledger {
            self.backlog.push(rows::row(&call, counted, priced, at_millis));
        }
        if let Some(settle) = call.settle.take() {
            settle(actual);
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("figures", &self.figures()).finish_non_exhaustive()
    }
}
