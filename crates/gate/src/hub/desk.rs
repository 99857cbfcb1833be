//! What a hub keeps in mind about its sessions while something is going on in them: which leg a
//! request went to, who listens, and which legs are just being opened.
//!
//! Legs are known by their upstreams' names: requests go on while the configuration changes, and with
//! it the number of a leg. Nothing here outlives the exchanges it is about; what a session is, is in the session book.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tollgate_core::bounds::UPSTREAMS_MAX;
use tollgate_core::ids::{SessionKey, UpstreamName};
use tollgate_core::refusal::Refusal;

/// The notes of one hub. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk {
    // Plain mutexes: each is held for one map operation.
    slots: Arc<Mutex<HashMap<SessionKey, Slot>>>,
    opening: Arc<Mutex<HashMap<SessionKey, Arc<Door>>>>,
}

#[derive(Debug, Default)]
struct Slot {
    in_flight: Vec<(Bytes, UpstreamName)>,
    listener: Option<(u64, mpsc::Sender<UpstreamName>)>,
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.listener.is_none()
    }
}

impl Desk {
    /// Notes that a request with this id, a raw token, is with a leg.
    pub(crate) fn begin(&self, key: SessionKey, id: Bytes, leg: UpstreamName) -> InFlight {
        self.slots.lock().entry(key).or_default().in_flight.push((id.clone(), leg));
        InFlight { desk: self.clone(), key, id }
    }

    /// The leg a request is with.
    pub(crate) fn leg_of(&self, key: SessionKey, id: &[u8]) -> Option<UpstreamName> {
        let slots = self.slots.lock();
        let in_flight = &slots.get(&key)?.in_flight;
        in_flight.iter().find(|(known, _)| known == id).map(|(_, leg)| leg.clone())
    }

    /// Makes the caller the session's listener: it is told of legs that open from now on. An earlier
    /// listener's channel closes: agents that lost their connection come back before we know.
    ///
    /// SPEC: 2025-11-25 basic/transports, Listening: each message goes to one stream only.
    pub(crate) fn listen(&self, key: SessionKey) -> Listening {
        let mut slots = self.slots.lock();
        let slot = slots.entry(key).or_default();
        let (tell, opened) = mpsc::channel(UPSTREAMS_MAX);
        let turn = slot.listener.as_ref().map_or(0, |(turn, _)| turn + 1);
        slot.listener = Some((turn, tell));
        Listening { desk: self.clone(), key, turn, opened }
    }

    /// Tells the session's listener that a leg was opened. Says whether there is a listener.
    pub(crate) fn opened(&self, key: SessionKey, leg: &UpstreamName) -> bool {
        let slots = self.slots.lock();
        let listener = slots.get(&key).and_then(|slot| slot.listener.as_ref());
        listener.is_some_and(|(_, listener)| listener.try_send(leg.clone()).is_ok())
    }

    /// The lock under which one leg is opened.
    pub(crate) fn opening(&self, leg: SessionKey) -> Opening {
        let door = self.opening.lock().entry(leg).or_default().clone();
        Opening { desk: self.clone(), leg, door }
    }
}

/// While this exists, a request is with a leg.
#[derive(Debug)]
pub struct InFlight {
    desk: Desk,
    key: SessionKey,
    id: Bytes,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut slots = self.desk.slots.lock();
        let Some(slot) = slots.get_mut(&self.key) else { return };
        if let Some(at) = slot.in_flight.iter().position(|(id, _)| *id == self.id) {
            slot.in_flight.swap_remove(at);
        }
        if slot.is_empty() {
            slots.remove(&self.key);
        }
    }
}

/// While this exists, its holder is the session's listener.
#[derive(Debug)]
pub(crate) struct Listening {
    desk: Desk,
    key: SessionKey,
    turn: u64,
    /// Legs that were opened; closed when somebody else listens.
    pub(crate) opened: mpsc::Receiver<UpstreamName>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut slots = self.desk.slots.lock();
        let Some(slot) = slots.get_mut(&self.key) else { return };
        if slot.listener.as_ref().is_some_and(|(turn, _)| *turn == self.turn) {
            slot.listener = None;
        }
        if slot.is_empty() {
            slots.remove(&self.key);
        }
    }
}

