//! The keys of one issuer: fetched, kept, renewed, and kept on while the issuer is away.
//!
//! An answer that is not a set with usable keys changes nothing, whatever it is: the old set stays
//! for [`KEYS_STALE_SECS`]. However many tokens name unknown keys, the issuer is asked at most once
//! per [`KEYS_COOLDOWN_SECS`] for their sake. When the set changes, everything that was found out
//! with the old one is forgotten.

use crate::denied::Denied;
use crate::discovery::{DiscoveryFault, Wanted, discover};
use crate::remembered::{Era, Eras};
use crate::settings::KeysAt;
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tollgate_core::bounds::identity::{KEYS_COOLDOWN_SECS, KEYS_FRESH_SECS, KEYS_STALE_SECS};
use tollgate_core::bounds::outbound::{FETCH_BYTES_MAX, FETCH_MILLIS};
use tollgate_core::clock::{Clock, Millis};
use tollgate_oauth::keys::{KeySet, KeysFault};
use tollgate_outbound::{FetchFault, Fetcher, Reach};
use url::Url;

/// Why there is no new key set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRingFault {
    /// The issuer does not say where its keys are.
    #[error(transparent)]
    Discovery(#[from] DiscoveryFault),
    /// They cannot be fetched.
    #[error("`{url}`: {fault}")]
    Fetch {
        /// Where.
        url: Url,
        /// Why.
        fault: Box<FetchFault>,
    },
    /// The file cannot be read.
    #[error("{0}")]
    File(String),
    /// It is no key set.
    #[error(transparent)]
    Keys(#[from] KeysFault),
    /// There is no key in it that can be used.
    #[error("the key set has no key that can be used")]
    Empty,
}

/// A key set, and the era in which it is the newest: taken first, so that should the set be replaced
/// while one verifies with it, nothing is remembered.
pub(crate) type InEra = (Arc<KeySet>, Era);

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct KeyRing {
    issuer: String,
    at: KeysAt,
    /// Replaced with each configuration version, since the file with the CAs may have changed.
    fetcher: ArcSwap<Fetcher>,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    // Held for a few assignments, never across an await.
    phase: Mutex<Phase>,
    /// End when the set changes.
    eras: Eras,
}

#[derive(Debug)]
struct Held {
    keys: Arc<KeySet>,
    content: Value,
    at: Millis,
}

#[derive(Debug, Default)]
struct Phase {
    /// When the issuer was last asked because of a token, or in vain.
    asked: Option<Millis>,
    /// Turns true, or loses its sender, when the fetch that is under way has ended.
    under_way: Option<watch::Receiver<bool>>,
    /// Fetches in vain since the last that was not.
    failures: u32,
    /// Where the keys are, once that was found out.
    place: Option<Url>,
}

impl KeyRing {
    /// Has no keys yet, except those of a file.
    pub(crate) fn new(
        issuer: &str,
        at: KeysAt,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
        eras: Eras,
    ) -> Result<Self, KeyRingFault> {
        let ring = Self {
            issuer: issuer.to_owned(),
            at,
            fetcher: ArcSwap::from_pointee(fetcher),
            clock,
            held: ArcSwapOption::empty(),
            phase: Mutex::default(),
            eras,
        };
        if let Some(keys) = ring.read_again()? {
            ring.put(keys);
        }
        Ok(ring)
    }

    /// What is in the file by now, if the keys are in one. Changes nothing yet.
    pub(crate) fn read_again(&self) -> Result<Option<KeySet>, KeyRingFault> {
        match &self.at {
            KeysAt::File(path) => usable(&read(path)?).map(Some),
            KeysAt::Discovery | KeysAt::Url(_) => Ok(None),
        }
    }

    /// Fetches with this one from now on.
    pub(crate) fn fetch_with(&self, fetcher: Fetcher) {
        self.fetcher.store(Arc::new(fetcher));
    }

    /// The keys, with that one among them if the issuer has it.
    pub(crate) async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<InEra, Denied> {
        if let Some((keys, era)) = self.held()
            && kid.is_none_or(|kid| keys.knows(kid))
        {
            return Ok((keys, era));
        }
        self.newer_keys().await
    }

    /// The keys after the issuer was asked again, if it may be asked by now.
    pub(crate) async fn newer_keys(self: &Arc<Self>) -> Result<InEra, Denied> {
        if let Some(mut done) = self.fetch_for_a_token() {
            // Whether it ended in time, with or without a word: what counts is which keys there are.
            let longest = Duration::from_millis(FETCH_MILLIS);
            let _ended = tokio::time::timeout(longest, done.wait_for(|done| *done)).await;
        }
        self.held().ok_or_else(|| {
            let why = "the keys of the token's issuer cannot be had just now: try again later";
            Denied::unavailable(why, self.cooling_secs())
        })
    }

    fn held(&self) -> Option<InEra> {
        let era = self.eras.now();
        let held = self.held.load();
        let held = held.as_ref()?;
        // What is in a file is there as long as the configuration says so.
        let is_usable = matches!(self.at, KeysAt::File(_))
            || self.clock.now().since(held.at) <= KEYS_STALE_SECS * 1_000;
        is_usable.then(|| (Arc::clone(&held.keys), era))
    }

    fn cooling_secs(&self) -> u64 {
        let phase = self.phase.lock();
        let Some(asked) = phase.asked else { return 0 };
        (KEYS_COOLDOWN_SECS * 1_000).saturating_sub(self.clock.now().since(asked)).div_ceil(1_000)
    }

    /// Begins a fetch, or joins the one that is under way; `None` if it is too soon for one.
    fn fetch_for_a_token(self: &Arc<Self>) -> Option<watch::Receiver<bool>> {
        if matches!(self.at, KeysAt::File(_)) {
            return None;
        }
        let cooling = self.cooling_secs();
        let mut phase = self.phase.lock();
        if let Some(done) = phase.fetch_under_way() {
            return Some(done);
        }
        if cooling > 0 {
            return None;
        }
        // Before the fetch, so that one that fails, hangs or is given up counts too.
        phase.asked = Some(self.clock.now());
        Some(self.begin(&mut phase))
    }

    /// Fetches in a task of its own: callers who go away do not end it.
    fn begin(self: &Arc<Self>, phase: &mut Phase) -> watch::Receiver<bool> {
        let (done, watched) = watch::channel(false);
        phase.under_way = Some(watched.clone());
        let ring = Arc::clone(self);
        tokio::spawn(async move {
            ring.renew().await;
            done.send_replace(true);
        });
        watched
    }

    async fn renew(&self) {
        let had_keys = self.held.load().is_some();
        let outcome = self.fetch().await;
        let now = self.clock.now();
        let mut phase = self.phase.lock();
        match outcome {
            Ok(()) => {
                phase.failures = 0;
                // The first set does not count: it came for all tokens, not because of a strange one.
                if !had_keys {
                    phase.asked = None;
                }
            }
            Err(error) => {
                phase.failures = phase.failures.saturating_add(1);
                phase.asked = Some(now);
                tracing::warn!(issuer = %self.issuer, %error, had_keys, "no new keys of an issuer");
            }
        }
    }

    async fn fetch(&self) -> Result<(), KeyRingFault> {
        let url = match &self.at {
            KeysAt::Url(url) => url.clone(),
            KeysAt::Discovery => self.place().await?,
            // Files are read with each version of the configuration, and then only.
            KeysAt::File(_) => return Ok(()),
        };
        let body = self.fetcher.load_full().get_json(&url, Reach::Anywhere).await;
        let body = body.map_err(|fault| {
            // Perhaps they have moved.
            self.phase.lock().place = None;
            KeyRingFault::Fetch { url, fault: Box::new(fault) }
        })?;
        self.put(usable(&body)?);
        Ok(())
    }

    /// Where the keys are, by the issuer's metadata; known again each time the set is renewed for
    /// its age, and only then, so that strange tokens cost one request.
    async fn place(&self) -> Result<Url, KeyRingFault> {
        let known = self.phase.lock().place.clone();
        if let Some(url) = known {
            return Ok(url);
        }
        let url = discover(&self.fetcher.load_full(), &self.issuer, Wanted::Keys).await?;
        self.phase.lock().place = Some(url.clone());
        Ok(url)
    }

    /// Uses these keys from now on, and no others.
    pub(crate) fn put(&self, keys: KeySet) {
        let content = keys.to_json();
        let is_new = self.held.load().as_ref().is_none_or(|held| held.content != content);
        let count = keys.len();
        let held = Held { keys: Arc::new(keys), content, at: self.clock.now() };
        self.held.store(Some(Arc::new(held)));
        if is_new {
            // After the set was put in place: what is found out from here on is found with it.
            self.eras.end();
            tracing::info!(issuer = %self.issuer, keys = count, "the keys of an issuer are new");
        }
    }

    /// Renews the set when it is time to. To be called often.
    pub(crate) fn tend(self: &Arc<Self>) {
        if matches!(self.at, KeysAt::File(_)) {
            return;
        }
        let age = self.held.load().as_ref().map(|held| self.clock.now().since(held.at));
        let mut phase = self.phase.lock();
        if phase.fetch_under_way().is_some() || !phase.is_due(age, self.clock.now()) {
            return;
        }
        if age.is_some() {
            phase.place = None;
        }
        // Nobody waits for it.
        drop(self.begin(&mut phase));
    }
}

impl Phase {
    fn fetch_under_way(&self) -> Option<watch::Receiver<bool>> {
        let done = self.under_way.as_ref()?;
        let has_ended = *done.borrow() || done.has_changed().is_err();
        (!has_ended).then(|| done.clone())
    }

    /// Without keys the pauses grow from one second on: an issuer that starts together with the gate
    /// is there a moment later.
    fn is_due(&self, age: Option<u64>, now: Millis) -> bool {
        let pause = match age {
            Some(age) if age < KEYS_FRESH_SECS * 1_000 => return false,
            Some(_) => KEYS_COOLDOWN_SECS,
            None => (1 << self.failures.saturating_sub(1).min(6)).min(KEYS_COOLDOWN_SECS),
        };
        self.failures == 0
            || self.asked.is_none_or(|asked| {
                u128::from(now.since(asked)) >= Duration::from_secs(pause).as_millis()
            })
    }
}

fn usable(json: &[u8]) -> Result<KeySet, KeyRingFault> {
    let keys = KeySet::parse(json)?;
    if keys.is_empty() { Err(KeyRingFault::Empty) } else { Ok(keys) }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyRingFault> {
    use std::io::Read as _;
    let fault = |error: std::io::Error| KeyRingFault::File(error.to_string());
    let file = std::fs::File::open(path).map_err(fault)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(FETCH_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() > FETCH_BYTES_MAX {
        return Err(KeyRingFault::File(format!("it is longer than {FETCH_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
