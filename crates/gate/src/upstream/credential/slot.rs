//! Keeps one token: lends it while it is good, has it asked for by one at a time, and remembers for
//! a while that it could not be got.
//!
//! Reading the token at hand takes no lock.

use super::CredentialFault;
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use parking_lot::Mutex;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::bounds::outbound::BORROWING_REST_MILLIS;

/// A token, ready to be sent.
pub(crate) struct Lent {
    value: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent(…)")
    }
}

impl Lent {
    /// A token that was asked for at `asked_at` and lives so long.
    pub(super) fn new(mut value: HeaderValue, asked_at: Instant, life: Duration) -> Self {
        value.set_sensitive(true);
        // A little before its end, since it still has a way to go.
        let margin = (life / 10).min(Duration::from_secs(10));
        Self { value, renew_at: asked_at + life / 5 * 4, ends_at: asked_at + life - margin }
    }

    /// The value of `Authorization`.
    pub(crate) const fn value(&self) -> &HeaderValue {
        &self.value
    }
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Slot {
    held: ArcSwapOption<Lent>,
    /// Held by who asks, across that.
    turn: tokio::sync::Mutex<()>,
    is_renewing: AtomicBool,
    // A plain mutex: looked at only by those who find no good token.
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// Until when nobody asks again, and why.
    rest: Option<(Instant, CredentialFault)>,
    /// When a token was last dropped before its end.
    dropped_at: Option<Instant>,
}

const REST: Duration = Duration::from_millis(BORROWING_REST_MILLIS);

impl Slot {
    /// The token, if it is good now.
    pub(super) fn at_hand(&self, now: Instant) -> Option<Arc<Lent>> {
        self.held.load().as_ref().filter(|lent| now < lent.ends_at).cloned()
    }

    /// Whether whoever got this token is to have it renewed; true for one of them.
    pub(super) fn must_renew(&self, lent: &Lent, now: Instant) -> bool {
        now >= lent.renew_at && !self.rests(now) && !self.is_renewing.swap(true, Ordering::AcqRel)
    }

    /// The token, asked for if nobody else has got it meanwhile.
    pub(super) async fn get(
        &self,
        asking: impl Future<Output = Result<Lent, CredentialFault>>,
    ) -> Result<Arc<Lent>, CredentialFault> {
        let _turn = self.turn.lock().await;
        let now = Instant::now();
        if let Some(lent) = self.at_hand(now) {
            return Ok(lent);
        }
        if let Some((until, fault)) = &self.past.lock().rest
            && now < *until
        {
            return Err(fault.clone());
        }
        self.take(asking.await)
    }

    /// Asks for the next token while this one is still good.
    pub(super) async fn renew(&self, asking: impl Future<Output = Result<Lent, CredentialFault>>) {
        let _renewing = Renewing(&self.is_renewing);
        let _turn = self.turn.lock().await;
        // Why it failed is noted; the token at hand is used to its end.
        drop(self.take(asking.await));
    }

    fn take(&self, asked: Result<Lent, CredentialFault>) -> Result<Arc<Lent>, CredentialFault> {
        match asked {
            Ok(lent) => {
                let lent = Arc::new(lent);
                self.held.store(Some(lent.clone()));
                self.past.lock().rest = None;
                Ok(lent)
            }
            Err(fault) => {
                self.past.lock().rest = Some((Instant::now() + REST, fault.clone()));
                Err(fault)
            }
        }
    }

    /// Lets go of a token that the upstream refused. Not again and again: one that is refused as
    /// soon as it is fresh is not at fault.
    pub(super) fn drop_token(&self, lent: &Arc<Lent>, now: Instant) -> bool {
        let mut past = self.past.lock();
        if past.dropped_at.is_some_and(|at| now.saturating_duration_since(at) < REST) {
            return false;
        }
        let is_held = self.held.load().as_ref().is_some_and(|held| Arc::ptr_eq(held, lent));
        if is_held {
            past.dropped_at = Some(now);
            self.held.store(None);
        }
        is_held
    }

    /// Whether it holds anything that spares a question.
    pub(super) fn is_worth_keeping(&self, now: Instant) -> bool {
        self.at_hand(now).is_some() || self.rests(now)
    }

    fn rests(&self, now: Instant) -> bool {
        self.past.lock().rest.as_ref().is_some_and(|(until, _)| now < *until)
    }
}

/// Says when renewing is over, however it ends.
struct Renewing<'a>(&'a AtomicBool);

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
