//! Reading a token never panics, what is read is what any reader of JSON reads, and nobody signs
//! for a key they do not have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;
use tollgate_oauth::base64url;
use tollgate_oauth::json::{self, JsonFault};
use tollgate_oauth::jwt::{Claims, Jwt};
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let keys = [Alg::Es256, Alg::EdDsa].map(|alg| SigningKey::generate(alg).expect("a key"));
    KeySet::from_signing(&[&keys[0], &keys[1]])
});

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (header, claims, signature) = input;
    if let Ok(text) = std::str::from_utf8(header) {
        judge(text);
    }
    judge(&[header, claims, signature].map(base64url::encode).join("."));
    let ours = json::object(claims);
    match (&ours, serde_json::from_slice::<Value>(claims)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(&Value::Object(ours.clone()), &theirs),
        (Ok(_), Err(error)) => panic!("only we read it: {error}"),
        (Err(fault), Ok(Value::Object(_))) => {
            assert!(matches!(fault, JsonFault::Twice | JsonFault::Deep), "{fault}");
        }
        (Err(_), _) => {}
    }
});

fn judge(text: &str) {
    let Ok(token) = Jwt::read(text) else { return };
    assert!(token.verify(&KEYS, &Alg::ALL).is_err(), "signed by nobody: {text}");
    assert_eq!(text.matches('.').count(), 2);
    for part in text.split('.') {
        let bytes = base64url::decode(part).expect("base64url");
        assert_eq!(base64url::encode(&bytes), part);
    }
    ask(token.claims());
}

/// Whatever is asked of claims has an answer or a fault.
fn ask(claims: &Claims) {
    for name in ["exp", "iss", "aud", "a", "a.b", ""] {
        let time = claims.time(name);
        if let Ok(Some(seconds)) = time {
            assert!(claims.value(name).is_some_and(Value::is_number) && seconds < 1 << 53);
        }
        let absent = claims.value(name).is_none();
        assert_eq!(absent, time == Ok(None));
        assert_eq!(absent, claims.text(name) == Ok(None));
        assert_eq!(absent, claims.texts(name) == Ok(None));
        let _there = claims.texts_at(name).is_ok();
    }
}
