//! How long it takes to know who calls: `cargo run --release -p tollgate-identity --example timing`.
//!
//! Prints nanoseconds for a token that was verified a moment ago, and for tokens that were not, by
//! algorithm. No network: keys come from a file.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for people who measure")]

use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::clock::{Clock, Millis};
use tollgate_identity::settings::{
    ClaimNames, Door, IdentitySettings, IssuerSettings, KeysAt, TokenSettings,
};
use tollgate_identity::{DoorId, Sources, Verifier};
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

const ISSUER: &str = "https://as.example.com";
const RESOURCE: &str = "https://gw.example.com/mcp";
const FRESH: usize = 2_000;
const HITS: u32 = 2_000_000;

#[derive(Debug)]
struct WallClock(Instant);

impl Clock for WallClock {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).expect("a time"))
    }

    fn unix_secs(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for alg in [Alg::Es256, Alg::EdDsa, Alg::Rs256] {
        let key = key(alg);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let set = KeySet::from_signing(&[&key]).to_json().to_string();
        std::fs::write(file.path(), set).expect("written");
        let clock: Arc<dyn Clock> = Arc::new(WallClock(Instant::now()));
        let now = clock.unix_secs();
        let sources = Sources { stores: MemoryIdentity::stores(), own: None, clock };
        let settings = settings(KeysAt::File(file.path().to_owned()));
        let verifier = Verifier::build(&settings, &[door()], &sources, None).expect("settings");
        let tokens: Vec<String> = (0..FRESH)
            .map(|number| {
                let claims = json!({
                    "iss": ISSUER, "sub": "alice", "client_id": "agent", "aud": RESOURCE,
                    "exp": now + 3_600, "iat": now, "jti": number.to_string(),
                    "scope": "read write", "groups": ["staff", "engineering"],
                });
                key.sign("at+jwt", &claims).expect("a token")
            })
            .collect();
        let door = DoorId(0);
        let begun = Instant::now();
        for token in &tokens {
            black_box(verifier.verify(door, token).await.expect("a good token"));
        }
        let fresh = begun.elapsed() / u32::try_from(FRESH).expect("a count");
        let begun = Instant::now();
        for turn in 0..HITS as usize {
            black_box(verifier.remembered(door, &tokens[turn % 32]).expect("remembered"));
        }
        let hit = begun.elapsed() / HITS;
        let bytes = tokens[0].len();
        println!(
            "{:>5}: fresh {:>7} ns, remembered {:>4} ns, token of {bytes} bytes",
            alg.name(),
            fresh.as_nanos(),
            hit.as_nanos()
        );
    }
}

fn key(alg: Alg) -> SigningKey {
    if let Ok(key) = SigningKey::generate(alg) {
        return key;
    }
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
    SigningKey::from_pkcs8("rsa", alg, der.as_ref()).expect("a key")
}

fn settings(keys: KeysAt) -> IdentitySettings {
    let algorithms = vec![Alg::Rs256, Alg::Es256, Alg::EdDsa];
    let issuer = IssuerSettings {
        name: String::from("as"),
        url: String::from(ISSUER),
        audiences: vec![],
        tokens: TokenSettings::Jwt { keys, algorithms, strict_type: true },
        claims: ClaimNames::default(),
        ca: None,
    };
    IdentitySettings {
        issuers: vec![issuer],
        api_keys: true,
        certificates: None,
        leeway: Duration::from_secs(30),
        believed: Duration::from_secs(300),
    }
}

fn door() -> Door {
    Door {
        path: String::from("/mcp"),
        resource: String::from(RESOURCE),
        issuers: vec![],
        scopes: vec![],
        offered: vec![],
    }
}
