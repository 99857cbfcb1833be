//! Codes, refresh tokens, consents and used ids in memory.
//!
//! A used code or refresh token stays as a mark that knows its grant, so that a second use is known
//! for what it is.

use super::{Held, room};
use std::collections::{BTreeSet, HashMap, VecDeque};
use tollgate_core::bounds::issuer::GRANT_SECS;
use tollgate_core::bounds::stores::{
    CODE_KNOWN_SECS, CODES_MAX, CONSENTS_MAX, ENDED_GRANTS_MAX, REFRESH_TOKENS_MAX, USED_IDS_MAX,
    USED_TOKENS_MAX, USED_TOKENS_PER_GRANT_MAX,
};
use tollgate_core::stores::{
    CodeRecord, Consent, Digest, GrantId, Grants, Pending, RefreshRecord, Rotated, Spent,
    StoreError,
};

/// Codes, refresh tokens, consents and used ids.
#[derive(Debug)]
pub(super) struct MemoryGrants(pub(super) Held<Given>);

struct Code {
    record: CodeRecord,
    is_spent: bool,
}

impl Code {
    /// When nothing about it matters any more.
    fn forgotten(&self) -> u64 {
        let known = if self.is_spent { CODE_KNOWN_SECS } else { 0 };
        self.record.expires.saturating_add(known)
    }
}

struct Used {
    grant: GrantId,
    ends: u64,
}

#[derive(Default)]
pub(super) struct Given {
    codes: HashMap<Digest, Code>,
    tokens: HashMap<Digest, RefreshRecord>,
    used: HashMap<Digest, Used>,
    /// What of `used` there is, the oldest first; some were swept since.
    used_order: VecDeque<Digest>,
    used_of: HashMap<GrantId, VecDeque<Digest>>,
    ended: HashMap<GrantId, u64>,
    ids: HashMap<Digest, u64>,
    consents: HashMap<[String; 4], Consent>,
}

impl Given {
    fn end(&mut self, grant: &GrantId, until: u64) {
        if let Some(known) = self.ended.get_mut(grant) {
            *known = until.max(*known);
            return;
        }
        self.tokens.retain(|_, token| token.grant != *grant);
        self.codes.retain(|_, code| code.is_spent || code.record.grant != *grant);
        if self.ended.len() >= ENDED_GRANTS_MAX {
            let first = self.ended.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(grant, _)| grant.clone()) {
                self.ended.remove(&first);
            }
        }
        self.ended.insert(grant.clone(), until);
    }

    fn remember_used(&mut self, digest: Digest, used: Used) {
        let of = self.used_of.entry(used.grant.clone()).or_default();
        of.push_back(digest);
        let over = (of.len() > USED_TOKENS_PER_GRANT_MAX).then(|| of.pop_front()).flatten();
        self.used.insert(digest, used);
        self.used_order.push_back(digest);
        if let Some(oldest) = over {
            self.used.remove(&oldest);
        }
        while self.used_order.len() > USED_TOKENS_MAX {
            let Some(oldest) = self.used_order.pop_front() else { break };
            self.used.remove(&oldest);
        }
    }

    fn sweep(&mut self, now: u64) -> usize {
        let count = |given: &Self| {
            given.codes.len()
                + given.tokens.len()
                + given.used.len()
                + given.ended.len()
                + given.ids.len()
        };
        let before = count(self);
        self.codes.retain(|_, code| code.forgotten() > now);
        self.tokens.retain(|_, token| token.expires > now && token.ends > now);
        self.used.retain(|_, used| used.ends > now);
        self.ended.retain(|_, until| *until > now);
        self.ids.retain(|_, until| *until > now);
        let known = &self.used;
        self.used_order.retain(|digest| known.contains_key(digest));
        self.used_of.retain(|_, of| {
            of.retain(|digest| known.contains_key(digest));
            !of.is_empty()
        });
        before - count(self)
    }
}

