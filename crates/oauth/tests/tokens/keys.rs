//! Key sets as issuers, and strangers, publish them.

use crate::good_tokens::MODULUS;
use crate::signer::{ALGS, Signer};
use serde_json::{Value, json};
use tollgate_oauth::base64url;
use tollgate_oauth::jwt::{Jwt, JwtFault};
use tollgate_oauth::keys::{Alg, KeySet, KeysFault, SharedKeys, SigningFault, SigningKey};

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("a key set")
}

fn with(jwk: &Value, more: Value) -> Value {
    let mut jwk = jwk.clone();
    let Value::Object(more) = more else { panic!("an object") };
    jwk.as_object_mut().expect("an object").extend(more);
    jwk
}

fn without(jwk: &Value, name: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().expect("an object").shift_remove(name);
    jwk
}

fn token(signer: &Signer, header: &str) -> String {
    signer.token(header, "{}")
}

fn verified(token: &str, keys: &KeySet) -> Result<(), JwtFault> {
    Jwt::read(token)?.verify(keys, &Alg::ALL)
}

#[test]
fn keys_that_verify_nothing_are_left_out_and_the_others_are_used() {
    let good = Signer::new(Alg::Es256, "good").key.public_jwk();
    let rsa = json!({ "kty": "RSA", "n": MODULUS, "e": "AQAB", "kid": "rsa" });
    let ed = Signer::new(Alg::EdDsa, "ed").key.public_jwk();
    let unusable = [for_something_else(&rsa), no_rsa(&rsa), no_point(&good, &ed)].concat();
    for key in &unusable {
        let keys = set(&[key.clone(), with(&good, json!({ "kid": "known" }))]);
        assert_eq!(keys.len(), 1, "{key}");
        assert!(keys.knows("known"), "{key}");
        assert!(set(std::slice::from_ref(key)).is_empty(), "{key}");
    }
    assert_eq!(set(&[good, rsa, ed]).len(), 3);
}

/// Keys for something else than verifying, and what is no key at all.
fn for_something_else(rsa: &Value) -> Vec<Value> {
    vec![
        json!(null),
        json!("key"),
        json!([]),
        json!({}),
        json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ", "alg": "HS256" }),
        json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ" }),
        json!({ "kty": "ML-DSA", "pub": "AAAA" }),
        json!({ "kty": "rsa", "n": MODULUS, "e": "AQAB" }),
        json!({ "kty": ["RSA"], "n": MODULUS, "e": "AQAB" }),
        with(rsa, json!({ "use": "enc" })),
        with(rsa, json!({ "use": 1 })),
        with(rsa, json!({ "key_ops": ["encrypt"] })),
        with(rsa, json!({ "key_ops": [] })),
        with(rsa, json!({ "key_ops": "verify" })),
        with(rsa, json!({ "use": "sig", "key_ops": ["sign"] })),
        with(rsa, json!({ "alg": "RSA-OAEP" })),
        with(rsa, json!({ "alg": "none" })),
        with(rsa, json!({ "alg": "HS256" })),
        with(rsa, json!({ "alg": "ES256" })),
        with(rsa, json!({ "alg": 256 })),
        with(rsa, json!({ "kid": 1 })),
        with(rsa, json!({ "kid": null })),
        with(rsa, json!({ "kid": "k".repeat(513) })),
        with(rsa, json!({ "d": "AAAA" })),
    ]
}

/// RSA keys that are none, or are worth nothing.
fn no_rsa(rsa: &Value) -> Vec<Value> {
    let number = |bits: usize| {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= (8 - bits % 8) % 8;
        base64url::encode(&bytes)
    };
    vec![
        with(rsa, json!({ "n": number(1_024) })),
        with(rsa, json!({ "n": number(2_047) })),
        with(rsa, json!({ "n": number(8_193) })),
        with(rsa, json!({ "n": "" })),
        with(rsa, json!({ "n": 3 })),
        with(rsa, json!({ "n": format!("{MODULUS}==") })),
        with(rsa, json!({ "e": "AQ" })),
        with(rsa, json!({ "e": "AAE" })),
        with(rsa, json!({ "e": "Ag" })),
        with(rsa, json!({ "e": "AAAA" })),
        with(rsa, json!({ "e": "" })),
        // 2^32 + 1: longer than any library takes.
        with(rsa, json!({ "e": "AQAAAAE" })),
        with(rsa, json!({ "n": even(MODULUS) })),
        without(rsa, "n"),
        without(rsa, "e"),
        without(rsa, "kty"),
    ]
}

