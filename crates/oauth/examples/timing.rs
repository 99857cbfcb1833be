//! Prints how long it takes to read a token, to verify it and to sign one, in nanoseconds.
//!
//! Not a benchmark with a history, only a look before and after a change:
//! `cargo run --release -p tollgate-oauth --example timing`.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::expect_used, reason = "without keys there is nothing to measure")]

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;
use tollgate_oauth::jwt::Jwt;
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};
use tollgate_oauth::{pkce, secret};

fn main() {
    let groups: Vec<String> = (0..200).map(|index| format!("team-{index}")).collect();
    let small = claims(&[]);
    let large = claims(&groups);
    for alg in [Alg::Es256, Alg::EdDsa, Alg::Rs256, Alg::Ps256] {
        let key = key(alg);
        let keys = KeySet::from_signing(&[&key]);
        for (size, claims) in [("small", &small), ("200 groups", &large)] {
            let token = key.sign("at+jwt", claims).expect("a token");
            let name = format!("{} {size}, {} bytes", alg.name(), token.len());
            report(&format!("{name}: read"), || Jwt::read(black_box(&token)).is_ok());
            let read = Jwt::read(&token).expect("a token");
            report(&format!("{name}: verify"), || read.verify(black_box(&keys), &[alg]).is_ok());
        }
        report(&format!("{}: sign", alg.name()), || key.sign("at+jwt", &small).is_ok());
    }
    let set = json!({ "keys": (0..100).map(|_| key(Alg::Es256).public_jwk()).collect::<Vec<_>>() });
    let set = set.to_string();
    report("a set of 100 ES256 keys", || KeySet::parse(black_box(set.as_bytes())).is_ok());
    let verifier = "v".repeat(64);
    let challenge = pkce::challenge(&verifier);
    report("PKCE", || pkce::verify(black_box(&challenge), &verifier));
    report("digest of an API key", || {
        secret::digest(black_box(&verifier)).0[0] == secret::digest(&verifier).0[0]
    });
}

fn claims(groups: &[String]) -> Value {
    json!({
        "iss": "https://gate.example.com", "sub": "user:4f1c2d9b8a7e6f50", "client_id": "agent",
        "aud": "https://gate.example.com/mcp", "exp": 2_000_000_000, "iat": 1_999_999_400,
        "jti": "0123456789abcdef0123456789abcdef", "scope": "tools:read tools:call", "groups": groups,
    })
}

fn key(alg: Alg) -> SigningKey {
    SigningKey::generate(alg).unwrap_or_else(|_| {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        let der = pair.as_der().expect("a key in DER");
        SigningKey::from_pkcs8("rsa", alg, der.as_ref()).expect("a key")
    })
}

/// Many short runs, the best of which no other process disturbed.
fn report(name: &str, work: impl Fn() -> bool) {
    assert!(work(), "{name} fails");
    let best = (0..2_000)
        .scan(Instant::now(), |since, run| {
            let start = Instant::now();
            (run < 10 || start.duration_since(*since).as_millis() < 400).then(|| {
                for _ in 0..20 {
                    black_box(work());
                }
                start.elapsed().as_secs_f64() * 1e9 / 20.0
            })
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:36} {best:>10.0} ns");
}
