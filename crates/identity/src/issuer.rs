//! An issuer of tokens that is trusted, with what is needed to verify what it issued.
//!
//! Lives as long as its settings stay the same: a new configuration that changes something else
//! takes it over, with its keys.

use crate::claims::Reading;
use crate::denied::IdentityError;
use crate::introspection::Introspector;
use crate::keyring::KeyRing;
use crate::remembered::Eras;
use crate::settings::{ClaimNames, IssuerSettings, KeysAt, TokenSettings};
use crate::verifier::Sources;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tollgate_core::principal::Credential;
use tollgate_oauth::keys::{Alg, KeySet, SharedKeys};
use tollgate_outbound::{Fetcher, Trust};
use url::Url;

/// How often it is looked whether keys are to be renewed.
const TEND_MILLIS: u64 = 250;

/// An issuer that is trusted.
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    settings: IssuerSettings,
    url: Arc<str>,
    claims: ClaimNames,
    eras: Eras,
    way: Way,
    is_tended: AtomicBool,
}

/// What files say by now that the settings of an issuer name.
#[derive(Debug)]
pub(crate) struct Refresh {
    keys: Option<KeySet>,
    fetcher: Fetcher,
}

/// How its tokens are verified.
#[derive(Debug)]
pub(crate) enum Way {
    /// By their signature.
    Jwt(Keys),
    /// By asking.
    Opaque(Box<Introspector>),
}

/// What signatures are verified with.
#[derive(Debug)]
pub(crate) enum Keys {
    /// The gate's own issuer's, as they are now.
    Own {
        /// The keys.
        shared: SharedKeys,
        /// Those there were when it was last looked.
        seen: Mutex<Arc<KeySet>>,
    },
    /// Those an issuer publishes.
    Ring {
        /// The keys.
        ring: Arc<KeyRing>,
        /// What they may be used with.
        algorithms: Vec<Alg>,
        /// Whether `typ` must be `at+jwt`.
        strict_type: bool,
    },
}

impl Keys {
    /// Whether the type of a token must be `at+jwt`.
    pub(crate) const fn is_strict(&self) -> bool {
        match self {
            Self::Own { .. } => true,
            Self::Ring { strict_type, .. } => *strict_type,
        }
    }
}

impl TrustedIssuer {
    /// Makes an issuer ready, or takes over the one with the same settings: together with what is
    /// to be changed in that one once everything else is ready too.
    pub(crate) fn ready(
        settings: &IssuerSettings,
        sources: &Sources,
        previous: &[Arc<Self>],
    ) -> Result<(Arc<Self>, Option<Refresh>), IdentityError> {
        if let TokenSettings::Own = settings.tokens {
            return Ok((Arc::new(Self::own(settings, sources)?), None));
        }
        let reach = |why: String| IdentityError::Reach { issuer: settings.name.clone(), why };
        let trust = settings.ca.clone().map_or(Trust::System, Trust::File);
        let fetcher = Fetcher::new(trust).map_err(|fault| reach(fault.to_string()))?;
        if let Some(same) = previous.iter().find(|issuer| issuer.settings == *settings) {
            let refresh = Refresh { keys: same.read_again()?, fetcher };
            return Ok((Arc::clone(same), Some(refresh)));
        }
        Ok((Arc::new(Self::new(settings, sources, fetcher)?), None))
    }

    fn new(
        settings: &IssuerSettings,
        sources: &Sources,
        fetcher: Fetcher,
    ) -> Result<Self, IdentityError> {
        settings.is_findable()?;
        let (clock, eras) = (Arc::clone(&sources.clock), Eras::default());
        let way = match &settings.tokens {
            TokenSettings::Jwt { keys, algorithms, strict_type } => {
                let ring = KeyRing::new(&settings.url, keys.clone(), fetcher, clock, eras.clone());
                Way::Jwt(Keys::Ring {
                    ring: Arc::new(ring.map_err(|why| settings.key_file_fault(&why))?),
                    algorithms: algorithms.clone(),
                    strict_type: *strict_type,
                })
            }
            TokenSettings::Opaque(introspection) => {
                let names = (settings.name.as_str(), settings.url.as_str());
                Way::Opaque(Box::new(Introspector::new(names, introspection, fetcher, clock)?))
            }
            TokenSettings::Own => return Self::own(settings, sources),
        };
        Ok(Self {
            url: settings.url.as_str().into(),
            claims: settings.claims.clone(),
            settings: settings.clone(),
            eras,
            way,
            is_tended: AtomicBool::new(false),
        })
    }