/// The number below an odd one.
fn even(number: &str) -> String {
    let mut bytes = base64url::decode(number).expect("base64url");
    *bytes.last_mut().expect("a byte") ^= 1;
    base64url::encode(&bytes)
}

/// Curves we do not know, and points that are on none.
fn no_point(good: &Value, ed: &Value) -> Vec<Value> {
    vec![
        with(good, json!({ "crv": "P-384" })),
        with(good, json!({ "crv": "P-521" })),
        with(good, json!({ "crv": "secp256k1" })),
        with(good, json!({ "alg": "ES384" })),
        with(good, json!({ "alg": "RS256" })),
        with(good, json!({ "x": good["y"], "y": good["x"] })),
        with(good, json!({ "x": base64url::encode(&[0; 32]), "y": base64url::encode(&[0; 32]) })),
        with(good, json!({ "x": base64url::encode(&[1; 31]) })),
        with(good, json!({ "x": base64url::encode(&[1; 33]) })),
        with(good, json!({ "x": format!("{}=", good["x"].as_str().expect("a text")) })),
        without(good, "x"),
        without(good, "y"),
        without(good, "crv"),
        with(ed, json!({ "crv": "X25519" })),
        with(ed, json!({ "crv": "Ed448" })),
        with(ed, json!({ "x": base64url::encode(&[1; 31]) })),
        without(ed, "x"),
    ]
}