impl Grants for MemoryGrants {
    fn keep_code(&self, code: CodeRecord) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut given = self.0.write();
            if !given.codes.contains_key(&code.digest) {
                room(given.codes.len(), CODES_MAX, "codes")?;
                given.codes.insert(code.digest, Code { record: code, is_spent: false });
            }
            Ok(())
        })
    }

    fn spend_code(&self, digest: Digest, now: u64) -> Pending<'_, Spent> {
        Box::pin(async move {
            let given = &mut *self.0.write();
            let Some(code) = given.codes.get_mut(&digest).filter(|code| code.forgotten() > now)
            else {
                return Ok(Spent::Unknown);
            };
            if !code.is_spent {
                if given.ended.contains_key(&code.record.grant) {
                    return Ok(Spent::Unknown);
                }
                code.is_spent = true;
                return Ok(Spent::Now(Box::new(code.record.clone())));
            }
            let grant = code.record.grant.clone();
            given.end(&grant, now.saturating_add(GRANT_SECS));
            Ok(Spent::Before(grant))
        })
    }

    fn keep_refresh(&self, token: RefreshRecord) -> Pending<'_, bool> {
        Box::pin(async move {
            let mut given = self.0.write();
            let is_known =
                given.tokens.contains_key(&token.digest) || given.used.contains_key(&token.digest);
            if is_known || given.ended.contains_key(&token.grant) {
                return Ok(false);
            }
            room(given.tokens.len(), REFRESH_TOKENS_MAX, "refresh tokens")?;
            given.tokens.insert(token.digest, token);
            Ok(true)
        })
    }

    fn find_refresh(&self, digest: Digest, now: u64) -> Pending<'_, Option<RefreshRecord>> {
        Box::pin(async move {
            let given = self.0.read();
            let token = given.tokens.get(&digest);
            Ok(token.filter(|token| token.expires > now && token.ends > now).cloned())
        })
    }

    fn rotate(&self, used: Digest, next: RefreshRecord, now: u64) -> Pending<'_, Rotated> {
        Box::pin(async move {
            let mut given = self.0.write();
            if let Some(before) = given.used.get(&used).filter(|before| before.ends > now) {
                let (grant, ends) = (before.grant.clone(), before.ends);
                given.end(&grant, ends);
                return Ok(Rotated::Before(grant));
            }
            let Some(token) = given.tokens.get(&used) else { return Ok(Rotated::Unknown) };
            if token.expires <= now || token.ends <= now || token.grant != next.grant {
                return Ok(Rotated::Unknown);
            }
            if given.tokens.contains_key(&next.digest) || given.used.contains_key(&next.digest) {
                return Err(StoreError::Unavailable("the next token is known already".into()));
            }
            let Some(token) = given.tokens.remove(&used) else { return Ok(Rotated::Unknown) };
            given.remember_used(used, Used { grant: token.grant, ends: token.ends });
            given.tokens.insert(next.digest, next);
            Ok(Rotated::Now)
        })
    }

    fn end(&self, grant: GrantId, until: u64) -> Pending<'_, ()> {
        Box::pin(async move {
            self.0.write().end(&grant, until);
            Ok(())
        })
    }

    fn end_all<'a>(
        &'a self,
        client: Option<&'a str>,
        subject: Option<&'a str>,
        until: u64,
    ) -> Pending<'a, Vec<GrantId>> {
        Box::pin(async move {
            if client.is_none() && subject.is_none() {
                return Ok(Vec::new());
            }
            let is_meant = |whose: (&str, &str)| {
                client.is_none_or(|client| client == whose.0)
                    && subject.is_none_or(|subject| subject == whose.1)
            };
            let mut given = self.0.write();
            let codes = given.codes.values().map(|code| &code.record);
            let codes = codes.filter(|code| is_meant((&code.client, &code.subject)));
            let tokens = given.tokens.values();
            let tokens = tokens.filter(|token| is_meant((&token.client, &token.subject)));
            let grants = codes.map(|code| &code.grant).chain(tokens.map(|token| &token.grant));
            let grants: BTreeSet<GrantId> =
                grants.filter(|grant| !given.ended.contains_key(grant)).cloned().collect();
            for grant in &grants {
                given.end(grant, until);
            }
            Ok(grants.into_iter().collect())
        })
    }

    fn spend_once(&self, id: Digest, until: u64) -> Pending<'_, bool> {
        Box::pin(async move {
            let mut given = self.0.write();
            if given.ids.contains_key(&id) {
                return Ok(false);
            }
            room(given.ids.len(), USED_IDS_MAX, "used ids")?;
            given.ids.insert(id, until);
            Ok(true)
        })
    }

    fn consent<'a>(
        &'a self,
        subject: &'a str,
        client: &'a str,
        redirect: &'a str,
        resource: &'a str,
    ) -> Pending<'a, Option<Consent>> {
        let key = [subject, client, redirect, resource].map(str::to_owned);
        Box::pin(async move { Ok(self.0.read().consents.get(&key).cloned()) })
    }

    fn keep_consent(&self, consent: Consent) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut given = self.0.write();
            let key = [&consent.subject, &consent.client, &consent.redirect, &consent.resource];
            let key = key.map(String::clone);
            if !given.consents.contains_key(&key) {
                room(given.consents.len(), CONSENTS_MAX, "consents")?;
            }
            given.consents.insert(key, consent);
            Ok(())
        })
    }

    fn sweep(&self, now: u64) -> Pending<'_, usize> {
        Box::pin(async move { Ok(self.0.write().sweep(now)) })
    }
}
