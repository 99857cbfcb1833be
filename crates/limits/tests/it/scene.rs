//! What the tests of limits act on: a clock, limits, and callers.

use std::net::IpAddr;
use std::sync::Arc;
use tollgate_core::clock::Millis;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_core::principal::{CallerKey, Credential, Names, Principal, Proof};
use tollgate_limits::settings::{CountedPer, LevelSettings, LimitSettings, RateSettings};
use tollgate_limits::{Limits, Now, Receipt, Request, Shortage};
use tollgate_rules::who::Who;

/// Limits and a clock.
pub(crate) struct Scene {
    pub(crate) limits: Limits,
    pub(crate) millis: u64,
    pub(crate) unix_secs: u64,
}

/// A caller, and what it calls.
#[derive(Clone)]
pub(crate) struct Caller {
    principal: Principal,
    address: IpAddr,
    item: Option<(UpstreamName, String)>,
    tokens: (u64, u64),
    micros: u64,
}

impl Scene {
    pub(crate) fn settings(levels: impl IntoIterator<Item = LevelSettings>) -> LimitSettings {
        LimitSettings { levels: levels.into_iter().collect(), ..LimitSettings::default() }
    }

    pub(crate) fn of(levels: impl IntoIterator<Item = LevelSettings>) -> Self {
        Self::new(&Self::settings(levels))
    }

    pub(crate) fn new(settings: &LimitSettings) -> Self {
        let limits = Limits::compile(settings, None).expect("limits");
        // 2026-11-20 18:00 UTC.
        Self { limits, millis: 1_000_000, unix_secs: 1_795_197_600 }
    }

    pub(crate) fn now(&self) -> Now {
        Now { millis: Millis(self.millis), unix_secs: self.unix_secs }
    }

    pub(crate) fn advance(&mut self, millis: u64) {
        self.millis += millis;
        self.unix_secs += millis / 1_000;
    }

    pub(crate) fn take(&mut self, caller: &Caller) -> Result<Receipt, Shortage> {
        take(&self.limits, self.now(), caller)
    }
}

pub(crate) fn take(limits: &Limits, now: Now, caller: &Caller) -> Result<Receipt, Shortage> {
    let key = match &caller.principal {
        Principal::Anonymous => CallerKey::of_address(caller.address),
        Principal::Proven(proof) => proof.caller(),
    };
    let party = Party { principal: &caller.principal, caller: key, address: caller.address };
    let item = caller.item.as_ref();
    limits.take(
        now,
        &Request {
            party,
            route: &RoutePath::from("/mcp"),
            item: item.map(|(upstream, name)| Item { kind: ItemKind::Tool, upstream, name }),
            requests: 1,
            tokens_in: caller.tokens.0,
            tokens_out: caller.tokens.1,
            cost_micros: caller.micros,
        },
    )
}

/// An agent that proved its name.
pub(crate) fn agent(client: &str) -> Caller {
    proven(client, None, &[])
}

fn proven(client: &str, user: Option<&str>, groups: &[&str]) -> Caller {
    let digest = |text: &str| {
        let mut digest = [0; 16];
        text.bytes().enumerate().for_each(|(at, byte)| digest[at % 16] ^= byte);
        digest
    };
    let names = Names {
        issuer: "https://login.example".into(),
        subject: user.unwrap_or(client).into(),
        client: client.into(),
        caller_digest: digest(&format!("{}/{client}", user.unwrap_or_default())),
        agent_digest: digest(client),
    };
    let mut proof = Proof::new(names, Credential::Jwt, 0);
    proof.user = user.map(Into::into);
    proof.groups = groups.iter().map(|group| Box::from(*group)).collect();
    Caller {
        principal: Principal::Proven(Arc::new(proof)),
        address: IpAddr::from([10, 0, 0, 1]),
        item: None,
        tokens: (0, 0),
        micros: 0,
    }
}

/// Somebody who proved nothing, from an address.
pub(crate) fn anonymous(address: &str) -> Caller {
    let address = address.trim_matches(['[', ']']).parse().expect("an address");
    Caller { principal: Principal::Anonymous, address, ..agent("") }
}

impl Caller {
    fn client(&self) -> String {
        self.principal.proof().map(|proof| proof.client.to_string()).unwrap_or_default()
    }

    pub(crate) fn user(&self, user: &str) -> Self {
        let made = proven(&self.client(), Some(user), &[]);
        Self { principal: made.principal, ..self.clone() }
    }

    pub(crate) fn groups(&self, groups: &[&str]) -> Self {
        let made = proven(&self.client(), None, groups);
        Self { principal: made.principal, ..self.clone() }
    }

    pub(crate) fn tool(&self, upstream: &str, name: &str) -> Self {
        Self { item: Some((upstream.into(), name.to_owned())), ..self.clone() }
    }

    pub(crate) fn tokens(&self, tokens_in: u64, tokens_out: u64) -> Self {
        Self { tokens: (tokens_in, tokens_out), ..self.clone() }
    }

    pub(crate) fn micros(&self, micros: u64) -> Self {
        Self { micros, ..self.clone() }
    }
}

/// A limit that limits nothing yet.
pub(crate) fn level(name: &str, per: &[CountedPer]) -> LevelSettings {
    LevelSettings {
        name: name.into(),
        per: per.to_vec(),
        who: Who::default(),
        items: Vec::new(),
        requests: None,
        tokens: None,
        concurrent: None,
    }
}

/// So much in so many milliseconds, all of it at once if need be, and as much of debt.
pub(crate) const fn rate(amount: u64, window_millis: u64) -> RateSettings {
    RateSettings { amount, window_millis, burst: amount, debt: amount }
}
