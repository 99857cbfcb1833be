//! One waker for everything inside a connection, so that a connection never wakes itself.
//!
//! hyper's connection and body talk through channels whose wakers would re-schedule the very task
//! that is polling both of them. A [`Relay`] is handed to hyper in place of the task's waker: while
//! we poll it only notes the wake-up, at rest it passes it on to whoever polls the connection now.
//! It also carries the two facts about the socket that hyper does not tell: whether any byte of
//! the request left, and whether the next read shall ask the kernel first.
//!
//! Next: `link.rs`, which polls by it.

use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Wake, Waker};

const IDLE: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

/// See the file's head.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    state: AtomicU8,
    task: AtomicWaker,
    wrote: AtomicBool,
    peek: AtomicBool,
}

impl Relay {
    /// From now on `task` is woken.
    pub(crate) fn attach(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Nobody waits any more. Also frees the last task's memory, which a kept waker would hold.
    pub(crate) fn detach(&self) {
        drop(self.task.take());
    }

    /// Wake-ups are noted, not passed on, and none is noted yet.
    pub(crate) fn enter(&self) {
        self.state.store(POLLING, Ordering::Release);
    }

    /// Wake-ups are passed on again; a noted one is forgotten, since the caller has progress to
    /// report and will poll again.
    pub(crate) fn leave(&self) {
        self.state.store(IDLE, Ordering::Release);
    }

    /// Whether a wake-up was noted since [`Relay::enter`].
    pub(crate) fn is_woken(&self) -> bool {
        self.state.load(Ordering::Acquire) == WOKEN
    }

    /// Like `leave`, but fails if a wake-up was noted: then the caller must poll once more.
    pub(crate) fn settle(&self) -> bool {
        self.state.compare_exchange(POLLING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// A new request begins: nothing of it has been written.
    pub(crate) fn begin(&self) {
        self.wrote.store(false, Ordering::Relaxed);
    }

    /// The socket took bytes.
    pub(crate) fn note_write(&self) {
        self.wrote.store(true, Ordering::Relaxed);
    }

    /// Whether the socket took any byte since [`Relay::begin`].
    pub(crate) fn has_written(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// The next read asks the kernel whether the peer has closed.
    pub(crate) fn ask_peek(&self) {
        self.peek.store(true, Ordering::Relaxed);
    }

    /// Takes the wish of [`Relay::ask_peek`].
    pub(crate) fn take_peek(&self) -> bool {
        self.peek.load(Ordering::Relaxed) && self.peek.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Relay {
    fn wake(self: std::sync::Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        match self.state.compare_exchange(POLLING, WOKEN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(WOKEN) => {}
            Err(_) => self.task.wake(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Relay;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wake_ups_while_polling_stay_inside_and_later_ones_go_out() {
        let (relay, count) = (Arc::new(Relay::default()), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&relay));
        relay.attach(&Waker::from(Arc::clone(&count)));
        relay.enter();
        waker.wake_by_ref();
        assert_eq!(
            (relay.is_woken(), relay.settle(), count.0.load(Ordering::SeqCst)),
            (true, false, 0)
        );
        relay.enter();
        assert!(relay.settle());
        waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