#[test]
fn what_is_no_key_set_is_no_key_set() {
    for text in ["{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"kty":"RSA"}"#] {
        assert_eq!(KeySet::parse(text.as_bytes()).err(), Some(KeysFault::NoKeys), "{text}");
    }
    for text in
        ["", "[]", "<html>", r#"{"keys":[],"keys":[]}"#, r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#]
    {
        assert!(matches!(KeySet::parse(text.as_bytes()), Err(KeysFault::Json(_))), "{text}");
    }
    let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(512 * 1024));
    assert_eq!(KeySet::parse(long.as_bytes()).err(), Some(KeysFault::TooLong));
    assert!(KeySet::parse(br#"{"keys":[]}"#).expect("an empty set").is_empty());
}

#[test]
fn of_many_keys_a_hundred_are_taken() {
    let jwk = Signer::new(Alg::EdDsa, "k").key.public_jwk();
    let keys: Vec<Value> =
        (0..1_000).map(|index| with(&jwk, json!({ "kid": format!("k{index}") }))).collect();
    let keys = set(&keys);
    assert_eq!(keys.len(), 100);
    assert!(keys.knows("k99") && !keys.knows("k100"));
}

#[test]
fn a_set_of_many_unusable_keys_is_not_looked_through_to_its_end() {
    let good = Signer::new(Alg::EdDsa, "good").key.public_jwk();
    let off_curve = with(&good, json!({ "crv": "P-256", "kty": "EC", "y": good["x"] }));
    for (before, is_found) in [(399, true), (400, false)] {
        let mut keys = vec![off_curve.clone(); before];
        keys.push(good.clone());
        assert_eq!(set(&keys).knows("good"), is_found, "{before}");
    }
}

#[test]
fn a_key_that_names_its_algorithm_is_used_with_no_other() {
    // The same RSA key, and signatures that are good each in its way.
    let (pkcs1, pss) = (Signer::new(Alg::Rs256, "k"), Signer::new(Alg::Ps256, "k"));
    let named = set(&[pkcs1.key.public_jwk()]);
    let open = set(&[without(&pkcs1.key.public_jwk(), "alg")]);
    for (signer, with_named) in [(&pkcs1, Ok(())), (&pss, Err(JwtFault::Algorithm))] {
        let token = token(signer, &format!("{{{}}}", signer.naming()));
        assert_eq!(verified(&token, &named), with_named);
        assert_eq!(verified(&token, &open), Ok(()));
        let read = Jwt::read(&token).expect("a token");
        assert_eq!(read.verify(&open, &[Alg::Es256]), Err(JwtFault::Algorithm));
        assert_eq!(read.verify(&open, &[signer.alg]), Ok(()));
    }
}

#[test]
fn a_signature_that_is_good_in_another_way_is_not_good() {
    let (pkcs1, pss) = (Signer::new(Alg::Rs256, "k"), Signer::new(Alg::Ps256, "k"));
    let open = set(&[without(&pkcs1.key.public_jwk(), "alg")]);
    // Each signs what the other says it is.
    let token = pss.token(&format!("{{{}}}", pkcs1.naming()), "{}");
    assert_eq!(verified(&token, &open), Err(JwtFault::Signature));
    let token = pkcs1.token(&format!("{{{}}}", pss.naming()), "{}");
    assert_eq!(verified(&token, &open), Err(JwtFault::Signature));
}

#[test]
fn a_token_that_names_no_key_is_verified_only_where_one_key_fits() {
    let (one, other) = (Signer::new(Alg::Es256, "one"), Signer::new(Alg::Es256, "other"));
    let third = Signer::new(Alg::EdDsa, "third");
    let (one_jwk, other_jwk) = (one.key.public_jwk(), other.key.public_jwk());
    let token = token(&one, r#"{"alg":"ES256"}"#);
    assert_eq!(verified(&token, &set(&[one_jwk.clone(), third.key.public_jwk()])), Ok(()));
    assert_eq!(verified(&token, &set(&[one_jwk, other_jwk])), Err(JwtFault::KeyUnknown));
    assert_eq!(verified(&token, &set(&[third.key.public_jwk()])), Err(JwtFault::KeyUnknown));
    assert_eq!(verified(&token, &KeySet::empty()), Err(JwtFault::KeyUnknown));
}

#[test]
fn of_keys_with_one_id_those_that_fit_are_tried_but_not_many() {
    let signers: Vec<Signer> = (0..6).map(|_| Signer::new(Alg::Es256, "same")).collect();
    let other = Signer::new(Alg::EdDsa, "same").key.public_jwk();
    let mut keys = vec![other.clone(), other.clone()];
    keys.extend(signers.iter().map(|signer| signer.key.public_jwk()));
    let keys = set(&keys);
    assert_eq!(keys.len(), 7, "the same key twice is one key");
    for (index, signer) in signers.iter().enumerate() {
        let token = token(signer, &format!("{{{}}}", signer.naming()));
        let expected = if index < 4 { Ok(()) } else { Err(JwtFault::Signature) };
        assert_eq!(verified(&token, &keys), expected, "key {index}");
    }
}

#[test]
fn the_key_of_another_issuer_is_unknown_even_if_it_has_the_same_id() {
    for alg in ALGS {
        let (own, foreign) = (Signer::new(alg, "1"), Signer::another(alg, "1"));
        let token = token(&foreign, &format!("{{{}}}", foreign.naming()));
        assert_eq!(verified(&token, &set(&[own.key.public_jwk()])), Err(JwtFault::Signature));
        assert_eq!(verified(&token, &set(&[foreign.key.public_jwk()])), Ok(()));
    }
}

#[test]
fn leading_zeros_of_a_modulus_do_not_count() {
    let signer = Signer::new(Alg::Rs256, "k");
    let jwk = signer.key.public_jwk();
    let modulus = base64url::decode(jwk["n"].as_str().expect("a text")).expect("base64url");
    let padded = with(&jwk, json!({ "n": base64url::encode(&[&[0], &modulus[..]].concat()) }));
    assert_eq!(verified(&token(&signer, r#"{"alg":"RS256","kid":"k"}"#), &set(&[padded])), Ok(()));
    // 1024 bits do not become 2048 by zeros before them.
    let short = [&[0; 128], &modulus[..128]].concat();
    assert!(set(&[with(&jwk, json!({ "n": base64url::encode(&short) }))]).is_empty());
}

#[test]
fn keys_are_made_for_two_algorithms_and_named_by_their_thumbprint() {
    for alg in Alg::ALL {
        let made = SigningKey::generate(alg);
        if !matches!(alg, Alg::Es256 | Alg::EdDsa) {
            assert_eq!(made.err(), Some(SigningFault::NotMade(alg)));
            continue;
        }
        let key = made.expect("a key");
        assert_eq!(key.kid().len(), 43);
        let again = SigningKey::from_pkcs8(key.kid(), alg, key.pkcs8()).expect("the same key");
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert_ne!(SigningKey::generate(alg).expect("a key").kid(), key.kid());
    }
}

#[test]
fn a_published_key_has_nothing_private() {
    for alg in ALGS {
        let jwk = Signer::new(alg, "k").key.public_jwk();
        let mut names: Vec<&str> =
            jwk.as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected: &[&str] = match alg {
            Alg::EdDsa => &["alg", "crv", "kid", "kty", "use", "x"],
            Alg::Es256 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            _ => &["alg", "e", "kid", "kty", "n", "use"],
        };
        assert_eq!(names, expected);
    }
}

#[test]
fn a_signing_key_does_not_show() {
    let key = SigningKey::generate(Alg::EdDsa).expect("a key");
    let shown = format!("{key:?}");
    assert!(shown.contains(key.kid()));
    let rest = shown.replace(key.kid(), "");
    assert_eq!(rest, r#"SigningKey { kid: "", alg: EdDsa, .. }"#);
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn a_key_in_pem_is_taken_for_the_algorithms_of_its_kind_alone() {
    for alg in ALGS {
        let signer = Signer::new(alg, "k");
        let text = pem("PRIVATE KEY", signer.key.pkcs8());
        for wanted in Alg::ALL {
            let taken = SigningKey::from_pem(Some("k"), wanted, &text);
            let is_rsa = |alg: Alg| alg.name().starts_with("RS") || alg.name().starts_with("PS");
            if wanted == alg || (is_rsa(wanted) && is_rsa(alg)) {
                let key = taken.expect("a key");
                let token = key.sign("JWT", &json!({})).expect("a token");
                assert_eq!(verified(&token, &KeySet::from_signing(&[&key])), Ok(()), "{wanted:?}");
            } else {
                assert_eq!(taken.err(), Some(SigningFault::NotAKey(wanted)), "{alg:?} {wanted:?}");
            }
        }
        for (label, der) in [
            ("RSA PRIVATE KEY", signer.key.pkcs8()),
            ("PUBLIC KEY", &[0][..]),
            ("EC PRIVATE KEY", &[]),
        ] {
            let taken = SigningKey::from_pem(None, alg, &pem(label, der));
            assert_eq!(taken.err(), Some(SigningFault::NotPem), "{label}");
        }
        assert_eq!(SigningKey::from_pem(None, alg, "").err(), Some(SigningFault::NotPem));
        let cut = pem("PRIVATE KEY", &signer.key.pkcs8()[..20]);
        assert_eq!(SigningKey::from_pem(None, alg, &cut).err(), Some(SigningFault::NotAKey(alg)));
    }
}

#[test]
fn a_key_without_its_public_half_is_taken_as_openssl_writes_it() {
    // RFC 8410 section 10.
    let text = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(None, Alg::EdDsa, text).expect("a key");
    assert_eq!(key.public_jwk()["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
}

#[test]
fn a_key_id_that_tokens_could_not_carry_is_refused() {
    let key = SigningKey::generate(Alg::EdDsa).expect("a key");
    for kid in [String::new(), "k".repeat(513)] {
        let taken = SigningKey::from_pkcs8(&kid, Alg::EdDsa, key.pkcs8());
        assert_eq!(taken.err(), Some(SigningFault::KeyId));
    }
}

#[test]
fn only_objects_that_fit_are_signed() {
    let key = SigningKey::generate(Alg::EdDsa).expect("a key");
    let long = json!({ "x": "x".repeat(16 * 1024) });
    for claims in [json!(null), json!([]), json!("x"), long] {
        assert_eq!(key.sign("JWT", &claims), Err(SigningFault::Claims));
    }
}

#[test]
fn who_reads_shared_keys_sees_the_set_that_was_stored_last() {
    let (one, other) = (Signer::new(Alg::EdDsa, "one"), Signer::new(Alg::EdDsa, "other"));
    let shared = SharedKeys::new(set(&[one.key.public_jwk()]));
    let (reader, before) = (shared.clone(), shared.load());
    shared.store(set(&[other.key.public_jwk()]));
    assert!(before.knows("one") && !before.knows("other"));
    assert!(reader.load().knows("other") && !reader.load().knows("one"));
}