    fn own(settings: &IssuerSettings, sources: &Sources) -> Result<Self, IdentityError> {
        let Some((url, shared)) = &sources.own else {
            return Err(IdentityError::NoOwnIssuer(settings.name.clone()));
        };
        let seen = Mutex::new(shared.load());
        Ok(Self {
            url: url.as_str().into(),
            // What `tollgate_oauth::access_token` writes, whatever the operator says of others.
            claims: ClaimNames {
                agent: vec![String::from("client_id")],
                groups: Some(String::from("groups")),
                scopes: vec![String::from("scope")],
            },
            settings: settings.clone(),
            eras: Eras::default(),
            way: Way::Jwt(Keys::Own { shared: shared.clone(), seen }),
            is_tended: AtomicBool::new(false),
        })
    }

    /// Files may have changed although the settings did not.
    fn read_again(&self) -> Result<Option<KeySet>, IdentityError> {
        match &self.way {
            Way::Jwt(Keys::Ring { ring, .. }) => {
                ring.read_again().map_err(|why| self.settings.key_file_fault(&why))
            }
            Way::Jwt(Keys::Own { .. }) | Way::Opaque(_) => Ok(None),
        }
    }

    /// Takes over what was read again.
    pub(crate) fn refresh(&self, refresh: Refresh) {
        let Refresh { keys, fetcher } = refresh;
        match &self.way {
            Way::Jwt(Keys::Ring { ring, .. }) => {
                ring.fetch_with(fetcher);
                if let Some(keys) = keys {
                    ring.put(keys);
                }
            }
            Way::Jwt(Keys::Own { .. }) => {}
            Way::Opaque(introspector) => introspector.fetch_with(fetcher),
        }
    }

    /// The operator's name for it.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its issuer identifier.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How its tokens are verified.
    pub(crate) const fn way(&self) -> &Way {
        &self.way
    }

    /// They end when its keys change.
    pub(crate) const fn eras(&self) -> &Eras {
        &self.eras
    }

    /// How its claims are read.
    pub(crate) fn reading(&self, credential: Credential, leeway: Duration) -> Reading<'_> {
        Reading {
            issuer: &self.url,
            names: &self.claims,
            audiences: &self.settings.audiences,
            credential,
            is_own: matches!(self.way, Way::Jwt(Keys::Own { .. })),
            leeway,
        }
    }

    /// Looks after its keys until nobody trusts it any more. Does nothing the second time.
    pub(crate) fn keep_tending(self: &Arc<Self>) {
        if self.is_tended.swap(true, Ordering::Relaxed) {
            return;
        }
        let known = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(Duration::from_millis(TEND_MILLIS));
            beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                beat.tick().await;
                let Some(issuer) = known.upgrade() else { return };
                match &issuer.way {
                    Way::Jwt(Keys::Ring { ring, .. }) => ring.tend(),
                    Way::Jwt(Keys::Own { shared, seen }) => {
                        let now = shared.load();
                        let mut seen = seen.lock();
                        if !Arc::ptr_eq(&now, &seen) {
                            *seen = now;
                            issuer.eras.end();
                        }
                    }
                    Way::Opaque(_) => return,
                }
            }
        });
    }
}

impl IssuerSettings {
    /// Where its metadata is needed, its identifier must lead there.
    fn is_findable(&self) -> Result<(), IdentityError> {
        let must_be_found = match &self.tokens {
            TokenSettings::Jwt { keys, .. } => matches!(keys, KeysAt::Discovery),
            TokenSettings::Opaque(introspection) => introspection.url.is_none(),
            TokenSettings::Own => false,
        };
        let why = match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "https" | "http") => return Ok(()),
            Ok(_) => String::from("it must be `https`"),
            Err(error) => error.to_string(),
        };
        if !must_be_found {
            return Ok(());
        }
        Err(IdentityError::Url { issuer: self.name.clone(), url: self.url.clone(), why })
    }

    fn key_file_fault(&self, why: &dyn std::fmt::Display) -> IdentityError {
        let path = match &self.tokens {
            TokenSettings::Jwt { keys: KeysAt::File(path), .. } => path.display().to_string(),
            _ => String::new(),
        };
        IdentityError::KeyFile { issuer: self.name.clone(), path, why: why.to_string() }
    }
}
