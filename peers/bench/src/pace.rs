//! The open loop's clock: when each call is due, and waiting for that moment.
//!
//! A call's latency counts from the moment it was due, not from the moment it was sent: a stalled
//! proxy delays the calls behind it, and a generator that only measures what it sends would hide
//! that (coordinated omission).
//!
//! Next: `rounds.rs`.

use std::time::{Duration, Instant};

/// When the calls of one connection are due: every connection has its own evenly shifted share.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    first: u64,
    step: u64,
    rate: u64,
}

impl Schedule {
    /// The share of connection `which` of `connections`, at `rate` calls per second in total.
    pub fn share(start: Instant, rate: u64, which: u64, connections: u64) -> Self {
        Self { start, first: which, step: connections, rate }
    }

    /// When call `k` of this connection is due.
    pub fn due(&self, k: u64) -> Instant {
        let number = self.first + k * self.step;
        let nanos = u128::from(number) * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What call `k` cost an agent that wanted it at its time.
    pub fn latency(&self, k: u64, done: Instant) -> Duration {
        done.saturating_duration_since(self.due(k))
    }
}

#[cfg(target_os = "linux")]
pub use linux::Pacer;
#[cfg(not(target_os = "linux"))]
pub use portable::Pacer;

#[cfg(target_os = "linux")]
mod linux {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Instant;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Waits for moments, to some microseconds: tokio's own timers count milliseconds.
    #[derive(Debug)]
    pub struct Pacer {
        timer: AsyncFd<OwnedFd>,
    }

    impl Pacer {
        /// A timer of the kernel's.
        #[expect(
            deprecated,
            reason = "its replacement is unsafe; an OwnedFd keeps the promise that one asks for"
        )]
        pub fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self { timer: AsyncFd::with_interest(timer, Interest::READABLE)? })
        }

        /// Waits until `due`; returns at once when that is past.
        pub async fn wait(&mut self, due: Instant) -> io::Result<()> {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let it_value = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
            timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            let mut fired = [0; 8];
            self.timer
                .async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut fired)?))
                .await?;
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io;
    use std::time::{Duration, Instant};

    /// Waits for moments: sleeps short of them and then yields until they come.
    #[derive(Debug)]
    pub struct Pacer;

    impl Pacer {
        /// Needs nothing.
        pub fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits until `due`; returns at once when that is past.
        pub async fn wait(&mut self, due: Instant) -> io::Result<()> {
            let early = due.checked_sub(Duration::from_millis(2)).unwrap_or(due);
            tokio::time::sleep_until(early.into()).await;
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_interleave_to_the_whole_rate() {
        let start = Instant::now();
        let shares: Vec<Schedule> = (0..4).map(|n| Schedule::share(start, 1_000, n, 4)).collect();
        let mut due: Vec<Instant> =
            (0..3).flat_map(|k| shares.iter().map(move |share| share.due(k))).collect();
        due.sort();
        let gaps: Vec<Duration> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, vec![Duration::from_millis(1); 11]);
    }

    #[test]
    fn calls_behind_a_stall_count_their_wait() {
        // One connection, a call due every 10 ms; the first takes 100 ms, the others nothing.
        let start = Instant::now();
        let share = Schedule::share(start, 100, 0, 1);
        let stalled = start + Duration::from_millis(100);
        let millis: Vec<u128> =
            (0..12).map(|k| share.latency(k, stalled.max(share.due(k))).as_millis()).collect();
        assert_eq!(millis, vec![100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0, 0]);
    }
}