/// Where those wait who want to open one leg.
#[derive(Debug, Default)]
struct Door {
    attempts: AtomicU64,
    /// What the last attempt came to, if it failed.
    failed: tokio::sync::Mutex<Option<Refusal>>,
}

/// A leg that somebody is about to open.
#[derive(Debug)]
pub(crate) struct Opening {
    desk: Desk,
    leg: SessionKey,
    door: Arc<Door>,
}

/// The right to open a leg.
pub(crate) type Turn<'a> = tokio::sync::MutexGuard<'a, Option<Refusal>>;

impl Opening {
    /// Waits for whoever is opening it.
    ///
    /// # Errors
    /// Why that failed, if it did meanwhile: many that wait for a server that hangs wait once, not
    /// each in turn.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Refusal> {
        let seen = self.door.attempts.load(Ordering::Acquire);
        let turn = self.door.failed.lock().await;
        match &*turn {
            Some(why) if self.door.attempts.load(Ordering::Acquire) != seen => Err(why.clone()),
            _ => Ok(turn),
        }
    }

    /// Notes what an attempt came to.
    pub(crate) fn tried(&self, mut turn: Turn<'_>, failed: Option<Refusal>) {
        *turn = failed;
        self.door.attempts.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut opening = self.desk.opening.lock();
        // Ours goes under the lock, as all others came and go: the last one sees that it is the last.
        drop(std::mem::take(&mut self.door));
        if opening.get(&self.leg).is_some_and(|door| Arc::strong_count(door) == 1) {
            opening.remove(&self.leg);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Desk;
    use bytes::Bytes;
    use tokio::sync::mpsc;
    use tollgate_core::ids::{SessionKey, UpstreamName};
    use tollgate_core::refusal::{Reason, Refusal};

    const KEY: SessionKey = SessionKey([7; 16]);

    fn name(text: &str) -> UpstreamName {
        UpstreamName::from(text)
    }

    #[test]
    fn a_request_is_with_its_leg_until_it_is_answered() {
        let desk = Desk::default();
        let one = desk.begin(KEY, Bytes::from_static(b"1"), name("a"));
        let other = desk.begin(KEY, Bytes::from_static(b"\"1\""), name("b"));
        assert_eq!(desk.leg_of(KEY, b"1"), Some(name("a")));
        assert_eq!(desk.leg_of(KEY, b"\"1\""), Some(name("b")));
        assert_eq!(desk.leg_of(SessionKey([8; 16]), b"1"), None);
        drop(one);
        assert_eq!(desk.leg_of(KEY, b"1"), None);
        drop(other);
        assert!(desk.slots.lock().is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_session_has_one_listener_at_a_time() {
        let desk = Desk::default();
        assert!(!desk.opened(KEY, &name("0")));
        let mut first = desk.listen(KEY);
        assert!(desk.opened(KEY, &name("5")));
        assert_eq!(first.opened.try_recv(), Ok(name("5")));
        let mut second = desk.listen(KEY);
        assert_eq!(first.opened.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        drop(first);
        assert!(desk.opened(KEY, &name("6")));
        assert_eq!(second.opened.try_recv(), Ok(name("6")));
        drop(second);
        assert!(!desk.opened(KEY, &name("7")));
        assert!(desk.slots.lock().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn one_leg_is_opened_by_one_at_a_time_and_leaves_no_lock() {
        let desk = Desk::default();
        let (first, second) = (desk.opening(KEY), desk.opening(KEY));
        let turn = first.turn().await.expect("nobody failed");
        let mut waiting = Box::pin(second.turn());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        first.tried(turn, Some(Refusal::new(Reason::UpstreamDown, "down")));
        assert!(waiting.await.is_err(), "who waited for it shares its failure");
        let again = second.turn().await.expect("whoever comes later tries again");
        second.tried(again, None);
        drop((first, second));
        assert!(desk.opening.lock().is_empty(), "nothing is left behind");
    }
}
