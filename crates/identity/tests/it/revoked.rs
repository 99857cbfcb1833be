//! Revocations: within a second, whoever made them; and what happens while they cannot be read.

use crate::house::{FRONT, House, is_invalid, is_unavailable, jwt, key, token, until};
use crate::server::Server;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tollgate_core::stores::{Pending, Revocable, Revocation, Revocations, StoreError, Stores};
use tollgate_oauth::keys::{Alg, SigningKey};

async fn trusted() -> (Server, SigningKey, House) {
    let (server, key) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&key]);
    let house = House::with(vec![jwt("as", &server)]);
    (server, key, house)
}

async fn revoke(stores: &Stores, what: Revocable, before: u64) {
    let revocation = Revocation { what, before, until: u64::MAX };
    stores.revocations.revoke(revocation).await.expect("revoked");
}

#[tokio::test]
async fn a_revocation_made_elsewhere_counts_within_a_second() {
    for what in 0..3 {
        let (server, key, house) = trusted().await;
        house.verifier.start_background();
        let good = token(&key, &house.claims(&server.url));
        let other = json!({ "sub": "bob", "jti": "2", "client_id": "other" });
        let other = token(&key, &house.claims_but(&server.url, &other));
        let principal = house.verify(&good).await.expect("a good token");
        house.proof(&other).await;
        let mut ticks = house.verifier.revocations();
        ticks.mark_unchanged();

        let elsewhere = house.sources.stores.clone();
        let begun = tokio::time::Instant::now();
        let what = match what {
            0 => Revocable::Agent(String::from("agent")),
            1 => Revocable::Subject(server.url.clone(), String::from("alice")),
            _ => Revocable::Token(server.url.clone(), String::from("1")),
        };
        revoke(&elsewhere, what.clone(), house.now()).await;
        let ticked = tokio::time::timeout(Duration::from_secs(1), ticks.changed()).await;
        assert!(ticked.is_ok(), "{what:?}");
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(!house.remembers(&good), "{what:?}");
        assert!(is_invalid(&house.verify(&good).await));
        assert!(house.verifier.is_revoked(&principal));
        assert!(house.remembers(&other), "{what:?}");

        elsewhere.revocations.restore(what.clone()).await.expect("restored");
        let is_good = || async { house.verify(&good).await.is_ok() };
        until("it is taken back", is_good).await;
    }
}

#[tokio::test]
async fn a_token_from_after_the_revocation_is_good_even_by_a_fast_clock() {
    let (server, key, house) = trusted().await;
    let agent = Revocable::Agent(String::from("agent"));
    revoke(&house.sources.stores, agent, house.now()).await;
    // Issued at the moment of the revocation by a clock that is as fast as it may be.
    let fast = token(&key, &house.claims_but(&server.url, &json!({ "iat": house.now() + 30 })));
    assert!(is_invalid(&house.verify(&fast).await));
    let undated = token(&key, &house.claims_but(&server.url, &json!({ "iat": null })));
    assert!(is_invalid(&house.verify(&undated).await));
    house.advance_secs(31);
    house.proof(&token(&key, &house.claims(&server.url))).await;
    assert!(is_invalid(&house.verify(&fast).await));
}

#[tokio::test]
async fn while_revocations_cannot_be_read_the_last_ones_hold_for_a_minute() {
    let (server, key, mut house) = trusted().await;
    let store = Arc::new(Moody::over(Arc::clone(&house.sources.stores.revocations)));
    house.sources.stores.revocations = Arc::clone(&store) as _;
    house.rebuild().expect("settings");
    let token_of = |id: &str| token(&key, &house.claims_but(&server.url, &json!({ "jti": id })));
    revoke(&house.sources.stores, Revocable::Token(server.url.clone(), "bad".into()), u64::MAX)
        .await;
    let good = token_of("good");
    house.proof(&good).await;

    store.is_away.store(true, Ordering::SeqCst);
    house.advance_secs(59);
    assert!(house.remembers(&good));
    assert!(is_invalid(&house.verify(&token_of("bad")).await));
    house.advance_secs(2);
    assert!(!house.remembers(&good));
    let refused = house.verifier.verify(FRONT, &good).await;
    assert!(is_unavailable(&refused));

    store.is_away.store(false, Ordering::SeqCst);
    house.proof(&good).await;
}

#[tokio::test]
async fn a_gate_that_never_read_revocations_lets_nobody_in() {
    let (server, key, mut house) = trusted().await;
    let store = Moody::over(Arc::clone(&house.sources.stores.revocations));
    store.is_away.store(true, Ordering::SeqCst);
    house.sources.stores.revocations = Arc::new(store);
    house.rebuild().expect("settings");
    assert!(is_unavailable(&house.verify(&token(&key, &house.claims(&server.url))).await));
}

/// A store that can be away.
#[derive(Debug)]
struct Moody {
    within: Arc<dyn Revocations>,
    is_away: AtomicBool,
}

impl Moody {
    fn over(within: Arc<dyn Revocations>) -> Self {
        Self { within, is_away: AtomicBool::new(false) }
    }

    fn unless_away<'a, T: Send + 'a>(&self, answer: Pending<'a, T>) -> Pending<'a, T> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Box::pin(async { Err(StoreError::Unavailable(String::from("away"))) }),
            false => answer,
        }
    }
}

impl Revocations for Moody {
    fn revoke(&self, revocation: Revocation) -> Pending<'_, ()> {
        self.unless_away(self.within.revoke(revocation))
    }
    fn restore(&self, what: Revocable) -> Pending<'_, bool> {
        self.unless_away(self.within.restore(what))
    }
    fn all(&self, now: u64) -> Pending<'_, Vec<Revocation>> {
        self.unless_away(self.within.all(now))
    }
    fn version(&self) -> Pending<'_, u64> {
        self.unless_away(self.within.version())
    }
    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        self.unless_away(self.within.sweep(now))
    }
}
