//! What is signed verifies and says what was signed, and nothing else does.

use crate::signer::{ALGS, Signer};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tollgate_oauth::access_token::{self, AccessClaims};
use tollgate_oauth::base64url;
use tollgate_oauth::jwt::{Claims, Jwt, JwtFault};
use tollgate_oauth::keys::{Alg, KeySet};

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// The modulus of RFC 7515 appendix A.2.
pub(crate) const MODULUS: &str = concat!(
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d",
    "4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexM",
    "dbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvU",
    "K-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
);

fn set(jwk: &Value) -> KeySet {
    KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).expect("a key set")
}

#[test]
fn the_tokens_of_rfc_7515_verify() {
    let rsa = set(&json!({ "kty": "RSA", "n": MODULUS, "e": "AQAB" }));
    let rsa_token = [
        "eyJhbGciOiJSUzI1NiJ9.",
        PAYLOAD,
        ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5ju",
        "jGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Q",
        "e7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI",
        "8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ]
    .concat();
    let ec = set(&json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let ec_token = [
        "eyJhbGciOiJFUzI1NiJ9.",
        PAYLOAD,
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ]
    .concat();
    for (keys, other, token, alg) in
        [(&rsa, &ec, rsa_token, Alg::Rs256), (&ec, &rsa, ec_token, Alg::Es256)]
    {
        let read = Jwt::read(&token).expect("a token");
        assert_eq!(read.verify(keys, &Alg::ALL), Ok(()), "{alg:?}");
        assert_eq!(read.claims().text("iss"), Ok(Some("joe")));
        assert_eq!(read.claims().time("exp"), Ok(Some(1_300_819_380)));
        assert_eq!(read.claims().path("http://example.com/is_root"), Some(&json!(true)));
        assert_eq!(read.verify(other, &Alg::ALL), Err(JwtFault::KeyUnknown));
        assert_eq!(read.verify(keys, &[]), Err(JwtFault::Algorithm));
    }
}

#[test]
fn the_text_of_rfc_8037_is_no_token_since_it_has_no_claims() {
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(Jwt::read(token).err(), Some(JwtFault::Malformed("a part of it is not JSON")));
}

#[test]
fn what_is_signed_verifies_with_the_published_half_of_the_key() {
    for alg in ALGS {
        let (signer, stranger) = (Signer::new(alg, "k"), Signer::another(alg, "k"));
        let token = signer.key.sign("at+jwt", &json!({ "sub": "x" })).expect("a token");
        let read = Jwt::read(&token).expect("a token");
        assert_eq!((read.header().alg, read.header().kid.as_deref()), (alg, Some("k")));
        let published = KeySet::from_signing(&[&signer.key]).to_json().to_string();
        let published = KeySet::parse(published.as_bytes()).expect("a key set");
        assert_eq!(read.verify(&published, &[alg]), Ok(()), "{alg:?}");
        let others = KeySet::from_signing(&[&stranger.key]);
        assert_eq!(read.verify(&others, &[alg]), Err(JwtFault::Signature), "{alg:?}");
    }
}

#[test]
fn a_token_with_any_one_bit_changed_is_refused() {
    for alg in [Alg::EdDsa, Alg::Es256] {
        let signer = Signer::new(alg, "k");
        let keys = KeySet::from_signing(&[&signer.key]);
        let token = signer.key.sign("at+jwt", &json!({ "sub": "x", "exp": 1 })).expect("a token");
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut changed = token.clone().into_bytes();
                changed[at] ^= 1 << bit;
                let changed = String::from_utf8(changed).expect("ASCII");
                let taken = Jwt::read(&changed).and_then(|read| read.verify(&keys, &Alg::ALL));
                assert!(taken.is_err(), "{alg:?}: bit {bit} of {at}: {changed}");
            }
        }
    }
}

#[test]
fn a_token_with_any_one_character_taken_or_added_is_refused() {
    let signer = Signer::new(Alg::EdDsa, "k");
    let keys = KeySet::from_signing(&[&signer.key]);
    let token = signer.key.sign("at+jwt", &json!({ "sub": "x" })).expect("a token");
    let is_taken =
        |text: &str| Jwt::read(text).and_then(|read| read.verify(&keys, &Alg::ALL)).is_ok();
    assert!(is_taken(&token));
    for at in 0..token.len() {
        assert!(!is_taken(&[&token[..at], &token[at + 1..]].concat()), "without {at}");
        for more in ["A", ".", "=", "_", " ", "\n", "ä"] {
            assert!(!is_taken(&[&token[..at], more, &token[at..]].concat()), "{more:?} at {at}");
        }
    }
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec("[!#-\\[\\]-~]{1,12}", 0..5)
}

prop_compose! {
    fn access_claims()(
        texts in vec(".{1,20}", 4),
        audience in vec(".{1,20}", 1..4),
        (scopes, groups, actors) in (names(), vec(".{0,20}", 0..5), vec(".{1,20}", 0..8)),
        (expires, issued) in (0..1_u64 << 53, 0..1_u64 << 53),
        (grant, user_name) in (option::of(".{1,20}"), option::of(".{1,20}")),
    ) -> AccessClaims {
        let [issuer, subject, client, id] = <[String; 4]>::try_from(texts).expect("four texts");
        AccessClaims {
            issuer, subject, client, audience, scopes, groups, expires, issued, id, grant, user_name,
            actors,
        }
    }
}

