//! Asks an issuer about tokens only it can read (RFC 7662).
//!
//! Only a JSON `true` means active. Whatever is not an answer (no connection, another status, not
//! JSON, too slow, too many questions under way) is "not known just now", never "bad". The token
//! and the gate's own proof go to this one endpoint and nowhere else.

use crate::claims::{Ends, Reading};
use crate::complaint::Complaint;
use crate::denied::{Denied, IdentityError};
use crate::discovery::{Wanted, discover};
use crate::finding::{Finding, Outcome, Refused};
use crate::remembered::{Eras, Lasting};
use crate::settings::{ClientProof, Introspection};
use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tollgate_core::bounds::identity::{INTROSPECTION_ASSERTION_SECS, TOKEN_REFUSED_SECS};
use tollgate_core::bounds::outbound::FETCH_MILLIS;
use tollgate_core::clock::{Clock, Millis};
use tollgate_oauth::jwt::Claims;
use tollgate_oauth::keys::SigningKey;
use tollgate_oauth::resource::Resource;
use tollgate_outbound::{Answer, Ask, Fetcher, Reach};
use url::Url;
use url::form_urlencoded::byte_serialize;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// After metadata could not be had, it is not looked for again for so long.
const DISCOVERY_PAUSE_MILLIS: u64 = 2_000;

/// Asks one issuer.
#[derive(Debug)]
pub(crate) struct Introspector {
    issuer: String,
    settings: Introspection,
    fetcher: ArcSwap<Fetcher>,
    key: Option<SigningKey>,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
    place: Mutex<Place>,
    asserted: AtomicU64,
    complaint: Complaint,
    /// Never end: answers end by their time.
    eras: Eras,
}

#[derive(Debug, Default)]
struct Place {
    url: Option<Url>,
    failed: Option<Millis>,
}

/// What an answer is judged by.
pub(crate) struct Judging<'a> {
    /// How claims are read.
    pub(crate) reading: Reading<'a>,
    /// What the token must be for.
    pub(crate) resource: &'a Resource,
    /// Unix seconds.
    pub(crate) now: u64,
}

impl Introspector {
    /// Asks nothing yet.
    pub(crate) fn new(
        (name, issuer): (&str, &str),
        settings: &Introspection,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IdentityError> {
        let key = match &settings.client.proof {
            ClientProof::PrivateKey { pem, algorithm, kid } => {
                let key = SigningKey::from_pem(kid.as_deref(), *algorithm, pem.expose());
                Some(key.map_err(|why| IdentityError::ClientKey {
                    issuer: name.to_owned(),
                    why: why.to_string(),
                })?)
            }
            ClientProof::SecretBasic(_) | ClientProof::SecretPost(_) => None,
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            settings: settings.clone(),
            fetcher: ArcSwap::from_pointee(fetcher),
            key,
            clock,
            turns: Semaphore::new(settings.at_once),
            place: Mutex::new(Place { url: settings.url.clone(), failed: None }),
            asserted: AtomicU64::new(0),
            complaint: Complaint::default(),
            eras: Eras::default(),
        })
    }

    /// Asks with this one from now on.
    pub(crate) fn fetch_with(&self, fetcher: Fetcher) {
        self.fetcher.store(Arc::new(fetcher));
    }

