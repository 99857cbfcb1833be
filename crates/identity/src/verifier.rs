//! Who calls, at a door: the one way from a credential to a principal.
//!
//! A token is first looked for among those seen a moment ago, then handed to who can tell: the
//! store (API keys), the signature check of the issuer it names, or the issuer itself. Only then it
//! is held against what the door demands and against what was revoked.
//!
//! Next: `verifier/find.rs`, who can tell; then `bearer.rs`, `introspection.rs`, `api_key.rs`,
//! `certificate.rs`.

mod find;

use crate::api_key::ApiKeys;
use crate::certificate;
use crate::denied::{Denied, IdentityError};
use crate::doors::{DoorFacts, DoorId, ReadyDoor};
use crate::finding::{Finding, Outcome, Refused};
use crate::flights::Flights;
use crate::issuer::TrustedIssuer;
use crate::remembered::{Eras, Key, Lasting, Memory};
use crate::revocations::Revoked;
use crate::settings::{Door, IdentitySettings};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tollgate_core::bounds::identity::{
    TOKEN_BYTES_MAX, TOKEN_REFUSED_SECS, TOKENS_REFUSED_MAX, TOKENS_REMEMBERED_MAX,
};
use tollgate_core::clock::Clock;
use tollgate_core::principal::{CERTIFICATES, Principal};
use tollgate_core::stores::Stores;
use tollgate_oauth::keys::SharedKeys;

/// What a verifier looks things up in.
#[derive(Clone, Debug)]
pub struct Sources {
    /// API keys and revocations.
    pub stores: Stores,
    /// The URL of the gate's own issuer, and its keys.
    pub own: Option<(String, SharedKeys)>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Verifies who calls, by one version of the configuration.
#[derive(Debug)]
pub struct Verifier {
    settings: IdentitySettings,
    doors: Vec<ReadyDoor>,
    issuers: Vec<Arc<TrustedIssuer>>,
    api_keys: Option<ApiKeys>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

/// What outlives a version of the configuration.
#[derive(Debug)]
struct Shared {
    tokens: Memory<Held>,
    refused: Memory<Denied>,
    flights: Flights<Outcome>,
    revoked: Arc<Revoked>,
    serials: AtomicU64,
    is_looking: AtomicBool,
    certificates: Arc<str>,
    /// Of what no issuer's keys speak for.
    eras: Eras,
}

/// A principal that was verified a moment ago.
#[derive(Debug)]
struct Held {
    principal: Principal,
    /// It was not revoked after so many changes of what is.
    checked: AtomicU64,
}

/// Certificates are the same at every door; doors' serials begin after this.
const NO_DOOR: u64 = 0;

impl Verifier {
    /// Makes ready what the settings say. Of the previous version it takes over what did not change:
    /// keys, and what is remembered at doors that judge as before.
    ///
    /// # Errors
    /// If the settings contradict themselves, or a file they name is not usable.
    pub fn build(
        settings: &IdentitySettings,
        doors: &[Door],
        sources: &Sources,
        previous: Option<&Self>,
    ) -> Result<Self, IdentityError> {
        let known = previous.map_or(&[][..], |previous| &previous.issuers);
        let mut issuers: Vec<Arc<TrustedIssuer>> = Vec::with_capacity(settings.issuers.len());
        let mut refreshes = Vec::new();
        for one in &settings.issuers {
            let (issuer, refresh) = TrustedIssuer::ready(one, sources, known)?;
            refreshes.extend(refresh.map(|refresh| (Arc::clone(&issuer), refresh)));
            if issuers.iter().any(|other| other.url() == issuer.url()) {
                return Err(IdentityError::SameIssuer(issuer.url().to_owned()));
            }
            issuers.push(issuer);
        }
        let store = &sources.stores.revocations;
        let shared =
            previous.filter(|previous| previous.shared.revoked.watches(store)).map_or_else(
                || Arc::new(Shared::new(sources)),
                |previous| Arc::clone(&previous.shared),
            );
        let same = previous.filter(|previous| {
            Arc::ptr_eq(&previous.shared, &shared) && previous.judges_alike(settings)
        });
        let before = same.map_or(&[][..], |previous| &previous.doors);
        let serial = || shared.serials.fetch_add(1, Ordering::Relaxed) + 1;
        let doors = doors.iter().map(|door| ReadyDoor::open(door, &issuers, before, serial));
        let doors = doors.collect::<Result<_, _>>()?;
        // Not before nothing can fail any more: a version that is refused changes nothing.
        for (issuer, refresh) in refreshes {
            issuer.refresh(refresh);
        }
        Ok(Self {
            doors,
            issuers,
            api_keys: settings.api_keys.then(|| ApiKeys::new(Arc::clone(&sources.stores.agents))),
            clock: Arc::clone(&sources.clock),
            settings: settings.clone(),
            shared,
        })
    }

