//! The measured loads: 32 connections as fast as they go, or at a fixed rate.
//!
//! One thread. A conductor opens and closes the measured window and reads the proxy's CPU time at
//! both ends; the connections only call and judge. The first error ends the measurement.
//!
//! Next: `bin/load.rs`.

use crate::calls::CallRequest;
use crate::connection::{Connection, Door, LoadError, ROOMY};
use crate::cpu::CpuSample;
use crate::pace::{Pacer, Schedule};
use crate::replies::{Fidelity, Judge};
use crate::tools::{Era, Tool};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where calls go.
    pub door: Door,
    /// What is called.
    pub tool: &'static Tool,
    /// Connections, each with a session of its own in the legacy era.
    pub connections: u64,
    /// Calls per second in total; `None` is a closed loop.
    pub rate: Option<u64>,
    /// Before the window.
    pub warmup: Duration,
    /// The window.
    pub window: Duration,
    /// The processes whose CPU time counts.
    pub watch: Vec<u32>,
    /// Whether a 429 is an answer, which is counted, instead of a failure.
    pub takes_limits: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Calls completed within the window.
    pub calls: u64,
    /// Calls completed in all, warm-up included.
    pub calls_in_all: u64,
    /// Length of the window.
    pub window_ns: u64,
    /// CPU time of the watched processes within the window.
    pub cpu_ns: u64,
    /// Median latency of calls in the window; from their due time when the rate is fixed.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Right replies in other bytes than the upstream's.
    pub rewritten: u64,
    /// Connections the peer closed between calls, and that were opened again.
    pub reconnects: u64,
    /// Calls that were answered 429 within the window.
    pub limited: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Warm,
    Measured,
    Over,
}

struct Tally {
    phase: Cell<Phase>,
    calls: Cell<u64>,
    rewritten: Cell<u64>,
    reconnects: Cell<u64>,
    limited: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
}

/// Longest latency the histogram tells apart.
const LATENCY_NANOS_MAX: u64 = 60_000_000_000;
/// How long calls in flight may take after the window.
const AFTER: Duration = Duration::from_secs(20);

/// Carries out `plan`.
pub async fn run(plan: Plan) -> Result<Measured, LoadError> {
    let histogram = Histogram::new_with_bounds(100, LATENCY_NANOS_MAX, 3)
        .map_err(|e| std::io::Error::other(e.to_string()))?;
    let tally = Rc::new(Tally {
        phase: Cell::new(Phase::Warm),
        calls: Cell::new(0),
        rewritten: Cell::new(0),
        reconnects: Cell::new(0),
        limited: Cell::new(0),
        latency: RefCell::new(histogram),
    });
    let mut callers = Vec::new();
    for _ in 0..plan.connections {
        callers.push(Caller::open(&plan).await?);
    }
    let start = Instant::now() + Duration::from_millis(2);
    let mut tasks = JoinSet::new();
    for (which, caller) in (0..).zip(callers) {
        let share = plan.rate.map(|rate| Schedule::share(start, rate, which, plan.connections));
        tasks.spawn_local(caller.call_on(share, tally.clone()));
    }
    let window = conduct(&plan, &tally, &mut tasks).await?;
    let latency = tally.latency.borrow();
    Ok(Measured {
        calls: window.calls,
        calls_in_all: tally.calls.get(),
        window_ns: u64::try_from(window.length.as_nanos()).unwrap_or(u64::MAX),
        cpu_ns: window.cpu_ns,
        p50_ns: latency.value_at_quantile(0.5),
        p99_ns: latency.value_at_quantile(0.99),
        p999_ns: latency.value_at_quantile(0.999),
        max_ns: latency.max(),
        rewritten: tally.rewritten.get(),
        reconnects: tally.reconnects.get(),
        limited: window.limited,
    })
}

struct Window {
    calls: u64,
    limited: u64,
    length: Duration,
    cpu_ns: u64,
}

