//! How the gate proves itself to a token server.
//!
//! SPEC: RFC 6749 section 2.3.1, RFC 7523 section 3, OpenID Connect Core 1.0 section 9.

use super::{CredentialError, CredentialFault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::json;
use std::fmt;
use std::sync::Arc;
use tollgate_core::bounds::outbound::VOUCHED_SECS;
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::ids::Secret;
use tollgate_identity::settings::{ClientCredential, ClientProof};
use tollgate_oauth::keys::SigningKey;
use tollgate_oauth::secret;
use url::form_urlencoded::byte_serialize;

/// The gate as a client of a token server.
pub(super) struct Client {
    id: String,
    proof: Proof,
    /// To whom it proves itself.
    audience: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

enum Proof {
    Basic(HeaderValue),
    Post(Secret<String>),
    Key(Box<SigningKey>),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A proof for one request: fields of its form, and perhaps a header.
pub(super) struct Shown {
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) authorization: Option<HeaderValue>,
}

impl Client {
    pub(super) fn new(
        settings: &ClientCredential,
        audience: String,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, CredentialError> {
        let proof = match &settings.proof {
            ClientProof::SecretBasic(secret) => Proof::Basic(basic(&settings.id, secret.expose())?),
            ClientProof::SecretPost(secret) => Proof::Post(secret.clone()),
            ClientProof::PrivateKey { pem, algorithm, kid } => {
                let key = SigningKey::from_pem(kid.as_deref(), *algorithm, pem.expose());
                Proof::Key(Box::new(key.map_err(CredentialError::Key)?))
            }
        };
        Ok(Self { id: settings.id.clone(), proof, audience, clock, entropy })
    }

    /// What proves the gate in one request.
    pub(super) fn show(&self) -> Result<Shown, CredentialFault> {
        let id = ("client_id", self.id.clone());
        Ok(match &self.proof {
            Proof::Basic(value) => Shown { fields: vec![], authorization: Some(value.clone()) },
            Proof::Post(secret) => {
                let fields = vec![id, ("client_secret", secret.expose().clone())];
                Shown { fields, authorization: None }
            }
            Proof::Key(key) => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let assertion = ("client_assertion", self.assert(key)?);
                let fields = vec![id, ("client_assertion_type", kind.to_owned()), assertion];
                Shown { fields, authorization: None }
            }
        })
    }

    fn assert(&self, key: &SigningKey) -> Result<String, CredentialFault> {
        let now = self.clock.unix_secs();
        let claims = json!({
            "iss": self.id,
            "sub": self.id,
            "aud": self.audience,
            "iat": now,
            "exp": now + VOUCHED_SECS,
            "jti": secret::mint("", &*self.entropy),
        });
        key.sign("JWT", &claims).map_err(|_| CredentialFault::Unusable("our key does not sign"))
    }
}

/// SPEC: RFC 6749 section 2.3.1: both are form-encoded before they are joined.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, CredentialError> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encoded(id), encoded(secret));
    let value = format!("Basic {}", STANDARD.encode(joined));
    let value = HeaderValue::try_from(value);
    let mut value = value.map_err(|_| CredentialError::Unsendable("client secret"))?;
    value.set_sensitive(true);
    Ok(value)
}