    /// Whether everything but issuers and doors is as in these settings.
    fn judges_alike(&self, settings: &IdentitySettings) -> bool {
        let IdentitySettings { issuers: _, api_keys, certificates, leeway, believed } = settings;
        self.settings.api_keys == *api_keys
            && self.settings.certificates == *certificates
            && self.settings.leeway == *leeway
            && self.settings.believed == *believed
    }

    /// The principal of a token that was verified at this door a moment ago, and is still good.
    #[must_use]
    pub fn remembered(&self, door: DoorId, token: &str) -> Option<Principal> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        self.recall(&Key::of(self.doors.get(door.0)?.serial, token.as_bytes()))
    }

    fn recall(&self, key: &Key) -> Option<Principal> {
        let revoked = &self.shared.revoked;
        if revoked.is_blind(self.settings.believed) {
            return None;
        }
        let changes = revoked.changes();
        self.shared.tokens.with(key, self.clock.unix_secs(), |held| {
            if held.checked.load(Ordering::Acquire) != changes {
                if revoked.covers(&held.principal) {
                    return None;
                }
                held.checked.store(changes, Ordering::Release);
            }
            Some(held.principal.clone())
        })
    }

    /// The principal of a token, at this door.
    ///
    /// # Errors
    /// If the token proves nothing here, is not enough here, or if that cannot be found out.
    pub async fn verify(&self, door: DoorId, token: &str) -> Result<Principal, Denied> {
        let door = self.ready(door)?;
        if token.is_empty() {
            return Err(Denied::Malformed { why: "there is no token after `Bearer`".into() });
        }
        if token.len() > TOKEN_BYTES_MAX {
            let why = format!("the token is longer than {TOKEN_BYTES_MAX} bytes");
            return Err(Denied::invalid(why));
        }
        self.see_revocations().await?;
        let key = Key::of(door.serial, token.as_bytes());
        if let Some(principal) = self.recall(&key) {
            return Ok(principal);
        }
        let now = self.clock.unix_secs();
        if let Some(denied) = self.shared.refused.with(&key, now, |denied| Some(denied.clone())) {
            return Err(denied);
        }
        let finding = match self.find(door, key, token).await {
            Ok(finding) => finding,
            Err(Refused { denied, lasting }) => {
                if let Some(lasting) = lasting {
                    self.shared.refused.keep(key, denied.clone(), lasting, now);
                }
                return Err(denied);
            }
        };
        self.admit(door, key, finding)
    }

    /// What the door and the revocations say of a credential that is good.
    fn admit(&self, door: &ReadyDoor, key: Key, finding: Finding) -> Result<Principal, Denied> {
        let Finding { proof, lasting } = finding;
        let now = self.clock.unix_secs();
        let revoked = &self.shared.revoked;
        // Before the check, so that a change during it is seen by the next call.
        let (changes, store_era) = (revoked.changes(), revoked.store_eras.now());
        let principal = Principal::Proven(proof);
        if let Err(denied) = self.allow(door, &principal) {
            // A flood of these costs no signature each either; what was revoked may be taken back.
            let until = lasting.until.min(now.saturating_add(TOKEN_REFUSED_SECS));
            let era = match denied {
                Denied::Insufficient { .. } => lasting.era,
                _ => store_era,
            };
            self.shared.refused.keep(key, denied.clone(), Lasting { until, era }, now);
            return Err(denied);
        }
        let checked = AtomicU64::new(changes);
        let held = Held { principal: principal.clone(), checked };
        self.shared.tokens.keep(key, held, lasting, now);
        Ok(principal)
    }

    fn allow(&self, door: &ReadyDoor, principal: &Principal) -> Result<(), Denied> {
        if self.shared.revoked.covers(principal) {
            return Err(Denied::invalid(
                "the credential was revoked: sign in again, or ask the operator",
            ));
        }
        let holds = |scope: &String| principal.proof().is_some_and(|proof| proof.has_scope(scope));
        if door.facts.scopes.iter().all(holds) {
            return Ok(());
        }
        Err(Denied::Insufficient { scopes: door.facts.scopes.clone() })
    }

