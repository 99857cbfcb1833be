//! Assertions of clients and workloads (RFC 7523): each rule broken by itself.

use crate::signer::Signer;
use serde_json::{Value, json};
use tollgate_oauth::assertion::{Assertion, Rules, check};
use tollgate_oauth::jwt::{Claims, Jwt, JwtFault};
use tollgate_oauth::keys::{Alg, KeySet};

const NOW: u64 = 1_000_000;
const US: &str = "https://gate.example";

const RULES: Rules<'_> =
    Rules { audiences: &[US], audience_in_list: false, now: NOW, leeway: 30, max_secs: 600 };

fn good() -> Value {
    json!({ "iss": "agent", "sub": "agent", "aud": US, "exp": NOW + 60, "iat": NOW, "jti": "a1" })
}

fn checked(claims: &Value, rules: Rules<'_>) -> Result<Assertion, JwtFault> {
    check(&Claims::parse(claims.to_string().as_bytes()).expect("an object"), rules)
}

/// The good claims with one of them changed, or taken away.
fn with(name: &str, value: Option<Value>) -> Value {
    let mut claims = good();
    let members = claims.as_object_mut().expect("an object");
    members.shift_remove(name);
    members.extend(value.map(|value| (name.to_owned(), value)));
    claims
}

fn faulty_claim(claims: &Value, rules: Rules<'_>) -> Option<String> {
    match checked(claims, rules) {
        Err(JwtFault::Claim { name, .. }) => Some(name),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

#[test]
fn a_good_assertion_says_who_made_it_and_about_whom() {
    let expected = Assertion {
        issuer: "agent".into(),
        subject: "agent".into(),
        id: Some("a1".into()),
        expires: NOW + 60,
        issued: Some(NOW),
    };
    assert_eq!(checked(&good(), RULES), Ok(expected));
}

#[test]
fn it_is_for_us_alone() {
    for audience in [
        json!("https://gate.example/"),
        json!("https://gate.example/oauth/token"),
        json!("https://gate.example.evil"),
        json!("HTTPS://GATE.EXAMPLE"),
        json!("https://other.example"),
        json!(""),
        json!([US]),
        json!([US, "https://other.example"]),
        json!([]),
        json!(null),
        json!(1),
        json!({ "0": US }),
    ] {
        let claims = with("aud", Some(audience));
        assert_eq!(faulty_claim(&claims, RULES).as_deref(), Some("aud"), "{claims}");
    }
    assert_eq!(faulty_claim(&with("aud", None), RULES).as_deref(), Some("aud"));
}

#[test]
fn a_list_of_us_alone_is_taken_where_that_is_allowed() {
    let rules = Rules { audience_in_list: true, ..RULES };
    assert_eq!(faulty_claim(&with("aud", Some(json!([US]))), rules), None);
    for audience in [json!([US, US]), json!([US, "x"]), json!(["x"]), json!([[US]]), json!([])] {
        let claims = with("aud", Some(audience));
        assert_eq!(faulty_claim(&claims, rules).as_deref(), Some("aud"), "{claims}");
    }
}

#[test]
fn it_ends_soon_and_not_before_now() {
    for (expires, is_good) in [
        (NOW - 31, false),
        (NOW - 30, false),
        (NOW - 29, true),
        (NOW, true),
        (NOW + 630, true),
        (NOW + 631, false),
        (NOW + 365 * 86_400, false),
        ((1 << 53) - 1, false),
    ] {
        let claims = with("exp", Some(json!(expires)));
        let faulty = (!is_good).then_some("exp");
        assert_eq!(faulty_claim(&claims, RULES).as_deref(), faulty, "{expires}");
    }
    for expires in [None, Some(json!(null)), Some(json!("1000060")), Some(json!(-1))] {
        let claims = with("exp", expires);
        assert_eq!(faulty_claim(&claims, RULES).as_deref(), Some("exp"), "{claims}");
    }
}

#[test]
fn it_was_not_made_in_the_future() {
    for name in ["nbf", "iat"] {
        for (time, is_good) in [
            (json!(NOW + 30), true),
            (json!(NOW + 31), false),
            (json!("1"), false),
            (json!(0), true),
        ] {
            let claims = with(name, Some(time));
            let faulty = (!is_good).then_some(name);
            assert_eq!(faulty_claim(&claims, RULES).as_deref(), faulty, "{claims}");
        }
    }
}

#[test]
fn it_names_its_maker_and_its_subject() {
    for name in ["iss", "sub"] {
        for value in
            [None, Some(json!("")), Some(json!(null)), Some(json!(["agent"])), Some(json!(1))]
        {
            let claims = with(name, value);
            assert_eq!(faulty_claim(&claims, RULES).as_deref(), Some(name), "{claims}");
        }
    }
}

#[test]
fn an_id_is_a_text_or_absent() {
    for value in [json!(""), json!(null), json!(1), json!(["a1"])] {
        let claims = with("jti", Some(value));
        assert_eq!(faulty_claim(&claims, RULES).as_deref(), Some("jti"), "{claims}");
    }
    assert_eq!(checked(&with("jti", None), RULES).map(|it| it.id), Ok(None));
}

#[test]
fn times_at_the_end_of_all_times_do_not_overflow() {
    let rules = Rules { now: u64::MAX, leeway: u64::MAX, max_secs: u64::MAX, ..RULES };
    assert_eq!(
        faulty_claim(&with("exp", Some(json!((1_u64 << 53) - 1))), rules).as_deref(),
        Some("exp")
    );
}

#[test]
fn an_assertion_signed_by_a_client_is_verified_with_its_registered_keys() {
    let signer = Signer::new(Alg::Es256, "client-key");
    let registered =
        KeySet::parse(json!({ "keys": [signer.key.public_jwk()] }).to_string().as_bytes());
    let registered = registered.expect("a key set");
    let token = signer.key.sign("client-authentication+jwt", &good()).expect("a token");
    let read = Jwt::read(&token).expect("a token");
    assert!(read.header().is_type("client-authentication+jwt"));
    assert_eq!(read.verify(&registered, &[Alg::Es256]), Ok(()));
    assert!(check(read.claims(), RULES).is_ok());
}