/// Opens and closes the window, then waits for the calls in flight.
async fn conduct(
    plan: &Plan,
    tally: &Tally,
    tasks: &mut JoinSet<Result<(), LoadError>>,
) -> Result<Window, LoadError> {
    unless_failed(tasks, plan.warmup).await?;
    let (cpu, calls, opened) = (CpuSample::of(&plan.watch), tally.calls.get(), Instant::now());
    let limited = tally.limited.get();
    tally.phase.set(Phase::Measured);
    unless_failed(tasks, plan.window).await?;
    tally.phase.set(Phase::Over);
    let window = Window {
        length: opened.elapsed(),
        calls: tally.calls.get() - calls,
        limited: tally.limited.get() - limited,
        cpu_ns: CpuSample::of(&plan.watch).since(cpu),
    };
    let drained = async {
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(std::io::Error::other)??;
        }
        Ok(window)
    };
    tokio::time::timeout(AFTER, drained).await.map_err(|_| LoadError::Silent)?
}

/// Waits; a connection that ends meanwhile has failed.
async fn unless_failed(
    tasks: &mut JoinSet<Result<(), LoadError>>,
    wait: Duration,
) -> Result<(), LoadError> {
    match tokio::time::timeout(wait, tasks.join_next()).await {
        Err(_elapsed) => Ok(()),
        Ok(Some(ended)) => ended.map_err(std::io::Error::other)?.and(Err(LoadError::Closed)),
        Ok(None) => Err(LoadError::Closed),
    }
}

struct Caller {
    door: Door,
    connection: Connection,
    request: CallRequest,
    judge: Judge,
    takes_limits: bool,
}

impl Caller {
    async fn open(plan: &Plan) -> Result<Self, LoadError> {
        let door = plan.door.clone();
        let mut connection = Connection::open(door.addr, ROOMY).await?;
        let session = match door.era {
            Era::Legacy => Some(connection.open_session(&door).await?),
            Era::Modern => None,
        };
        let name = door.named(plan.tool);
        let request = CallRequest::new(&door.host(), &door.path, &name, session.as_deref());
        let judge = Judge::new(plan.tool, door.era);
        Ok(Self { connection, request, judge, door, takes_limits: plan.takes_limits })
    }

    async fn call_on(mut self, share: Option<Schedule>, tally: Rc<Tally>) -> Result<(), LoadError> {
        let mut pacer = Pacer::new()?;
        for k in 0.. {
            let due = match share {
                Some(share) => {
                    pacer.wait(share.due(k)).await?;
                    share.due(k)
                }
                None => Instant::now(),
            };
            if tally.phase.get() == Phase::Over {
                break;
            }
            let is_measured = tally.phase.get() == Phase::Measured;
            let is_served = self.call(&tally).await?;
            if is_measured && is_served {
                let nanos = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
                tally.latency.borrow_mut().saturating_record(nanos);
            }
        }
        Ok(())
    }

    /// Makes a call; false if a limit had no room for it.
    async fn call(&mut self, tally: &Tally) -> Result<bool, LoadError> {
        let request = match &self.door.tokens {
            None => self.request.stamp(),
            Some(tokens) => self.request.stamp_with(tokens.next()?),
        };
        self.connection.send(request).await?;
        let head = self.connection.reply().await?;
        let id = self.request.id();
        let is_served = !(self.takes_limits && head.status == 429);
        let body = self.connection.body();
        if !is_served {
            tally.limited.set(tally.limited.get() + 1);
        } else if self.judge.check(head.status, head.is_events, body, id)? == Fidelity::Rewritten {
            tally.rewritten.set(tally.rewritten.get() + 1);
        }
        tally.calls.set(tally.calls.get() + u64::from(is_served));
        if head.closes {
            self.connection = Connection::open(self.door.addr, ROOMY).await?;
            tally.reconnects.set(tally.reconnects.get() + 1);
        }
        Ok(is_served)
    }
}
