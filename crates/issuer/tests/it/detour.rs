//! Grants that are not at hand: every answer takes a while, or does not come at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate_core::stores::{
    CodeRecord, Consent, Digest, GrantId, Grants, Pending, RefreshRecord, Rotated, Spent,
    StoreError,
};

/// A way to other grants.
#[derive(Debug)]
pub(crate) struct Detour {
    behind: Arc<dyn Grants>,
    /// Whether it is cut off.
    pub(crate) is_down: AtomicBool,
}

impl Detour {
    pub(crate) fn to(behind: Arc<dyn Grants>) -> Arc<Self> {
        Arc::new(Self { behind, is_down: AtomicBool::new(false) })
    }

    /// Lets others go first, as a store that is shared would.
    fn through<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Grants) -> Pending<'a, T> + Send + 'a,
    ) -> Pending<'a, T> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.is_down.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("cut off".to_owned()));
            }
            let answer = ask(&*self.behind).await;
            tokio::task::yield_now().await;
            answer
        })
    }
}

impl Grants for Detour {
    fn keep_code(&self, code: CodeRecord) -> Pending<'_, ()> {
        self.through(move |grants| grants.keep_code(code))
    }
    fn spend_code(&self, digest: Digest, now: u64) -> Pending<'_, Spent> {
        self.through(move |grants| grants.spend_code(digest, now))
    }
    fn keep_refresh(&self, token: RefreshRecord) -> Pending<'_, bool> {
        self.through(move |grants| grants.keep_refresh(token))
    }
    fn find_refresh(&self, digest: Digest, now: u64) -> Pending<'_, Option<RefreshRecord>> {
        self.through(move |grants| grants.find_refresh(digest, now))
    }
    fn rotate(&self, used: Digest, next: RefreshRecord, now: u64) -> Pending<'_, Rotated> {
        self.through(move |grants| grants.rotate(used, next, now))
    }
    fn end(&self, grant: GrantId, until: u64) -> Pending<'_, ()> {
        self.through(move |grants| grants.end(grant, until))
    }
    fn end_all<'a>(
        &'a self,
        client: Option<&'a str>,
        subject: Option<&'a str>,
        until: u64,
    ) -> Pending<'a, Vec<GrantId>> {
        self.through(move |grants| grants.end_all(client, subject, until))
    }
    fn spend_once(&self, id: Digest, until: u64) -> Pending<'_, bool> {
        self.through(move |grants| grants.spend_once(id, until))
    }
    fn consent<'a>(
        &'a self,
        subject: &'a str,
        client: &'a str,
        redirect: &'a str,
        resource: &'a str,
    ) -> Pending<'a, Option<Consent>> {
        self.through(move |grants| grants.consent(subject, client, redirect, resource))
    }
    fn keep_consent(&self, consent: Consent) -> Pending<'_, ()> {
        self.through(move |grants| grants.keep_consent(consent))
    }
    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        self.through(move |grants| grants.sweep(now))
    }
}
