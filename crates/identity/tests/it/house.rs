//! What stands around a verifier: settings, stores, a clock that is moved by hand, and tokens.

use crate::server::Server;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::clock::{Clock as _, ManualClock};
use tollgate_core::ids::Secret;
use tollgate_core::principal::{Principal, Proof};
use tollgate_core::stores::Stores;
use tollgate_identity::settings::{
    ClaimNames, ClientCredential, ClientProof, Door, IdentitySettings, Introspection,
    IssuerSettings, KeysAt, TokenSettings,
};
use tollgate_identity::{Denied, DoorId, IdentityError, Sources, Verifier};
use tollgate_oauth::keys::{Alg, SigningKey};

pub(crate) const RESOURCE: &str = "https://gw.example.com/mcp";
pub(crate) const ALGORITHMS: [Alg; 3] = [Alg::Rs256, Alg::Es256, Alg::EdDsa];
/// The first door of a house.
pub(crate) const FRONT: DoorId = DoorId(0);
/// When houses are built, in Unix seconds.
const BUILT: u64 = 1_800_000_000;

/// A verifier and what is around it.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) settings: IdentitySettings,
    pub(crate) doors: Vec<Door>,
    pub(crate) sources: Sources,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) verifier: Arc<Verifier>,
}

impl House {
    /// One door that accepts all these issuers, and API keys.
    pub(crate) fn with(issuers: Vec<IssuerSettings>) -> Self {
        let settings = IdentitySettings {
            issuers,
            api_keys: true,
            certificates: None,
            leeway: Duration::from_secs(30),
            believed: Duration::from_secs(60),
        };
        Self::of(settings, vec![door("/mcp")], MemoryIdentity::stores())
    }

    pub(crate) fn of(settings: IdentitySettings, doors: Vec<Door>, stores: Stores) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.advance(BUILT * 1_000);
        let sources = Sources { stores, own: None, clock: Arc::clone(&clock) as _ };
        let verifier = Verifier::build(&settings, &doors, &sources, None).expect("settings");
        Self { settings, doors, sources, clock, verifier: Arc::new(verifier) }
    }

    /// The next version of the configuration, with whatever was changed in `settings` and `doors`.
    pub(crate) fn rebuild(&mut self) -> Result<(), IdentityError> {
        let previous = Some(&*self.verifier);
        let next = Verifier::build(&self.settings, &self.doors, &self.sources, previous)?;
        self.verifier = Arc::new(next);
        Ok(())
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_secs()
    }

    pub(crate) fn advance_secs(&self, secs: u64) {
        self.clock.advance(secs * 1_000);
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Principal, Denied> {
        self.verifier.verify(FRONT, token).await
    }

    pub(crate) fn remembers(&self, token: &str) -> bool {
        self.verifier.remembered(FRONT, token).is_some()
    }

    /// What the token proves.
    pub(crate) async fn proof(&self, token: &str) -> Arc<Proof> {
        let principal = self.verify(token).await.expect("a good token");
        Arc::clone(principal.proof().expect("a proof"))
    }

    /// Claims of a token that is good here.
    pub(crate) fn claims(&self, issuer: &str) -> Value {
        json!({
            "iss": issuer, "sub": "alice", "client_id": "agent", "aud": RESOURCE,
            "exp": self.now() + 600, "iat": self.now(), "jti": "1", "scope": "write read",
            "groups": ["staff"],
        })
    }

    /// The same with some of them changed; `null` removes one.
    pub(crate) fn claims_but(&self, issuer: &str, changes: &Value) -> Value {
        let mut claims = self.claims(issuer);
        for (name, value) in changes.as_object().expect("changes") {
            if value.is_null() {
                claims.as_object_mut().expect("claims").remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }
}

pub(crate) fn door(path: &str) -> Door {
    Door {
        path: path.to_owned(),
        resource: format!("https://gw.example.com{path}"),
        issuers: vec![],
        scopes: vec![],
        offered: vec![],
    }
}

/// An issuer of JWTs, found by discovery.
pub(crate) fn jwt(name: &str, server: &Server) -> IssuerSettings {
    let keys = KeysAt::Discovery;
    let tokens = TokenSettings::Jwt { keys, algorithms: ALGORITHMS.into(), strict_type: true };
    issuer(name, &server.url, tokens)
}

/// An issuer of opaque tokens, at its `/introspect`.
pub(crate) fn opaque(name: &str, server: &Server) -> IssuerSettings {
    let proof = ClientProof::SecretBasic(Secret::new(String::from("s3cret")));
    issuer(name, &server.url, TokenSettings::Opaque(introspection(proof)))
}

pub(crate) fn introspection(proof: ClientProof) -> Introspection {
    Introspection {
        url: None,
        client: ClientCredential { id: String::from("gate"), proof },
        believed: Duration::from_secs(30),
        at_once: 64,
    }
}

pub(crate) fn issuer(name: &str, url: &str, tokens: TokenSettings) -> IssuerSettings {
    IssuerSettings {
        name: name.to_owned(),
        url: url.to_owned(),
        audiences: vec![],
        tokens,
        claims: ClaimNames::default(),
        ca: None,
    }
}

/// A new key of that id.
pub(crate) fn key(kid: &str, alg: Alg) -> SigningKey {
    let pkcs8 = match alg {
        Alg::Es256 | Alg::EdDsa => SigningKey::generate(alg).expect("a key").pkcs8().to_vec(),
        _ => {
            use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
            use aws_lc_rs::rsa::{KeyPair, KeySize};
            let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
            let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
            der.as_ref().to_vec()
        }
    };
    SigningKey::from_pkcs8(kid, alg, &pkcs8).expect("a key")
}

/// An access token.
pub(crate) fn token(key: &SigningKey, claims: &Value) -> String {
    key.sign("at+jwt", claims).expect("a token")
}

pub(crate) fn is_invalid<T>(outcome: &Result<T, Denied>) -> bool {
    matches!(outcome, Err(Denied::Invalid { .. }))
}

pub(crate) fn is_unavailable<T>(outcome: &Result<T, Denied>) -> bool {
    matches!(outcome, Err(Denied::Unavailable { .. }))
}

/// Waits until it is so, at most five seconds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "not within five seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