    /// What the token proves, by what the issuer says of it.
    pub(crate) async fn judge(&self, token: &str, at: &Judging<'_>) -> Outcome {
        let longest = Duration::from_millis(FETCH_MILLIS);
        let asked = timeout(longest, self.ask(token)).await;
        let claims = asked.unwrap_or_else(|_| Err(self.no_answer("it took too long")))?;
        let believed = self.settings.believed.as_secs();
        let bad = |denied: Denied| Refused {
            denied,
            lasting: Some(Lasting {
                until: at.now + believed.min(TOKEN_REFUSED_SECS),
                era: self.eras.now(),
            }),
        };
        match claims.value("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => {
                let why = "the token is not active: it has expired, was revoked, or is another's";
                return Err(bad(Denied::invalid(why)));
            }
            _ => return Err(self.no_answer("it does not say whether the token is active").into()),
        }
        let said = claims.value("iss");
        if said.is_some_and(|said| said != self.issuer.as_str()) {
            return Err(bad(Denied::invalid("the token is from another issuer")));
        }
        let expires = at.reading.times(&claims, Ends::IfSaid, at.now).map_err(bad)?;
        at.reading.audience(&claims, at.resource).map_err(bad)?;
        Reading::token_use(&claims).map_err(bad)?;
        let proof = at.reading.proof(&claims, expires, at.now).map_err(bad)?;
        let until = at.now.saturating_add(believed);
        let until = expires.map_or(until, |expires| expires.min(until));
        Ok(Finding { proof: Arc::new(proof), lasting: Lasting { until, era: self.eras.now() } })
    }

    async fn ask(&self, token: &str) -> Result<Claims, Denied> {
        // Not waited for: a server that is slow would make every caller slow.
        let Ok(_turn) = self.turns.try_acquire() else {
            let why = "too many tokens are being asked about just now: try again later";
            return Err(Denied::unavailable(why, 1));
        };
        let url = self.place().await?;
        let answer = self.send(&url, token).await?;
        if answer.status != StatusCode::OK {
            return Err(self.no_answer(&format!("it answered with status {}", answer.status)));
        }
        Claims::parse(&answer.body).map_err(|fault| self.no_answer(&fault.to_string()))
    }

    async fn send(&self, url: &Url, token: &str) -> Result<Answer, Denied> {
        let client = &self.settings.client;
        let mut fields = vec![("token", token), ("token_type_hint", "access_token")];
        let assertion;
        let mut basic = None;
        match &client.proof {
            ClientProof::SecretBasic(secret) => {
                basic = Some(basic_header(&client.id, secret.expose()))
            }
            ClientProof::SecretPost(secret) => {
                fields.push(("client_id", &client.id));
                fields.push(("client_secret", secret.expose()));
            }
            ClientProof::PrivateKey { .. } => {
                assertion = self.assertion()?;
                fields.push(("client_id", &client.id));
                fields.push(("client_assertion_type", ASSERTION_TYPE));
                fields.push(("client_assertion", &assertion));
            }
        }
        let mut ask = Ask::form(url, Reach::Anywhere, &fields);
        if let Some(basic) = basic {
            let value = basic.ok_or_else(|| self.no_answer("the client secret cannot be sent"))?;
            ask.headers.push((AUTHORIZATION, value));
        }
        let answer = self.fetcher.load_full().send(ask).await;
        answer.map_err(|fault| self.no_answer(&fault.to_string()))
    }

    /// SPEC: RFC 7523 section 3, with the issuer as the one audience (draft-ietf-oauth-rfc7523bis).
    fn assertion(&self) -> Result<String, Denied> {
        let Some(key) = &self.key else {
            return Err(self.no_answer("there is no private key to sign with"));
        };
        let now = self.clock.unix_secs();
        // Unique is enough for a `jti`, and this is: the key, the time and a count.
        let mut unique = digest::Context::new(&digest::SHA256);
        unique.update(key.pkcs8());
        for part in [now, self.clock.now().0, self.asserted.fetch_add(1, Ordering::Relaxed)] {
            unique.update(&part.to_be_bytes());
        }
        let claims = json!({
            "iss": self.settings.client.id,
            "sub": self.settings.client.id,
            "aud": self.issuer,
            "iat": now,
            "exp": now + INTROSPECTION_ASSERTION_SECS,
            "jti": URL_SAFE_NO_PAD.encode(&unique.finish().as_ref()[..16]),
        });
        key.sign("JWT", &claims).map_err(|fault| self.no_answer(&fault.to_string()))
    }

    async fn place(&self) -> Result<Url, Denied> {
        let mut place = self.place.lock().await;
        if let Some(url) = &place.url {
            return Ok(url.clone());
        }
        let is_pausing = |failed| self.clock.now().since(failed) < DISCOVERY_PAUSE_MILLIS;
        if place.failed.is_some_and(is_pausing) {
            return Err(unknown());
        }
        match discover(&self.fetcher.load_full(), &self.issuer, Wanted::Introspection).await {
            Ok(url) => Ok(place.url.insert(url).clone()),
            Err(fault) => {
                place.failed = Some(self.clock.now());
                Err(self.no_answer(&fault.to_string()))
            }
        }
    }

    fn no_answer(&self, why: &str) -> Denied {
        if self.complaint.is_due(self.clock.unix_secs()) {
            tracing::warn!(issuer = %self.issuer, %why, "an issuer cannot be asked about tokens");
        }
        unknown()
    }
}

fn unknown() -> Denied {
    Denied::unavailable("the issuer of the token cannot be asked just now: try again later", 5)
}

/// SPEC: RFC 6749 section 2.3.1: both parts are form-encoded first.
fn basic_header(id: &str, secret: &str) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encoded(id), encoded(secret));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
