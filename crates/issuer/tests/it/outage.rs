//! Stores that do not answer: 503, never a verdict.

use crate::house::{House, machine};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate_core::stores::{
    CodeRecord, Consent, Digest, GrantId, Grants, Pending, RefreshRecord, Rotated, Spent,
    StoreError,
};

/// Grants that can be cut off.
#[derive(Debug)]
struct Cut {
    behind: Arc<dyn Grants>,
    is_down: AtomicBool,
}

impl Cut {
    fn through<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Grants) -> Pending<'a, T>,
    ) -> Pending<'a, T> {
        if self.is_down.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::Unavailable("cut off".to_owned())) });
        }
        ask(&*self.behind)
    }
}

impl Grants for Cut {
    fn keep_code(&self, code: CodeRecord) -> Pending<'_, ()> {
        self.through(|grants| grants.keep_code(code))
    }
    fn spend_code(&self, digest: Digest, now: u64) -> Pending<'_, Spent> {
        self.through(|grants| grants.spend_code(digest, now))
    }
    fn keep_refresh(&self, token: RefreshRecord) -> Pending<'_, bool> {
        self.through(|grants| grants.keep_refresh(token))
    }
    fn find_refresh(&self, digest: Digest, now: u64) -> Pending<'_, Option<RefreshRecord>> {
        self.through(|grants| grants.find_refresh(digest, now))
    }
    fn rotate(&self, used: Digest, next: RefreshRecord, now: u64) -> Pending<'_, Rotated> {
        self.through(|grants| grants.rotate(used, next, now))
    }
    fn end(&self, grant: GrantId, until: u64) -> Pending<'_, ()> {
        self.through(|grants| grants.end(grant, until))
    }
    fn end_all<'a>(
        &'a self,
        client: Option<&'a str>,
        subject: Option<&'a str>,
        until: u64,
    ) -> Pending<'a, Vec<GrantId>> {
        self.through(|grants| grants.end_all(client, subject, until))
    }
    fn spend_once(&self, id: Digest, until: u64) -> Pending<'_, bool> {
        self.through(|grants| grants.spend_once(id, until))
    }
    fn consent<'a>(
        &'a self,
        subject: &'a str,
        client: &'a str,
        redirect: &'a str,
        resource: &'a str,
    ) -> Pending<'a, Option<Consent>> {
        self.through(|grants| grants.consent(subject, client, redirect, resource))
    }
    fn keep_consent(&self, consent: Consent) -> Pending<'_, ()> {
        self.through(|grants| grants.keep_consent(consent))
    }
    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        self.through(|grants| grants.sweep(now))
    }
}

#[tokio::test]
async fn while_the_store_is_down_the_answer_is_503_and_nothing_is_lost() {
    let whole = House::new().await;
    let cut = Arc::new(Cut { behind: whole.stores.grants.clone(), is_down: false.into() });
    let mut stores = whole.stores.clone();
    stores.grants = cut.clone();
    let house = House::over(whole.settings.clone(), stores, whole.clock.clone()).await;
    house.app("app").await;
    house.add(machine("bot")).await;
    let code = house.code("app").await;
    let (_, token) = house.tokens("app").await;
    cut.is_down.store(true, Ordering::SeqCst);
    let refused = [
        house.redeem("app", &code).await,
        house.refresh("app", &token, &[]).await,
        house.post("/oauth/revoke", &[("client_id", "app"), ("token", &token)]).await,
        house.post_as("bot", "/oauth/introspect", &[("token", &token)]).await,
    ];
    for reply in refused {
        assert_eq!(reply.refusal(), (503, "temporarily_unavailable".to_owned()));
        let wait: u64 = reply.header("retry-after").expect("a wait").parse().expect("seconds");
        assert!((1..=60).contains(&wait));
        assert!(!String::from_utf8_lossy(&reply.body).contains("cut off"), "causes stay inside");
    }
    cut.is_down.store(false, Ordering::SeqCst);
    assert_eq!(house.redeem("app", &code).await.status, 200);
    assert_eq!(house.refresh("app", &token, &[]).await.status, 200);
}
