//! The life of one line: the task that takes what the peer says and writes what the gate itself has
//! to say, until the line is over.
//!
//! Never waits for a reader, nor for the peer to read: neither may stall the other direction.

use crate::upstream::duplex::conversation::Conversation;
use crate::upstream::duplex::desk::State;
use crate::upstream::duplex::host::Host;
use crate::upstream::duplex::inbound::Fit;
use crate::upstream::duplex::noise::Noise;
use bytes::Bytes;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Time for the reason of an end to become known, before calls in flight are failed without.
const REASON: Duration = Duration::from_millis(500);

/// What drives a line.
pub(super) struct Driver {
    /// The line.
    pub(super) conversation: Arc<Conversation>,
    /// Messages of the peer.
    pub(super) incoming: mpsc::Receiver<Bytes>,
    /// Whose line it is.
    pub(super) host: Weak<Host>,
    /// Where noise is told.
    pub(super) noise: Arc<Noise>,
    /// Time for the first message.
    pub(super) start: Duration,
    /// A line nobody used for so long is closed.
    pub(super) idle: Duration,
}

impl Driver {
    /// Runs until the line has ended and its process is gone.
    pub(super) async fn run(mut self) {
        let opened = Instant::now();
        self.carry(opened).await;
        let ended = self.conversation.ended();
        tokio::pin!(ended);
        let early = tokio::time::timeout(REASON, &mut ended).await.ok();
        if let Some(why) = self.conversation.hang_up(early.as_deref()) {
            let host = self.host.upgrade();
            host.inspect(|host| host.failed(&self.conversation, &why, opened.elapsed()));
        }
        if early.is_none() {
            ended.await;
        }
        if let Some(host) = self.host.upgrade() {
            host.over(&self.conversation);
        }
    }

    async fn carry(&mut self, opened: Instant) {
        let conversation = self.conversation.clone();
        let mut can_write = true;
        loop {
            let next_look = self.next_look(opened);
            let has_backlog = can_write && !conversation.desk().backlog.is_empty();
            // All of them can be dropped without loss: a permit that was not used goes back.
            tokio::select! {
                message = self.incoming.recv() => {
                    let Some(message) = message else { return };
                    if conversation.take(&message, &self.noise) == Fit::No {
                        self.retire();
                    }
                }
                permit = conversation.outgoing().reserve(), if has_backlog => match permit {
                    Ok(permit) => {
                        if let Some(message) = conversation.desk().backlog.pop_front() {
                            permit.send(message);
                        }
                    }
                    // The end of the other direction is still to come.
                    Err(_) => can_write = false,
                },
                () = conversation.bell.notified() => {}
                () = tokio::time::sleep_until(next_look) => self.look(opened),
            }
            let (has_left, has_failed) = {
                let desk = conversation.desk();
                (desk.has_left(), matches!(desk.state, State::Failed(_)))
            };
            if has_left || has_failed {
                self.retire();
            }
            if has_failed {
                return;
            }
        }
    }

    fn next_look(&self, opened: Instant) -> Instant {
        let desk = self.conversation.desk();
        if desk.state != State::Open {
            // Its end is all that is waited for, and that is no matter of time.
            return Instant::now() + self.idle;
        }
        // Where it is in use, there is nothing to see before it may have become idle.
        let since = if desk.is_used() { Instant::now() } else { desk.used_at };
        let next = if desk.has_spoken { since + self.idle } else { opened + self.start };
        desk.discover_by.map_or(next, |by| by.min(next))
    }

    fn look(&self, opened: Instant) {
        let now = Instant::now();
        if !self.conversation.is_open() {
            return;
        }
        let (has_spoken, discover_by) = {
            let desk = self.conversation.desk();
            (desk.has_spoken, desk.discover_by)
        };
        if discover_by.is_some_and(|by| now >= by.min(opened + self.start)) {
            self.conversation.answer_discovery();
        }
        if !has_spoken && now >= opened + self.start {
            if self.conversation.desk().calls.is_empty() {
                // It was only asked which era it speaks, and this is an answer too.
                return self.retire();
            }
            let secs = self.start.as_secs_f32();
            self.conversation.fail(format!("it did not answer within {secs} s of its start"));
        } else if has_spoken
            && self.conversation.idle_for(now).is_some_and(|idle| idle >= self.idle)
        {
            self.retire();
        }
    }

    /// Closes the line in good order.
    fn retire(&self) {
        match self.host.upgrade() {
            Some(host) => host.retire(&self.conversation),
            None => self.conversation.close(),
        }
    }
}