    /// The principal of a client certificate whose chain and possession TLS has verified; `None` if
    /// certificates prove nothing here. Where a token is sent as well, the token decides: then this
    /// need not be asked.
    ///
    /// # Errors
    /// If the certificate names no agent, is not enough at this door, or was revoked.
    pub async fn certificate(&self, door: DoorId, der: &[u8]) -> Result<Option<Principal>, Denied> {
        let Some(name) = self.settings.certificates else { return Ok(None) };
        let door = self.ready(door)?;
        if self.shared.revoked.is_blind(self.settings.believed) {
            // Boxed: it is so right after the start, and hardly ever again.
            Box::pin(self.see_revocations()).await?;
        }
        let key = Key::of(NO_DOOR, der);
        let now = self.clock.unix_secs();
        let known = self.shared.tokens.with(&key, now, |held| Some(held.principal.clone()));
        let principal = match known {
            Some(principal) => principal,
            None => {
                let changes = self.shared.revoked.changes();
                let issuer = &self.shared.certificates;
                let (proof, ends) = certificate::prove(der, name, issuer, now)?;
                let principal = Principal::Proven(Arc::new(proof));
                let checked = AtomicU64::new(changes);
                let held = Held { principal: principal.clone(), checked };
                let until = ends.min(now.saturating_add(self.settings.believed.as_secs()));
                let lasting = Lasting { until, era: self.shared.eras.now() };
                self.shared.tokens.keep(key, held, lasting, now);
                principal
            }
        };
        self.allow(door, &principal)?;
        Ok(Some(principal))
    }

    /// What a door tells everybody.
    ///
    /// # Panics
    /// If the door is not one of this verifier.
    #[must_use]
    pub fn door(&self, door: DoorId) -> &DoorFacts {
        &self.doors[door.0].facts
    }

    /// All doors.
    pub fn doors(&self) -> impl Iterator<Item = (DoorId, &DoorFacts)> {
        self.doors.iter().enumerate().map(|(index, door)| (DoorId(index), &door.facts))
    }

    /// Whether the principal's credential was revoked.
    #[must_use]
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        self.shared.revoked.covers(principal)
    }

    /// Whether the principal itself is cut off: the agent, or the person it acts for. Of a credential
    /// that is revoked this says nothing, since the principal may have another one.
    #[must_use]
    pub fn is_cut_off(&self, principal: &Principal) -> bool {
        self.shared.revoked.cuts_off(principal)
    }

    /// Ticks when what is revoked changed. Goes on through versions of the configuration.
    #[must_use]
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.shared.revoked.watch()
    }

    /// Begins to look for revocations and to look after keys; both end with the last version that
    /// uses them. To be called within a runtime, once for each version.
    pub fn start_background(self: &Arc<Self>) {
        if !self.shared.is_looking.swap(true, Ordering::Relaxed) {
            self.shared.revoked.keep_looking();
        }
        for issuer in &self.issuers {
            issuer.keep_tending();
        }
    }

    fn ready(&self, door: DoorId) -> Result<&ReadyDoor, Denied> {
        self.doors.get(door.0).ok_or_else(|| Denied::invalid("there is nothing to enter here"))
    }

    /// Nobody is let in without knowing what is revoked.
    async fn see_revocations(&self) -> Result<(), Denied> {
        let revoked = &self.shared.revoked;
        if !revoked.is_blind(self.settings.believed) {
            return Ok(());
        }
        let look = tokio::time::timeout(Duration::from_secs(1), revoked.look());
        match look.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(blind()),
        }
    }
}

impl Shared {
    fn new(sources: &Sources) -> Self {
        let store = Arc::clone(&sources.stores.revocations);
        Self {
            tokens: Memory::with_room_for(TOKENS_REMEMBERED_MAX),
            refused: Memory::with_room_for(TOKENS_REFUSED_MAX),
            flights: Flights::default(),
            revoked: Arc::new(Revoked::new(store, Arc::clone(&sources.clock))),
            serials: AtomicU64::new(NO_DOOR),
            is_looking: AtomicBool::new(false),
            certificates: CERTIFICATES.into(),
            eras: Eras::default(),
        }
    }
}

fn blind() -> Denied {
    Denied::unavailable("what was revoked cannot be looked up just now: try again later", 1)
}
