//! What the gate says about a principal to a token server: a JWT signed with a key of its own.
//!
//! The principal's own token is not part of it: it was made for the gate, and a server that took it
//! could be called by whoever else saw it. `sub` means something only together with its issuer, so
//! nobody is vouched for whose issuer the operator did not name.
//!
//! SPEC: RFC 8693 sections 2.1 and 4.1, RFC 7523 section 3, RFC 9493 section 3.2.5.

use super::{CredentialError, CredentialFault, server};
use crate::settings::{AssertionSettings, TokenServer};
use serde_json::json;
use std::fmt;
use std::sync::Arc;
use tollgate_core::bounds::outbound::VOUCHED_SECS;
use tollgate_core::clock::{Clock, Entropy};
use tollgate_core::principal::Proof;
use tollgate_oauth::keys::SigningKey;
use tollgate_oauth::secret;

/// Says who principals are.
pub(super) struct Voucher {
    issuer: String,
    audience: String,
    of_issuers: Vec<String>,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voucher").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Voucher {
    pub(super) fn new(
        settings: &AssertionSettings,
        server: &TokenServer,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, CredentialError> {
        if settings.of_issuers.is_empty() {
            return Err(CredentialError::Nobody);
        }
        let key = &settings.key;
        let key = SigningKey::from_pem(key.kid.as_deref(), key.algorithm, key.pem.expose());
        Ok(Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone().unwrap_or_else(|| server::name(server)),
            of_issuers: settings.of_issuers.clone(),
            key: key.map_err(CredentialError::Key)?,
            clock,
            entropy,
        })
    }

    /// Whether its principals are vouched for.
    pub(super) fn vouches_for(&self, proof: &Proof) -> bool {
        self.of_issuers.iter().any(|issuer| **issuer == *proof.issuer)
    }

    /// Says who this is, for the next minute.
    pub(super) fn vouch(&self, proof: &Proof) -> Result<String, CredentialFault> {
        let now = self.clock.unix_secs();
        let mut claims = json!({
            "iss": self.issuer,
            "sub": &*proof.subject,
            "sub_id": { "format": "iss_sub", "iss": &*proof.issuer, "sub": &*proof.subject },
            "aud": self.audience,
            "client_id": &*proof.client,
            "iat": now,
            "exp": now + VOUCHED_SECS,
            "jti": secret::mint("", &*self.entropy),
        });
        // SPEC: RFC 8693 section 4.1: `act` is who acts for the subject just now. Those before do not
        // decide anything and may differ from token to token of one principal.
        if proof.user.is_some()
            && let Some(members) = claims.as_object_mut()
        {
            members.insert(String::from("act"), json!({ "sub": &*proof.client }));
        }
        let signed = self.key.sign("JWT", &claims);
        signed.map_err(|_| CredentialFault::Unusable("our key does not sign"))
    }
}