#[test]
fn what_an_access_token_says_survives_signing_and_reading() {
    let signer = Signer::new(Alg::EdDsa, "k");
    let keys = KeySet::from_signing(&[&signer.key]);
    TestRunner::default()
        .run(&access_claims(), |claims| {
            let token = signer.key.sign(access_token::TYPE, &claims.to_claims()).expect("a token");
            let read = Jwt::read(&token).expect("a token");
            prop_assert!(read.header().is_type(access_token::TYPE));
            prop_assert_eq!(read.verify(&keys, &[Alg::EdDsa]), Ok(()));
            prop_assert_eq!(AccessClaims::read(read.claims()), Ok(claims));
            Ok(())
        })
        .expect("every claim survives");
}

proptest! {
    #[test]
    fn reading_any_text_never_panics(text in "\\PC{0,60}") {
        let _ = Jwt::read(&text);
        let _ = KeySet::parse(text.as_bytes());
        let _ = Claims::parse(text.as_bytes());
    }

    #[test]
    fn reading_three_parts_of_anything_never_panics(
        header in "\\PC{0,40}", claims in "\\PC{0,40}", signature in vec(any::<u8>(), 0..70),
    ) {
        let (header, claims) = (header.as_bytes(), claims.as_bytes());
        let parts = [header, claims, &signature].map(base64url::encode).join(".");
        let _ = Jwt::read(&parts);
    }

    #[test]
    fn verifying_any_signature_of_any_claims_never_panics_and_never_succeeds(
        claims in "[a-z]{0,9}", signature in vec(any::<u8>(), 1..600), alg in 0..4_usize,
    ) {
        let signer = Signer::new(ALGS[alg], "k");
        let claims = json!({ "sub": claims }).to_string();
        let parts = [format!("{{{}}}", signer.naming()).as_bytes(), claims.as_bytes(), &signature]
            .map(base64url::encode)
            .join(".");
        let read = Jwt::read(&parts).expect("a token");
        prop_assert_eq!(
            read.verify(&KeySet::from_signing(&[&signer.key]), &Alg::ALL),
            Err(JwtFault::Signature)
        );
    }

    #[test]
    fn a_time_is_the_whole_seconds_of_a_number(seconds in 0..1_u64 << 53, part in 0..1_000_u32) {
        let exact = Claims::parse(format!("{{\"exp\":{seconds}}}").as_bytes()).expect("claims");
        prop_assert_eq!(exact.time("exp"), Ok(Some(seconds)));
        let near = seconds >> 11;
        let text = format!("{{\"exp\":{near}.{part:03}}}");
        let decimal = Claims::parse(text.as_bytes()).expect("claims");
        prop_assert_eq!(decimal.time("exp"), Ok(Some(near)));
    }
}

#[test]
fn the_type_of_a_token_is_a_media_type() {
    let signer = Signer::new(Alg::EdDsa, "k");
    for (typ, is_access_token) in [
        (r#""typ":"at+jwt","#, true),
        (r#""typ":"AT+JWT","#, true),
        (r#""typ":"application/at+jwt","#, true),
        (r#""typ":"Application/At+jwt","#, true),
        (r#""typ":"JWT","#, false),
        (r#""typ":"at+jwt ","#, false),
        (r#""typ":"text/at+jwt","#, false),
        (r#""typ":"application/application/at+jwt","#, false),
        (r#""typ":"","#, false),
        ("", false),
    ] {
        let token = signer.token(&format!("{{{typ}{}}}", signer.naming()), "{}");
        let read = Jwt::read(&token).expect("a token");
        assert_eq!(read.header().is_type("at+jwt"), is_access_token, "{typ}");
    }
}

#[test]
fn a_path_leads_into_claims_and_through_names_with_dots() {
    let claims = json!({
        "groups": ["a"],
        "realm_access": { "roles": ["b", "c"], "none": null },
        "resource_access": { "my.client": { "roles": ["d"] } },
        "https://example.com/groups": ["e"],
        "a.b": "whole",
        "a": { "b": "inner" },
    });
    let claims = Claims::parse(claims.to_string().as_bytes()).expect("claims");
    assert_eq!(claims.texts_at("groups"), Ok(Some(vec!["a"])));
    assert_eq!(claims.texts_at("realm_access.roles"), Ok(Some(vec!["b", "c"])));
    assert_eq!(claims.texts_at("resource_access.my.client.roles"), Ok(Some(vec!["d"])));
    assert_eq!(claims.texts_at("https://example.com/groups"), Ok(Some(vec!["e"])));
    assert_eq!(claims.texts_at("a.b"), Ok(Some(vec!["whole"])));
    for absent in
        ["", ".", "realm_access.", ".realm_access", "groups.0", "realm_access.roles.0", "b"]
    {
        assert_eq!(claims.texts_at(absent), Ok(None), "{absent}");
    }
    assert!(claims.texts_at("realm_access").is_err());
    assert!(claims.texts_at("realm_access.none").is_err());
}

#[test]
fn an_actor_without_a_subject_is_a_fault() {
    for act in [r#""a""#, "null", "{}", r#"{"sub":1}"#, r#"{"sub":"a","act":{}}"#, "[]"] {
        let claims = Claims::parse(format!("{{\"act\":{act}}}").as_bytes()).expect("claims");
        assert!(access_token::actors(&claims).is_err(), "{act}");
    }
    let claims = Claims::parse(br#"{"act":{"sub":"a","act":{"sub":"b"}}}"#).expect("claims");
    assert_eq!(access_token::actors(&claims), Ok(vec!["a".to_owned(), "b".to_owned()]));
}
